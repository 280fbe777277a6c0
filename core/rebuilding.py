"""An invoice that is only known from Xero, and the message that explains it.

Xero holds the Reference, the lines and the money of an invoice. What it settles, for
whom, and what the workflow's hooks need to know stands in the platform's message alone,
which the platform sends again after a restore (decision 0009).
"""

from datetime import datetime
from decimal import Decimal

from core import invoice_messages
from core.db import (
    contact_decisions,
    contact_links,
    invoices,
    outbox,
    problems,
    reads,
    writes,
)
from core.db.contact_decisions import Decision
from core.db.invoices import InvoiceState
from core.db.models import Inbox, Invoice
from core.drafts import InvoiceDraft, draft_data
from core.errors import Refused
from core.facts import GONE, XeroInvoice
from core.waking import LaneName

#: Why a member's contact is known: it bears the invoice that the message explains.
RULE = "recovered_invoice"


def rebuild(tenant: str, workflow: str, seen: XeroInvoice, now: datetime) -> Invoice:
    """Our row of an invoice of which nothing else is left."""
    linked = contact_links.members_of(tenant, [seen.contact_id])
    return invoices.add(
        tenant=tenant,
        workflow=workflow,
        reference=seen.reference,
        state=InvoiceState.REBUILT,
        number=seen.number,
        payer_member_id=linked.get(seen.contact_id, ""),
        payer={},
        contact_id=seen.contact_id,
        draft={"lines": [line.as_data() for line in seen.lines]},
        currency=seen.currency,
        total=seen.total,
        issued_on=seen.issued_on,
        **{**invoices.as_new(seen), "xero_status": seen.status},
        emailed_at=now if seen.sent_to_contact else None,
        created_at=now,
        raised_at=now,
    )


def explained_by(row: Inbox, workflow: str, draft: InvoiceDraft) -> Invoice | None:
    """The invoice that this message once led to; locked until the commit.

    Raises:
        Refused: there is one, with other lines.
    """
    reference = invoice_messages.reference_of(workflow, row.subject)
    waiting = invoices.rebuilt(row.tenant, reference)
    if not waiting:
        return None
    found = invoices.lock(waiting[0].id)
    theirs = [_comparable(line) for line in found.draft["lines"]]
    ours = [_comparable(line) for line in draft_data(draft)["lines"]]
    if found.currency != draft.currency or theirs != ours:
        raise Refused(f"was invoiced before with other content: {found.number}", "data")
    return found


def complete(
    found: Invoice, row: Inbox, draft: InvoiceDraft, *, is_emailed: bool, now: datetime
) -> None:
    """The invoice is an ordinary one from here; what happened to it is told now.

    Its subjects are in the books by now.
    """
    tenant, payer, is_gone = found.tenant, draft.payer, found.xero_status in GONE
    invoices.change(
        found,
        state=InvoiceState.VOIDED if is_gone else InvoiceState.RAISED,
        asked_by=row,
        payer_member_id=payer.id,
        payer=payer.model_dump(mode="json"),
        draft=draft_data(draft),
        xero_status="AUTHORISED",  # a void is told by the read that follows
    )
    contact_id = found.contact_id or ""
    _link(tenant, payer.id, contact_id, found.number or "", now)
    raised = invoice_messages.raised(found, invoices.subjects_of(found.id))
    outbox.say([raised], tenant=tenant, at=now, invoice=found, answers=row)
    reads.ask(tenant, found.xero_id or "", now, now)
    if is_emailed and found.emailed_at is None and not is_gone:
        writes.add(tenant, LaneName.EMAILS, str(found.id), now, invoice=found)
    close_when_explained(tenant, now)


def _link(
    tenant: str, member_id: str, contact_id: str, number: str, now: datetime
) -> None:
    if contact_links.contact_of(tenant, member_id) is None and contact_links.link(
        tenant, member_id, contact_id, RULE, {"number": number}, now
    ):
        contact_decisions.note(
            tenant,
            member_id,
            Decision.LINKED,
            now,
            contact_id=contact_id,
            rule=RULE,
            reason=f"it bears invoice {number}, which is the member's",
        )


def tell_unexplained(tenant: str, now: datetime) -> int:
    """How many wait for their message; a problem while there are any."""
    waiting = invoices.rebuilt(tenant)
    if waiting:
        problems.open_problem(
            "invoices_unexplained",
            _cause(tenant),
            f"{len(waiting)} invoices are only known from Xero, from "
            f"{waiting[0].number} on; the platform is to send its messages again",
            now,
            tenant=tenant,
            detail={"numbers": [invoice.number for invoice in waiting[:100]]},
        )
    return len(waiting)


def close_when_explained(tenant: str, now: datetime) -> None:
    if not invoices.rebuilt(tenant):
        problems.close_problem(_cause(tenant), now)


def _comparable(line: dict[str, str]) -> tuple[str, Decimal, Decimal, str, str]:
    """Xero writes 3150 where we wrote 3150.00."""
    return (
        line["description"],
        Decimal(line["quantity"]),
        Decimal(line["unit_amount"]),
        line["account_code"],
        line["tax_type"],
    )


def _cause(tenant: str) -> str:
    return f"unexplained:{tenant}"
