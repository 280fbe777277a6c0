"""Which contacts are to be read: each once, however often it is asked for."""

from datetime import timedelta

import pytest

from core.db import contact_reads
from core.db.database import transaction
from core.db.models import ContactRead
from tests.core.db.rows import NOW

pytestmark = pytest.mark.usefixtures("books")

LATER = NOW + timedelta(minutes=1)


def ask(contact_id: str = "c-1", **asked: object) -> None:
    values: dict[str, object] = {"due_at": LATER, **asked}
    with transaction():
        contact_reads.ask("main", contact_id, **values)  # type: ignore[arg-type]


def only() -> ContactRead:
    row: ContactRead
    (row,) = ContactRead.select()
    return row


def test_asked_twice_it_is_read_once_at_the_earlier_moment() -> None:
    ask(event_at=LATER)
    ask(due_at=NOW, event_at=NOW)
    assert (only().due_at, only().event_at, only().asked) == (NOW, LATER, 2)


def test_what_somebody_needs_stays_needed() -> None:
    ask(is_needed=True)
    ask(event_at=NOW)
    assert only().is_needed
    assert contact_reads.count_unneeded("main") == 0


def test_what_is_due_comes_first_and_the_rest_may_ride_along() -> None:
    ask("later")
    ask("now", due_at=NOW)
    assert [r.contact_id for r in contact_reads.due("main", NOW, 10)] == ["now"]
    assert [r.contact_id for r in contact_reads.deferred("main", NOW, 10)] == ["later"]
    assert contact_reads.next_due("main") == NOW
    assert contact_reads.next_due("other") is None


def test_a_version_that_is_not_older_answers_an_event() -> None:
    ask(event_at=NOW)
    contact_reads.forget("main", "c-1", NOW - timedelta(seconds=1))
    assert only().contact_id == "c-1"
    contact_reads.forget("main", "c-1", NOW)
    assert list(ContactRead.select()) == []


def test_who_asks_meanwhile_is_not_forgotten() -> None:
    ask(event_at=NOW)
    rows = contact_reads.due("main", LATER, 10)
    ask(event_at=LATER)
    contact_reads.answered(rows)
    assert only().event_at == LATER


def test_a_crowd_that_nobody_needs_is_left_to_others() -> None:
    ask("needed", is_needed=True)
    for n in range(3):
        ask(f"changed-{n}")
    assert contact_reads.count_unneeded("main") == 3
    contact_reads.forget_unneeded("main")
    assert only().contact_id == "needed"
