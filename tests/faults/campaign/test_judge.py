"""The campaign's judge: each kind of wrong, put in by hand, is found and named."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.platform import Received, Season
from tests.faults.campaign.judge import Judge
from tests.faults.campaign.wishes import Fate, Workflow, workflows

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)

#: So many that every fate occurs, and an employer who pays for several.
MEMBERS = 100


class Perfection:
    """A season after which all is as it was wished; each test spoils one thing."""

    def __init__(self) -> None:
        self.season = Season(MEMBERS, 3)
        self.workflows = list(workflows(self.season))
        self.received: list[Received] = []
        self.ledger: dict[str, Any] = {
            name: [] for name in ("invoices", "contacts", "payments", "emails")
        }
        for number, workflow in enumerate(self.workflows):
            self._live(workflow, f"MEM-{number}")

    def findings(self) -> list[str]:
        judge = Judge(self.workflows, [], self.ledger, self.received)
        return [str(finding) for finding in judge.findings()]

    def of(self, fate: Fate) -> Workflow:
        return next(each for each in self.workflows if each.fate is fate)

    def invoice(self, fate: Fate) -> dict[str, Any]:
        number = self.of(fate).number
        found: dict[str, Any] = next(
            i for i in self.ledger["invoices"] if i["InvoiceNumber"] == number
        )
        return found

    def hear(self, workflow: Workflow, type_: str, **attributes: Any) -> None:
        """Something is told about a workflow's invoice."""
        message = {
            "id": f"out-{len(self.received)}",
            "type": type_,
            "subject": workflow.wish["subject"],
            "inreplyto": workflow.message["id"],
            "data": {"invoice": {"number": workflow.number}},
            **attributes,
        }
        received = Received(message, NOW)
        self.received.append(received)
        workflow.hear(received)

    def _live(self, workflow: Workflow, number: str) -> None:
        """As a correct daemon would have it."""
        self.hear(workflow, "message.accepted")
        if workflow.fate is Fate.FREE:
            self.hear(workflow, "membership.renew")
        elif workflow.fate is Fate.CANCELLED_EARLY:
            self.hear(workflow, "message.done")
            self._cancel(workflow, "message.done")
        else:
            workflow.number = number
            self._raise(workflow)
            self._follow(workflow)

    def _raise(self, workflow: Workflow) -> None:
        contact_id = f"contact of {workflow.payer['id']}"
        self.ledger["contacts"].append(
            {
                "ContactID": contact_id,
                "ContactNumber": workflow.payer["id"],
                "Name": f"{workflow.payer['name']} {workflow.payer['id']}",
                "EmailAddress": workflow.payer["email"],
                "ContactStatus": "ACTIVE",
            }
        )
        self.ledger["invoices"].append(
            {
                "InvoiceNumber": workflow.number,
                "Reference": f"membership:{workflow.wish['subject']}",
                "Contact": {"ContactID": contact_id},
                "CurrencyCode": workflow.wish["currency"],
                "Total": workflow.wish["total"],
                "Status": "AUTHORISED",
                "LineItems": [{} for _ in workflow.subjects],
            }
        )
        self.ledger["emails"].append({"invoice_number": workflow.number})
        for place, type_ in enumerate(("invoice.raised", "invoice.emailed")):
            self.hear(workflow, type_, sequence=place + 1)

    def _follow(self, workflow: Workflow) -> None:
        invoice = self.ledger["invoices"][-1]
        match workflow.fate:
            case Fate.PAID:
                self._pay(workflow, "all")
                invoice["Status"] = "PAID"
            case Fate.IN_PARTS:
                self._pay(workflow, "a part", "invoice.part_paid")
                self._pay(workflow, "the rest")
                invoice["Status"] = "PAID"
            case Fate.TAKEN_BACK:
                self._pay(workflow, "all")
                self.ledger["payments"][-1]["Status"] = "DELETED"
                workflow.is_taken_back = True
                self.hear(workflow, "invoice.payment_removed")
                for subject in workflow.subjects:
                    self.hear(workflow, "membership.suspend", subject=subject)
            case Fate.CANCELLED_LATE:
                self._cancel(workflow, "invoice.voided")
                invoice["Status"] = "VOIDED"

    def _pay(self, workflow: Workflow, which: str, told: str = "invoice.paid") -> None:
        payment_id = f"{workflow.number} {which}"
        workflow.paid[payment_id] = which
        self.ledger["payments"].append(
            {
                "PaymentID": payment_id,
                "Status": "AUTHORISED",
                "Invoice": {"InvoiceNumber": workflow.number},
            }
        )
        self.hear(workflow, told)
        if told == "invoice.paid":
            for subject in workflow.subjects:
                self.hear(workflow, "membership.renew", subject=subject)

    def _cancel(self, workflow: Workflow, answer: str) -> None:
        cancel = workflow.cancellation()
        for type_ in ("message.accepted", answer):
            self.hear(workflow, type_, inreplyto=cancel["id"])


