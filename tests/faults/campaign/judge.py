"""The judge: the platform's wishes, Xero's ledger and what was told, field by field.

He asks neither the daemon nor its books. What he finds is a loss (something that was
wished is not there), a double (it is there more than once), an orphan (something is
there that nobody wished), or a difference.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sandbox.platform import Received
from settled.demo.judge import doubled, is_contact_of
from tests.faults.campaign.wishes import CANCELLED, Fate, Workflow

Ledger = Mapping[str, Any]


class Wrong(StrEnum):
    """What a finding is."""

    LOSS = "loss"
    DOUBLE = "double"
    ORPHAN = "orphan"
    DIFFERENCE = "difference"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Finding:
    wrong: Wrong
    text: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.text}"


#: What is told once about an invoice of each fate, and once for each of its subjects.
_TOLD: Mapping[Fate, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Fate.FREE: ((), ("membership.renew",)),
    Fate.LEFT: (("invoice.raised", "invoice.emailed"), ()),
    Fate.PAID: (
        ("invoice.raised", "invoice.emailed", "invoice.paid"),
        ("membership.renew",),
    ),
    Fate.IN_PARTS: (
        ("invoice.raised", "invoice.emailed", "invoice.part_paid", "invoice.paid"),
        ("membership.renew",),
    ),
    Fate.TAKEN_BACK: (
        (
            "invoice.raised",
            "invoice.emailed",
            "invoice.paid",
            "invoice.payment_removed",
        ),
        ("membership.renew", "membership.suspend"),
    ),
    Fate.CANCELLED_LATE: (("invoice.raised", "invoice.emailed"), ()),
}

_STATUS = {
    Fate.LEFT: "AUTHORISED",
    Fate.PAID: "PAID",
    Fate.IN_PARTS: "PAID",
    Fate.TAKEN_BACK: "AUTHORISED",
    Fate.CANCELLED_EARLY: "VOIDED",
    Fate.CANCELLED_LATE: "VOIDED",
}


class Judge:
    """Compares what was wished with what is there.

    Args:
        existing: contacts that were in Xero from the beginning.
        received: what the platform was told, each id once, as it came.
    """

    def __init__(
        self,
        workflows: Sequence[Workflow],
        existing: Iterable[Mapping[str, Any]],
        ledger: Ledger,
        received: Sequence[Received],
    ) -> None:
        self.workflows = workflows
        self.existing = {contact.get("ContactNumber") for contact in existing}
        self.ledger = ledger
        self.received = received
        self.contacts = {c["ContactID"]: c for c in ledger["contacts"]}
        self.invoices: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for invoice in ledger["invoices"]:
            self.invoices[invoice["Reference"]].append(invoice)
        self.emails = Counter(email["invoice_number"] for email in ledger["emails"])
        self.payments: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for payment in ledger["payments"]:
            self.payments[payment["Invoice"]["InvoiceNumber"]].append(payment)

    def findings(self) -> list[Finding]:
        """Everything that is wrong; empty when all is as it was wished."""
        return [
            *(finding for each in self.workflows for finding in self._workflow(each)),
            *self._orphans(),
            *self._contacts(),
            *self._order(),
        ]

    # -- one workflow ----------------------------------------------------------------

    def _workflow(self, workflow: Workflow) -> Iterator[Finding]:
        subject = workflow.wish["subject"]
        found = self.invoices.get(_reference(workflow), [])
        yield from _told(subject, workflow.told, self._due(workflow, found))
        if workflow.cancel is not None:
            due_of_cancel = _due_of_cancel(found)
            yield from _told(f"{subject}'s end", workflow.told_of_cancel, due_of_cancel)
        if len(found) > 1:
            yield Finding(Wrong.DOUBLE, f"{subject}: {len(found)} invoices in Xero")
        elif found:
            for text in self._invoice(workflow, found[0]):
                yield Finding(Wrong.DIFFERENCE, f"{subject}: {text}")
            yield from self._emailed(workflow, found[0])
        elif workflow.fate not in (Fate.FREE, Fate.CANCELLED_EARLY):
            yield Finding(Wrong.LOSS, f"{subject}: no invoice in Xero")

    def _due(
        self, workflow: Workflow, found: Sequence[Mapping[str, Any]]
    ) -> Counter[str]:
        """What is to be told in answer to the wish, apart from its cancellation."""
        due = Counter({"message.accepted": 1})
        if workflow.fate is Fate.CANCELLED_EARLY:
            # Taken back before Xero had it, or voided when Xero had it: both are right.
            due.update({"invoice.raised": 1} if found else {"message.done": 1})
            was_emailed = bool(found) and self.emails[found[0]["InvoiceNumber"]]
            due.update({"invoice.emailed": 1} if was_emailed else {})
            return due
        once, for_each = _TOLD[workflow.fate]
        due.update(once)
        for message_type in for_each:
            due[message_type] += len(workflow.subjects)
        return due

    def _invoice(self, workflow: Workflow, invoice: Mapping[str, Any]) -> Iterator[str]:
        wish = workflow.wish
        pairs = {
            "total": (Decimal(invoice["Total"]), Decimal(wish["total"])),
            "currency": (invoice["CurrencyCode"], wish["currency"]),
            "status": (invoice["Status"], _STATUS.get(workflow.fate)),
            "lines": (len(invoice["LineItems"]), len(workflow.subjects)),
            "number": (invoice["InvoiceNumber"], workflow.number),
            "payments": (self._paid(invoice), workflow.standing),
        }
        for what, (there, wished) in pairs.items():
            if there != wished:
                yield f"{what} {there}, wished {wished}"
        contact = self.contacts[invoice["Contact"]["ContactID"]]
        if not is_contact_of(contact, wish["member_id"], workflow.payer):
            yield f"on the contact of {contact['Name']}"

    def _paid(self, invoice: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(
            payment["PaymentID"]
            for payment in self.payments[invoice["InvoiceNumber"]]
            if payment["Status"] == "AUTHORISED"
        )

    def _emailed(
        self, workflow: Workflow, invoice: Mapping[str, Any]
    ) -> Iterator[Finding]:
        number = invoice["InvoiceNumber"]
        times = self.emails[number]
        if times > 1:
            yield Finding(Wrong.DOUBLE, f"{number}: e-mailed {times} times")
        if not times and workflow.fate is not Fate.CANCELLED_EARLY:
            yield Finding(Wrong.LOSS, f"{number}: not e-mailed")

    # -- the whole -------------------------------------------------------------------

    def _orphans(self) -> Iterator[Finding]:
        wished = {_reference(workflow) for workflow in self.workflows}
        for reference in sorted(set(self.invoices) - wished):
            yield Finding(Wrong.ORPHAN, f"{reference}: nobody wished for this invoice")
        payers = {str(workflow.payer["id"]) for workflow in self.workflows}
        for contact in self.contacts.values():
            number = contact.get("ContactNumber")
            if number and number not in payers | self.existing:
                yield Finding(Wrong.ORPHAN, f"{number}: nobody pays by this contact")
        ours = {payment for each in self.workflows for payment in each.paid}
        for payment in self.ledger["payments"]:
            if payment["PaymentID"] not in ours:
                number = payment["Invoice"]["InvoiceNumber"]
                yield Finding(Wrong.ORPHAN, f"{number}: paid by nobody of ours")

    def _contacts(self) -> Iterator[Finding]:
        for text in doubled(self.contacts.values()):
            yield Finding(Wrong.DOUBLE, text)
        used = {
            self.contacts[invoice["Contact"]["ContactID"]].get("ContactNumber")
            for found in self.invoices.values()
            for invoice in found
        }
        for contact in self.contacts.values():
            number = contact.get("ContactNumber")
            if number and number not in used | self.existing and self._is_due(number):
                text = f"{number}: has a contact and is invoiced on another"
                yield Finding(Wrong.DOUBLE, text)

    def _is_due(self, member_id: str) -> bool:
        """Whether this payer must have an invoice."""
        return any(
            str(each.payer["id"]) == member_id
            and each.fate not in (Fate.FREE, *CANCELLED)
            for each in self.workflows
        )

    def _order(self) -> Iterator[Finding]:
        """What is told of one invoice comes in the order of its sequence."""
        last: dict[str, tuple[int, str]] = {}
        for received in self.received:
            sequence = received.message.get("sequence")
            if sequence is None:
                continue
            number = (received.message["data"].get("invoice") or {}).get("number")
            key = number or f"free:{received.subject}"
            before, its_type = last.get(key, (0, ""))
            if sequence <= before:
                text = (
                    f"{key}: {received.type} ({sequence}) after {its_type} ({before})"
                )
                yield Finding(Wrong.ORDER, text)
            last[key] = (sequence, received.type)


def _reference(workflow: Workflow) -> str:
    return f"membership:{workflow.wish['subject']}"


def _due_of_cancel(found: Sequence[Mapping[str, Any]]) -> Counter[str]:
    end = "invoice.voided" if found else "message.done"
    return Counter({"message.accepted": 1, end: 1})


def _told(
    subject: str, told: Mapping[str, int], due: Mapping[str, int]
) -> Iterator[Finding]:
    for message_type in sorted({*told, *due}):
        times, right = told.get(message_type, 0), due.get(message_type, 0)
        if times == right:
            continue
        wrong = Wrong.LOSS if times < right else Wrong.DOUBLE
        if not right:
            wrong = Wrong.DIFFERENCE
        yield Finding(wrong, f"{subject}: {message_type} {times} times, not {right}")
