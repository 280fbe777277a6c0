"""A workflow that raises is tried again, then held; its neighbours notice nothing."""

from datetime import timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

from pydantic import BaseModel

import plugins.membership
from core.db.invariants import settled_without_action
from core.plugin import (
    Action,
    Decision,
    Incoming,
    InvoiceDraft,
    InvoiceEvent,
    InvoiceRules,
    Line,
    Member,
    Rule,
    RuleContext,
    Settles,
    WorkflowSettings,
    hookimpl,
)
from core.registry import Registry
from tests.end_to_end.conftest import MakeWorld
from tests.messages import Data, member, message, renewal_due
from tests.world import World


class LoanSettings(WorkflowSettings):
    number_prefix: str = "LIB"


class LoanData(BaseModel):
    member: Member
    fee: Decimal = Decimal("10.00")
    copies: int = 1


class Library:
    """A workflow whose author makes mistakes, for as long as ``faults`` lasts."""

    def __init__(self, *, in_rule: int = 0, in_hook: int = 0, action: str = "") -> None:
        self.in_rule = in_rule
        self.in_hook = in_hook
        self.action = action or "library.lend"

    @hookimpl
    def register_invoice_rules(self) -> InvoiceRules:
        rule = Rule("library.loan_due", LoanData, self.decide)
        return InvoiceRules("library", LoanSettings, (rule,), ("library.lend",))

    def decide(self, asked: Incoming[LoanData], context: RuleContext) -> Decision:
        if self.in_rule:
            self.in_rule -= 1
            raise ZeroDivisionError
        count = Decimal(asked.data.copies)
        line = Line("A book", count, asked.data.fee, "230", "OUTPUT3")
        settles = Settles(asked.subject, "loan", asked.data.member.id, (line,))
        return InvoiceDraft(asked.data.member, (settles,), "ZAR", "exclusive", 30)

    @hookimpl
    def on_paid(self, event: InvoiceEvent) -> list[Action]:
        if self.in_hook:
            self.in_hook -= 1
            raise KeyError("shelf")
        return [Action(self.action, one.subject, {}) for one in event.subjects]

    @hookimpl
    def on_part_paid(self, event: InvoiceEvent) -> list[Action]:
        return []

    @hookimpl
    def on_payment_removed(self, event: InvoiceEvent) -> list[Action]:
        return []

    @hookimpl
    def on_credited(self, event: InvoiceEvent) -> list[Action]:
        return []

    @hookimpl
    def on_voided(self, event: InvoiceEvent) -> list[Action]:
        return []


def with_library(make_world: MakeWorld, library: Library) -> World:
    plugged: dict[str, ModuleType | Library] = {
        "library": library,
        "membership": plugins.membership,
    }
    return make_world(registry=Registry(plugged))


def loan(**data: Any) -> Data:
    who = member()
    return message("library.loan_due", f"loan-{who['id']}", {"member": who, **data})


def test_a_rule_that_fails_thrice_is_held(make_world: MakeWorld) -> None:
    world = with_library(make_world, Library(in_rule=3))
    asked, neighbour = loan(), renewal_due()
    world.publish(asked, neighbour)
    world.hear_answer(neighbour, "invoice.emailed")
    world.advance(timedelta(seconds=6))
    world.quiet()
    assert world.answers(asked["id"]) == ["message.accepted"]
    world.advance(timedelta(seconds=11))
    held = world.hear_answer(asked, "message.held")
    assert held["data"]["cause"] == "plugin:library:library.loan_due"
    assert world.problems() == ["plugin_failed"]


def test_a_rule_that_is_mended_in_time_is_not_held(make_world: MakeWorld) -> None:
    world = with_library(make_world, Library(in_rule=2))
    asked = loan()
    world.publish(asked)
    world.hear_answer(asked, "message.accepted")
    world.advance(timedelta(seconds=6))
    world.advance(timedelta(seconds=11))
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    assert number.startswith("LIB-2026-")
    assert world.problems() == []


def test_money_waits_for_a_hook_that_fails(make_world: MakeWorld) -> None:
    world = with_library(make_world, Library(in_hook=2))
    asked, neighbour = loan(), renewal_due()
    numbers = [world.invoiced(asked), world.invoiced(neighbour)]
    world.quiet()
    for number in numbers:
        world.pay(number)
    world.hear("membership.renew", neighbour["subject"])
    world.wait(lambda: world.problems() == ["hook_failed"], "the problem")
    world.quiet()
    assert world.told("invoice.paid", asked["subject"]) == []
    assert len(settled_without_action()) == 1
    for _ in range(2):
        world.advance(timedelta(seconds=61))
    world.hear("library.lend", asked["subject"])
    world.quiet()
    assert settled_without_action() == []
    assert len(world.told("invoice.paid", asked["subject"])) == 1
    assert world.problems() == []


def test_the_action_of_what_is_free_waits_for_its_hook_too(
    make_world: MakeWorld,
) -> None:
    world = with_library(make_world, Library(in_hook=2))
    asked = loan(fee="0.00")
    world.publish(asked)
    world.hear_answer(asked, "message.accepted")
    for _ in range(2):
        world.quiet()
        world.advance(timedelta(seconds=61))
    world.hear("library.lend", asked["subject"])
    world.quiet()
    assert len(world.told("library.lend", asked["subject"])) == 1
    assert world.invoices == []


def test_an_action_that_was_not_registered_is_not_sent(make_world: MakeWorld) -> None:
    world = with_library(make_world, Library(action="membership.renew"))
    asked = loan()
    world.pay(world.invoiced(asked))
    world.wait(lambda: world.problems() == ["hook_failed"], "the problem")
    world.quiet()
    assert world.platform.actions == []


def test_a_total_that_xero_rounds_otherwise_is_not_emailed(
    make_world: MakeWorld,
) -> None:
    """Xero rounds a unit amount to two places before it multiplies."""
    world = with_library(make_world, Library())
    asked = loan(fee="0.335", copies=3)
    world.publish(asked)
    told = world.hear_answer(asked, "invoice.raised")["data"]["invoice"]
    world.quiet()
    assert world.problems() == ["total_differs"]
    assert world.emails(told["number"]) == 0
