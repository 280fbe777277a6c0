"""``settled recover``: what Xero has is written into restored books anew."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from core.clock import Clock
from core.db import lanes, processes, recovery, reference
from core.db.database import transaction
from core.errors import NotConnected, SettingsInvalid, SettledError, XeroWait
from core.invoice_writes import RaiseInvoices
from core.recovering import Recovery, Summary
from core.settings import Settings
from settled.parts import Parts

REASON = "`settled recover` was begun"

#: By this lane one recovery at a time has the books; so its processes are called.
LANE, OURS = "recover", "recover@"

#: Somebody who was killed elsewhere is presumed dead by then.
ALONE_WITHIN = processes.SILENT_AFTER + timedelta(seconds=2)
LOOK_EVERY_S = 0.2


class NotAlone(SettledError):
    """Somebody else uses the books that are to be recovered."""

    def __init__(self, others: Collection[str]) -> None:
        names = ", ".join(sorted(others))
        super().__init__(f"these must end first, and have not: {names}")


def recover(
    settings: Settings, say: Callable[[str], None], *, clock: Clock | None = None
) -> Mapping[str, Summary]:
    """Recover every tenant; from the first moment to the last nothing is written.

    After a crash it is to be run again, and until it has ended writes are held. A
    daemon that is started meanwhile waits; one that runs before may have a call on its
    way to Xero that no read of ours would show.

    Raises:
        NotAlone: a daemon runs, or another recovery.
        SettingsInvalid: an organisation of the books has no settings.
        NotConnected: nobody has consented, or the restored consent is too old.
        XeroError: Xero can't be reached, or refuses.
    """
    parts = Parts(settings, _name(), clock=clock)
    try:
        parts.stores.open_books()
        parts.live(parts.stopping)
        tenants = [row.alias for row in reference.tenants()]
        if not tenants:
            raise NotConnected("nobody has consented; run `settled connect`")
        _require_settings(settings, tenants)
        _hold_alone(parts, tenants)
        parts.make()
        parts.relay.catch_up()
        _end_calls_of_the_dead(parts, tenants)
        return {tenant: _recover(parts, tenant, say) for tenant in tenants}
    finally:
        parts.stopping.set()
        parts.closing.close()


def _require_settings(settings: Settings, tenants: Sequence[str]) -> None:
    """Before anything is held: who was left out now would later write unrecovered."""
    for alias in tenants:
        if alias not in settings.tenants:
            raise SettingsInvalid(
                f"tenants.{alias}",
                "is missing, and the books have an organisation of this alias; put the "
                "table back: an alias can't be renamed, and all are recovered or none",
            )


def _hold_alone(parts: Parts, tenants: Sequence[str]) -> None:
    """Nothing leaves for Xero from here on. Who was killed a moment ago is waited for.

    Raises:
        NotAlone: they live.
    """
    began_at, never = parts.clock.now(), threading.Event()
    while others := _hold_unless_others(parts, tenants):
        if parts.clock.now() - began_at >= ALONE_WITHIN:
            raise NotAlone(others)
        parts.clock.wait(never, LOOK_EVERY_S)


def _hold_unless_others(parts: Parts, tenants: Sequence[str]) -> Collection[str]:
    """In one transaction, before anything is read; who hinders it."""
    now, us = parts.clock.now(), parts.process
    with transaction():
        for name in parts.presence.gone():
            processes.leave(name)
        alive = processes.presumed_alive(us, now)
        if daemons := [name for name in alive if not name.startswith(OURS)]:
            return daemons
        lanes.ensure(lanes.EVERYBODY, [LANE])
        if not lanes.take(lanes.EVERYBODY, LANE, us, now):
            return [lanes.get(lanes.EVERYBODY, LANE).holder or ""]
        for tenant in tenants:
            recovery.require(tenant, REASON, now)
    parts.closing.callback(_let_go, us)
    return []


def _end_calls_of_the_dead(parts: Parts, tenants: Sequence[str]) -> None:
    """Else a call of whoever was killed would keep its place in Xero's limits."""
    alive = processes.presumed_alive(parts.process, parts.clock.now())
    for tenant in tenants:
        parts.pump.quota.bury(tenant, alive)


def _let_go(us: str) -> None:
    with transaction():
        lanes.leave(lanes.EVERYBODY, LANE, us)


def _recover(parts: Parts, tenant: str, say: Callable[[str], None]) -> Summary:
    never = threading.Event()

    def wait(wanted: XeroWait) -> None:
        say(f"{tenant}: waits for Xero's limits: {wanted}")
        left_s = (wanted.until - parts.clock.now()).total_seconds()
        parts.clock.wait(never, max(left_s, 0.1))

    recovery_of = Recovery(
        parts.registry,
        parts.tables,
        RaiseInvoices(parts.settings, parts.tables, parts.waker, parts.clock),
        parts.door,
        parts.settler,
        parts.clock,
        wait,
    )
    return recovery_of.run(
        tenant, lambda what, count: say(f"{tenant}: {what} read: {count}")
    )


def _name() -> str:
    return f"{OURS}{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
