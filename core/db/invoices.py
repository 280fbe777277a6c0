"""Invoices, what they settle, and the payments seen on them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

from peewee import fn

from core.db.models import (
    ForeignInvoice,
    Invoice,
    InvoiceSubject,
    NumberCounter,
    Payment,
)
from core.db.proxy import proxy
from core.db.statement import (
    Slot,
    Statement,
    by_field,
    insert,
    insert_once,
    statement,
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
    ADOPTED = "adopted"  # made by others; its message has not explained it yet
    REFUSED = "refused"  # Xero said no; a problem is open
    CANCELLED = "cancelled"  # undone before it was sent
    VOIDED = "voided"  # was in Xero and is void
    FREE = "free"  # a total of zero, which Xero never sees


#: States after which the same charge may be invoiced again, if asked explicitly.
ENDED = (InvoiceState.CANCELLED, InvoiceState.VOIDED)


def add(**values: Any) -> Invoice:
    row: Invoice = insert(Invoice, **values)
    return row


def add_once(**values: Any) -> Invoice | None:
    """None if its number or its id in Xero is another row's."""
    row: Invoice | None = insert_once(Invoice, **values)
    return row


def add_subject(**values: Any) -> bool:
    """False if this round of the charge has just been invoiced by somebody else."""
    return insert_once(InvoiceSubject, **values) is not None


@statement
def _latest_round(tenant: Slot, workflow: Slot, subject: Slot, charge: Slot) -> Any:
    return (
        InvoiceSubject.select()
        .where(
            (InvoiceSubject.tenant == tenant)
            & (InvoiceSubject.workflow == workflow)
            & (InvoiceSubject.subject == subject)
            & (InvoiceSubject.charge == charge)
        )
        .order_by(InvoiceSubject.round.desc())
        .limit(1)
    )


def latest_round(
    tenant: str, workflow: str, subject: str, charge: str
) -> InvoiceSubject | None:
    """The newest invoicing of a charge for a subject."""
    newest: InvoiceSubject | None = _latest_round.first(
        tenant=tenant, workflow=workflow, subject=subject, charge=charge
    )
    return newest


@statement
def _subjects_of(invoice: Slot) -> Any:
    rows = InvoiceSubject.select().where(InvoiceSubject.invoice == invoice)
    return rows.order_by(InvoiceSubject.id)


def subjects_of(invoice_id: int) -> list[InvoiceSubject]:
    return _subjects_of.rows(invoice=invoice_id)


def forget_subjects(invoice_id: int) -> None:
    """What it settles is about to be said anew, in this transaction."""
    InvoiceSubject.delete().where(InvoiceSubject.invoice == invoice_id).execute()


@statement
def _load(invoice: Slot) -> Any:
    return Invoice.select().where(Invoice.id == invoice)


def load(invoice_id: int) -> Invoice:
    row: Invoice = _load.one(invoice=invoice_id)
    return row


@statement
def _lock(invoice: Slot) -> Any:
    query = Invoice.select().where(Invoice.id == invoice)
    # SQLite knows no row locks and needs none: its transaction has the write lock.
    return query.for_update() if proxy.obj.for_update else query


def lock(invoice_id: int) -> Invoice:
    """The row, which nobody else changes until the transaction ends."""
    row: Invoice = _lock.one(invoice=invoice_id)
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


def is_any_rebuilt(tenant: str) -> bool:
    """Whether any invoice waits for the message that explains it, after a recovery."""
    is_rebuilt = (Invoice.tenant == tenant) & (Invoice.state == InvoiceState.REBUILT)
    return bool(Invoice.select().where(is_rebuilt).exists())


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


@statement
def _of_payer(tenant: Slot, member_id: Slot) -> Any:
    rows = Invoice.select().where(
        (Invoice.tenant == tenant) & (Invoice.payer_member_id == member_id)
    )
    return rows.order_by(Invoice.id)


def of_payer(tenant: str, member_id: str, *states: InvoiceState) -> list[Invoice]:
    """The member's invoices in any of these states, the oldest first."""
    rows = _of_payer.rows(tenant=tenant, member_id=member_id)
    return [row for row in rows if row.state in states]


def held_payers(tenant: str) -> list[Invoice]:
    """One held invoice for each payer whose contact nobody could decide."""
    query = Invoice.select().where(
        (Invoice.tenant == tenant) & (Invoice.state == InvoiceState.HELD)
    )
    by_payer = {row.payer_member_id: row for row in query.order_by(Invoice.id.desc())}
    return list(by_payer.values())


def payers(tenant: str) -> dict[str, Any]:
    """Who has been invoiced, each as the newest message told."""
    rows = (
        Invoice.select(Invoice.id, Invoice.payer_member_id, Invoice.payer)
        .where(Invoice.tenant == tenant)
        .order_by(Invoice.id)
    )
    return {row.payer_member_id: row.payer for row in rows.iterator() if row.payer}


def newest_payer(tenant: str, member_id: str) -> Any:
    """Who the member is, as the newest message told; None: none has."""
    rows = _of_payer.rows(tenant=tenant, member_id=member_id)
    return next((row.payer for row in reversed(rows) if row.payer), None)


