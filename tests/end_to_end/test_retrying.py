"""What a person has mended goes on, once, when they say so."""

from datetime import timedelta

import pytest

from core.db import problems, profiles
from core.db.database import transaction
from core.retrying import NothingToRetry, retry_problem
from tests.end_to_end.conftest import MakeWorld
from tests.end_to_end.test_faulty_plugin import Library, loan, with_library
from tests.messages import cancelled, member, member_updated, renewal_due
from tests.world import World


def retry(world: World, kind: str) -> None:
    """As ``settled problems retry`` does it."""
    (problem,) = problems.open_problems(kind)
    with transaction():
        retry_problem(problem, world.clock.now(), world.settings)


def test_held_messages_are_handled_when_the_plugin_is_mended(
    make_world: MakeWorld,
) -> None:
    world = with_library(make_world, Library(in_rule=6))
    some = [loan(), loan()]
    world.publish(*some)
    for wait_s in (6, 11):
        world.advance(timedelta(seconds=wait_s))
    for asked in some:
        world.hear_answer(asked, "message.held")
    retry(world, "plugin_failed")
    for asked in some:
        world.hear_answer(asked, "invoice.emailed")
    world.quiet()
    assert len(world.invoices) == 2
    assert world.problems() == []


def test_an_invoice_goes_out_when_its_day_is_open(make_world: MakeWorld) -> None:
    world = make_world()
    world.xero.control.set_organisation(PeriodLockDate="2026-12-31")
    asked = renewal_due()
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    retry(world, "invoice_refused")
    world.wait(lambda: world.problems() == ["invoice_refused"], "it is still locked")
    world.xero.control.set_organisation(PeriodLockDate=None)
    world.quiet()
    retry(world, "invoice_refused")
    world.hear_answer(asked, "invoice.emailed")
    world.quiet()
    assert len(world.invoices) == 1
    assert world.problems() == []


def test_a_contact_is_created_when_its_name_is_free(make_world: MakeWorld) -> None:
    who = member()
    names = [who["name"], f"{who['name']} ({who['id']})"]
    world = make_world(contacts=[{"Name": name} for name in names])
    asked = renewal_due(who)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    (namesake,) = [c for c in world.ledger["contacts"] if c["Name"] == names[1]]
    world.xero.control.webhook_faults(drop=1)
    world.xero.control.archive_contact(namesake["ContactID"])
    world.quiet()
    retry(world, "contact_name_taken")
    world.hear_answer(asked, "invoice.emailed")
    world.quiet()
    assert world.contact_numbers().count(who["id"]) == 1
    assert world.problems() == []


def test_an_update_is_tried_again_with_what_holds_by_now(
    make_world: MakeWorld,
) -> None:
    """Xero has refused a name; meanwhile finance has mended the telephone number."""
    world = make_world()
    who = member(phone="+27 82 555 0101")
    contact = world.contact(world.invoice(world.invoiced(renewal_due(who))))
    names = [f"Ayanda {who['id']}", f"Ayanda {who['id']} ({who['id']})"]
    taken = world.xero.control.seed_contacts([{"Name": name} for name in names])
    world.advance(timedelta(seconds=61))
    now = world.clock.now().isoformat()
    changed = {**who, "name": names[0], "phone": "+27 82 555 0202"}
    asked = member_updated(changed, time=now)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    world.jump(1)
    edited = {"PhoneType": "DEFAULT", "PhoneNumber": "+27 82 555 0303"}
    world.xero.control.webhook_faults(drop=9)
    world.xero.control.archive_contact(taken[0])
    world.xero.control.edit_contact(contact["ContactID"], Phones=[edited])
    retry(world, "contact_update_refused")
    world.hear_answer(asked, "message.done")
    world.quiet()
    (there,) = [
        c for c in world.ledger["contacts"] if c["ContactID"] == contact["ContactID"]
    ]
    assert there["Name"] == names[0]
    (row,) = profiles.edits("main", who["id"])
    assert (row.field, row.xero) == ("phone", "+27 82 555 0303")
    assert world.problems() == []


def test_a_void_is_made_when_the_money_is_gone(make_world: MakeWorld) -> None:
    world = make_world()
    asked = renewal_due()
    number = world.invoiced(asked)
    world.quiet()
    world.xero.control.webhook_faults(drop=1)
    payment_id = world.pay(number)
    undo = cancelled(asked)
    world.publish(undo)
    world.hear_answer(undo, "message.held")
    world.xero.control.delete_payment(payment_id)
    world.quiet()
    retry(world, "void_refused")
    world.hear_answer(undo, "invoice.voided")
    world.quiet()
    assert world.invoice(number)["Status"] == "VOIDED"
    assert world.problems() == []


def test_what_ends_by_itself_is_not_tried_again(make_world: MakeWorld) -> None:
    world = make_world()
    with transaction():
        problems.open_problem("total_differs", "total:1", "3 or 4", world.clock.now())
    with pytest.raises(NothingToRetry):
        retry(world, "total_differs")
    assert world.problems() == ["total_differs"]
