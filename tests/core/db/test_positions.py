"""What Redis should know is kept, and only the slowest group counts."""

from datetime import timedelta

from core.db import positions
from core.db.models import Outbox, StreamPosition
from tests.core.db.rows import NOW

LATER = NOW + timedelta(seconds=1)


def test_the_counter_is_zero_until_it_is_noted(books: None) -> None:
    assert positions.counter() == 0
    positions.note_counter(7, NOW)
    positions.note_counter(8, LATER)
    assert positions.counter() == 8
    assert [row.noted_at for row in StreamPosition.select()] == [LATER]


def test_what_every_group_has_acknowledged_is_the_slowest_ones(books: None) -> None:
    positions.note_group("platform", "1000-2", NOW)
    positions.note_group("crm", "999-5", NOW)
    assert positions.acknowledged(["platform"]) == (1000, 2)
    assert positions.acknowledged(["platform", "crm"]) == (999, 5)


def test_a_group_that_was_never_seen_has_acknowledged_nothing(books: None) -> None:
    positions.note_group("platform", "1000-2", NOW)
    assert positions.acknowledged(["platform", "new"]) == (0, 0)


def test_a_group_moves_on(books: None) -> None:
    positions.note_group("platform", "1000-2", NOW)
    positions.note_group("platform", "10000-0", LATER)
    assert positions.acknowledged(["platform"]) == (10000, 0)


def test_a_group_called_like_the_counter_is_not_the_counter(books: None) -> None:
    positions.note_counter(7, NOW)
    positions.note_group("relayed", "1-0", NOW)
    assert positions.counter() == 7


def said(message_id: str, stream_id: str) -> None:
    Outbox.insert(
        message_id=message_id, type="t", body="", created_at=NOW, stream_id=stream_id
    ).execute()


def test_when_a_message_was_read_is_known_for_a_while(books: None) -> None:
    for number, minute in (("1-0", 0), ("5-0", 1), ("9-0", 2)):
        positions.note_group("platform", number, NOW + timedelta(minutes=minute))
    for number in ("3-0", "9-0", "10-0"):
        said(f"m-{number}", number)
    read_at = positions.acknowledged_at
    assert read_at("platform", "m-3-0") == NOW + timedelta(minutes=1)
    assert read_at("platform", "m-9-0") == NOW + timedelta(minutes=2)
    assert read_at("platform", "m-10-0") is None
    assert read_at("platform", "nobody-said-it") is None


def test_of_what_was_read_long_ago_a_later_moment_is_said(books: None) -> None:
    positions.note_group("platform", "1-0", NOW)
    positions.note_group("platform", "9-0", NOW + timedelta(hours=1))
    said("m-1", "1-0")
    assert positions.acknowledged_at("platform", "m-1") == NOW + timedelta(hours=1)
