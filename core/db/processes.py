"""Which processes live: each says so once a second.

Who was not heard itself does not presume others dead: the database may have been away
for all of them, or the machine have slept. It waits until it has been heard for as long
as others are given, in which they were heard too.
"""

from datetime import datetime, timedelta
from typing import Any

from peewee import Case, fn

from core.db.models import Process
from core.db.statement import Slot, statement

#: A process silent for so long is presumed dead. Its rows are settled by others, which
#: is safe because they use the same bytes and key; nothing rests on this alone.
SILENT_AFTER = timedelta(seconds=5)

#: A process not heard for so long may be frozen. Others run its lanes meanwhile, which
#: harms nothing: two that run one lane claim different rows.
HUSHED_AFTER = timedelta(seconds=2.5)

#: Who beats once a second and was not heard for so long had no database. Others may
#: have been silent for a beat or two longer, which is still no reason to bury them.
GAP = timedelta(seconds=3)


@statement
def _beat(name: Slot, now: Slot, lately: Slot) -> Any:
    since = fn.COALESCE(Process.heard_since, now)
    return Process.insert(name=name, beat_at=now, heard_since=now).on_conflict(
        conflict_target=[Process.name],
        update={
            Process.heard_since: Case(None, [(Process.beat_at > lately, since)], now),
            Process.beat_at: now,
        },
    )


def beat(name: str, now: datetime) -> None:
    _beat.first(name=name, now=now, lately=now - GAP)


def leave(name: str) -> None:
    """A process that ends in good order is forgotten at once."""
    Process.delete().where(Process.name == name).execute()


@statement
def _living(since: Slot) -> Any:
    return Process.select().where(Process.beat_at > since)


def living(now: datetime) -> set[str]:
    """Who was heard a moment ago, for whoever takes nothing over."""
    return {row.name for row in _living.rows(since=now - SILENT_AFTER)}


@statement
def _known() -> Any:
    return Process.select()


def presumed_alive(looker: str, now: datetime) -> set[str]:
    """Whose work this process leaves alone; its own is among them."""
    if _can_tell(looker, now):
        return {looker} | living(now)
    return {looker} | {row.name for row in _known.rows()}


def hushed(looker: str, now: datetime) -> set[str]:
    """Who may be frozen, as far as this process can tell."""
    if not _can_tell(looker, now):
        return set()
    heard = {row.name for row in _living.rows(since=now - HUSHED_AFTER)}
    return {row.name for row in _known.rows()} - heard - {looker}


def bury_silent(looker: str, now: datetime) -> list[str]:
    """Forget those whom this process may presume dead; who was slow comes back.

    Returns:
        Their names, each to one caller only.
    """
    if not _can_tell(looker, now):
        return []
    return [row.name for row in _bury.rows(since=now - SILENT_AFTER)]


@statement
def _bury(since: Slot) -> Any:
    silent = Process.delete().where(Process.beat_at <= since)
    return silent.returning(Process.name)


@statement
def _steady(name: Slot, lately: Slot, since: Slot) -> Any:
    return Process.select().where(
        (Process.name == name)
        & (Process.beat_at > lately)
        & (Process.heard_since <= since)
    )


def _can_tell(looker: str, now: datetime) -> bool:
    """Whether the silence of others can't be that of the database, or our own."""
    heard = _steady.first(name=looker, lately=now - GAP, since=now - SILENT_AFTER)
    return heard is not None
