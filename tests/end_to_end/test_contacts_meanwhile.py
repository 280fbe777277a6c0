"""What others do in Xero while a member's contact is to be created there."""

from datetime import timedelta
from typing import Any

from core.db import contact_decisions, profiles
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
    world.xero.control.webhook_faults(drop=1)
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
