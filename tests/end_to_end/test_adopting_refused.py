"""Every line that can't be adopted is named with its reason, and then none is."""

from datetime import timedelta

import pytest

from core.adopting import Looked
from core.db.models import Adoption
from tests.end_to_end.adoption import (
    adopt,
    by_hand,
    faults,
    known_to_xero,
    line,
    look,
)
from tests.messages import Data, member, renewal_due
from tests.world import World


def made(world: World) -> tuple[str, Data]:
    asked = renewal_due()
    return by_hand(world, asked["data"]["member"]), asked


def only_fault(looked: Looked) -> tuple[str, str]:
    ((_, column, reason),) = faults(looked)
    return column, reason


def test_an_invoice_that_xero_has_not(world: World) -> None:
    looked = look(world, line("INV-9999", renewal_due()))
    assert only_fault(looked) == ("invoice_number", "is not in Xero")


def test_an_invoice_that_is_void(world: World) -> None:
    number, asked = made(world)
    world.xero.control.void_invoice(number)
    found = only_fault(look(world, line(number, asked)))
    assert found == ("invoice_number", "is voided in Xero")


def test_an_invoice_that_is_ours_already(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    column, reason = only_fault(look(world, line(number, renewal_due())))
    assert column == "invoice_number"
    assert reason == f"is ours already: membership:{asked['subject']}"


def test_an_invoice_that_was_adopted_for_something_else(world: World) -> None:
    number, asked = made(world)
    adopt(world, line(number, asked))
    other = line(number, asked, subject="renewal-other")
    column, reason = only_fault(look(world, other))
    assert column == "invoice_number"
    assert reason == f"was adopted as membership:{asked['subject']}"
    wrong = line(number, asked, member_id=member()["id"])
    assert only_fault(look(world, wrong))[0] == "member_id"


def test_a_subject_that_is_invoiced_already(world: World) -> None:
    number, theirs = made(world)
    owner = theirs["data"]["member"]["id"]
    asked = renewal_due()
    ours = world.invoiced(asked)
    assert only_fault(look(world, line(number, asked, member_id=owner))) == (
        "subject",
        f"is invoiced already, by {ours}",
    )


def test_a_subject_whose_invoice_is_on_its_way(world: World) -> None:
    number, theirs = made(world)
    owner = theirs["data"]["member"]["id"]
    asked = renewal_due(raise_on="2027-05-01")
    world.accepts(asked)
    column, reason = only_fault(look(world, line(number, asked, member_id=owner)))
    assert (column, reason) == (
        "subject",
        "is invoiced already, by an invoice that is ready",
    )


def test_a_workflow_that_is_not_installed(world: World) -> None:
    column, reason = only_fault(look(world, line("X", renewal_due(), workflow="exam")))
    assert (column, reason) == ("workflow", "'exam' is none of membership")


def test_a_charge_that_the_workflow_does_not_have(world: World) -> None:
    looked = look(world, line("X", renewal_due(), charge="fine"))
    assert only_fault(looked) == ("charge", "'fine' is none of renewal")


def test_a_contact_that_is_another_members(world: World) -> None:
    who = member()
    known = world.contact(world.invoice(world.invoiced(renewal_due(who))))
    number = world.raise_by_hand(known["ContactID"])
    looked = look(world, line(number, renewal_due()))
    assert only_fault(looked) == ("member_id", f"its contact is {who['id']}'s")


def test_a_contact_that_is_nobodys_and_no_member_named(world: World) -> None:
    number, asked = made(world)
    column, reason = only_fault(look(world, line(number, asked, member_id="")))
    assert column == "member_id"
    assert reason.startswith("is missing")


def test_a_member_who_has_another_contact(world: World) -> None:
    number, _ = made(world)
    who = member()
    world.invoiced(renewal_due(who))
    asked = renewal_due(who, subject=f"renewal-old-{who['id']}")
    assert only_fault(look(world, line(number, asked))) == (
        "member_id",
        "has another contact than the invoice",
    )


@pytest.mark.parametrize("numbered", [True, False])
def test_a_contact_that_speaks_against_the_member(world: World, numbered: bool) -> None:
    """It has another's number, or is archived."""
    number, asked = made(world)
    contact_id = world.invoice(number)["Contact"]["ContactID"]
    if numbered:
        world.xero.control.edit_contact(contact_id, ContactNumber="another")
    else:
        world.xero.control.archive_contact(contact_id)
    world.advance(61)
    world.quiet()
    column, reason = only_fault(look(world, line(number, asked)))
    assert column == "member_id"
    assert reason in (
        "its contact has the number of another",
        "its contact is archived in Xero",
    )


def test_a_contact_that_has_not_been_read_yet(world: World) -> None:
    asked = renewal_due()
    world.quiet()
    world.xero.control.webhook_faults(drop=1)
    (contact_id,) = world.xero.control.seed_contacts([{"Name": "Just made by hand"}])
    number = world.raise_by_hand(contact_id)
    column, reason = only_fault(look(world, line(number, asked)))
    assert column == "member_id"
    assert "has not been read yet" in reason
    world.advance(timedelta(hours=1, seconds=1))
    world.quiet()
    assert faults(look(world, line(number, asked))) == []


def test_a_currency_in_which_the_workflow_has_no_price(world: World) -> None:
    number, asked = made(world)
    world.xero.control.set_organisation(Currencies=["ZAR", "USD"])
    world.xero.control.edit_invoice(number, CurrencyCode="USD")
    column, reason = only_fault(look(world, line(number, asked)))
    assert column == "invoice_number"
    assert reason == "is in USD; membership has prices in ZAR"


def test_with_one_wrong_line_none_is_adopted(world: World) -> None:
    number, asked = made(world)
    before = Adoption.select().count()
    looked = look(world, line(number, asked), line("INV-9999", renewal_due(), 3))
    assert not looked.is_fine
    assert looked.counts() == {"open": 1, "wrong": 1}
    assert Adoption.select().count() == before


def test_all_that_is_wrong_with_a_line_is_said_at_once(world: World) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    (contact_id,) = known_to_xero(world, member())
    number = world.raise_by_hand(contact_id)
    columns = [c for _, c, _ in faults(look(world, line(number, asked)))]
    assert columns == ["subject", "member_id"]
