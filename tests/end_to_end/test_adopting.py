"""Invoices that others have made are adopted: acted on once, and never told again."""

from typing import Any

import pytest

from core.db import invoices
from core.db.database import transaction
from core.db.models import Adoption, MemberContact, NumberCounter
from core.matching.verdict import MatchRule
from core.money import plain
from tests.end_to_end.adoption import (
    TOTAL,
    adopt,
    by_hand,
    known_to_xero,
    line,
    look,
)
from tests.messages import (
    Data,
    again,
    cancelled,
    group_renewal_due,
    member,
    renewal,
    renewal_due,
)
from tests.world import World


def told(world: World, subject: str) -> list[str]:
    """What the platform heard about a subject, besides the answers to messages."""
    types = [r.type for r in world.platform.received if r.subject == subject]
    return [name for name in types if not name.startswith("message.")]


def explain(world: World, asked: Data) -> Any:
    """The platform sends its message; what it is answered of the invoice."""
    world.publish(asked)
    done = world.hear_answer(asked, "message.done")["data"]
    world.quiet()
    assert done["outcome"] == "already_invoiced"
    return done["invoice"]


def adopted(world: World, who: Data | None = None) -> tuple[str, Data]:
    """An open invoice that was adopted; its number, and the message about it."""
    asked = renewal_due(who)
    number = by_hand(world, asked["data"]["member"])
    assert adopt(world, line(number, asked)) == 1
    return number, asked


def writes(world: World) -> dict[str, int]:
    calls: dict[str, int] = world.ledger["calls"]["by_endpoint"]
    return {name: n for name, n in calls.items() if not name.startswith("GET")}


# -- open ------------------------------------------------------------------------------


def test_the_message_for_an_adopted_invoice_raises_no_second_one(world: World) -> None:
    number, asked = adopted(world)
    before, count = writes(world), len(world.invoices)
    invoice = explain(world, asked)
    assert invoice["number"] == number
    assert (invoice["total"], invoice["status"]) == (TOTAL, "AUTHORISED")
    assert told(world, asked["subject"]) == []
    assert (writes(world), len(world.invoices)) == (before, count)
    assert explain(world, again(asked)) == invoice


def test_its_payment_is_acted_on_once(world: World) -> None:
    number, asked = adopted(world)
    explain(world, asked)
    world.pay(number)
    renew = world.hear("membership.renew", asked["subject"])
    world.sweep()
    world.sweep()
    assert told(world, asked["subject"]) == ["invoice.paid", "membership.renew"]
    assert renew["inreplyto"] == asked["id"]
    data = renew["data"]
    assert data["member_id"] == asked["data"]["member"]["id"]
    assert data["membership_id"] == asked["data"]["membership_id"]
    assert (data["invoice"]["number"], data["amount"]["value"]) == (number, TOTAL)


def test_a_payment_before_the_message_waits_for_it(world: World) -> None:
    number, asked = adopted(world)
    world.pay(number, "4.00")
    world.quiet()
    world.pay(number)
    world.quiet()
    world.sweep()
    assert told(world, asked["subject"]) == []
    assert world.problems() == ["adopted_unexplained"]
    world.publish(asked)
    world.hear("membership.renew", asked["subject"])
    world.sweep()
    assert told(world, asked["subject"]) == [
        "invoice.part_paid",
        "invoice.paid",
        "membership.renew",
    ]
    assert world.problems() == []


def test_a_payment_that_is_taken_back_before_the_message_was_nothing(
    world: World,
) -> None:
    number, asked = adopted(world)
    payment_id = world.pay(number)
    world.quiet()
    world.xero.control.delete_payment(payment_id)
    world.sweep()
    assert world.problems() == []
    explain(world, asked)
    world.sweep()
    assert told(world, asked["subject"]) == []


def test_the_problem_may_be_closed_and_the_payment_is_still_told(world: World) -> None:
    number, asked = adopted(world)
    world.pay(number)
    world.quiet()
    world.close_problems()
    world.publish(asked)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert told(world, asked["subject"]) == ["invoice.paid", "membership.renew"]


def test_its_reference_in_xero_stays_as_it_was(world: World) -> None:
    number = by_hand(world)
    world.xero.control.edit_invoice(number, Reference="See my letter of May")
    asked, who = renewal_due(), world.contact(world.invoice(number))["Name"]
    before = writes(world)
    adopt(world, line(number, asked, member_id=who))
    assert world.invoice(number)["Reference"] == "See my letter of May"
    assert world.row(number).reference == "See my letter of May"
    assert writes(world) == before


# -- with money on it ------------------------------------------------------------------


