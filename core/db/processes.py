"""Which processes live: each says so once a second."""

from datetime import datetime, timedelta

from core.db.models import Process

#: A process silent for so long is presumed dead. Its rows are settled by others, which
#: is safe because they use the same bytes and key; nothing rests on this alone.
SILENT_AFTER = timedelta(seconds=5)


def beat(name: str, now: datetime) -> None:
    Process.insert(name=name, beat_at=now).on_conflict(
        conflict_target=[Process.name], update={Process.beat_at: now}
    ).execute()


def leave(name: str) -> None:
    """A process that ends in good order is forgotten at once."""
    Process.delete().where(Process.name == name).execute()


def living(now: datetime) -> set[str]:
    rows = Process.select(Process.name).where(Process.beat_at > now - SILENT_AFTER)
    return {row.name for row in rows}


def bury_silent(now: datetime) -> list[str]:
    """Forget those who are presumed dead; who was only slow comes back by itself.

    Returns:
        Their names, each to one caller only.
    """
    silent = Process.delete().where(Process.beat_at <= now - SILENT_AFTER)
    return [row.name for row in silent.returning(Process.name).execute()]
