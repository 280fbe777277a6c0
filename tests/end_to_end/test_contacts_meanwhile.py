"""What others do in Xero while a member's contact is to be created there."""

from datetime import timedelta
from typing import Any

import pytest

from core import people
from core.contact_writes import READS_TAKE
from core.contacts import creating, desk
from core.contacts.desk import Person
from core.contacts.resolution import Creating
from core.db import contact_decisions, profiles
from core.db.database import transaction
from core.db.proxy import proxy
from core.members import Member
from core.writing import KEY_IS_OVER_AFTER
from tests.messages import Data, member, renewal_due
from tests.world import World

#: Changes of contacts are read together, within a minute of the webhook.
NOTICED = timedelta(seconds=61)
KEY_ENDS = KEY_IS_OVER_AFTER + timedelta(seconds=1)


def contact_of(world: World, who: Data) -> Data:
    """The one contact with the member's number."""
    (found,) = [
        c for c in world.ledger["contacts"] if c.get("ContactNumber") == who["id"]
    ]
    return dict(found)


def made_without_an_answer(world: World, who: Data) -> tuple[Data, str]:
    """Xero makes the contact, and nobody can know; the message, the contact's id."""
    world.xero.control.fault("500_after", method="PUT", path="/Contacts")
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "an unknown outcome")
    world.jump(1)
    return asked, str(contact_of(world, who)["ContactID"])


def decisions(who: Data) -> list[tuple[str, str]]:
    rows = contact_decisions.of_member("main", who["id"])
    return [(str(row.decision), str(row.rule)) for row in rows]


def mailed_to(world: World, asked: Data) -> str:
    """Where the invoice went."""
    told = world.hear_answer(asked, "invoice.emailed")
    number = told["data"]["invoice"]["number"]
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    return str(sent["to"])


def edits(who: Data) -> list[tuple[str, Any, Any, str]]:
    rows = profiles.edits("main", who["id"])
    return [(row.field, row.platform, row.xero, row.winner) for row in rows]


# -- the answer to the creation was lost -----------------------------------------------


def test_a_new_contact_that_finance_edits_at_once_is_compared(world: World) -> None:
    who = member(phone="+27 82 555 0101")
    asked, contact_id = made_without_an_answer(world, who)
    world.xero.control.edit_contact(contact_id, EmailAddress="finance@example.co.za")
    world.jump(KEY_ENDS)
    assert mailed_to(world, asked) == who["email"]
    world.quiet()
    assert contact_of(world, who)["EmailAddress"] == who["email"]
    assert edits(who) == [
        ("email", who["email"], "finance@example.co.za", "platform"),
    ]


def test_the_name_that_was_taken_is_no_edit(world: World) -> None:
    """Finance edits the address; the name has the member's id because of ours."""
    who = member()
    world.xero.control.seed_contacts([{"Name": who["name"]}])
    world.advance(NOTICED)
    world.xero.control.fault("500_after", method="PUT", path="/Contacts", after=1)
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "an unknown outcome")
    world.jump(1)
    contact_id = contact_of(world, who)["ContactID"]
    world.xero.control.edit_contact(contact_id, EmailAddress="finance@example.co.za")
    world.jump(KEY_ENDS)
    assert mailed_to(world, asked) == who["email"]
    world.quiet()
    assert contact_of(world, who)["Name"] == f"{who['name']} ({who['id']})"
    assert [field for field, *_ in edits(who)] == ["email"]


def test_a_new_contact_that_is_archived_at_once_holds(world: World) -> None:
    who = member()
    asked, contact_id = made_without_an_answer(world, who)
    world.xero.control.archive_contact(contact_id)
    world.jump(KEY_ENDS)
    held = world.hear_answer(asked, "message.held")
    world.quiet()
    assert held["data"]["reason"] == f"the contact of member {who['id']} is archived"
    assert world.problems() == ["contact_undecided"]
    world.xero.control.edit_contact(contact_id, ContactStatus="ACTIVE")
    world.advance(NOTICED)
    assert mailed_to(world, asked) == who["email"]
    assert world.problems() == []


# -- somebody else makes it ------------------------------------------------------------


def test_a_contact_that_another_system_made_is_linked_by_its_number(
    world: World,
) -> None:
    """And nobody has told us of it yet."""
    who = member()
    old = {"Name": f"Old {who['name']}", "EmailAddress": "old@example.co.za"}
    world.xero.control.webhook_faults(drop=9)
    world.xero.control.seed_contacts([{**old, "ContactNumber": who["id"]}])
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "its number is taken")
    world.jump(KEY_ENDS)
    assert mailed_to(world, asked) == who["email"]
    world.quiet()
    there = contact_of(world, who)
    assert (there["Name"], there["EmailAddress"]) == (who["name"], who["email"])
    assert decisions(who) == [("linked", "contact_number")]
    world.xero.control.webhook_faults()


