"""What Xero says of an invoice, and what has changed since we last looked.

``difference`` is the one reconciliation: pure, the same input gives the same facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from core.money import Money, plain


class Fact(StrEnum):
    """What can happen to an invoice after it was raised."""

    PART_PAID = "part_paid"
    PAID = "paid"
    PAYMENT_REMOVED = "payment_removed"
    CREDITED = "credited"
    VOIDED = "voided"


HookName = Literal[
    "on_part_paid", "on_paid", "on_payment_removed", "on_credited", "on_voided"
]

#: Which hook hears of a fact, and which message tells the platform.
TOLD: Mapping[Fact, tuple[HookName, str]] = {
    Fact.PART_PAID: ("on_part_paid", "invoice.part_paid"),
    Fact.PAID: ("on_paid", "invoice.paid"),
    Fact.PAYMENT_REMOVED: ("on_payment_removed", "invoice.payment_removed"),
    Fact.CREDITED: ("on_credited", "invoice.credited"),
    Fact.VOIDED: ("on_voided", "invoice.voided"),
}

#: Xero's edits that undo something are confirmed by a second read before they are told.
REVERSALS = frozenset({Fact.PAYMENT_REMOVED, Fact.VOIDED})

GONE = frozenset({"VOIDED", "DELETED"})


@dataclass(frozen=True, slots=True)
class XeroLine:
    """A line as Xero holds it."""

    description: str
    quantity: Decimal
    unit_amount: Decimal
    account_code: str
    tax_type: str

    def as_data(self) -> dict[str, str]:
        """The line as the books keep it."""
        return {
            "description": self.description,
            "quantity": format(self.quantity, "f"),
            "unit_amount": format(self.unit_amount, "f"),
            "account_code": self.account_code,
            "tax_type": self.tax_type,
        }


@dataclass(frozen=True, slots=True)
class XeroPayment:
    """A payment that stands on an invoice; removed ones are not listed."""

    payment_id: str
    amount: Decimal
    paid_on: date | None
    reference: str


@dataclass(frozen=True, slots=True)
class XeroInvoice:
    """An invoice as Xero returned it; amounts in its own currency."""

    invoice_id: str
    number: str
    reference: str
    contact_id: str
    status: str
    currency: str
    total: Decimal
    amount_due: Decimal
    amount_paid: Decimal
    amount_credited: Decimal
    issued_on: date | None
    due_on: date | None
    sent_to_contact: bool
    updated_at: datetime | None
    lines: tuple[XeroLine, ...] = ()
    payments: tuple[XeroPayment, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Nothing is owed any more, and not because the invoice is gone."""
        return self.status not in GONE and self.amount_due <= 0


@dataclass(frozen=True, slots=True)
class Known:
    """What we last knew of an invoice."""

    status: str
    is_settled: bool
    amount_credited: Decimal
    payments: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Change:
    """One fact about an invoice.

    Args:
        key: what makes this fact this fact: Xero ids or amounts, never our rows.
        amount: the money that this fact is about.
    """

    fact: Fact
    key: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Difference:
    """All that has changed, in the order in which it is told."""

    changes: tuple[Change, ...]
    added: tuple[XeroPayment, ...]
    removed: tuple[str, ...]

    @property
    def has_reversal(self) -> bool:
        """Whether a second read must confirm it."""
        return any(change.fact in REVERSALS for change in self.changes)


def difference(known: Known, seen: XeroInvoice) -> Difference:
    """Compare what Xero says with what we knew."""
    standing = {payment.payment_id: payment for payment in seen.payments}
    removed = tuple(sorted(set(known.payments) - set(standing)))
    added = tuple(
        sorted(
            (standing[new] for new in set(standing) - set(known.payments)),
            key=lambda payment: (payment.paid_on or date.min, payment.payment_id),
        )
    )
    changes = (
        *_removals(known, removed),
        *_credits(known, seen),
        *_receipts(known, seen, added, bool(removed)),
        *_void(known, seen),
    )
    return Difference(changes, added, removed)


def _removals(known: Known, removed: tuple[str, ...]) -> tuple[Change, ...]:
    if not removed:
        return ()
    amount = sum((known.payments[gone] for gone in removed), Decimal(0))
    return (Change(Fact.PAYMENT_REMOVED, "+".join(removed), amount),)


def _credits(known: Known, seen: XeroInvoice) -> tuple[Change, ...]:
    more = seen.amount_credited - known.amount_credited
    if more <= 0:
        return ()
    key = plain(seen.amount_credited)
    return (Change(Fact.CREDITED, key, more),)


def _receipts(
    known: Known, seen: XeroInvoice, added: tuple[XeroPayment, ...], undone: bool
) -> tuple[Change, ...]:
    """Part payments one by one; the payment that settles it is told as paid."""
    # What was settled by credit alone, and is now by money too, has been paid for.
    settles_now = seen.is_settled and (
        not known.is_settled or undone or not known.payments
    )
    is_paid = settles_now and bool(seen.payments)
    parts = added[:-1] if is_paid else added
    changes = [Change(Fact.PART_PAID, part.payment_id, part.amount) for part in parts]
    if is_paid:
        key = "+".join(sorted(payment.payment_id for payment in seen.payments))
        amount = added[-1].amount if added else seen.amount_paid
        changes.append(Change(Fact.PAID, key, amount))
    return tuple(changes)


def _void(known: Known, seen: XeroInvoice) -> tuple[Change, ...]:
    if seen.status in GONE and known.status not in GONE:
        return (Change(Fact.VOIDED, seen.status, seen.total),)
    return ()


@dataclass(frozen=True, slots=True)
class SettledSubject:
    """One subject that an invoice settles, as the workflow's rule described it."""

    subject: str
    charge: str
    member_id: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InvoiceEvent:
    """A fact about an invoice, as the owning workflow's hook hears it.

    Args:
        invoice_id: Xero's id; None for an invoice of zero, which Xero never saw.
        amount: the money that this fact is about; ``amount_due`` is what is left.
        was_settled: nothing was owed before this fact.
        seen_at: when we saw it; the payment's own date may be earlier.
    """

    fact: Fact
    workflow: str
    number: str | None
    invoice_id: str | None
    total: Money
    amount: Money
    amount_due: Money
    was_settled: bool
    seen_at: datetime
    subjects: tuple[SettledSubject, ...]


@dataclass(frozen=True, slots=True)
class Action:
    """What the platform is to do.

    Args:
        type: one of the ``actions`` that the workflow registered.
        data: besides what every action carries: member, invoice, amount, seen_at.
    """

    type: str
    subject: str
    data: Mapping[str, Any]
