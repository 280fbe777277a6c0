"""Intents: stored to the byte, each held by one process, taken over when it dies."""

from datetime import timedelta

import pytest
from peewee import IntegrityError

from core.db import intents
from core.db.database import transaction
from core.db.intents import OPEN_AT_MOST, IntentState
from core.db.models import Intent
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, intent

KIND = ("main", "invoices")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_no_two_intents_have_one_idempotency_key(books: None) -> None:
    intent(idempotency_key="k")
    with pytest.raises(IntegrityError), transaction():
        intent(idempotency_key="k")


def test_an_intent_keeps_the_very_bytes(books: None) -> None:
    body = bytes(range(256))
    opened = intent(body=body)
    assert bytes(Intent.get_by_id(opened.id).body) == body


def test_only_its_holder_sends_an_intent(books: None) -> None:
    opened = intent(holder="here/1")
    assert not intents.hold(opened, "there/2", NOW)
    assert intents.hold(opened, "here/1", NOW)
    held = Intent.get_by_id(opened.id)
    assert (held.sent_at, held.tries) == (NOW, 1)
    assert intents.hold(held, "here/1", NOW + seconds(60))
    held = Intent.get_by_id(opened.id)
    assert (held.sent_at, held.tries) == (NOW, 2)


def test_an_intent_that_became_unknown_meanwhile_is_not_sent(books: None) -> None:
    opened = intent(holder="here/1")
    intents.orphan([], NOW)
    assert not intents.hold(opened, "here/1", NOW)


def test_only_its_holder_records_an_outcome_and_only_once(books: None) -> None:
    opened = intent(holder="here/1")
    assert not intents.move(opened, "there/2", IntentState.DONE)
    assert intents.move(opened, "here/1", IntentState.DONE)
    assert not intents.move(opened, "here/1", IntentState.UNKNOWN)


def test_the_intents_of_the_dead_become_unknown(books: None) -> None:
    intent(holder="here/1")
    lost = intent(holder="gone/1", kind="emails")
    assert intents.orphan(["here"], NOW) == [("main", "emails")]
    assert [row.id for row in intents.unknown()] == [lost.id]
    assert intents.next_due("main", "emails") == NOW
    assert intents.orphan(["here"], NOW) == []


def test_an_intent_open_for_longer_than_a_call_lasts_becomes_unknown(
    books: None,
) -> None:
    intent(holder="here/1")
    assert intents.orphan(["here"], NOW + OPEN_AT_MOST) == []
    assert intents.orphan(["here"], NOW + OPEN_AT_MOST + seconds(1)) == [KIND]


def test_only_one_of_many_takes_an_unknown_intent(books: None) -> None:
    lost = intent(holder="gone/1")
    intents.orphan([], NOW)

    def take(number: int) -> bool:
        with transaction():
            row = intents.take_unknown(*KIND, f"here/{number}", NOW)
            if row is not None:
                # As whoever settles it does: nobody else finds it unknown.
                intents.move(row, row.holder, IntentState.DONE)
            return row is not None

    taken = together(6, take)
    assert taken.count(True) == 1
    assert Intent.get_by_id(lost.id).holder == f"here/{taken.index(True)}"


def test_an_unknown_intent_is_taken_when_it_is_due(books: None) -> None:
    lost = intent()
    intents.move(lost, lost.holder, IntentState.UNKNOWN, due_at=NOW + seconds(360))
    assert intents.take_unknown(*KIND, "here/2", NOW + seconds(359)) is None
    assert (
        intents.take_unknown("other", "invoices", "here/2", NOW + seconds(360)) is None
    )
    taken = intents.take_unknown(*KIND, "here/2", NOW + seconds(360))
    assert taken is not None
    assert taken.holder == "here/2"
