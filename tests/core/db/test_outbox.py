"""A fact is said once, in the order of its invoice, and again if Redis forgets."""

import contextlib
import json
from datetime import timedelta

from core.db import inbox, invoices, outbox
from core.db.database import transaction
from core.db.models import Invoice, Outbox
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, envelope, invoice, outbound


class Broken(Exception):
    """Something went wrong inside a transaction."""


def say(*facts: str, about: Invoice | None = None) -> None:
    with transaction():
        outbox.say(map(outbound, facts), tenant="main", at=NOW, invoice=about)


def unsent() -> list[int]:
    return [row.id for row in outbox.unsent()]


def test_a_message_is_written_as_it_will_be_sent(books: None) -> None:
    say("raised")
    (row,) = outbox.unsent()
    event = json.loads(row.body)
    assert event["id"] == row.message_id == outbound("raised").id
    assert (event["type"], event["tenant"]) == ("invoice.raised", "main")
    assert event["time"] == "2026-11-20T08:00:00.123456Z"


def test_the_same_fact_is_said_once(books: None) -> None:
    say("raised")
    say("raised")
    say("raised", "paid")
    assert len(unsent()) == 2


def test_only_one_of_many_says_a_fact(books: None) -> None:
    together(8, lambda _: say("raised"))
    assert len(unsent()) == 1


def test_what_is_not_committed_is_not_said(books: None) -> None:
    with contextlib.suppress(Broken), transaction():
        outbox.say([outbound("raised")], tenant="main", at=NOW)
        raise Broken
    assert unsent() == []


def test_messages_about_an_invoice_are_numbered_in_their_order(books: None) -> None:
    about = invoice()
    say("raised", "emailed", about=about)
    say("paid", about=about)
    sequences = [json.loads(row.body)["sequence"] for row in outbox.unsent()]
    assert sequences == [1, 2, 3]
    assert invoices.load(about.id).sequence == 3


def test_each_invoice_counts_for_itself(books: None) -> None:
    one, other = invoice(), invoice()
    say("raised", about=one)
    say("raised too", about=other)
    sequences = [json.loads(row.body)["sequence"] for row in outbox.unsent()]
    assert sequences == [1, 1]


def test_a_message_about_no_invoice_has_no_number(books: None) -> None:
    say("accepted")
    (row,) = outbox.unsent()
    assert "sequence" not in json.loads(row.body)


def test_what_was_sent_is_not_sent_again(books: None) -> None:
    say("raised", "paid")
    first, second = unsent()
    outbox.mark_sent({first: "1700000000000-0"})
    assert unsent() == [second]
    assert Outbox.get_by_id(first).stream_id == "1700000000000-0"


def test_messages_leave_in_the_order_in_which_they_were_said(books: None) -> None:
    say("a", "b", "c")
    ids = unsent()
    assert ids == sorted(ids)
    assert [row.id for row in outbox.unsent(limit=2)] == ids[:2]


def test_answers_are_said_again_with_their_first_ids(books: None) -> None:
    asked = inbox.add_accepted(envelope(), "main", "{}", NOW)
    assert asked is not None
    with transaction():
        outbox.say([outbound("accepted")], tenant="main", at=NOW, answers=asked)
    say("of another")
    first, other = unsent()
    outbox.mark_sent({first: "1-0", other: "2-0"})
    outbox.say_again(asked)
    (row,) = outbox.unsent()
    assert (row.id, row.message_id) == (first, outbound("accepted").id)


def test_what_redis_lost_is_unsent_once_more(books: None) -> None:
    say("a", "b", "c", "d")
    rows = unsent()
    entries = ["999-0", "1000-2", "1000-10", "10000-0"]
    outbox.mark_sent(dict(zip(rows, entries, strict=True)))
    assert outbox.send_again_after((1000, 2)) == 2
    assert unsent() == rows[2:]


def test_entries_compare_as_numbers_and_not_as_text() -> None:
    assert outbox.entry_id("10000-0") > outbox.entry_id("999-9")
    assert outbox.entry_id("5-10") > outbox.entry_id("5-9")
    assert outbox.entry_id("5") == (5, 0)


def test_the_oldest_unsent_is_the_age_of_the_outbox(books: None) -> None:
    assert outbox.oldest_unsent() is None
    say("a")
    with transaction():
        later = NOW + timedelta(seconds=5)
        outbox.say([outbound("b")], tenant="main", at=later)
    assert outbox.oldest_unsent() == NOW
    outbox.mark_sent({unsent()[0]: "1-0"})
    assert outbox.oldest_unsent() == later
