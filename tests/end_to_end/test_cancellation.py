"""A renewal that is no longer wanted: its open invoice goes, and only that."""

from datetime import timedelta
from functools import partial

from core.contacts import explaining
from core.db import invoices
from core.db.database import transaction
from core.db.invoices import InvoiceState
from tests.end_to_end.test_contact_desk import twins
from tests.end_to_end.test_contacts import NOTICED
from tests.end_to_end.test_contacts_over_time import problems_of
from tests.messages import (
    Data,
    again,
    cancelled,
    group_renewal_due,
    member,
    message,
    renewal,
    renewal_due,
)
from tests.world import World


def _is_answered(world: World, message_id: str, ends: set[str]) -> bool:
    return bool(ends & set(world.answers(message_id)))


def test_before_it_was_raised_it_is_taken_back(world: World) -> None:
    before = len(world.invoices)
    asked = renewal_due(raise_on="2026-11-23")
    world.publish(asked)
    world.hear_answer(asked, "message.accepted")
    undo = cancelled(asked)
    world.publish(undo)
    done = world.hear_answer(undo, "message.done")
    world.quiet()
    assert done["data"]["outcome"] == "cancelled"
    assert world.answers(asked["id"]) == ["message.accepted", "message.done"]
    world.advance(timedelta(days=4))
    world.quiet()
    assert len(world.invoices) == before


def test_right_behind_the_renewal_nothing_remains(world: World) -> None:
    some = [renewal_due() for _ in range(12)]
    undone = [cancelled(asked) for asked in some]
    world.publish(*some, *undone)
    for undo in undone:
        ends = {"message.done", "invoice.voided"}
        world.wait(partial(_is_answered, world, undo["id"], ends), "the answer")
    world.quiet()
    standing = {i["Reference"] for i in world.invoices if i["Status"] != "VOIDED"}
    assert not standing & {f"membership:{asked['subject']}" for asked in some}


def test_while_it_is_on_its_way_it_is_voided_on_arrival(world: World) -> None:
    world.xero.control.fault("slow", method="PUT", path="/Invoices", delay_s=3600)
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Invoices"), "the call")
    undo = cancelled(asked)
    world.publish(undo)
    world.wait(lambda: world.row_of(asked["subject"]).undone_by is not None, "undone")
    world.jump(3600)
    voided = world.hear_answer(undo, "invoice.voided")
    world.quiet()
    assert world.invoice(voided["data"]["invoice"]["number"])["Status"] == "VOIDED"
    assert "invoice.emailed" not in world.answers(asked["id"])