def count_by_payer(tenant: str, state: InvoiceState) -> dict[str, int]:
    rows = (
        Invoice.select(Invoice.payer_member_id, fn.COUNT(Invoice.id).alias("count"))
        .where((Invoice.tenant == tenant) & (Invoice.state == state))
        .group_by(Invoice.payer_member_id)
    )
    return {row.payer_member_id: row.count for row in rows}


def payers_in(tenant: str, *states: InvoiceState) -> set[str]:
    """Members who have an invoice in one of these states."""
    rows = (
        Invoice.select(Invoice.payer_member_id)
        .where((Invoice.tenant == tenant) & Invoice.state.in_(states))
        .distinct()
    )
    return {row.payer_member_id for row in rows}


def count_by_contact(tenant: str) -> dict[str, int]:
    """How many of our invoices stand on each contact."""
    rows = (
        Invoice.select(Invoice.contact_id, fn.COUNT(Invoice.id).alias("count"))
        .where((Invoice.tenant == tenant) & Invoice.contact_id.is_null(False))
        .group_by(Invoice.contact_id)
    )
    return {row.contact_id: row.count for row in rows}


def _unplanned(tenant: Any, workflow: Any, since: Any) -> Any:
    return (
        (Invoice.tenant == tenant)
        & (Invoice.workflow == workflow)
        & (Invoice.created_at > since)
        & Invoice.season.is_null()
        & Invoice.asked_by.is_null(False)
    )


@statement
def _count_lately(tenant: Slot, workflow: Slot, since: Slot) -> Any:
    lately = _unplanned(tenant, workflow, since)
    return Invoice.select(fn.COUNT(Invoice.id)).where(lately)


def count_lately(tenant: str, workflow: str, since: datetime) -> int:
    """Invoices that were asked for since then, outside any season."""
    return int(_count_lately.value(tenant=tenant, workflow=workflow, since=since))


@statement
def _lately(tenant: Slot, workflow: Slot, currency: Slot, since: Slot) -> Any:
    lately = _unplanned(tenant, workflow, since) & (Invoice.currency == currency)
    return Invoice.select(Invoice.id, Invoice.total).where(lately)


def spent_lately(tenant: str, workflow: str, currency: str, since: datetime) -> Decimal:
    """The total of those of one currency."""
    rows = _lately.rows(
        tenant=tenant, workflow=workflow, currency=currency, since=since
    )
    return sum((row.total for row in rows), Decimal(0))


@statement
def _held(tenant: Slot) -> Any:
    is_held = (Invoice.tenant == tenant) & (Invoice.state == InvoiceState.HELD)
    return Invoice.select().where(is_held).limit(1)


def is_any_held(tenant: str) -> bool:
    """Whether any invoice waits for a person."""
    return _held.first(tenant=tenant) is not None


@cache
def _change_of(columns: tuple[str, ...]) -> Statement:
    """UPDATE of these columns, on condition that the version has not moved."""

    def build(row: Slot, version: Slot, **values: Slot) -> Any:
        named = {name: values[f"to_{name}"] for name in columns}
        return Invoice.update(version=Invoice.version + 1, **named).where(
            (Invoice.id == row) & (Invoice.version == version)
        )

    return Statement(build, ["row", "version", *(f"to_{name}" for name in columns)])


def change(invoice: Invoice, **values: Any) -> None:
    """Write these columns, if nobody else has changed the row since it was read.

    Raises:
        VersionMoved: somebody has; nothing was written.
    """
    stored = {f"to_{name}": v for name, v in by_field(Invoice, values).items()}
    written = _change_of(tuple(values)).changed(
        row=invoice.id, version=invoice.version, **stored
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


@statement
def _standing_payments(invoice: Slot) -> Any:
    return Payment.select().where(
        (Payment.invoice == invoice) & Payment.removed_at.is_null()
    )


def what_is_known(invoice: Invoice) -> Known:
    """What the last reading of it left in the books, to compare the next one with."""
    standing = _standing_payments.rows(invoice=invoice.id)
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
    """Which of these were found not to be ours, and are not ours by now either.

    A read that began before an invoice was adopted may still remember it as foreign.
    """
    ours = Invoice.select().where(
        (Invoice.tenant == tenant) & (Invoice.xero_id == ForeignInvoice.xero_id)
    )
    rows = ForeignInvoice.select(ForeignInvoice.xero_id).where(
        (ForeignInvoice.tenant == tenant)
        & ForeignInvoice.xero_id.in_(list(xero_ids))
        & ~fn.EXISTS(ours)
    )
    return {row.xero_id for row in rows}


@statement
def _note_email(invoice: Slot, sent_at: Slot, echo_until: Slot) -> Any:
    return Invoice.update(emailed_at=sent_at, email_echo_until=echo_until).where(
        Invoice.id == invoice
    )


def note_email(invoice_id: int, sent_at: datetime, echo_until: datetime | None) -> None:
    """Args: echo_until: None where the event that follows an e-mail has come."""
    _note_email.changed(invoice=invoice_id, sent_at=sent_at, echo_until=echo_until)


def expect_no_echo(invoice_ids: Iterable[int]) -> None:
    """The one event that follows an e-mail has come."""
    Invoice.update(email_echo_until=None).where(
        Invoice.id.in_(list(invoice_ids))
    ).execute()


def counts() -> dict[str, int]:
    """How many invoices there are in each state, by its name."""
    return {
        state.value: Invoice.select().where(Invoice.state == state).count()
        for state in InvoiceState
    }
