"""Invoices, what they settle, and the payments seen on them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.db.models import (
    ForeignInvoice,
    Invoice,
    InvoiceSubject,
    NumberCounter,
    Payment,
    proxy,
)
from core.errors import VersionMoved
from core.facts import Known, XeroInvoice, XeroPayment


class InvoiceState(StrEnum):
    """How far an invoice has come on its way to Xero."""

    WAITING = "waiting"  # its contact is not known yet
    HELD = "held"  # a person must decide something first
    READY = "ready"  # to be raised when it is due
    RAISED = "raised"  # in Xero
    REBUILT = "rebuilt"  # in Xero, and only known from there: its message is awaited
    REFUSED = "refused"  # Xero said no; a problem is open
    CANCELLED = "cancelled"  # undone before it was sent
    VOIDED = "voided"  # was in Xero and is void
    FREE = "free"  # a total of zero, which Xero never sees


#: States after which the same charge may be invoiced again, if asked explicitly.
ENDED = (InvoiceState.CANCELLED, InvoiceState.VOIDED)


def add(**values: Any) -> Invoice:
    return Invoice.create(**values)


def add_subject(**values: Any) -> bool:
    """False if this round of the charge has just been invoiced by somebody else."""
    query = InvoiceSubject.insert(**values).on_conflict_ignore()
    return bool(list(query.returning(InvoiceSubject.id).execute()))


def latest_round(
    tenant: str, workflow: str, subject: str, charge: str
) -> InvoiceSubject | None:
    """The newest invoicing of a charge for a subject."""
    newest: InvoiceSubject | None = (
        InvoiceSubject.select()
        .where(
            (InvoiceSubject.tenant == tenant)
            & (InvoiceSubject.workflow == workflow)
            & (InvoiceSubject.subject == subject)
            & (InvoiceSubject.charge == charge)
        )
        .order_by(InvoiceSubject.round.desc())
        .first()
    )
    return newest


def subjects_of(invoice_id: int) -> list[InvoiceSubject]:
    query = InvoiceSubject.select().where(InvoiceSubject.invoice == invoice_id)
    return list(query.order_by(InvoiceSubject.id))


def load(invoice_id: int) -> Invoice:
    return Invoice.get_by_id(invoice_id)


def lock(invoice_id: int) -> Invoice:
    """The row, which nobody else changes until the transaction ends."""
    query = Invoice.select().where(Invoice.id == invoice_id)
    # SQLite knows no row locks and needs none: its transaction has the write lock.
    row: Invoice = (query.for_update() if proxy.obj.for_update else query).get()
    return row


def load_all(invoice_ids: Iterable[int]) -> dict[int, Invoice]:
    rows = Invoice.select().where(Invoice.id.in_(list(invoice_ids)))
    return {row.id: row for row in rows}


def by_xero_id(tenant: str, xero_ids: Iterable[str]) -> dict[str, Invoice]:
    rows = Invoice.select().where(
        (Invoice.tenant == tenant) & Invoice.xero_id.in_(list(xero_ids))
    )
    return {row.xero_id: row for row in rows}


def by_number(tenant: str, numbers: Iterable[str]) -> dict[str, Invoice]:
    rows = Invoice.select().where(
        (Invoice.tenant == tenant) & Invoice.number.in_(list(numbers))
    )
    return {row.number: row for row in rows}


def rebuilt(tenant: str, reference: str | None = None) -> list[Invoice]:
    """What recovery found in Xero and no message has explained yet, oldest first."""
    query = Invoice.select().where(
        (Invoice.tenant == tenant) & (Invoice.state == InvoiceState.REBUILT)
    )
    if reference is not None:
        query = query.where(Invoice.reference == reference)
    return list(query.order_by(Invoice.number))


def unraised(tenant: str, reference: str) -> Invoice | None:
    """The oldest invoice of this Reference that Xero has not, as far as we know."""
    on_its_way = (
        InvoiceState.WAITING,
        InvoiceState.HELD,
        InvoiceState.READY,
        InvoiceState.REFUSED,
    )
    row: Invoice | None = (
        Invoice.select()
        .where(
            (Invoice.tenant == tenant)
            & (Invoice.reference == reference)
            & Invoice.state.in_(on_its_way)
        )
        .order_by(Invoice.id)
        .first()
    )
    return row


def raise_counter(tenant: str, prefix: str, year: int, above: int) -> None:
    """No number up to this one is taken any more."""
    NumberCounter.insert(
        tenant=tenant, prefix=prefix, year=year
    ).on_conflict_ignore().execute()
    NumberCounter.update(next_number=above + 1).where(
        (NumberCounter.tenant == tenant)
        & (NumberCounter.prefix == prefix)
        & (NumberCounter.year == year)
        & (NumberCounter.next_number <= above)
    ).execute()


def prefixes(tenant: str) -> set[str]:
    """Of which a number was ever taken."""
    rows = NumberCounter.select(NumberCounter.prefix).where(
        NumberCounter.tenant == tenant
    )
    return {row.prefix for row in rows}


def of_payer(tenant: str, member_id: str, *states: InvoiceState) -> list[Invoice]:
    query = Invoice.select().where(
        (Invoice.tenant == tenant)
        & (Invoice.payer_member_id == member_id)
        & Invoice.state.in_(states)
    )
    return list(query.order_by(Invoice.id))


def held_payers(tenant: str) -> list[Invoice]:
    """One held invoice for each payer whose contact nobody could decide."""
    query = Invoice.select().where(
        (Invoice.tenant == tenant) & (Invoice.state == InvoiceState.HELD)
    )
    by_payer = {row.payer_member_id: row for row in query.order_by(Invoice.id.desc())}
    return list(by_payer.values())


def change(invoice: Invoice, **values: Any) -> None:
    """Write these columns, if nobody else has changed the row since it was read.

    Raises:
        VersionMoved: somebody has; nothing was written.
    """
    written = (
        Invoice.update(version=Invoice.version + 1, **values)
        .where((Invoice.id == invoice.id) & (Invoice.version == invoice.version))
        .execute()
    )
    if not written:
        raise VersionMoved(f"invoice {invoice.id}")
    invoice.version += 1
    for name, value in values.items():
        setattr(invoice, name, value)


def take_numbers(tenant: str, prefix: str, year: int, count: int) -> list[str]:
    """Numbers that nobody else gets; those that stay unused are gaps, never reused."""
    this = (
        (NumberCounter.tenant == tenant)
        & (NumberCounter.prefix == prefix)
        & (NumberCounter.year == year)
    )
    NumberCounter.insert(
        tenant=tenant, prefix=prefix, year=year
    ).on_conflict_ignore().execute()
    NumberCounter.update(next_number=NumberCounter.next_number + count).where(
        this
    ).execute()
    end = NumberCounter.get(this).next_number
    return [f"{prefix}-{year}-{n:06d}" for n in range(end - count, end)]


def what_is_known(invoice: Invoice) -> Known:
    standing = Payment.select().where(
        (Payment.invoice == invoice) & Payment.removed_at.is_null()
    )
    return Known(
        status=invoice.xero_status,
        is_settled=invoice.is_settled,
        amount_credited=invoice.amount_credited,
        payments={row.payment_id: row.amount for row in standing},
    )


def record_payments(
    invoice: Invoice,
    added: Sequence[XeroPayment],
    removed: Sequence[str],
    now: datetime,
) -> None:
    for payment in added:
        Payment.insert(
            tenant=invoice.tenant,
            payment_id=payment.payment_id,
            invoice=invoice,
            amount=payment.amount,
            paid_on=payment.paid_on,
            reference=payment.reference,
            seen_at=now,
        ).on_conflict_ignore().execute()
    if removed:
        Payment.update(removed_at=now).where(
            (Payment.invoice == invoice) & Payment.payment_id.in_(list(removed))
        ).execute()


def as_seen(seen: XeroInvoice) -> Mapping[str, Any]:
    """The columns that say what Xero last said."""
    return {
        "xero_id": seen.invoice_id,
        "xero_status": seen.status,
        "xero_updated_at": seen.updated_at,
        "is_settled": seen.is_settled,
        "amount_due": seen.amount_due,
        "amount_paid": seen.amount_paid,
        "amount_credited": seen.amount_credited,
        "due_on": seen.due_on,
    }


def as_new(seen: XeroInvoice) -> Mapping[str, Any]:
    """The columns of an invoice as it was raised, whatever has happened to it since."""
    return {
        **as_seen(seen),
        "xero_status": "AUTHORISED",
        "xero_updated_at": None,
        "is_settled": False,
        "amount_due": seen.total,
        "amount_paid": Decimal(0),
        "amount_credited": Decimal(0),
    }


def remember_foreign(tenant: str, xero_ids: Iterable[str]) -> None:
    rows = [{"tenant": tenant, "xero_id": xero_id} for xero_id in xero_ids]
    if rows:
        ForeignInvoice.insert_many(rows).on_conflict_ignore().execute()


def forget_foreign(tenant: str, xero_id: str) -> None:
    """It is ours after all."""
    ForeignInvoice.delete().where(
        (ForeignInvoice.tenant == tenant) & (ForeignInvoice.xero_id == xero_id)
    ).execute()


def foreign(tenant: str, xero_ids: Iterable[str]) -> set[str]:
    rows = ForeignInvoice.select(ForeignInvoice.xero_id).where(
        (ForeignInvoice.tenant == tenant) & ForeignInvoice.xero_id.in_(list(xero_ids))
    )
    return {row.xero_id for row in rows}


def note_email(invoice_id: int, sent_at: datetime, echo_until: datetime | None) -> None:
    """Args: echo_until: None where the event that follows an e-mail has come."""
    Invoice.update(emailed_at=sent_at, email_echo_until=echo_until).where(
        Invoice.id == invoice_id
    ).execute()


def expect_no_echo(invoice_ids: Iterable[int]) -> None:
    """The one event that follows an e-mail has come."""
    Invoice.update(email_echo_until=None).where(
        Invoice.id.in_(list(invoice_ids))
    ).execute()


def counts() -> dict[str, int]:
    return {
        state.value: Invoice.select().where(Invoice.state == state).count()
        for state in InvoiceState
    }
