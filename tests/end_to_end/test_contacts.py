"""A member is one contact: found by rules that can be explained, never guessed."""

from datetime import timedelta
from typing import Any

from core.db.models import MemberContact
from tests.messages import Data, member, renewal_due
from tests.world import World

#: Changes of contacts are read together, within a minute of the webhook.
NOTICED = timedelta(seconds=61)


def contact(who: Data, **changed: Any) -> Data:
    """A contact that finance has made for somebody."""
    return {"Name": who["name"], "EmailAddress": who["email"], **changed}


def rule_for(who: Data) -> str:
    """By which rule we decided who somebody is."""
    return str(MemberContact.get(MemberContact.member_id == who["id"]).rule)


def invoiced_on(world: World, who: Data) -> str:
    """The contact on which a renewal of this member is invoiced."""
    invoice = world.invoice(world.invoiced(renewal_due(who)))
    contact_id: str = invoice["Contact"]["ContactID"]
    return contact_id


def add(world: World, *contacts: Data) -> list[str]:
    """Made in Xero by hand, and noticed; their ids."""
    ids = world.xero.control.seed_contacts(list(contacts))
    world.advance(NOTICED)
    world.quiet()
    return ids


def test_a_new_member_becomes_a_contact_with_all_we_know(world: World) -> None:
    address = {"line1": "12 Long Street", "city": "Cape Town", "postal_code": "8001"}
    who = member(phone="+27 82 555 0101", address=address, tax_number="9001015009087")
    contact_id = invoiced_on(world, who)
    (made,) = [c for c in world.ledger["contacts"] if c["ContactID"] == contact_id]
    assert made["ContactNumber"] == who["id"]
    assert made["Name"] == who["name"]
    assert made["EmailAddress"] == who["email"]
    assert made["TaxNumber"] == "9001015009087"
    phones = {p["PhoneType"]: p.get("PhoneNumber") for p in made["Phones"]}
    assert phones["DEFAULT"] == "+27 82 555 0101"
    (street,) = [a for a in made["Addresses"] if a["AddressType"] == "STREET"]
    assert (street["AddressLine1"], street["City"]) == ("12 Long Street", "Cape Town")
    assert rule_for(who) == "created"


def test_by_contact_number(world: World) -> None:
    who = member()
    (known,) = add(world, contact(who, Name="As she was", ContactNumber=who["id"]))
    assert invoiced_on(world, who) == known
    assert rule_for(who) == "contact_number"


def test_by_account_number(world: World) -> None:
    who = member()
    (known,) = add(world, contact(who, Name="In old books", AccountNumber=who["id"]))
    assert invoiced_on(world, who) == known
    assert rule_for(who) == "account_number"


def test_by_email_with_the_name_whatever_the_accents(world: World) -> None:
    who = member(name="Zoë du Plessis", email="zoe@example.co.za")
    (known,) = add(
        world, {"Name": "zoe du plessis", "EmailAddress": "ZOE@example.co.za"}
    )
    assert invoiced_on(world, who) == known
    assert rule_for(who) == "email_and_name"


def test_an_email_alone_is_not_enough(world: World) -> None:
    who = member()
    (other,) = add(world, {"Name": "Her husband", "EmailAddress": who["email"]})
    assert invoiced_on(world, who) != other
    assert rule_for(who) == "created"


def test_a_member_who_is_known_costs_no_contact_call(world: World) -> None:
    who = member()
    first = invoiced_on(world, who)
    before = {name: world.calls(name) for name in ("PUT /Contacts", "GET /Contacts")}
    again = renewal_due(who, subject=f"renewal-2028-{who['id']}")
    second = world.invoice(world.invoiced(again))["Contact"]["ContactID"]
    assert second == first
    assert {name: world.calls(name) for name in before} == before


def test_the_link_holds_though_everything_else_changes(world: World) -> None:
    who = member()
    known = invoiced_on(world, who)
    world.xero.control.edit_contact(
        known, Name="Married since", ContactNumber="", EmailAddress="new@example.co.za"
    )
    world.advance(NOTICED)
    world.quiet()
    again = renewal_due(who, subject=f"renewal-2028-{who['id']}")
    invoice = world.invoice(world.invoiced(again))
    assert invoice["Contact"]["ContactID"] == known


