"""``settled recover``: what Xero has is written into restored books anew."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping

from core.clock import Clock
from core.db import recovery, reference
from core.db.database import transaction
from core.errors import NotConnected, XeroWait
from core.invoice_writes import RaiseInvoices
from core.recovering import Recovery, Summary
from core.settings import Settings
from settled.parts import Parts

REASON = "`settled recover` was begun"


def recover(
    settings: Settings, say: Callable[[str], None], *, clock: Clock | None = None
) -> Mapping[str, Summary]:
    """Recover every tenant; from the first moment to the last nothing is written.

    After a crash it is to be run again, and until it has ended writes are held.

    Raises:
        NotConnected: nobody has consented, or the restored consent is too old.
        XeroError: Xero can't be reached, or refuses.
    """
    parts = Parts(settings, _name(), clock=clock)
    try:
        parts.stores.open_books()
        parts.make()
        tenants = [row.alias for row in reference.tenants()]
        if not tenants:
            raise NotConnected("nobody has consented; run `settled connect`")
        hold(tenants, parts.clock)
        parts.relay.catch_up()
        return {tenant: _recover(parts, tenant, say) for tenant in tenants}
    finally:
        parts.stopping.set()
        parts.closing.close()


def hold(tenants: list[str], clock: Clock) -> None:
    """In one transaction, before anything is read."""
    with transaction():
        for tenant in tenants:
            recovery.require(tenant, REASON, clock.now())


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
    return f"recover@{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
