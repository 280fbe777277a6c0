"""What Redis should still know, kept here in case that it forgets."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from core.db.models import StreamPosition
from core.db.outbox import entry_id
from core.db.statement import Slot, statement

COUNTER = "relayed"
GROUP = "group:"


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


def acknowledged(groups: Iterable[str]) -> tuple[int, int]:
    """Up to which entry every group has acknowledged."""
    rows = StreamPosition.select().where(
        StreamPosition.name.in_([f"{GROUP}{group}" for group in groups])
    )
    known = {row.name: entry_id(row.value) for row in rows}
    return min(known.get(f"{GROUP}{group}", (0, 0)) for group in groups)


def _note(name: str, value: str, now: datetime) -> None:
    _put.first(name=name, value=value, now=now)


@statement
def _put(name: Slot, value: Slot, now: Slot) -> Any:
    return StreamPosition.insert(name=name, value=value, noted_at=now).on_conflict(
        conflict_target=[StreamPosition.name],
        update={StreamPosition.value: value, StreamPosition.noted_at: now},
    )
