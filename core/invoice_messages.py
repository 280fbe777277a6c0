"""What we tell the platform about an invoice."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.db.models import Invoice, InvoiceSubject
from core.facts import Action, InvoiceEvent, SettledSubject
from core.messages import OutboundMessage
from core.money import Money, plain


def summary(invoice: Invoice) -> dict[str, Any]:
    """How an invoice looks in every message about it."""
    return {
        "number": invoice.number,
        "xero_id": invoice.xero_id,
        "reference": invoice.reference,
        # As Xero says; before Xero has it, how far it has come on its way there.
        "status": invoice.xero_status or invoice.state,
        "currency": invoice.currency,
        "total": plain(invoice.total),
        "amount_due": None if invoice.amount_due is None else plain(invoice.amount_due),
        "issued_on": invoice.issued_on and invoice.issued_on.isoformat(),
        "due_on": invoice.due_on and invoice.due_on.isoformat(),
    }


def raised(invoice: Invoice, subjects: Iterable[InvoiceSubject]) -> OutboundMessage:
    return _about(invoice, "invoice.raised", (), {"settles": listed(subjects)})


def emailed(invoice: Invoice) -> OutboundMessage:
    return _about(invoice, "invoice.emailed", (), {})


def told(
    invoice: Invoice, message_type: str, key: str, event: InvoiceEvent
) -> OutboundMessage:
    """A fact about an invoice."""
    more = {"amount": event.amount.as_data(), "seen_at": event.seen_at.isoformat()}
    return _about(invoice, message_type, (key,), more)


def action(
    invoice: Invoice, key: str, asked: Action, event: InvoiceEvent
) -> OutboundMessage:
    """What the platform is to do, and all it needs to confirm it to the member."""
    members = {s.subject: s.member_id for s in event.subjects}
    return OutboundMessage(
        type=asked.type,
        subject=asked.subject,
        data={
            **asked.data,
            "member_id": members.get(asked.subject),
            "invoice": summary(invoice),
            "amount": event.amount.as_data(),
            "seen_at": event.seen_at.isoformat(),
        },
        fact=(invoice.tenant, identity(invoice), event.fact, key, asked.subject),
        in_reply_to=caused_by(invoice),
    )


def identity(invoice: Invoice) -> str:
    """What makes this invoice this invoice after any recovery: its number."""
    return invoice.number or f"free:{invoice.reference}"


def reference_of(workflow: str, subject: str | None) -> str:
    """An invoice's Reference; Xero keeps 255 characters of it."""
    return f"{workflow}:{subject}"[:255]


def subject_of(invoice: Invoice) -> str:
    """What was asked for; the Reference has the first 255 characters of it."""
    asked = invoice.asked_by.subject if invoice.asked_by else None
    return asked or invoice.reference.partition(":")[2]


def caused_by(invoice: Invoice) -> str | None:
    return invoice.asked_by.message_id if invoice.asked_by else None


def settled_subjects(rows: Iterable[InvoiceSubject]) -> tuple[SettledSubject, ...]:
    return tuple(
        SettledSubject(row.subject, row.charge, row.member_id, row.details)
        for row in rows
    )


def money(invoice: Invoice, amount: Any) -> Money:
    return Money(amount, invoice.currency)


def listed(subjects: Iterable[InvoiceSubject]) -> list[Mapping[str, str]]:
    return [
        {"subject": row.subject, "charge": row.charge, "member_id": row.member_id}
        for row in subjects
    ]


def _about(
    invoice: Invoice, message_type: str, key: tuple[str, ...], more: Mapping[str, Any]
) -> OutboundMessage:
    undone_by = invoice.undone_by if message_type == "invoice.voided" else None
    return OutboundMessage(
        type=message_type,
        subject=subject_of(invoice),
        data={"invoice": summary(invoice), **more},
        fact=(invoice.tenant, identity(invoice), *key),
        in_reply_to=undone_by.message_id if undone_by else caused_by(invoice),
    )
