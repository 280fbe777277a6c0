"""What every workflow must keep to, whoever wrote it; each is found by itself."""

from decimal import Decimal

import pytest

from core.facts import Fact, InvoiceEvent, SettledSubject
from core.money import Money
from core.registry import Registry, Workflow
from tests.world import STARTED_AT

REGISTRY = Registry.installed()

AMOUNT = Money(Decimal("100.00"), "ZAR")

SUBJECTS = tuple(
    SettledSubject(f"subject-{n}", "charge", f"member-{n}", {"n": n}) for n in (1, 2)
)


@pytest.fixture(params=sorted(REGISTRY.workflows))
def workflow(request: pytest.FixtureRequest) -> Workflow:
    return REGISTRY.workflows[request.param]


def event(workflow: Workflow, fact: Fact, *, was_settled: bool) -> InvoiceEvent:
    """A fact about an invoice that settles two subjects."""
    return InvoiceEvent(
        fact=fact,
        workflow=workflow.name,
        number="X-2026-000001",
        invoice_id="8f6c1d5e-0000-4000-8000-000000000001",
        total=AMOUNT,
        amount=AMOUNT,
        amount_due=AMOUNT,
        was_settled=was_settled,
        seen_at=STARTED_AT,
        subjects=SUBJECTS,
    )


def test_it_owns_the_messages_that_begin_with_its_name(workflow: Workflow) -> None:
    types = [rule.message_type for rule in workflow.rules.rules]
    assert types
    assert all(name.startswith(f"{workflow.name}.") for name in types)
    assert len(types) == len(set(types))


def test_it_says_what_it_charges(workflow: Workflow) -> None:
    """Or nobody could adopt an invoice for it without knowing its code."""
    charges = workflow.rules.charges
    assert charges
    assert len(charges) == len(set(charges))


def test_its_settings_are_valid_without_a_table(workflow: Workflow) -> None:
    settings = workflow.rules.settings.model_validate({})
    assert settings.number_prefix.isalnum()
    assert settings.due_days >= 0


def test_its_data_refuses_a_field_that_it_does_not_know(workflow: Workflow) -> None:
    """A misspelt field must not be ignored in silence."""
    for rule in workflow.rules.rules:
        assert rule.model.model_config.get("extra") == "forbid", rule.message_type


@pytest.mark.parametrize("was_settled", [True, False])
@pytest.mark.parametrize("fact", Fact)
def test_the_same_fact_gives_the_same_answer(
    workflow: Workflow, fact: Fact, was_settled: bool
) -> None:
    happened = event(workflow, fact, was_settled=was_settled)
    first = REGISTRY.react(workflow.name, happened)
    assert REGISTRY.react(workflow.name, happened) == first


def test_paid_in_full_acts_on_every_subject(workflow: Workflow) -> None:
    paid = event(workflow, Fact.PAID, was_settled=False)
    asked = [action.subject for action in REGISTRY.react(workflow.name, paid)]
    assert sorted(asked) == [settled.subject for settled in SUBJECTS]


def test_only_subjects_of_the_invoice_are_acted_on(workflow: Workflow) -> None:
    known = {settled.subject for settled in SUBJECTS}
    for fact in Fact:
        happened = event(workflow, fact, was_settled=True)
        asked = {action.subject for action in REGISTRY.react(workflow.name, happened)}
        assert asked <= known
