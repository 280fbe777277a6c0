"""Which contact an invoice goes on: known, found, to be created, or for a person."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from core import answers, people
from core.contact_fields import answered
from core.contact_matching import (
    Ambiguous,
    Matched,
    MatchRule,
    MirrorContact,
    NoMatch,
    match,
)
from core.db import contacts, invoices, outbox, problems, writes
from core.db.invoices import InvoiceState
from core.db.models import Invoice
from core.db.writes import WriteState
from core.members import Member
from core.settings import TenantSettings
from core.waking import LaneName


@dataclass(frozen=True, slots=True)
class Known:
    contact_id: str


@dataclass(frozen=True, slots=True)
class Creating:
    """A contact is being created, or restored; the invoice waits for it."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A person must say which contact it is."""

    cause: str
    reason: str


Resolution = Known | Creating | Undecided


def resolve(
    tenant: str, member: Member, policy: TenantSettings, now: datetime
) -> Resolution:
    """Decide, and write the decision down, in the caller's transaction."""
    decision = _decide(tenant, member)
    match decision:
        case Matched(contact, rule):
            if _link(tenant, member, contact, rule, now):
                problems.close_problem(_cause(tenant, member.id), now)
                if rule is not MatchRule.LINK:
                    people.reconcile(tenant, member.id, policy, now)
                return Known(contact.contact_id)
            return _undecided(tenant, member, Ambiguous((contact,), rule, "taken"), now)
        case NoMatch():
            return _create(tenant, member, now)
        case Ambiguous():
            if policy.archived_contact == "restore" and _is_restorable(decision):
                return _restore(tenant, member, decision, now)
            return _undecided(tenant, member, decision, now)


def find(tenant: str, member: Member, now: datetime) -> str | None:
    """The member's contact if it is beyond doubt; None is made and nobody is asked."""
    decision = _decide(tenant, member)
    if not isinstance(decision, Matched):
        return None
    is_theirs = _link(tenant, member, decision.contact, decision.rule, now)
    return decision.contact.contact_id if is_theirs else None


def _link(
    tenant: str, member: Member, contact: MirrorContact, rule: MatchRule, now: datetime
) -> bool:
    """Whether the contact is the member's from now on, if it was not before."""
    evidence = {"contact": _evidence(contact)}
    return rule is MatchRule.LINK or contacts.link(
        tenant, member.id, contact.contact_id, rule, evidence, now
    )


def _is_restorable(decision: Ambiguous) -> bool:
    """One contact that is archived; merged into another or erased it stays so."""
    statuses = [(c.status, c.merged_to) for c in decision.candidates]
    return decision.reason == "archived" and statuses == [("ARCHIVED", None)]


def _restore(
    tenant: str, member: Member, decision: Ambiguous, now: datetime
) -> Resolution:
    """Make the archived contact active; the invoice waits for it."""
    (contact,) = decision.candidates
    if not _link(tenant, member, contact, decision.rule, now):
        taken = Ambiguous((contact,), decision.rule, "taken")
        return _undecided(tenant, member, taken, now)
    refusal = people.restore(tenant, member.id, contact.contact_id, now)
    if refusal is not None:
        return _undecided(tenant, member, decision, now)
    problems.close_problem(_cause(tenant, member.id), now)
    return Creating()


def _create(tenant: str, member: Member, now: datetime) -> Resolution:
    """Ask for a contact, unless that has been asked before."""
    known = people.newest(tenant, member)
    data = {"member": known.model_dump(mode="json")}
    asked = writes.add_locked(tenant, LaneName.CONTACTS, member.id, now, data)
    if asked.state == WriteState.DONE:
        # It was created between our look and our lock; or its contact went to another.
        contact_id = contacts.link_of(tenant, member.id)
        if contact_id is not None:
            return Known(contact_id)
        writes.due_again(asked, now, data=data)
        return Creating()
    is_same = asked.data["member"] == data["member"]
    if asked.state == WriteState.REFUSED and is_same:
        return Undecided(_cause(tenant, member.id), asked.reason)
    if asked.state != WriteState.CLAIMED and not is_same:
        writes.due_again(asked, now, data=data)
    return Creating()


def created(tenant: str, sent: Member, contact: MirrorContact, now: datetime) -> None:
    """A contact has been created for this member: whatever waited for it is ready."""
    contacts.put(tenant, [answered(contact, None)])
    evidence = {"contact": _evidence(contact)}
    member_id, rule, contact_id = sent.id, MatchRule.CREATED, contact.contact_id
    if not contacts.link(tenant, member_id, contact_id, rule, evidence, now):
        reason = "the contact with its number is another member's"
        _hold_all(tenant, member_id, reason, now)
        return
    people.created(tenant, sent, contact)
    for invoice in _locked(tenant, member_id, InvoiceState.WAITING):
        make_ready(invoice, contact_id, now)


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


def refused_by_xero(tenant: str, member: Member, reason: str, now: datetime) -> None:
    """Xero will not have this contact: its invoices wait for a person."""
    _hold_all(tenant, member.id, f"Xero refuses it: {reason}", now)


def _hold_all(tenant: str, member_id: str, reason: str, now: datetime) -> None:
    """Whatever waits for this member's contact waits for a person now."""
    cause = _cause(tenant, member_id)
    problems.open_problem(
        "contact_refused",
        cause,
        f"No contact for member {member_id}: {reason}",
        now,
        tenant=tenant,
    )
    for invoice in _locked(tenant, member_id, InvoiceState.WAITING):
        hold(invoice, cause, reason, now)


