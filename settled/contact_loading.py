"""``settled contacts load``: Xero's contacts are read now, and a person watches.

A running worker does it, because it holds the lane; without one it is done here.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial

from core import mirror
from core.clock import Clock
from core.db import contacts, lanes, processes, reference
from core.db.database import transaction
from core.errors import NotConnected
from core.mirror import Progress
from core.settings import Settings
from core.waking import LaneName
from settled.maintenance import tenant_of
from settled.parts import Parts
from settled.roles import EVERYTHING, Role

LOOK_EVERY_S = 0.2

#: Told how far it is, and what it waits for, if it waits.
Watch = Callable[[Progress, str], None]


def load_contacts(
    settings: Settings,
    tenant: str | None,
    watch: Watch,
    *,
    anew: bool,
    clock: Clock | None = None,
) -> int:
    """Read what has changed, or everything; the number of contacts afterwards.

    Args:
        settings: where Xero and the books are.
        tenant: None: the only one.
        watch: told several times a second.
        anew: read every contact again, as after the first connection.
        clock: a rehearsal's.

    Raises:
        NotConnected: nobody has consented for this tenant.
    """
    parts = Parts(settings, _name(), clock=clock)
    try:
        parts.stores.open_books()
        name = _connected(settings, tenant)
        asked_at = _ask(name, parts.clock, anew=anew)
        _have_it_run(parts, name)
        _watch(name, asked_at, parts.clock, watch)
        return contacts.count(name)
    finally:
        parts.stopping.set()
        parts.closing.close()


def _connected(settings: Settings, tenant: str | None) -> str:
    name = tenant_of(settings, tenant)
    if name not in {row.alias for row in reference.tenants()}:
        raise NotConnected("nobody has consented; run `settled connect`")
    return name


def _ask(tenant: str, clock: Clock, *, anew: bool) -> datetime:
    now = clock.now()
    with transaction():
        lanes.ensure(tenant, [LaneName.MIRROR])
        if anew:
            reference.put_reference(tenant, mirror.ANEW, True, now)
        lanes.ask(tenant, LaneName.MIRROR, now, now)
    return now


def _have_it_run(parts: Parts, tenant: str) -> None:
    """By a worker that lives, else by a thread of ours."""
    if _has_worker(parts.clock):
        return
    # It must be known to live before it takes a lane, or the lane is taken from it.
    parts.live(threading.Event())
    parts.make()
    parts.run_thread("mirror", partial(_run, parts, tenant), parts.stopping)


def _has_worker(clock: Clock) -> bool:
    roles = {name.partition("@")[0] for name in processes.living(clock.now())}
    return bool(roles & {EVERYTHING, Role.WORKER.value})


def _run(parts: Parts, tenant: str, stopping: threading.Event) -> None:
    while not stopping.is_set():
        if parts.runner.is_due(tenant, LaneName.MIRROR):
            parts.runner.run(tenant, LaneName.MIRROR)
        parts.clock.wait(stopping, LOOK_EVERY_S)


def _watch(tenant: str, asked_at: datetime, clock: Clock, watch: Watch) -> None:
    never = threading.Event()
    while True:
        lane = lanes.get(tenant, LaneName.MIRROR)
        is_parked = lane.parked_until is not None and lane.parked_until > clock.now()
        watch(mirror.progress(tenant), lane.reason if is_parked else "")
        is_done = lane.due_at is not None and lane.due_at > asked_at
        if is_done and lane.holder is None and mirror.is_loaded(tenant):
            return
        clock.wait(never, LOOK_EVERY_S)


def _name() -> str:
    return f"load@{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
