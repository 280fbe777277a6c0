"""A message is here once; it is woken until it is handled, and handled once."""

from datetime import timedelta

from core.db import inbox
from core.db.database import transaction
from core.db.inbox import InboxState
from core.db.models import Inbox
from core.messages import Envelope
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, envelope


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def accepted(message_id: str = "m-1") -> Inbox:
    row = inbox.add_accepted(envelope(message_id), "main", "{}", NOW)
    assert row is not None
    return row


def rejected(message_id: str = "m-1") -> Inbox | None:
    return inbox.add_rejected(
        "/platform", message_id, "0" * 64, "{}", NOW, type=None, subject=None
    )


# -- once ------------------------------------------------------------------------------


def test_an_accepted_message_is_here_as_it_came(books: None) -> None:
    row = accepted()
    found = inbox.find("/platform", "m-1")
    assert found is not None
    assert found.id == row.id
    assert found.content_hash == envelope().content_hash
    assert (found.state, found.tries, found.due_at) == (InboxState.ACCEPTED, 0, NOW)


def test_the_same_id_of_the_same_source_is_here_once(books: None) -> None:
    accepted()
    assert inbox.add_accepted(envelope(), "main", "{}", NOW) is None
    assert rejected() is None
    assert Inbox.select().count() == 1


def test_the_same_id_of_another_source_is_another_message(books: None) -> None:
    accepted()
    other: Envelope = envelope(source="/crm")
    assert inbox.add_accepted(other, "main", "{}", NOW) is not None
    assert inbox.find("/crm", "m-1") is not None
    assert inbox.find("/elsewhere", "m-1") is None


def test_what_was_rejected_can_not_be_accepted_under_its_id(books: None) -> None:
    assert rejected() is not None
    assert inbox.add_accepted(envelope(), "main", "{}", NOW) is None


def test_only_one_of_many_takes_a_message_in(books: None) -> None:
    def take(_: int) -> bool:
        with transaction():
            return inbox.add_accepted(envelope(), "main", "{}", NOW) is not None

    assert together(8, take).count(True) == 1


# -- waking ----------------------------------------------------------------------------


def test_a_message_is_woken_again_after_ten_seconds(books: None) -> None:
    row = accepted()
    assert inbox.wake_due(NOW + seconds(9)) == []
    assert inbox.wake_due(NOW + seconds(10)) == [row.id]
    assert inbox.wake_due(NOW + seconds(11)) == []
    assert inbox.wake_due(NOW + seconds(20)) == [row.id]


def test_only_so_many_are_woken_at_once_the_oldest_first(books: None) -> None:
    ids = [accepted(f"m-{number}").id for number in range(5)]
    later = NOW + seconds(10)
    assert inbox.wake_due(later, limit=3) == ids[:3]
    assert inbox.wake_due(later, limit=3) == ids[3:]


def test_a_postponed_message_is_woken_at_its_time(books: None) -> None:
    row = accepted()
    inbox.postpone(row.id, NOW + seconds(30))
    assert inbox.wake_due(NOW + seconds(29)) == []
    assert inbox.wake_due(NOW + seconds(30)) == [row.id]
    assert inbox.load(row.id).tries == 0


def test_a_failure_is_counted_and_postpones(books: None) -> None:
    row = accepted()
    for _ in range(2):
        inbox.count_failure(row.id, NOW + seconds(5))
    assert inbox.load(row.id).tries == 2
    assert inbox.wake_due(NOW + seconds(4)) == []
    assert inbox.wake_due(NOW + seconds(5)) == [row.id]


# -- finishing -------------------------------------------------------------------------


def test_a_message_is_finished_once(books: None) -> None:
    row = accepted()
    assert inbox.finish(row.id, InboxState.DONE)
    assert not inbox.finish(row.id, InboxState.REJECTED)
    assert inbox.load(row.id).state == InboxState.DONE
    assert inbox.wake_due(NOW + seconds(60)) == []


def test_only_one_of_many_finishes_a_message(books: None) -> None:
    row = accepted()

    def finish(_: int) -> bool:
        with transaction():
            return inbox.finish(row.id, InboxState.DONE)

    assert together(8, finish).count(True) == 1


def test_a_reopened_message_is_due_and_can_be_finished_again(books: None) -> None:
    row = accepted()
    inbox.finish(row.id, InboxState.DONE)
    later = NOW + seconds(60)
    inbox.reopen(row.id, later)
    assert inbox.wake_due(later) == []
    assert inbox.wake_due(later + seconds(10)) == [row.id]
    assert inbox.finish(row.id, InboxState.DONE)


def test_a_message_is_behind_an_earlier_one_about_its_subject(books: None) -> None:
    first, second = accepted("m-1"), accepted("m-2")
    other = inbox.add_accepted(envelope("m-3", subject="renewal-2"), "main", "{}", NOW)
    assert other is not None
    assert not inbox.is_behind_another(first)
    assert inbox.is_behind_another(second)
    assert not inbox.is_behind_another(other)
    inbox.finish(first.id, InboxState.DONE)
    assert not inbox.is_behind_another(second)


def test_more_is_coming_until_all_that_is_due_is_handled(books: None) -> None:
    row = accepted()
    assert inbox.is_more_coming("main", NOW)
    assert not inbox.is_more_coming("other", NOW)
    inbox.postpone(row.id, NOW + seconds(30))
    assert not inbox.is_more_coming("main", NOW)


def test_the_oldest_unfinished_is_the_age_of_the_inbox(books: None) -> None:
    assert inbox.oldest_unfinished() is None
    first = accepted("m-1")
    inbox.add_accepted(envelope("m-2"), "main", "{}", NOW + seconds(5))
    assert inbox.oldest_unfinished() == NOW
    inbox.finish(first.id, InboxState.HELD)
    assert inbox.oldest_unfinished() == NOW + seconds(5)
    assert inbox.counts() == {"accepted": 1, "rejected": 0, "held": 1, "done": 0}
