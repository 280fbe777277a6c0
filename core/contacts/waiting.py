"""Invoices that wait for their payer's contact, and those that went by it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from core import answers
from core.contacts.evidence import cause_of
from core.contacts.resolution import Creating, Known
from core.db import (
    contact_decisions,
    contact_links,
    invoices,
    outbox,
    problems,
    writes,
)
from core.db.contact_decisions import Decision
from core.db.invoices import InvoiceState
from core.db.models import Invoice
from core.waking import LaneName


def make_ready(invoice: Invoice, contact_id: str, due_at: datetime) -> None:
    """The contact is known: the invoice can be raised, not before its day."""
    raise_at = max(due_at, invoice.raise_at) if invoice.raise_at else due_at
    invoices.change(invoice, state=InvoiceState.READY, contact_id=contact_id)
    writes.add(
        invoice.tenant, LaneName.INVOICES, str(invoice.id), raise_at, invoice=invoice
    )


def hold(invoice: Invoice, cause: str, reason: str, now: datetime) -> None:
    """The invoice waits for a person, and the platform is told."""
    invoices.change(invoice, state=InvoiceState.HELD)
    row = invoice.asked_by
    if row is not None:
        answer = answers.held(row, cause, reason)
        outbox.say([answer], tenant=invoice.tenant, at=now, answers=row)


def hold_all(
    tenant: str,
    member_id: str,
    reason: str,
    now: datetime,
    candidates: Sequence[Mapping[str, str]] = (),
) -> None:
    """Whatever waits for this member's contact waits for a person now."""
    contact_decisions.note(
        tenant,
        member_id,
        Decision.QUARANTINED,
        now,
        reason=reason,
        candidates=candidates,
    )
    for invoice in locked(tenant, member_id, InvoiceState.WAITING):
        hold(invoice, cause_of(tenant, member_id), reason, now)


def go_on(
    tenant: str,
    member_id: str,
    resolution: Known | Creating,
    now: datetime,
    by: str = contact_decisions.OURSELVES,
) -> int:
    """What waited for the decision about this member's contact; how many invoices."""
    held = list(locked(tenant, member_id, InvoiceState.HELD))
    waiting = list(locked(tenant, member_id, InvoiceState.WAITING))
    for invoice in (*held, *waiting):
        if isinstance(resolution, Known):
            make_ready(invoice, resolution.contact_id, now)
        elif invoice.state == InvoiceState.HELD:
            invoices.change(invoice, state=InvoiceState.WAITING)
    problems.close_problem(cause_of(tenant, member_id), now)
    if held:
        contact_decisions.note(
            tenant,
            member_id,
            Decision.RELEASED,
            now,
            contact_id=contact_links.contact_of(tenant, member_id),
            reason=f"invoices that were held and go on: {len(held)}",
            by=by,
        )
    return len(held) + len(waiting)


def let_lapse(tenant: str, member_id: str, now: datetime) -> bool:
    """Nobody need decide about a member for whose contact nothing waits any more.

    A contact that was to be made or restored is not, unless Xero is being asked.

    Returns:
        Whether nothing waits.
    """
    states = InvoiceState.HELD, InvoiceState.WAITING
    if any(True for state in states for _ in locked(tenant, member_id, state)):
        return False
    ended = [
        contact_decisions.is_undecided(tenant, member_id),
        problems.close_problem(cause_of(tenant, member_id), now),
        writes.drop(tenant, LaneName.CONTACTS, member_id),
        _stop_restoring(tenant, member_id),
    ]
    if any(ended):
        reason = "what waited for it was cancelled"
        contact_decisions.note(tenant, member_id, Decision.LAPSED, now, reason=reason)
    return True


def _stop_restoring(tenant: str, member_id: str) -> bool:
    update = writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    if update is None or not update.data.get("restores"):
        return False
    return writes.cancel(tenant, LaneName.CONTACT_UPDATES, member_id)


def invoice_again(tenant: str, member_id: str, contact_id: str, now: datetime) -> None:
    """The member's contact can be invoiced again, or is this one from now on."""
    for invoice in locked(tenant, member_id, InvoiceState.READY):
        if not writes.is_claimed(tenant, LaneName.INVOICES, str(invoice.id)):
            invoices.change(invoice, contact_id=contact_id)
    for invoice in locked(tenant, member_id, InvoiceState.REFUSED):
        raise_again(invoice, contact_id, now)


def raise_again(invoice: Invoice, contact_id: str, now: datetime) -> None:
    """What was refused is asked of Xero once more, on this contact."""
    if writes.ask_again(invoice.tenant, LaneName.INVOICES, str(invoice.id), now):
        invoices.change(invoice, state=InvoiceState.READY, contact_id=contact_id)
        problems.close_problem(f"invoice:{invoice.id}", now)


def take_back(invoice: Invoice, now: datetime) -> None:
    """What was refused waits for its payer's contact, as if never asked of Xero."""
    writes.drop(invoice.tenant, LaneName.INVOICES, str(invoice.id))
    invoices.change(invoice, state=InvoiceState.WAITING, contact_id=None)
    problems.close_problem(f"invoice:{invoice.id}", now)


def locked(tenant: str, member_id: str, state: InvoiceState) -> Iterator[Invoice]:
    """The member's invoices in a state, each held until the commit."""
    for row in invoices.of_payer(tenant, member_id, state):
        invoice = invoices.lock(row.id)
        if invoice.state == state:
            yield invoice
