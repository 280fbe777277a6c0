"""A person decides about a contact, and what waited reaches the member."""

import pytest

from core.contacts import desk
from core.contacts.desk import NotDecided, Person
from core.db.database import transaction
from tests.end_to_end.test_contacts import NOTICED, add, contact, invoiced_on, rule_for
from tests.messages import Data, member, member_updated, renewal_due
from tests.world import World

FINANCE = Person("finance", "I know them")


def link(world: World, who: Data, contact_id: str) -> int:
    with transaction():
        return desk.link(
            "main", who["id"], contact_id, FINANCE, world.clock.now(), world.settings
        )


def unlink(world: World, who: Data) -> int:
    with transaction():
        return desk.unlink(
            "main", who["id"], FINANCE, world.clock.now(), world.settings
        )


def create(world: World, who: Data) -> int:
    with transaction():
        return desk.create(
            "main", who["id"], FINANCE, world.clock.now(), world.settings
        )


def email(world: World, contact_id: str) -> str:
    """The address that a contact has in Xero."""
    (there,) = [c for c in world.ledger["contacts"] if c["ContactID"] == contact_id]
    return str(there["EmailAddress"])


def held(world: World, who: Data) -> Data:
    """A renewal that waits, because these contacts fit."""
    asked = renewal_due(who)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    return asked


def invoiced_after_all(world: World, asked: Data) -> str:
    """The contact on which it is raised, once somebody has decided."""
    world.advance(15)
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    contact_id: str = world.invoice(number)["Contact"]["ContactID"]
    return contact_id


def twins(world: World, who: Data) -> list[str]:
    first, last = who["name"].split(" ", 1)
    return add(world, contact(who), contact(who, Name=f"{last}, {first}"))


def test_the_contact_that_a_person_names_gets_the_invoice(world: World) -> None:
    who = member()
    _, second = twins(world, who)
    asked = held(world, who)
    assert link(world, who, second) == 1
    assert invoiced_after_all(world, asked) == second
    assert world.problems() == []
    assert rule_for(who) == "person"


def test_none_of_them_makes_another_contact(world: World) -> None:
    who = member()
    both = twins(world, who)
    asked = held(world, who)
    assert create(world, who) == 1
    assert invoiced_after_all(world, asked) not in both
    assert world.contact_numbers().count(who["id"]) == 1
    assert world.problems() == []


def test_after_an_unlink_the_next_invoice_goes_elsewhere(world: World) -> None:
    who = member()
    (wrong,) = add(world, contact(who))
    assert invoiced_on(world, who) == wrong
    assert unlink(world, who) == 1
    again = renewal_due(who, subject=f"renewal-2028-{who['id']}")
    invoice = world.invoice(world.invoiced(again))
    assert invoice["Contact"]["ContactID"] != wrong


def test_a_payment_on_the_unlinked_contact_is_acted_on(world: World) -> None:
    who = member()
    add(world, contact(who))
    asked = renewal_due(who)
    number = world.invoiced(asked)
    unlink(world, who)
    world.pay(number)
    world.hear("membership.renew", asked["subject"])


def test_an_invoice_that_waits_for_its_day_keeps_the_link(world: World) -> None:
    who = member()
    add(world, contact(who))
    asked = renewal_due(who, raise_on="2027-01-15")
    world.accepts(asked)
    with pytest.raises(NotDecided, match="on their way to Xero"):
        unlink(world, who)


def test_an_uncertain_contact_is_asked_about_and_a_certain_one_is_not(
    world: World,
) -> None:
    who = member(name="Annemarie Steyn", email="annemarie@example.co.za")
    (maiden,) = add(world, contact(who, Name="Annemarie Botha"))
    asked = held(world, who)
    # Finance notes the earlier name in Xero; nothing else has to be done.
    world.xero.control.edit_contact(maiden, Name="Annemarie Botha (now née Steyn)")
    world.advance(NOTICED)
    assert invoiced_after_all(world, asked) == maiden


def test_who_is_linked_by_a_person_gets_what_the_platform_has_said(
    world: World,
) -> None:
    who = member()
    (contact_id,) = add(world, {"Name": "Somebody", "EmailAddress": "old@example.org"})
    said = member_updated(who)
    world.publish(said)
    world.hear_answer(said, "message.done")
    link(world, who, contact_id)
    world.wait(lambda: email(world, contact_id) == who["email"], "it is updated")


def test_who_is_unlinked_is_not_updated_any_more(world: World) -> None:
    who = member()
    invoice = world.invoice(world.invoiced(renewal_due(who)))
    contact_id = invoice["Contact"]["ContactID"]
    world.quiet()
    world.xero.control.fault("503", method="GET", path="/Contacts", times=50)
    said = member_updated({**who, "email": "moved@example.org"})
    world.publish(said)
    world.hear_answer(said, "message.accepted")
    unlink(world, who)
    assert world.hear_answer(said, "message.done")["data"]["outcome"] == "remembered"
    world.xero.control.clear_faults()
    world.advance(NOTICED)
    world.quiet()
    assert email(world, contact_id) == who["email"]