def test_what_was_paid_in_part_before_is_not_told(world: World) -> None:
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    world.pay(number, "4.00")
    looked = look(world, line(number, asked))
    assert looked.counts() == {"part paid": 1}
    adopt(world, line(number, asked))
    assert explain(world, asked)["amount_due"] == "7.50"
    world.pay(number)
    paid = world.hear("invoice.paid", asked["subject"])["data"]
    world.quiet()
    assert paid["amount"]["value"] == "7.50"
    assert told(world, asked["subject"]) == ["invoice.paid", "membership.renew"]


def test_what_was_paid_before_is_not_announced_again(world: World) -> None:
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    world.pay(number)
    assert look(world, line(number, asked)).counts() == {"paid": 1}
    adopt(world, line(number, asked))
    assert explain(world, asked)["status"] == "PAID"
    world.sweep()
    assert told(world, asked["subject"]) == []


def test_a_payment_of_before_that_is_removed_suspends_once(world: World) -> None:
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    payment_id = world.pay(number)
    adopt(world, line(number, asked))
    explain(world, asked)
    world.xero.control.delete_payment(payment_id)
    world.hear("membership.suspend", asked["subject"])
    world.sweep()
    removed = ["invoice.payment_removed", "membership.suspend"]
    assert told(world, asked["subject"]) == removed
    world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.sweep()
    assert told(world, asked["subject"]) == [
        *removed,
        "invoice.paid",
        "membership.renew",
    ]


def test_what_was_credited_before_is_not_told_and_what_comes_after_is(
    world: World,
) -> None:
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    world.xero.control.credit(number, "1.50")
    adopt(world, line(number, asked))
    explain(world, asked)
    world.sweep()
    assert told(world, asked["subject"]) == []
    world.xero.control.credit(number, "2.00")
    credited = world.hear("invoice.credited", asked["subject"])["data"]
    assert credited["amount"]["value"] == "2.00"


def test_what_credit_alone_has_settled_activates_nothing(world: World) -> None:
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    world.xero.control.credit(number)
    assert look(world, line(number, asked)).counts() == {"settled by credit": 1}
    adopt(world, line(number, asked))
    explain(world, asked)
    world.sweep()
    assert told(world, asked["subject"]) == []


def test_voided_afterwards_it_is_told_once(world: World) -> None:
    number, asked = adopted(world)
    explain(world, asked)
    world.xero.control.void_invoice(number)
    world.hear("invoice.voided", asked["subject"])
    world.sweep()
    assert told(world, asked["subject"]) == ["invoice.voided"]
    world.publish(again(asked, data={**asked["data"], "reissue": True}))
    world.hear("invoice.emailed", asked["subject"])


# -- cancelled -------------------------------------------------------------------------


def test_a_cancellation_voids_it_in_xero(world: World) -> None:
    number, asked = adopted(world)
    explain(world, asked)
    undo = cancelled(asked)
    world.publish(undo)
    assert world.hear_answer(undo, "invoice.voided")
    assert world.invoice(number)["Status"] == "VOIDED"


def test_a_cancellation_before_its_message_is_rejected(world: World) -> None:
    number, asked = adopted(world)
    undo = cancelled(asked)
    world.publish(undo)
    rejected = world.hear_answer(undo, "message.rejected")["data"]
    assert number in rejected["reason"]
    assert "send that first" in rejected["reason"]
    assert world.invoice(number)["Status"] == "AUTHORISED"
    explain(world, asked)
    undo = again(undo)
    world.publish(undo)
    assert world.hear_answer(undo, "invoice.voided")


# -- whose it is -----------------------------------------------------------------------


def test_an_adopted_invoice_says_whose_contact_it_is_on(world: World) -> None:
    number, asked = adopted(world)
    who = asked["data"]["member"]
    link = MemberContact.get(MemberContact.member_id == who["id"])
    assert link.rule == MatchRule.PERSON
    assert number in link.evidence["contact"]["why"]
    contact_id = world.invoice(number)["Contact"]["ContactID"]
    assert link.contact_id == contact_id
    later = renewal_due(who, subject=f"renewal-2028-{who['id']}")
    assert world.invoice(world.invoiced(later))["Contact"]["ContactID"] == contact_id
    adoption = Adoption.get(Adoption.invoice == world.row(number).id)
    assert (adoption.subject, adoption.adopted_by) == (asked["subject"], "finance")


def test_where_the_contact_is_linked_the_member_need_not_be_named(
    world: World,
) -> None:
    who = member()
    known = world.contact(world.invoice(world.invoiced(renewal_due(who))))
    number = world.raise_by_hand(known["ContactID"])
    asked = renewal_due(who, subject=f"renewal-old-{who['id']}")
    adopt(world, line(number, asked, member_id=""))
    assert world.row(number).payer_member_id == who["id"]


