"""An invoice that others made and we adopted, and the message that explains it.

Somebody has said which subject it settles. What the workflow's hooks need besides
stands in the platform's message alone; until that has come nothing is told of what
happens to the invoice, and nothing of it is lost (decision 0011).
"""

from dataclasses import dataclass
from datetime import datetime

from core import invoice_messages
from core.db import adoptions, invoices, problems, reads
from core.db.invoices import InvoiceState
from core.db.models import Inbox, Invoice
from core.drafts import InvoiceDraft
from core.errors import Refused, VersionMoved
from core.facts import Difference, XeroInvoice

#: What an adopted invoice was asked for with, nobody has told us.
UNKNOWN_CONTENT = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says that an invoice is for.

    Args:
        member_id: whose contact it is on.
        by: who says so.
    """

    workflow: str
    subject: str
    charge: str
    member_id: str
    by: str


def take_in(
    tenant: str, claim: Claim, seen: XeroInvoice, answered_at: datetime, now: datetime
) -> None:
    """Our row of it, as Xero showed it at that moment: nothing of before is told.

    Raises:
        VersionMoved: the invoice or its subject has just become ours in another way;
            the transaction must not be committed.
    """
    invoices.forget_foreign(tenant, seen.invoice_id)
    invoice = invoices.add_once(
        tenant=tenant,
        workflow=claim.workflow,
        reference=seen.reference,
        state=InvoiceState.ADOPTED,
        number=seen.number,
        payer_member_id=claim.member_id,
        payer={},
        contact_id=seen.contact_id,
        draft={"lines": [line.as_data() for line in seen.lines]},
        currency=seen.currency,
        total=seen.total,
        issued_on=seen.issued_on,
        **invoices.as_seen(seen),
        emailed_at=now if seen.sent_to_contact else None,
        read_answered_at=answered_at,
        created_at=now,
        raised_at=now,
    )
    if invoice is None or not _claim_subject(invoice, claim):
        raise VersionMoved(f"{seen.number} or {claim.subject} has just become ours")
    invoices.record_payments(invoice, seen.payments, (), now)
    adoptions.add(
        invoice,
        claim.subject,
        claim.charge,
        now,
        was_settled=seen.is_settled,
        by=claim.by,
    )


def _claim_subject(invoice: Invoice, claim: Claim) -> bool:
    before = invoices.latest_round(
        invoice.tenant, claim.workflow, claim.subject, claim.charge
    )
    return invoices.add_subject(
        tenant=invoice.tenant,
        workflow=claim.workflow,
        subject=claim.subject,
        charge=claim.charge,
        round=1 if before is None else before.round + 1,
        invoice=invoice,
        member_id=claim.member_id,
        content_hash=UNKNOWN_CONTENT,
        details={},
    )


def keep_untold(invoice: Invoice, found: Difference, now: datetime) -> None:
    """Something happened to it that nobody can be told of yet.

    Raises:
        VersionMoved: its message has just come.
    """
    # Without this moment it counts as not read: whatever reads it next tells it.
    invoices.change(invoice, xero_updated_at=None)
    facts = ", ".join(change.fact.value.replace("_", " ") for change in found.changes)
    subject = _subject(invoice)
    problems.open_problem(
        "adopted_unexplained",
        _cause(invoice),
        f"{invoice.number}: {facts}; nothing follows until the platform has sent its "
        f"message about {subject}",
        now,
        tenant=invoice.tenant,
        detail={"number": invoice.number, "subject": subject},
    )


def nothing_untold(invoice: Invoice, now: datetime) -> None:
    """What had happened to it was taken back before anybody could be told."""
    problems.close_problem(_cause(invoice), now)


def as_a_whole(row: Inbox, workflow: str, draft: InvoiceDraft) -> Invoice | None:
    """The invoice that was adopted for the subject of a message about several."""
    subject = row.subject or ""
    for charge in sorted({settles.charge for settles in draft.settles}):
        held = invoices.latest_round(row.tenant, workflow, subject, charge)
        if held is not None and held.invoice.state == InvoiceState.ADOPTED:
            found: Invoice = held.invoice
            return found
    return None


def lock_for(known: Invoice, draft: InvoiceDraft) -> Invoice:
    """The invoice that this draft explains, held until the commit.

    Its lines need not be the draft's: somebody made them by hand.

    Raises:
        Refused: it is somebody else's, or of another currency.
        VersionMoved: another message has just explained it.
    """
    found = invoices.lock(known.id)
    if found.state != InvoiceState.ADOPTED:
        raise VersionMoved(f"invoice {found.number}")
    if found.payer_member_id != draft.payer.id:
        raise Refused(
            f"was adopted as {found.number}, which is member "
            f"{found.payer_member_id}'s and not {draft.payer.id}'s",
            "data",
        )
    if found.currency != draft.currency:
        raise Refused(
            f"was adopted as {found.number}, which is in {found.currency}", "data"
        )
    return found


def complete(found: Invoice, row: Inbox, draft: InvoiceDraft, now: datetime) -> None:
    """It is one like any other from here. Its subjects are in the books by now."""
    is_behind = found.xero_updated_at is None
    invoices.change(
        found,
        state=InvoiceState.RAISED,
        asked_by=row,
        payer=draft.payer.model_dump(mode="json"),
    )
    problems.close_problem(_cause(found), now)
    if is_behind:
        reads.ask(found.tenant, found.xero_id or "", now, now)


def _subject(invoice: Invoice) -> str:
    listed = invoice_messages.listed(invoices.subjects_of(invoice.id))
    return ", ".join(settled["subject"] for settled in listed)


def _cause(invoice: Invoice) -> str:
    return f"adopted:{invoice.id}"
