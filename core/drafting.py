"""A draft becomes an invoice row: once for each subject and charge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core import adopted, answers, invoice_messages, people, rebuilding
from core.business_days import start_of
from core.contacts import deciding, waiting
from core.contacts.resolution import Creating, Known, Undecided
from core.db import inbox, invoices, outbox, seasons
from core.db.database import atomically
from core.db.inbox import InboxState
from core.db.invoices import ENDED, InvoiceState
from core.db.models import Inbox, Invoice, InvoiceSubject
from core.drafts import InvoiceDraft, Settles, draft_data, line_data, total_of
from core.errors import Refused, VersionMoved
from core.messages import hash_of
from core.people import Said
from core.settings import TenantSettings


@dataclass(frozen=True, slots=True)
class Setup:
    """What the tenant, its workflow's settings and the rule contribute to a draft."""

    policy: TenantSettings
    rates: Mapping[str, Decimal]
    accounts: set[str]
    is_emailed: bool = True  # whether this workflow's invoices are
    is_awaited: bool = False  # whether somebody waits for it


@dataclass(frozen=True, slots=True)
class _Charge:
    """One thing to be settled, and what was invoiced for it before."""

    settles: Settles
    content_hash: str
    before: InvoiceSubject | None


@atomically
def commit_draft(
    row: Inbox,
    workflow: str,
    draft: InvoiceDraft,
    setup: Setup,
    said: Said,
    now: datetime,
) -> Invoice | None:
    """Write the invoice and the answer; a repeat is answered with the first invoice.

    Returns:
        The invoice if its total is zero: its action is to follow at once.

    Raises:
        Refused: a charge was invoiced before with other content, or can't be booked.
        VersionMoved: another message for the same subject was faster.
    """
    _check_codes(draft, setup)
    total = total_of(draft, setup.rates)
    if not inbox.finish(row.id, InboxState.DONE):
        return None
    seasons.require_wanted(row)
    people.hear_all(row.tenant, said, setup.policy, now)
    charges = _charges(row.tenant, workflow, draft)
    first = _standing(charges, draft)
    if first is not None and first.asked_by_id == row.id:
        inbox.reopen(row.id, now)  # free, and we ended before its action was said
        return first
    first = first or adopted.as_a_whole(row, workflow, draft)
    if first is None:
        first = _explain_rebuilt(row, workflow, draft, charges, setup, now)
    elif first.state == InvoiceState.ADOPTED:
        first = _explain_adopted(first, row, draft, charges, now)
    if first is not None:
        _answer_repeat(row, first, now)
        return None
    invoice = _add_invoice(row, workflow, draft, total, setup, now)
    for charge in charges:
        _add_subject(invoice, charge)
    if total == 0:
        inbox.reopen(row.id, now)  # done with its action, in ``settle_free``
        return invoice
    _give_contact(invoice, draft, setup.policy, now)
    return None


def invoiced_before(tenant: str, workflow: str, draft: InvoiceDraft) -> Invoice | None:
    """The invoice that already settles all of this; None: it is new.

    Raises:
        Refused: a charge was invoiced before with other content, or not alone.
    """
    return _standing(_charges(tenant, workflow, draft), draft)


def _charges(tenant: str, workflow: str, draft: InvoiceDraft) -> list[_Charge]:
    return [_charge(tenant, workflow, draft, settles) for settles in draft.settles]


def _check_codes(draft: InvoiceDraft, setup: Setup) -> None:
    for line in draft.lines:
        if line.account_code not in setup.accounts:
            raise Refused(f"account code {line.account_code} is unknown to Xero")
    if len(draft.settles) != len({(s.subject, s.charge) for s in draft.settles}):
        raise Refused("the same subject stands there twice", "data.items")


def _charge(
    tenant: str, workflow: str, draft: InvoiceDraft, settles: Settles
) -> _Charge:
    content = hash_of(
        {
            "payer": draft.payer.id,
            "currency": draft.currency,
            "due_on": draft.due_on,
            "lines": [line_data(line) for line in settles.lines],
        }
    )
    before = invoices.latest_round(tenant, workflow, settles.subject, settles.charge)
    return _Charge(settles, content, before)