def test_after_it_was_raised_it_is_voided(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    undo = cancelled(asked)
    world.publish(undo)
    voided = world.hear_answer(undo, "invoice.voided")
    world.quiet()
    assert voided["subject"] == asked["subject"]
    assert world.invoice(number)["Status"] == "VOIDED"
    assert world.answers(undo["id"]) == ["message.accepted", "invoice.voided"]
    assert world.told("membership.suspend", asked["subject"]) == []


def test_sent_again_it_is_answered_as_before(world: World) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    undo = cancelled(asked)
    world.publish(undo)
    voided = world.hear_answer(undo, "invoice.voided")
    world.quiet()
    world.publish(undo)
    world.wait(lambda: world.times_heard(voided) == 2, "the answer again")


def test_after_it_was_paid_it_is_refused(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.pay(number)
    world.hear("membership.renew", asked["subject"])
    undo = cancelled(asked)
    world.publish(undo)
    assert world.hear_answer(undo, "message.rejected")["data"]["field"] == "subject"
    world.quiet()
    assert world.invoice(number)["Status"] == "PAID"


def test_money_that_we_had_not_seen_keeps_it_and_asks_a_person(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.quiet()
    world.xero.control.webhook_faults(drop=1)
    payment_id = world.pay(number)
    undo = cancelled(asked)
    world.publish(undo)
    world.hear_answer(undo, "message.held")
    world.quiet()
    assert world.problems() == ["void_refused"]
    # The payment was a mistake, and the platform asks once more.
    world.xero.control.delete_payment(payment_id)
    world.quiet()
    second = again(undo)
    world.publish(second)
    world.hear_answer(second, "invoice.voided")
    world.quiet()
    assert world.invoice(number)["Status"] == "VOIDED"


def test_of_one_in_a_group_it_is_refused(world: World) -> None:
    items = [renewal(), renewal()]
    asked = group_renewal_due(member(), *items)
    number = world.invoiced(asked)
    undo = cancelled({"subject": asked["data"]["items"][0]["subject"], "data": {}})
    world.publish(undo)
    assert world.hear_answer(undo, "message.rejected")["data"]["field"] == "subject"
    world.quiet()
    assert world.invoice(number)["Status"] == "AUTHORISED"


def test_of_what_nobody_knows_there_is_nothing_to_do(world: World) -> None:
    undo = message("membership.cancelled", "renewal-0", {"membership_id": "M-0"})
    world.publish(undo)
    assert world.hear_answer(undo, "message.done")["data"] == {
        "outcome": "nothing_open",
        "invoice": None,
    }


def test_twice_is_answered_twice(world: World) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    first, second = cancelled(asked), cancelled(asked)
    world.publish(first, second)
    world.hear_answer(first, "invoice.voided")
    done = world.hear_answer(second, "message.done")
    assert done["data"]["outcome"] in ("void_under_way", "nothing_open")


def test_the_first_is_answered_although_a_second_came_before_the_void_was_read(
    world: World,
) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    first, second = cancelled(asked), cancelled(asked)
    world.publish(first)
    world.hear_answer(first, "invoice.voided")
    world.quiet()
    # As the books are for a moment: Xero has voided it, and we have not seen it yet.
    row = world.row_of(asked["subject"])
    with transaction():
        invoices.change(row, state=InvoiceState.RAISED)
    world.publish(second)
    done = world.hear_answer(second, "message.done")
    assert done["data"]["outcome"] == "void_under_way"
    undone_by = world.row_of(asked["subject"]).undone_by
    assert undone_by is not None
    assert undone_by.message_id == first["id"]


# -- the payer's contact ---------------------------------------------------------------


def undecided(who: Data) -> bool:
    listed = explaining.standings("main", undecided_only=True)
    return who["id"] in [one.member_id for one in listed]


def cancel(world: World, asked: Data) -> None:
    undo = cancelled(asked)
    world.publish(undo)
    assert world.hear_answer(undo, "message.done")["data"]["outcome"] == "cancelled"
    world.quiet()


def test_nobody_has_to_decide_for_what_is_not_wanted_any_more(world: World) -> None:
    who = member()
    twins(world, who)
    first, second = (renewal_due(who, subject=f"{n}-{who['id']}") for n in (1, 2))
    world.publish(first, second)
    for asked in (first, second):
        world.hear_answer(asked, "message.held")
    cancel(world, first)
    assert problems_of(who) == ["contact_undecided"]
    assert undecided(who)
    cancel(world, second)
    assert problems_of(who) == []
    assert not undecided(who)
    third = renewal_due(who, subject=f"3-{who['id']}")
    world.publish(third)
    world.hear_answer(third, "message.held")
    assert problems_of(who) == ["contact_undecided"]
    assert undecided(who)


def test_no_contact_is_made_for_what_is_not_wanted_any_more(world: World) -> None:
    who = member()
    world.xero.control.fault(
        "429_minute", method="PUT", path="/Contacts", times=50, retry_after_s=30
    )
    asked = renewal_due(who)
    world.accepts(asked)
    cancel(world, asked)
    world.xero.control.clear_faults()
    world.advance(NOTICED)
    world.quiet()
    assert who["id"] not in world.contact_numbers()
    # The next time it is asked for anew.
    world.invoiced(renewal_due(who, subject=f"next-{who['id']}"))
    assert world.contact_numbers().count(who["id"]) == 1


def test_nobody_hears_of_a_contact_that_xero_refuses_for_a_cancelled_renewal(
    world: World,
) -> None:
    who = member()
    names = [who["name"], f"{who['name']} ({who['id']})"]
    world.xero.control.seed_contacts([{"Name": name} for name in names])
    world.advance(NOTICED)
    world.xero.control.fault("slow", method="PUT", path="/Contacts", delay_s=60)
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Contacts"), "the call")
    undo = cancelled(asked)
    world.publish(undo)
    world.hear_answer(undo, "message.done")
    world.jump(60)
    world.quiet()
    assert problems_of(who) == []
    assert not undecided(who)


def test_an_invoice_that_was_voided_is_told_so_in_xero_too(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.xero.control.void_invoice(number)
    told = world.hear("invoice.voided", asked["subject"])
    assert told["inreplyto"] == asked["id"]
    undo = cancelled(asked)
    world.publish(undo)
    assert world.hear_answer(undo, "message.done")["data"]["outcome"] == "nothing_open"