def test_two_candidates_are_a_persons_to_decide(world: World) -> None:
    who = member()
    first, second = add(
        world,
        contact(who, Name=f"{who['name']} (1)", AccountNumber=who["id"]),
        contact(who, Name=f"{who['name']} (2)", AccountNumber=who["id"]),
    )
    asked = renewal_due(who)
    world.publish(asked)
    held = world.hear_answer(asked, "message.held")
    world.quiet()
    assert held["data"]["reason"].startswith("2 contacts fit member")
    assert world.problems() == ["contact_undecided"]
    assert world.answers(asked["id"]) == ["message.accepted", "message.held"]
    # Somebody decides by archiving one; nothing else has to be done.
    world.xero.control.archive_contact(first)
    world.advance(NOTICED)
    world.hear_answer(asked, "invoice.emailed")
    number = world.hear_answer(asked, "invoice.raised")["data"]["invoice"]["number"]
    assert world.invoice(number)["Contact"]["ContactID"] == second
    assert world.problems() == []


def test_a_contact_that_was_archived_gets_no_twin(world: World) -> None:
    who = member()
    known = invoiced_on(world, who)
    world.xero.control.archive_contact(known)
    world.advance(NOTICED)
    world.quiet()
    asked = renewal_due(who, subject=f"renewal-2028-{who['id']}")
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    assert world.problems() == ["contact_undecided"]
    assert world.contact_numbers().count(who["id"]) == 1
    world.xero.control.edit_contact(known, ContactStatus="ACTIVE")
    world.advance(NOTICED)
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    assert world.invoice(number)["Contact"]["ContactID"] == known


def test_a_name_that_is_taken_gets_the_members_id(world: World) -> None:
    who = member()
    add(world, {"Name": who["name"], "EmailAddress": "namesake@example.co.za"})
    contact_id = invoiced_on(world, who)
    (made,) = [c for c in world.ledger["contacts"] if c["ContactID"] == contact_id]
    assert made["Name"] == f"{who['name']} ({who['id']})"
    assert world.problems() == []


def test_two_messages_of_a_newcomer_make_one_contact(world: World) -> None:
    who = member()
    some = [renewal_due(who, subject=f"renewal-{y}-{who['id']}") for y in (1, 2)]
    world.publish(*some)
    for asked in some:
        world.hear("invoice.emailed", asked["subject"])
    assert world.contact_numbers().count(who["id"]) == 1


def test_a_contact_that_xero_refuses_is_tried_with_what_is_corrected(
    world: World,
) -> None:
    """Both the name and what we would call the newcomer are taken."""
    who = member()
    add(world, {"Name": who["name"]}, {"Name": f"{who['name']} ({who['id']})"})
    asked = renewal_due(who)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    assert world.problems() == ["contact_name_taken"]
    renamed = {**who, "name": f"{who['name']}-Botha"}
    number = world.invoiced(renewal_due(renamed, subject=f"renewal-2-{who['id']}"))
    assert world.contact(world.invoice(number))["Name"] == renamed["name"]
    # What was held before goes on with the next look at Xero's contacts.
    world.advance(timedelta(hours=1, seconds=1))
    world.hear_answer(asked, "invoice.emailed")
    assert world.problems() == []


def test_what_finance_changes_in_a_contact_is_noticed_without_a_sweep(
    world: World,
) -> None:
    who = member()
    (known,) = add(world, contact(who, Name=f"Somebody else {who['id']}"))
    world.xero.control.edit_contact(known, ContactNumber=who["id"])
    world.advance(NOTICED)
    world.quiet()
    assert invoiced_on(world, who) == known


def test_contacts_that_were_there_before_us_are_found(world: World) -> None:
    """Fifty, of whom the mirror knows before the first message is handled."""
    some = [member() for _ in range(5)]
    ids = add(world, *(contact(who, ContactNumber=who["id"]) for who in some))
    puts = world.calls("PUT /Contacts")
    assert [invoiced_on(world, who) for who in some] == ids
    assert world.calls("PUT /Contacts") == puts
