"""What Redis should still know, kept here in case that it forgets."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from core.db.models import Outbox, StreamPosition
from core.db.outbox import entry_id
from core.db.statement import Slot, statement

COUNTER = "relayed"
GROUP = "group:"

#: Where a group was at a moment: what it did before it had read something.
STEP = "step:"
STEPS_KEPT_FOR = timedelta(minutes=30)


@statement
def _get(name: Slot) -> Any:
    return StreamPosition.select().where(StreamPosition.name == name)


def counter() -> int:
    row = _get.first(name=COUNTER)
    return int(row.value) if row else 0


def note_counter(value: int, now: datetime) -> None:
    _note(COUNTER, str(value), now)


def note_group(group: str, acknowledged: str, now: datetime) -> None:
    """Every entry up to this one has been acknowledged by the group."""
    # Only forward: a group that Redis lost and somebody made anew begins at 0.
    name = f"{GROUP}{group}"
    held = _get.first(name=name)
    if held is None or entry_id(held.value) < entry_id(acknowledged):
        _note(name, acknowledged, now)
        _note(f"{STEP}{group}:{acknowledged}", acknowledged, now)
        StreamPosition.delete().where(
            StreamPosition.name.startswith(STEP)
            & (StreamPosition.noted_at < now - STEPS_KEPT_FOR)
        ).execute()


def acknowledged(groups: Iterable[str]) -> tuple[int, int]:
    """Up to which entry every group has acknowledged."""
    rows = StreamPosition.select().where(
        StreamPosition.name.in_([f"{GROUP}{group}" for group in groups])
    )
    known = {row.name: entry_id(row.value) for row in rows}
    return min(known.get(f"{GROUP}{group}", (0, 0)) for group in groups)


def acknowledged_at(group: str, message_id: str) -> datetime | None:
    """When the group was first noted to have confirmed this message; None: not yet.

    Of what was confirmed long ago, a later moment that is long ago too.
    """
    row = _told.first(message_id=message_id)
    if row is None or row.stream_id is None:
        return None
    steps = StreamPosition.select().where(
        StreamPosition.name.startswith(f"{STEP}{group}:")
        | (StreamPosition.name == f"{GROUP}{group}")
    )
    wanted = entry_id(row.stream_id)
    moments = [step.noted_at for step in steps if entry_id(step.value) >= wanted]
    return min(moments, default=None)


@statement
def _told(message_id: Slot) -> Any:
    return Outbox.select().where(Outbox.message_id == message_id)


def _note(name: str, value: str, now: datetime) -> None:
    _put.first(name=name, value=value, now=now)


@statement
def _put(name: Slot, value: Slot, now: Slot) -> Any:
    return StreamPosition.insert(name=name, value=value, noted_at=now).on_conflict(
        conflict_target=[StreamPosition.name],
        update={StreamPosition.value: value, StreamPosition.noted_at: now},
    )
