"""Which processes live: each says so once a second."""

from datetime import datetime, timedelta
from typing import Any

from core.db.models import Process
from core.db.statement import Slot, statement

#: A process silent for so long is presumed dead. Its rows are settled by others, which
#: is safe because they use the same bytes and key; nothing rests on this alone.
SILENT_AFTER = timedelta(seconds=5)


@statement
def _beat(name: Slot, now: Slot) -> Any:
    return Process.insert(name=name, beat_at=now).on_conflict(
        conflict_target=[Process.name], update={Process.beat_at: now}
    )


def beat(name: str, now: datetime) -> None:
    _beat.first(name=name, now=now)


def leave(name: str) -> None:
    """A process that ends in good order is forgotten at once."""
    Process.delete().where(Process.name == name).execute()


@statement
def _living(since: Slot) -> Any:
    return Process.select().where(Process.beat_at > since)


def living(now: datetime) -> set[str]:
    return {row.name for row in _living.rows(since=now - SILENT_AFTER)}


def bury_silent(now: datetime) -> list[str]:
    """Forget those who are presumed dead; who was only slow comes back by itself.

    Returns:
        Their names, each to one caller only.
    """
    return [row.name for row in _bury.rows(since=now - SILENT_AFTER)]


@statement
def _bury(since: Slot) -> Any:
    silent = Process.delete().where(Process.beat_at <= since)
    return silent.returning(Process.name)