def _standing(charges: Sequence[_Charge], draft: InvoiceDraft) -> Invoice | None:
    standing = {
        _key(charge): before
        for charge in charges
        if (before := charge.before) is not None and not _anew(before, draft)
    }
    if not standing:
        return None
    for charge in charges:
        before = standing.get(_key(charge))
        if before is not None and before.content_hash not in (
            charge.content_hash,
            adopted.UNKNOWN_CONTENT,
        ):
            raise Refused(
                f"{before.charge} of {before.subject} was invoiced before with other "
                "content",
                "subject",
            )
    first = next(iter(standing.values()))
    is_same = len({before.invoice_id for before in standing.values()}) == 1
    if len(standing) < len(charges) or not is_same:
        raise Refused(
            f"{first.subject} was invoiced before, others were not", "data.items"
        )
    return first.invoice


def _key(charge: _Charge) -> tuple[str, str]:
    return charge.settles.subject, charge.settles.charge


def _anew(before: InvoiceSubject, draft: InvoiceDraft) -> bool:
    """The earlier invoice is gone, and raising another was asked for."""
    return draft.reissue and InvoiceState(before.invoice.state) in ENDED


def _explain_rebuilt(
    row: Inbox,
    workflow: str,
    draft: InvoiceDraft,
    charges: Sequence[_Charge],
    setup: Setup,
    now: datetime,
) -> Invoice | None:
    """This message once led to an invoice that a restored database had forgotten."""
    found = rebuilding.explained_by(row, workflow, draft)
    if found is not None:
        for charge in charges:
            _add_subject(found, charge)
        rebuilding.complete(found, row, draft, is_emailed=setup.is_emailed, now=now)
        people.reconcile(row.tenant, draft.payer.id, setup.policy, now)
    return found


def _explain_adopted(
    known: Invoice,
    row: Inbox,
    draft: InvoiceDraft,
    charges: Sequence[_Charge],
    now: datetime,
) -> Invoice:
    """What this message asks for was invoiced by others, and adopted."""
    found = adopted.lock_for(known, draft)
    invoices.forget_subjects(found.id)
    for charge in charges:
        _add_subject(found, charge)
    adopted.complete(found, row, draft, now)
    return found


def _answer_repeat(row: Inbox, first: Invoice, now: datetime) -> None:
    summary = invoice_messages.summary(first)
    answer = answers.done(row, "already_invoiced", summary)
    outbox.say([answer], tenant=row.tenant, at=now, answers=row)


def _add_invoice(
    row: Inbox,
    workflow: str,
    draft: InvoiceDraft,
    total: Decimal,
    setup: Setup,
    now: datetime,
) -> Invoice:
    return invoices.add(
        tenant=row.tenant,
        workflow=workflow,
        reference=invoice_messages.reference_of(workflow, row.subject),
        state=InvoiceState.FREE if total == 0 else InvoiceState.WAITING,
        payer_member_id=draft.payer.id,
        payer=draft.payer.model_dump(mode="json"),
        draft=draft_data(draft),
        currency=draft.currency,
        total=total,
        due_on=draft.due_on,
        raise_at=draft.raise_on and start_of(draft.raise_on, setup.policy.zone_info),
        asked_by=row,
        season=row.season_id,
        is_awaited=setup.is_awaited,
        created_at=now,
    )


def _add_subject(invoice: Invoice, charge: _Charge) -> None:
    added = invoices.add_subject(
        tenant=invoice.tenant,
        workflow=invoice.workflow,
        subject=charge.settles.subject,
        charge=charge.settles.charge,
        round=_round(invoice, charge.before),
        invoice=invoice,
        member_id=charge.settles.member_id,
        content_hash=charge.content_hash,
        details=dict(charge.settles.details),
    )
    if not added:
        raise VersionMoved(f"{charge.settles.subject} was just invoiced")


def _round(invoice: Invoice, before: InvoiceSubject | None) -> int:
    """The next one, unless it is this invoice that has the last one."""
    if before is None:
        return 1
    return before.round if before.invoice_id == invoice.id else before.round + 1


def _give_contact(
    invoice: Invoice, draft: InvoiceDraft, policy: TenantSettings, now: datetime
) -> None:
    resolution = deciding.resolve(
        invoice.tenant, draft.payer, policy, now, is_awaited=invoice.is_awaited
    )
    match resolution:
        case Known(contact_id, others_wait):
            waiting.make_ready(invoice, contact_id, now)
            if others_wait:
                waiting.go_on(invoice.tenant, draft.payer.id, resolution, now)
        case Undecided(cause, reason):
            waiting.hold(invoice, cause, reason, now)
        case Creating():
            pass  # made ready when the contact has been created