@pytest.fixture
def perfection() -> Perfection:
    return Perfection()


def test_when_all_is_as_it_was_wished_nothing_is_found(perfection: Perfection) -> None:
    assert {each.fate for each in perfection.workflows} == set(Fate)
    assert any(len(each.subjects) > 1 for each in perfection.workflows)
    assert all(each.is_finished for each in perfection.workflows)
    assert perfection.findings() == []


def second_invoice(p: Perfection) -> None:
    twin = {**p.invoice(Fate.LEFT), "InvoiceNumber": "MEM-again"}
    p.ledger["invoices"].append(twin)
    p.ledger["emails"].append({"invoice_number": "MEM-again"})


def no_invoice(p: Perfection) -> None:
    p.ledger["invoices"].remove(p.invoice(Fate.PAID))


def unwished_invoice(p: Perfection) -> None:
    stranger = {**p.invoice(Fate.LEFT), "Reference": "membership:nobody's"}
    p.ledger["invoices"].append(stranger)


def unwished_contact(p: Perfection) -> None:
    p.ledger["contacts"].append({**p.ledger["contacts"][0], "ContactNumber": "nobody"})


def on_anothers_contact(p: Perfection) -> None:
    other = p.invoice(Fate.PAID)["Contact"]
    p.invoice(Fate.LEFT)["Contact"] = other


def second_contact(p: Perfection) -> None:
    invoice, payer = p.invoice(Fate.LEFT), p.of(Fate.LEFT).payer
    twin = {
        "ContactID": "the other",
        "Name": payer["name"],
        "EmailAddress": payer["email"],
        "ContactStatus": "ACTIVE",
    }
    p.ledger["contacts"].append(twin)
    invoice["Contact"] = {"ContactID": "the other"}


def second_email(p: Perfection) -> None:
    p.ledger["emails"].append({"invoice_number": p.of(Fate.LEFT).number})


def no_email(p: Perfection) -> None:
    p.ledger["emails"].remove({"invoice_number": p.of(Fate.LEFT).number})


def other_total(p: Perfection) -> None:
    invoice = p.invoice(Fate.LEFT)
    invoice["Total"] = str(Decimal(invoice["Total"]) + 1)


def not_voided(p: Perfection) -> None:
    p.invoice(Fate.CANCELLED_LATE)["Status"] = "AUTHORISED"


def acted_on_twice(p: Perfection) -> None:
    p.hear(p.of(Fate.PAID), "membership.renew")


def not_acted_on(p: Perfection) -> None:
    p.of(Fate.PAID).told["membership.renew"] -= 1


def not_answered(p: Perfection) -> None:
    p.of(Fate.LEFT).told["message.accepted"] -= 1


def acted_on_without_money(p: Perfection) -> None:
    p.hear(p.of(Fate.LEFT), "membership.renew")


def strange_payment(p: Perfection) -> None:
    payment = {**p.ledger["payments"][0], "PaymentID": "somebody's"}
    p.ledger["payments"].append(payment)


def out_of_order(p: Perfection) -> None:
    raised, emailed, *_ = (
        n for n, r in enumerate(p.received) if r.message.get("sequence") in (1, 2)
    )  # fmt: skip
    p.received[raised], p.received[emailed] = p.received[emailed], p.received[raised]


@pytest.mark.parametrize(
    ("spoil", "begins"),
    [
        (second_invoice, "double: renewal"),
        (no_invoice, "loss: renewal"),
        (unwished_invoice, "orphan: membership:nobody's"),
        (unwished_contact, "orphan: nobody: nobody pays"),
        (on_anothers_contact, "difference: renewal"),
        (second_contact, "double: 1000"),
        (second_email, "double: MEM-"),
        (no_email, "loss: MEM-"),
        (other_total, "difference: renewal"),
        (not_voided, "difference: renewal"),
        (acted_on_twice, "double: renewal"),
        (not_acted_on, "loss: renewal"),
        (not_answered, "loss: renewal"),
        (acted_on_without_money, "difference: renewal"),
        (strange_payment, "orphan: MEM-"),
        (out_of_order, "order: MEM-"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_wrong_is_found(
    perfection: Perfection, spoil: Callable[[Perfection], None], begins: str
) -> None:
    spoil(perfection)
    found = perfection.findings()
    assert [text for text in found if text.startswith(begins)], found
