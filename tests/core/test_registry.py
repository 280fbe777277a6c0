"""What the registry refuses, and that only the owner is asked."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

import plugins.membership
from core.facts import Fact, InvoiceEvent, SettledSubject
from core.money import Money
from core.plugin import Action, InvoiceRules, WorkflowSettings, hookimpl
from core.registry import PluginFailed, PluginInvalid, Registry

HOOKS = ("on_paid", "on_part_paid", "on_payment_removed", "on_credited", "on_voided")
MEMBERSHIP = plugins.membership


def plugin(
    workflow: str = "loans",
    answer: Callable[[InvoiceEvent], list[Action]] = lambda event: [],
    **more: Any,
) -> ModuleType:
    rules = InvoiceRules(workflow, WorkflowSettings, (), ("loans.release",))

    @hookimpl
    def register_invoice_rules() -> InvoiceRules:
        return rules

    @hookimpl
    def react(event: InvoiceEvent) -> list[Action]:
        return answer(event)

    made = ModuleType(workflow)
    made.__dict__["register_invoice_rules"] = register_invoice_rules
    for name in HOOKS:
        setattr(made, name, react)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def paid(workflow: str) -> InvoiceEvent:
    zero = Money(Decimal(0), "ZAR")
    return InvoiceEvent(
        fact=Fact.PAID,
        workflow=workflow,
        number="X-1",
        invoice_id="i",
        total=zero,
        amount=zero,
        amount_due=zero,
        was_settled=False,
        seen_at=datetime(2026, 11, 1, tzinfo=UTC),
        subjects=(SettledSubject("s-1", "fee", "m-1", {}),),
    )


def test_a_plugin_without_a_hook_is_refused() -> None:
    lacking = plugin()
    del lacking.on_voided
    with pytest.raises(PluginInvalid, match="lacks on_voided"):
        Registry({"loans": lacking})


def test_a_misspelt_hook_is_refused() -> None:
    @hookimpl
    def on_payed(event: InvoiceEvent) -> list[Action]:
        return []

    with pytest.raises(PluginInvalid, match="on_payed"):
        Registry({"loans": plugin(on_payed=on_payed)})


def test_a_workflow_has_one_owner() -> None:
    with pytest.raises(PluginInvalid, match="already owned"):
        Registry({"membership": MEMBERSHIP, "other": plugin("membership")})


def test_only_the_owner_is_asked() -> None:
    asked: list[str] = []

    def remember(event: InvoiceEvent) -> list[Action]:
        asked.append(event.workflow)
        return []

    registry = Registry({"loans": plugin(answer=remember), "membership": MEMBERSHIP})
    registry.react("membership", paid("membership"))
    assert asked == []
    registry.react("loans", paid("loans"))
    assert asked == ["loans"]


def test_an_action_that_was_not_registered_is_refused() -> None:
    wrong = [Action("loans.forgive", "s-1", {})]
    registry = Registry({"loans": plugin(answer=lambda event: wrong)})
    with pytest.raises(PluginFailed, match=r"loans\.forgive"):
        registry.react("loans", paid("loans"))


def test_whatever_a_hook_raises_names_the_plugin() -> None:
    def fail(event: InvoiceEvent) -> list[Action]:
        raise ZeroDivisionError

    registry = Registry({"loans": plugin(answer=fail)})
    with pytest.raises(PluginFailed, match="loans"):
        registry.react("loans", paid("loans"))


def test_the_installed_plugins_are_found() -> None:
    assert "membership" in Registry.installed().workflows