def test_a_message_about_another_member_is_rejected(world: World) -> None:
    _, asked = adopted(world)
    wrong = renewal_due(member(), subject=asked["subject"])
    world.publish(wrong)
    rejected = world.hear_answer(wrong, "message.rejected")["data"]
    assert "was adopted as" in rejected["reason"]
    explain(world, asked)


def test_an_employers_invoice_is_explained_by_the_message_about_all(
    world: World,
) -> None:
    employer = member()
    asked = group_renewal_due(employer, renewal(), renewal())
    number = by_hand(world, employer)
    adopt(world, line(number, asked))
    explain(world, asked)
    world.pay(number)
    subjects = [item["subject"] for item in asked["data"]["items"]]
    for subject in subjects:
        world.hear("membership.renew", subject)
    world.sweep()
    for subject in subjects:
        assert told(world, subject) == ["membership.renew"]
    assert told(world, asked["subject"]) == ["invoice.paid"]
    assert adopt(world, line(number, asked)) == 0


def test_one_that_is_adopted_is_no_part_of_an_employers_invoice(world: World) -> None:
    _, asked = adopted(world)
    item = {**asked["data"], "subject": asked["subject"]}
    group = group_renewal_due(member(), item, renewal())
    world.publish(group)
    rejected = world.hear_answer(group, "message.rejected")["data"]
    assert "invoiced before" in rejected["reason"]


# -- numbers ---------------------------------------------------------------------------


def test_a_number_that_looks_like_ours_is_never_given_to_another(world: World) -> None:
    world.invoiced(renewal_due())
    counter = NumberCounter.get(NumberCounter.prefix == "MEM")
    taken = f"MEM-2026-{counter.next_number + 5:06d}"
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    world.xero.control.edit_invoice(number, InvoiceNumber=taken)
    adopt(world, line(taken, asked))
    assert world.invoiced(renewal_due()) > taken
    assert world.problems() == []


# -- again and beside ------------------------------------------------------------------


def test_adopted_twice_it_is_adopted_once(world: World) -> None:
    number, asked = adopted(world)
    assert look(world, line(number, asked)).counts() == {"adopted before": 1}
    assert adopt(world, line(number, asked)) == 0
    explain(world, asked)
    assert adopt(world, line(number.lower(), asked)) == 0
    assert len(invoices.subjects_of(world.row(number).id)) == 1


def test_many_are_read_in_one_call(world: World) -> None:
    some = [renewal_due() for _ in range(60)]
    ids = known_to_xero(world, *(asked["data"]["member"] for asked in some))
    numbers = [world.raise_by_hand(contact_id) for contact_id in ids]
    reads = world.looked_up("InvoiceNumbers")
    lines = [
        line(number, asked, n)
        for n, (number, asked) in enumerate(zip(numbers, some, strict=True), start=2)
    ]
    assert look(world, *lines).counts() == {"open": 60}
    assert world.looked_up("InvoiceNumbers") == reads + 1


@pytest.mark.parametrize("explained_first", [True, False])
def test_what_webhooks_said_before_it_was_ours_is_forgotten(
    world: World, explained_first: bool
) -> None:
    """It was looked at once and remembered as somebody else's."""
    asked = renewal_due()
    number = by_hand(world, asked["data"]["member"])
    world.advance(11)
    world.quiet()
    xero_id = world.invoice(number)["InvoiceID"]
    assert invoices.foreign("main", [xero_id]) == {xero_id}
    adopt(world, line(number, asked))
    with transaction():  # a read that was under way ends only now
        invoices.remember_foreign("main", [xero_id])
    if explained_first:
        explain(world, asked)
    world.pay(number)
    world.quiet()
    if not explained_first:
        explain(world, asked)
    world.hear("membership.renew", asked["subject"])


def test_each_row_agrees_with_xero_from_the_beginning(world: World) -> None:
    some = [renewal_due() for _ in range(4)]
    numbers = [by_hand(world, asked["data"]["member"]) for asked in some]
    world.pay(numbers[1], "4.00")
    world.pay(numbers[2])
    world.xero.control.credit(numbers[3], "1.50")
    adopt(world, *map(line, numbers, some, range(2, 6)))
    for number in numbers:
        row, there = world.row(number), world.invoice(number)
        assert (row.xero_id, row.xero_status) == (there["InvoiceID"], there["Status"])
        money = (row.amount_due, row.amount_paid, row.amount_credited)
        assert [plain(amount) for amount in money] == [
            there["AmountDue"],
            there["AmountPaid"],
            there["AmountCredited"],
        ]