def _locked(tenant: str, member_id: str, state: InvoiceState) -> Iterator[Invoice]:
    """The member's invoices in a state, each held until the commit."""
    for row in invoices.of_payer(tenant, member_id, state):
        invoice = invoices.lock(row.id)
        if invoice.state == state:
            yield invoice


def release_decided(tenant: str, policy: TenantSettings, now: datetime) -> int:
    """After the mirror has changed: held invoices whose contact is clear go on.

    Returns:
        How many members were decided.
    """
    held_payers = invoices.held_payers(tenant)
    return sum(_release(tenant, held, policy, now) for held in held_payers)


def retry(tenant: str, member_id: str, policy: TenantSettings, now: datetime) -> None:
    """A person has mended something: decide anew, and ask Xero anew if it refused."""
    writes.ask_again(tenant, LaneName.CONTACTS, member_id, now)
    held = invoices.of_payer(tenant, member_id, InvoiceState.HELD)
    if held:
        _release(tenant, held[-1], policy, now)


def go_on(tenant: str, member_id: str, policy: TenantSettings, now: datetime) -> None:
    """An update of the contact has ended: what waited for it is decided anew."""
    waiting = invoices.of_payer(tenant, member_id, InvoiceState.WAITING)
    if waiting:
        _decide_anew(tenant, waiting[-1], InvoiceState.WAITING, policy, now)


def _decide_anew(
    tenant: str,
    one: Invoice,
    state: InvoiceState,
    policy: TenantSettings,
    now: datetime,
) -> None:
    """The payer's invoices in this state go where the contact now lets them."""
    member = Member.model_validate(one.payer)
    resolution = resolve(tenant, member, policy, now)
    for invoice in _locked(tenant, member.id, state):
        _place(invoice, resolution, now)


def _place(invoice: Invoice, resolution: Resolution, now: datetime) -> None:
    match resolution:
        case Known(contact_id):
            make_ready(invoice, contact_id, now)
        case Undecided(cause, reason):
            hold(invoice, cause, reason, now)
        case Creating():
            invoices.change(invoice, state=InvoiceState.WAITING)


def _release(tenant: str, held: Invoice, policy: TenantSettings, now: datetime) -> bool:
    """Whether it is clear now; then all that this payer waits for goes on."""
    member = Member.model_validate(held.payer)
    resolution = resolve(tenant, member, policy, now)
    if isinstance(resolution, Undecided):
        return False
    for invoice in _locked(tenant, member.id, InvoiceState.HELD):
        _place(invoice, resolution, now)
    return True


def take_back(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The contact can't be invoiced now: what was not sent is decided anew."""
    for invoice in _locked(tenant, member_id, InvoiceState.READY):
        if writes.cancel(tenant, LaneName.INVOICES, str(invoice.id)):
            invoices.change(invoice, state=InvoiceState.WAITING, contact_id=None)
    go_on(tenant, member_id, policy, now)


def invoice_again(tenant: str, member_id: str, contact_id: str, now: datetime) -> None:
    """The member's contact can be invoiced again, or is this one from now on."""
    for invoice in _locked(tenant, member_id, InvoiceState.READY):
        if not writes.is_claimed(tenant, LaneName.INVOICES, str(invoice.id)):
            invoices.change(invoice, contact_id=contact_id)
    for invoice in _locked(tenant, member_id, InvoiceState.REFUSED):
        if writes.ask_again(tenant, LaneName.INVOICES, str(invoice.id), now):
            invoices.change(invoice, state=InvoiceState.READY, contact_id=contact_id)
            problems.close_problem(f"invoice:{invoice.id}", now)


def _decide(tenant: str, member: Member) -> Matched | Ambiguous | NoMatch:
    linked_to = contacts.link_of(tenant, member.id)
    found = contacts.candidates(
        tenant,
        member_id=member.id,
        email_key=member.email.strip().casefold(),
        contact_id=linked_to,
    )
    taken = contacts.member_of(tenant, [contact.contact_id for contact in found])
    return match(member, found, linked_to, taken)


def _undecided(
    tenant: str, member: Member, decision: Ambiguous, now: datetime
) -> Undecided:
    cause = _cause(tenant, member.id)
    count = len(decision.candidates)
    reason = {
        "several": f"{count} contacts fit member {member.id} by {decision.rule}",
        "archived": _why_not_usable(member, decision),
        "taken": f"the contact that fits member {member.id} is another member's",
    }[decision.reason]
    candidates = [_evidence(contact) for contact in decision.candidates]
    problems.open_problem(
        "contact_undecided",
        cause,
        reason,
        now,
        tenant=tenant,
        detail={"rule": decision.rule, "candidates": candidates},
    )
    return Undecided(cause, reason)


def _why_not_usable(member: Member, decision: Ambiguous) -> str:
    whose = f"the contact of member {member.id}"
    if any(contact.merged_to for contact in decision.candidates):
        return f"{whose} was merged into another one, which is not theirs"
    if any(contact.status == "GDPRREQUEST" for contact in decision.candidates):
        return f"{whose} was erased at its owner's request"
    return f"{whose} is archived"


def _cause(tenant: str, member_id: str) -> str:
    return f"contact:{tenant}:{member_id}"


def _evidence(contact: MirrorContact) -> Mapping[str, str]:
    return {
        "contact_id": contact.contact_id,
        "name": contact.name,
        "email": contact.email,
        "contact_number": contact.contact_number,
        "account_number": contact.account_number,
        "status": contact.status,
    }
