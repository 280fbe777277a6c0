"""A cancelled subject: its open invoice is taken back or voided."""

from datetime import datetime

from core import answers, invoice_messages, people
from core.contacts import waiting
from core.db import (
    contact_links,
    inbox,
    invoices,
    outbox,
    problems,
    seasons,
    writes,
)
from core.db.database import atomically
from core.db.inbox import InboxState
from core.db.invoices import InvoiceState
from core.db.models import Inbox, Invoice
from core.drafts import Undo
from core.errors import Refused
from core.people import Said
from core.settings import TenantSettings
from core.waking import LaneName

#: Of an invoice that Xero has not, or not yet.
UNSENT = frozenset(
    {
        InvoiceState.WAITING,
        InvoiceState.HELD,
        InvoiceState.READY,
        InvoiceState.REFUSED,
    }
)


@atomically
def commit_undo(
    row: Inbox,
    workflow: str,
    undo: Undo,
    said: Said,
    policy: TenantSettings,
    now: datetime,
) -> None:
    """Take back what has not been sent, void what has, and answer.

    Raises:
        Refused: money has been received, or the invoice settles more than this.
    """
    if not inbox.finish(row.id, InboxState.DONE):
        return
    seasons.require_wanted(row)
    latest = invoices.latest_round(row.tenant, workflow, undo.subject, undo.charge)
    if latest is not None:
        _lock_people(latest.invoice.payer_member_id, row, said)
        # In this order, as whoever claims them does: elements, then invoices.
        writes.lock_due_of(latest.invoice_id)
    invoice = None if latest is None else invoices.lock(latest.invoice_id)
    outcome = "nothing_open" if invoice is None else _undo(row, invoice, now)
    if outcome is not None:
        summary = None if invoice is None else invoice_messages.summary(invoice)
        answer = answers.done(row, outcome, summary)
        outbox.say([answer], tenant=row.tenant, at=now, answers=row)
    people.hear_all(row.tenant, said, policy, now)


def _lock_people(payer: str, row: Inbox, said: Said) -> None:
    """Before their invoices, as whoever decides about a contact does."""
    for member_id in sorted({payer, *(member.id for member in said.members)}):
        people.lock(row.tenant, member_id)
    contact_links.lock_member(row.tenant, payer)


def _undo(row: Inbox, invoice: Invoice, now: datetime) -> str | None:
    """What to answer now; None: ``invoice.voided`` will be the answer."""
    state = InvoiceState(invoice.state)
    if state in (InvoiceState.CANCELLED, InvoiceState.VOIDED, InvoiceState.FREE):
        return "nothing_open"
    if len(invoices.subjects_of(invoice.id)) > 1:
        raise Refused(
            f"invoice {invoice.number or invoice.reference} settles other subjects "
            "too; part of it can't be undone",
            "subject",
        )
    if state is InvoiceState.ADOPTED:
        raise Refused(
            f"invoice {invoice.number} was adopted, and the message that asks for it "
            "has not come: send that first",
            "subject",
        )
    if state is InvoiceState.RAISED:
        return _void(row, invoice, now)
    return _take_back(row, invoice, now)


def _void(row: Inbox, invoice: Invoice, now: datetime) -> str | None:
    if invoice.amount_paid > 0 or invoice.amount_credited > 0:
        raise Refused(
            f"invoice {invoice.number} has received money; it can't be voided and "
            "credit notes are not raised yet",
            "subject",
        )
    key = str(invoice.id)
    # Also when Xero has done it a moment ago and we have not read it yet: the message
    # that asked for it is the one that `invoice.voided` answers.
    if writes.stands(invoice.tenant, LaneName.VOIDS, key):
        return "void_under_way"
    invoices.change(invoice, undone_by=row)
    writes.cancel(invoice.tenant, LaneName.EMAILS, key)
    writes.add(invoice.tenant, LaneName.VOIDS, key, now, invoice=invoice)
    writes.ask_again(invoice.tenant, LaneName.VOIDS, key, now)
    return None


def _take_back(row: Inbox, invoice: Invoice, now: datetime) -> str | None:
    if not _cancel(invoice, row, now):
        # It is on its way to Xero: voided as soon as it has arrived.
        invoices.change(invoice, undone_by=row)
        return None
    return "cancelled"


def _cancel(invoice: Invoice, undone_by: Inbox | None, now: datetime) -> bool:
    """Of what Xero has not; False: it is on its way there."""
    state = InvoiceState(invoice.state)
    unsent = state is not InvoiceState.READY or writes.cancel(
        invoice.tenant, LaneName.INVOICES, str(invoice.id)
    )
    if not unsent:
        return False
    invoices.change(invoice, state=InvoiceState.CANCELLED, undone_by=undone_by)
    if state in (InvoiceState.WAITING, InvoiceState.HELD):
        waiting.let_lapse(invoice.tenant, invoice.payer_member_id, now)
    problems.close_problem(f"invoice:{invoice.id}", now)
    asked_by = invoice.asked_by
    if asked_by is not None:
        answer = answers.done(asked_by, "cancelled", invoice_messages.summary(invoice))
        outbox.say([answer], tenant=invoice.tenant, at=now, answers=asked_by)
    return True


# -- by a person -----------------------------------------------------------------------


@atomically
def take_back_unsent(invoice_id: int, now: datetime) -> bool:
    """An invoice that Xero has not is not wanted any more; False: it is there, or was.

    Whoever asked for it is told.
    """
    invoice = _locked(invoice_id)
    if InvoiceState(invoice.state) not in UNSENT:
        return False
    return _cancel(invoice, None, now)


@atomically
def void_unpaid(invoice_id: int, now: datetime) -> str | None:
    """An invoice in Xero is to be void; whoever asked for it is told when it is.

    Returns:
        Why it stays as it is; None: it is to be voided.
    """
    invoice = _locked(invoice_id)
    if invoice.state != InvoiceState.RAISED:
        return str(invoice.state)
    if invoice.amount_paid > 0:
        return "paid" if invoice.is_settled else "part paid"
    if invoice.amount_credited > 0:
        return "credited"
    key = str(invoice.id)
    writes.cancel(invoice.tenant, LaneName.EMAILS, key)
    writes.add(invoice.tenant, LaneName.VOIDS, key, now, invoice=invoice)
    writes.ask_again(invoice.tenant, LaneName.VOIDS, key, now)
    return None


def _locked(invoice_id: int) -> Invoice:
    """In the order of everybody else: the payer, what is due, the invoice."""
    invoice = invoices.load(invoice_id)
    people.lock(invoice.tenant, invoice.payer_member_id)
    contact_links.lock_member(invoice.tenant, invoice.payer_member_id)
    writes.lock_due_of(invoice_id)
    return invoices.lock(invoice_id)
