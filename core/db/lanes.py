"""Lanes: one kind of Xero work of one tenant, run by one holder at a time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from core.db import processes
from core.db.models import Lane
from core.db.statement import Slot, statement

WAKE_AGAIN_AFTER = timedelta(seconds=10)

#: In the place of a tenant: a lane that all tenants share.
EVERYBODY = "*"


def ensure(tenant: str, names: Iterable[str]) -> None:
    rows = [{"tenant": tenant, "name": name} for name in names]
    Lane.insert_many(rows).on_conflict_ignore().execute()


@statement
def _claim_wake(tenant: Slot, name: Slot, now: Slot, lately: Slot) -> Any:
    not_told = Lane.woken_at.is_null() | (Lane.woken_at <= lately)
    not_parked = Lane.parked_until.is_null() | (Lane.parked_until <= now)
    return Lane.update(woken_at=now).where(
        _this(tenant, name) & Lane.holder.is_null() & not_told & not_parked
    )


def claim_wake(tenant: str, name: str, now: datetime) -> bool:
    """Whether the caller is the one to wake this lane: nobody runs it or was told."""
    lately = now - WAKE_AGAIN_AFTER
    return _claim_wake.changed(tenant=tenant, name=name, now=now, lately=lately) > 0


@statement
def _take(tenant: Slot, name: Slot, holder: Slot, before: Slot) -> Any:
    is_as_before = fn.COALESCE(Lane.holder, "") == before
    return Lane.update(
        holder=holder, woken_at=None, parked_until=None, reason=""
    ).where(_this(tenant, name) & is_as_before)


def take(tenant: str, name: str, holder: str, now: datetime) -> bool:
    """Run the lane, unless somebody runs it whom we can't presume dead."""
    before = get(tenant, name).holder or ""
    if before and _process(before) in processes.presumed_alive(_process(holder), now):
        return False
    return _take.changed(tenant=tenant, name=name, holder=holder, before=before) > 0


@statement
def _held() -> Any:
    return Lane.select().where(Lane.holder.is_null(False))


def free_orphaned(alive: Iterable[str], hushed: Iterable[str] = ()) -> None:
    """Lanes whose holder no longer lives may be woken again.

    A tenant's lanes as soon as their holder is hushed; what is everybody's keeps an
    order, and waits until it is presumed dead.
    """
    living, silent = set(alive), set(hushed)
    for row in _held.rows():
        holder = _process(row.holder)
        is_hushed = holder in silent and row.tenant != EVERYBODY
        if is_hushed or holder not in living:
            leave(row.tenant, row.name, row.holder)


@statement
def _forget_wake(tenant: Slot, name: Slot) -> Any:
    return Lane.update(woken_at=None).where(_this(tenant, name))


def forget_wake(tenant: str, name: str) -> None:
    """Nobody was told to look after all."""
    _forget_wake.changed(tenant=tenant, name=name)


@statement
def _forget_wakes() -> Any:
    return Lane.update(woken_at=None).where(
        Lane.holder.is_null() & Lane.woken_at.is_null(False)
    )


def forget_wakes() -> None:
    """Whoever was told to look may have died before it did: they may be told anew."""
    _forget_wakes.changed()


@statement
def _leave(tenant: Slot, name: Slot, holder: Slot) -> Any:
    return Lane.update(holder=None, woken_at=None).where(
        _this(tenant, name) & (Lane.holder == holder)
    )


def leave(tenant: str, name: str, holder: str) -> None:
    _leave.changed(tenant=tenant, name=name, holder=holder)


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


def schedule(
    tenant: str, name: str, at: datetime | None, *, ran_from: datetime
) -> None:
    """The lane has run; it runs again then, or when it was asked to meanwhile.

    Without a moment only when it is asked to.
    """
    was_due = Lane.due_at.is_null() | (Lane.due_at <= ran_from)
    is_over = was_due if at is None else was_due | (Lane.due_at > at)
    Lane.update(due_at=at).where(_this(tenant, name) & is_over).execute()


@statement
def _get(tenant: Slot, name: Slot) -> Any:
    return Lane.select().where(_this(tenant, name))


def get(tenant: str, name: str) -> Lane:
    row: Lane = _get.one(tenant=tenant, name=name)
    return row


def due_at(tenant: str, name: str) -> datetime | None:
    moment: datetime | None = get(tenant, name).due_at
    return moment


def _process(holder: str) -> str:
    """Whoever holds something holds it as a part of a process."""
    return holder.split("/")[0]


def _this(tenant: str | Slot, name: str | Slot) -> Any:
    return (Lane.tenant == tenant) & (Lane.name == name)
