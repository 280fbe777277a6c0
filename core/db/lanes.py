"""Lanes: one kind of Xero work of one tenant, run by one holder at a time."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from core.db import processes
from core.db.models import Lane

WAKE_AGAIN_AFTER = timedelta(seconds=10)


def ensure(tenant: str, names: Iterable[str]) -> None:
    rows = [{"tenant": tenant, "name": name} for name in names]
    Lane.insert_many(rows).on_conflict_ignore().execute()


def claim_wake(tenant: str, name: str, now: datetime) -> bool:
    """Whether the caller is the one to wake this lane: nobody runs it or was told."""
    told_lately = Lane.woken_at.is_null(False) & (
        Lane.woken_at > now - WAKE_AGAIN_AFTER
    )
    parked = Lane.parked_until.is_null(False) & (Lane.parked_until > now)
    return bool(
        Lane.update(woken_at=now)
        .where(_this(tenant, name) & Lane.holder.is_null() & ~told_lately & ~parked)
        .execute()
    )


def take(tenant: str, name: str, holder: str, now: datetime) -> bool:
    """Run the lane, unless somebody who lives runs it."""
    alive = processes.living(now)
    row = Lane.get(_this(tenant, name))
    if row.holder is not None and row.holder.split("/")[0] in alive:
        return False
    free = Lane.holder.is_null() if row.holder is None else Lane.holder == row.holder
    return bool(
        Lane.update(holder=holder, woken_at=None, parked_until=None, reason="")
        .where(_this(tenant, name) & free)
        .execute()
    )


def free_orphaned(alive: Iterable[str]) -> None:
    """Lanes whose holder no longer lives may be woken again."""
    names = set(alive)
    for row in Lane.select().where(Lane.holder.is_null(False)):
        if row.holder.split("/")[0] not in names:
            Lane.update(holder=None, woken_at=None).where(
                (Lane.id == row.id) & (Lane.holder == row.holder)
            ).execute()


def forget_wakes() -> None:
    """Whoever was told to look may have died before it did: they may be told anew."""
    Lane.update(woken_at=None).where(
        Lane.holder.is_null() & Lane.woken_at.is_null(False)
    ).execute()


def leave(tenant: str, name: str, holder: str) -> None:
    Lane.update(holder=None, woken_at=None).where(
        _this(tenant, name) & (Lane.holder == holder)
    ).execute()


def park(tenant: str, name: str, until: datetime, reason: str) -> None:
    Lane.update(parked_until=until, reason=reason).where(_this(tenant, name)).execute()


def ask(tenant: str, name: str, at: datetime, now: datetime) -> None:
    """The lane is to run at this moment, or earlier if it was asked for earlier.

    While it runs, what made it due does not count any more: it runs once more.
    """
    is_running = Lane.holder.is_null(False) & (Lane.due_at <= now)
    Lane.update(due_at=at).where(
        _this(tenant, name) & (Lane.due_at.is_null() | (Lane.due_at > at) | is_running)
    ).execute()


def schedule(tenant: str, name: str, at: datetime, *, ran_from: datetime) -> None:
    """The lane has run; it runs again then, or when it was asked to meanwhile."""
    was_due = Lane.due_at.is_null() | (Lane.due_at <= ran_from)
    Lane.update(due_at=at).where(
        _this(tenant, name) & (was_due | (Lane.due_at > at))
    ).execute()


def get(tenant: str, name: str) -> Lane:
    return Lane.get(_this(tenant, name))


def due_at(tenant: str, name: str) -> datetime | None:
    moment: datetime | None = get(tenant, name).due_at
    return moment


def _this(tenant: str, name: str) -> object:
    return (Lane.tenant == tenant) & (Lane.name == name)
