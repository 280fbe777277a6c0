"""An invoice that Xero refuses, while whose contact it is on changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from core.db import contact_links
from core.db.database import transaction
from core.db.invoices import InvoiceState
from tests.end_to_end.test_contact_desk import link, unlink
from tests.end_to_end.test_contacts import NOTICED, add
from tests.end_to_end.test_contacts_over_time import known, renewed
from tests.end_to_end.test_retrying import retry
from tests.messages import Data, member
from tests.world import World

#: Xero may have stored a server error under the key, and is asked when the key is over.
KEY_IS_OVER = 491


@pytest.fixture
def world(world: World) -> Iterator[World]:
    """With every day open, before and after."""
    yield world
    world.xero.control.set_organisation(PeriodLockDate=None)


@contextmanager
def locked_period(world: World) -> Iterator[None]:
    """Xero takes no invoice of these days."""
    world.xero.control.set_organisation(PeriodLockDate="2028-12-31")
    yield
    world.xero.control.set_organisation(PeriodLockDate=None)


def held(world: World, who: Data) -> Data:
    """A renewal whose invoice Xero refuses."""
    asked = renewed(world, who)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    return asked


def contact_of(world: World, asked: Data) -> str:
    """On which the invoice stands in Xero, once it has been e-mailed."""
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    contact_id: str = world.invoice(number)["Contact"]["ContactID"]
    return contact_id


def emailed_to(world: World, asked: Data) -> list[str]:
    number = world.row_of(asked["subject"]).number
    return [e["to"] for e in world.ledger["emails"] if e["invoice_number"] == number]


# -- unlinked --------------------------------------------------------------------------


def test_a_refused_invoice_follows_its_member_to_the_right_contact(
    world: World,
) -> None:
    who, _ = known(world)
    (right,) = add(world, {"Name": f"Right {who['id']}"})
    with locked_period(world):
        asked = held(world, who)
        unlink(world, who)
        link(world, who, right)
        world.quiet()
    retry(world, "invoice_refused")
    assert contact_of(world, asked) == right
    assert world.problems() == []


def test_a_refused_invoice_is_not_sent_to_whom_its_contact_belongs_now(
    world: World,
) -> None:
    who, wrong = known(world)
    other = member()
    with locked_period(world):
        asked = held(world, who)
        # It was another member's all along, and finance says so.
        world.xero.control.edit_contact(
            wrong, ContactNumber=other["id"], EmailAddress=other["email"], Name="Other"
        )
        world.advance(NOTICED)
        unlink(world, who)
        link(world, other, wrong)
        world.quiet()
    retry(world, "invoice_refused")
    assert contact_of(world, asked) != wrong
    assert emailed_to(world, asked) == [who["email"]]


def test_a_refused_invoice_whose_contact_nobody_knows_waits_for_a_person(
    world: World,
) -> None:
    who, wrong = known(world)
    with locked_period(world):
        asked = held(world, who)
        # It bears the member's number, so nobody but a person may decide.
        unlink(world, who)
        world.quiet()
    assert world.row_of(asked["subject"]).state == InvoiceState.HELD
    assert world.problems() == ["contact_undecided"]
    link(world, who, wrong)
    assert contact_of(world, asked) == wrong
    assert world.problems() == []


def test_a_refused_invoice_whose_contact_was_archived_since_waits_for_it(
    world: World,
) -> None:
    who, contact_id = known(world)
    with locked_period(world):
        asked = held(world, who)
        world.jump(1)
        world.xero.control.archive_contact(contact_id)
        world.advance(NOTICED)
        world.quiet()
    retry(world, "invoice_refused")
    world.quiet()
    assert world.row_of(asked["subject"]).state == InvoiceState.HELD
    assert world.problems() == ["contact_undecided"]
    world.jump(1)
    world.xero.control.edit_contact(contact_id, ContactStatus="ACTIVE")
    assert contact_of(world, asked) == contact_id
    assert world.problems() == []


# -- the link decides ------------------------------------------------------------------


def waiting_for_its_day(world: World, who: Data) -> Data:
    asked = renewed(world, who)
    asked["data"]["raise_on"] = str(world.clock.now().date() + timedelta(days=10))
    world.accepts(asked)
    return asked


def test_an_invoice_leaves_on_the_contact_that_its_payer_has_that_day(
    world: World,
) -> None:
    who, before = known(world)
    (after,) = add(world, {"Name": f"After {who['id']}"})
    asked = waiting_for_its_day(world, who)
    assert world.row_of(asked["subject"]).contact_id == before
    with transaction():
        contact_links.move("main", who["id"], after, "person", world.clock.now())
    world.advance(timedelta(days=11))
    raised = world.hear_answer(asked, "invoice.raised")["data"]["invoice"]["number"]
    assert world.invoice(raised)["Contact"]["ContactID"] == after


def test_an_invoice_whose_payer_has_no_contact_any_more_never_leaves(
    world: World,
) -> None:
    who, contact_id = known(world)
    asked = waiting_for_its_day(world, who)
    with transaction():
        contact_links.unlink("main", who["id"])
    world.advance(timedelta(days=11))
    told = world.hear_answer(asked, "message.held")
    assert told["data"]["reason"] == f"member {who['id']} has no contact any more"
    world.quiet()
    retry(world, "invoice_refused")
    assert contact_of(world, asked) == contact_id
    assert world.problems() == []


# -- merged ----------------------------------------------------------------------------


def merged_meanwhile(world: World, fault: str) -> tuple[Data, str, Data]:
    """A member, the contact that is kept, and a renewal whose outcome is unknown."""
    who, lost = known(world)
    (kept,) = add(world, {"Name": f"Kept {who['id']}", "EmailAddress": "k@example.org"})
    world.xero.control.fault(fault, method="PUT", path="/Invoices")
    asked = renewed(world, who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    world.jump(1)
    world.xero.control.merge_contacts(lost, kept)
    world.advance(NOTICED)
    world.quiet()
    return who, kept, asked


def test_a_merge_while_the_outcome_is_unknown_moves_the_invoice(world: World) -> None:
    who, kept, asked = merged_meanwhile(world, "500_before")
    assert contact_links.contact_of("main", who["id"]) == kept
    world.advance(KEY_IS_OVER)
    assert contact_of(world, asked) == kept
    assert "message.held" not in world.answers(asked["id"])


def test_a_merge_while_xero_refuses_the_lost_contact_is_enough(world: World) -> None:
    who, lost = known(world)
    (kept,) = add(world, {"Name": f"Kept {who['id']}", "EmailAddress": "k@example.org"})
    world.xero.control.fault("slow_before", method="PUT", path="/Invoices", delay_s=100)
    asked = renewed(world, who)
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Invoices"), "the call")
    world.xero.control.merge_contacts(lost, kept)
    world.advance_until(
        lambda: contact_links.contact_of("main", who["id"]) == kept,
        "the merge is noticed",
    )
    world.jump(100)
    assert contact_of(world, asked) == kept


def test_a_merge_after_a_lost_answer_makes_no_second_invoice(world: World) -> None:
    _, kept, asked = merged_meanwhile(world, "500_after")
    world.advance(KEY_IS_OVER)
    assert contact_of(world, asked) == kept
    reference = f"membership:{asked['subject']}"
    assert [i["Reference"] for i in world.invoices].count(reference) == 1
    assert world.problems() == []