def test_a_contact_whose_number_was_taken_long_ago_is_found_at_the_first_look(
    world: World,
) -> None:
    """Long before the call, and nobody has told us of it yet."""
    who = member()
    world.advance(timedelta(hours=1, seconds=5))  # the mirror is read anew
    world.quiet()
    world.xero.control.webhook_faults(drop=9)
    values = {"Name": f"Old {who['name']}", "ContactNumber": who["id"]}
    (contact_id,) = world.xero.control.seed_contacts([values])
    world.advance(timedelta(minutes=30))
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "its number is taken")
    world.jump(KEY_ENDS)
    assert mailed_to(world, asked) == who["email"]
    world.quiet()
    assert contact_of(world, who)["ContactID"] == contact_id
    world.xero.control.webhook_faults()
    tries = [e for e in world.sent("Contacts") if e["ContactNumber"] == who["id"]]
    assert len(tries) == 1


def waiting_for_xero(world: World, who: Data) -> Data:
    """Xero takes no new contacts for hours; the message that wants one."""
    for_hours = {"times": 1, "retry_after_s": 4 * 3600}
    world.xero.control.fault("429_day", method="PUT", path="/Contacts", **for_hours)
    asked = renewal_due(who)
    world.accepts(asked)
    world.jump(600)
    return asked


@pytest.mark.parametrize("has_number", [True, False])
def test_a_contact_that_finance_makes_meanwhile_gets_no_twin(
    world: World, has_number: bool
) -> None:
    who = member()
    asked = waiting_for_xero(world, who)
    values = {"Name": who["name"], "EmailAddress": who["email"]}
    if has_number:
        values["ContactNumber"] = who["id"]
    (contact_id,) = world.xero.control.seed_contacts([values])
    before = world.calls("PUT /Contacts")
    world.jump(NOTICED)
    world.jump(timedelta(hours=4))
    world.quiet()
    world.jump(READS_TAKE)
    told = world.hear_answer(asked, "invoice.emailed")
    world.quiet()
    invoice = world.invoice(told["data"]["invoice"]["number"])
    assert invoice["Contact"]["ContactID"] == contact_id
    assert world.calls("PUT /Contacts") == before
    rule = "contact_number" if has_number else "email_and_name"
    assert decisions(who) == [("linked", rule)]


def test_two_contacts_that_finance_makes_meanwhile_are_a_persons_to_decide(
    world: World,
) -> None:
    who = member()
    asked = waiting_for_xero(world, who)
    values = {"EmailAddress": who["email"], "AccountNumber": who["id"]}
    names = [f"{who['name']} ({n})" for n in (1, 2)]
    world.xero.control.seed_contacts([{**values, "Name": name} for name in names])
    world.jump(NOTICED)
    world.jump(timedelta(hours=4))
    world.quiet()
    world.jump(READS_TAKE)
    held = world.hear_answer(asked, "message.held")
    world.quiet()
    assert held["data"]["reason"].startswith("2 contacts fit member")
    assert who["id"] not in world.contact_numbers()


def test_a_contact_that_a_person_wants_is_made_though_others_fit(world: World) -> None:
    who = member()
    values = {"EmailAddress": who["email"], "AccountNumber": who["id"]}
    names = [f"{who['name']} ({n})" for n in (1, 2)]
    first, _ = world.xero.control.seed_contacts([{**values, "Name": n} for n in names])
    world.advance(NOTICED)
    asked = renewal_due(who)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    for_hours = {"times": 1, "retry_after_s": 4 * 3600}
    world.xero.control.fault("429_day", method="PUT", path="/Contacts", **for_hours)
    with transaction():
        finance = Person("finance", "she is neither")
        desk.create("main", who["id"], finance, world.clock.now(), world.settings)
    world.quiet()
    world.xero.control.archive_contact(first)
    world.jump(NOTICED)
    world.jump(timedelta(hours=4))
    world.quiet()
    world.jump(READS_TAKE)
    world.hear_answer(asked, "invoice.emailed")
    assert world.contact_numbers().count(who["id"]) == 1


# -- at the same moment ----------------------------------------------------------------


def test_a_message_about_a_member_whose_contact_is_just_made(world: World) -> None:
    """Each wants the member's profile, and what is to be created."""
    who = member()
    payer = Member.model_validate(who)
    world.xero.control.fault("slow", method="PUT", path="/Contacts", delay_s=0.5)
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Contacts"), "it is on its way")
    with transaction():
        people.lock_new("main", who["id"])
        if proxy.obj.for_update:  # SQLite has one transaction at a time
            # Of a deadlock this one would be the victim.
            proxy.execute_sql("SET LOCAL deadlock_timeout = '10ms'")
            world.wait(_somebody_waits, "the answer waits for us")
        assert creating.create("main", payer, world.clock.now()) == Creating()
    world.hear_answer(asked, "invoice.emailed")


def _somebody_waits() -> bool:
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
    return proxy.execute_sql(waiting).fetchone() is not None
