"""Which contact an invoice goes on: known, found, to be created, or for a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import answers, contact_messages, people
from core.contact_fields import answered
from core.db import contact_decisions, contacts, invoices, outbox, problems, writes
from core.db.contact_decisions import Decision
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice, Write
from core.db.writes import WriteState
from core.matching.contact import ACTIVE, ARCHIVED, MirrorContact
from core.matching.match import match
from core.matching.normalising import plain
from core.matching.verdict import (
    Ambiguous,
    Candidate,
    Circumstances,
    Doubt,
    Match,
    Matched,
    MatchRule,
    NoMatch,
)
from core.members import Member
from core.settings import TenantSettings
from core.waking import LaneName


@dataclass(frozen=True, slots=True)
class Known:
    """It is this one.

    Args:
        others_wait: for this decision; the caller lets them go on after its own.
    """

    contact_id: str
    others_wait: bool = False


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
    linked = contacts.linked(tenant, member.id)
    if linked is not None and linked.status == ACTIVE:
        was_asked = problems.close_problem(cause_of(tenant, member.id), now)
        return Known(linked.contact_id, others_wait=was_asked)
    member = people.newest(tenant, member)
    # From here on somebody at the desk may decide about the same member.
    contacts.lock_member(tenant, member.id)
    decision = decide(tenant, member, policy)
    match decision:
        case Matched():
            return _matched(tenant, member, decision, policy, now)
        case NoMatch():
            return create(tenant, member, now)
        case Ambiguous():
            return _doubted(tenant, member, decision, policy, now)


def find(tenant: str, member: Member, policy: TenantSettings, now: datetime) -> None:
    """Tie the member to its contact if that is beyond doubt; nobody is asked."""
    linked = contacts.linked(tenant, member.id)
    if linked is not None and linked.status == ACTIVE:
        return
    member = people.newest(tenant, member)
    contacts.lock_member(tenant, member.id)
    decision = decide(tenant, member, policy)
    if not isinstance(decision, Matched):
        return
    resolution = _matched(tenant, member, decision, policy, now)
    if isinstance(resolution, Known) and resolution.others_wait:
        go_on(tenant, member.id, resolution, now)


def _matched(
    tenant: str,
    member: Member,
    decision: Matched,
    policy: TenantSettings,
    now: datetime,
) -> Resolution:
    """Tie them, unless Xero is making another contact at this moment."""
    asked = writes.pending(tenant, LaneName.CONTACTS, member.id)
    if asked is not None and not writes.drop(tenant, LaneName.CONTACTS, member.id):
        return Creating()
    contact_id = decision.contact.contact_id
    before = contacts.link_of(tenant, member.id)
    if before is not None and before != contact_id:
        follow_merge(tenant, member.id, before, contact_id, policy, now)
    elif before is None:
        if not _tie(tenant, member.id, decision, now):
            return _undecided(tenant, member, _taken(decision), now)
        people.reconcile(tenant, member.id, policy, now)
    was_asked = problems.close_problem(cause_of(tenant, member.id), now)
    return Known(contact_id, others_wait=was_asked or asked is not None)


def _taken(decision: Matched) -> Ambiguous:
    candidate = Candidate(decision.contact, True, decision.why)
    return Ambiguous((candidate,), decision.rule, Doubt.TAKEN)


def _doubted(
    tenant: str,
    member: Member,
    decision: Ambiguous,
    policy: TenantSettings,
    now: datetime,
) -> Resolution:
    asked = writes.pending(tenant, LaneName.CONTACTS, member.id)
    if asked is not None and asked.state != WriteState.REFUSED:
        return Creating()  # somebody has said that it is none of them
    if policy.archived_contact == "restore" and _is_restorable(decision):
        return _restore(tenant, member, decision, now)
    return _undecided(tenant, member, decision, now)


def _is_restorable(decision: Ambiguous) -> bool:
    """One contact that is archived; merged into another or erased it stays so."""
    shown = [(c.contact.status, c.contact.merged_to) for c in decision.candidates]
    return decision.reason is Doubt.ARCHIVED and shown == [(ARCHIVED, None)]


def _restore(
    tenant: str, member: Member, decision: Ambiguous, now: datetime
) -> Resolution:
    """Make the archived contact active; the invoice waits for it."""
    (candidate,) = decision.candidates
    contact_id = candidate.contact.contact_id
    is_refused = contact_id in contact_decisions.unlinked(tenant, member.id)
    if is_refused or not candidate.is_sure:
        return _undecided(tenant, member, decision, now)
    found = Matched(candidate.contact, decision.rule, candidate.why)
    if not _tie(tenant, member.id, found, now):
        return _undecided(tenant, member, _taken(found), now)
    if people.restore(tenant, member.id, contact_id, now) is not None:
        return _undecided(tenant, member, decision, now)
    contact_decisions.note(
        tenant,
        member.id,
        Decision.RESTORED,
        now,
        contact_id=contact_id,
        rule=decision.rule,
        reason="it was archived, and the tenant has such contacts restored",
    )
    problems.close_problem(cause_of(tenant, member.id), now)
    return Creating()


def decide(tenant: str, member: Member, policy: TenantSettings) -> Match:
    """What the rules say now; nothing is written."""
    linked_to = contacts.link_of(tenant, member.id)
    found = contacts.candidates(tenant, member, linked_to)
    if not found and linked_to is None:
        return NoMatch()
    known = Circumstances(
        linked_to=linked_to,
        taken=contacts.member_of(tenant, [each.contact_id for each in found]),
        unlinked=contact_decisions.unlinked(tenant, member.id),
        tag_domains=policy.plus_tag_domains,
    )
    return match(member, found, known)


def follow_merge(
    tenant: str,
    member_id: str,
    lost_id: str,
    kept_id: str,
    policy: TenantSettings,
    now: datetime,
) -> None:
    """Xero has merged the member's contact into this one, which is the member's now.

    Raises:
        VersionMoved: it has become another member's meanwhile.
    """
    contacts.move_link(tenant, member_id, kept_id, MatchRule.MERGED, now)
    contact_decisions.note(
        tenant,
        member_id,
        Decision.MERGED,
        now,
        contact_id=kept_id,
        rule=MatchRule.MERGED,
        reason=f"Xero has merged {lost_id} into it",
    )
    merged_at = contacts.updated_at(tenant, lost_id)
    told = contact_messages.merged(tenant, member_id, lost_id, kept_id, merged_at, now)
    outbox.say([told], tenant=tenant, at=now)
    people.reconcile(tenant, member_id, policy, now)
    invoice_again(tenant, member_id, kept_id, now)


def _tie(tenant: str, member_id: str, decision: Matched, now: datetime) -> bool:
    """Whether they are tied now; False: the contact has just become another's."""
    contact_id = decision.contact.contact_id
    before = contacts.link_of(tenant, member_id)
    if before == contact_id:
        return True
    shown = [evidence(Candidate(decision.contact, True, decision.why))]
    rule = decision.rule
    if not contacts.link(
        tenant, member_id, contact_id, rule, {"contact": shown[0]}, now
    ):
        return False
    contact_decisions.note(
        tenant,
        member_id,
        Decision.LINKED,
        now,
        contact_id=contact_id,
        rule=rule,
        reason=decision.why,
        candidates=shown,
    )
    return True


def create(tenant: str, member: Member, now: datetime) -> Resolution:
    """Ask for a contact, unless that has been asked before."""
    data = {"member": member.model_dump(mode="json")}
    asked = writes.add_locked(tenant, LaneName.CONTACTS, member.id, now, data)
    if asked.state == WriteState.DONE:
        # It was created between our look and our lock; or its contact went to another.
        contact_id = contacts.link_of(tenant, member.id)
        if contact_id is not None:
            return Known(contact_id)
        writes.due_again(asked, now, data=data)
        return Creating()
    is_same = asked.data["member"] == data["member"]
    if asked.state == WriteState.REFUSED:
        if is_same and not _is_free(tenant, asked):
            return Undecided(cause_of(tenant, member.id), asked.reason)
        writes.due_again(asked, now, data=data)
    elif asked.state != WriteState.CLAIMED and not is_same:
        writes.due_again(asked, now, data=data)
    return Creating()


def created(
    tenant: str,
    sent: Member,
    contact: MirrorContact,
    now: datetime,
    *,
    names_taken: Sequence[Mapping[str, Any]] = (),
) -> None:
    """A contact has been created for this member: whatever waited for it is ready.

    With the link is kept which names it was to have and Xero refused, each as
    ``name_clash`` describes it; the contact's own is the one that was used.
    """
    contacts.put(tenant, [answered(contact, None)])
    member_id = sent.id
    names = [clash["name"] for clash in names_taken]
    why = "no contact fitted, so Xero made one"
    reason = f"{why}; taken: {' and '.join(names)}" if names else why
    shown: dict[str, Any] = {"contact": evidence(Candidate(contact, True, why))}
    if names_taken:
        shown["names_taken"] = list(names_taken)
    rule, contact_id = MatchRule.CREATED, contact.contact_id
    if not contacts.link(tenant, member_id, contact_id, rule, shown, now):
        reason = "the contact with its number is another member's"
        _refuse(tenant, member_id, reason, now)
        return
    contact_decisions.note(
        tenant,
        member_id,
        Decision.CREATED,
        now,
        contact_id=contact_id,
        rule=rule,
        reason=reason,
        candidates=_holders(names_taken),
    )
    people.created(tenant, sent, contact)
    go_on(tenant, member_id, Known(contact_id), now)


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
    _refuse(tenant, member.id, f"Xero refuses it: {reason}", now)


def name_clash(tenant: str, name: str, reason: str) -> Mapping[str, Any]:
    """Who has a name that Xero refuses as taken, as far as the mirror knows."""
    found = _in_use(tenant, name)
    members = contacts.member_of(tenant, [contact.contact_id for contact in found])
    held_by = [
        {
            **evidence(Candidate(contact, True, f"has the name {name}")),
            "member_id": members.get(contact.contact_id, ""),
        }
        for contact in found
    ]
    return {"name": name, "reason": reason, "held_by": held_by}


def name_taken(
    tenant: str, member: Member, clashes: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Nobody may choose another name for this newcomer: a person decides."""
    names = " and ".join(clash["name"] for clash in clashes)
    reason, holders = f"the name {names} is another contact's", _holders(clashes)
    problems.open_problem(
        "contact_name_taken",
        cause_of(tenant, member.id),
        f"No contact for member {member.id}: {reason}",
        now,
        tenant=tenant,
        detail={"candidates": holders, "names_taken": list(clashes)},
    )
    _hold_all(tenant, member.id, reason, now, holders)


def _is_free(tenant: str, refused: Write) -> bool:
    """Whether a name that was refused as taken is nobody's any more."""
    wanted = refused.data.get("wanted_names", ())
    return any(not _in_use(tenant, name) for name in wanted)


def _in_use(tenant: str, name: str) -> Sequence[MirrorContact]:
    """Active contacts of this name; Xero compares names whatever their case."""
    wanted = plain(name)
    return [
        contact
        for contact in contacts.namesakes(tenant, name)
        if contact.status == ACTIVE and plain(contact.name) == wanted
    ]


def _holders(clashes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, str]]:
    return [holder for clash in clashes for holder in clash["held_by"]]


def _refuse(tenant: str, member_id: str, reason: str, now: datetime) -> None:
    problems.open_problem(
        "contact_refused",
        cause_of(tenant, member_id),
        f"No contact for member {member_id}: {reason}",
        now,
        tenant=tenant,
    )
    _hold_all(tenant, member_id, reason, now)


def _hold_all(
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
    for invoice in _locked(tenant, member_id, InvoiceState.WAITING):
        hold(invoice, cause_of(tenant, member_id), reason, now)


def _locked(tenant: str, member_id: str, state: InvoiceState) -> Iterator[Invoice]:
    """The member's invoices in a state, each held until the commit."""
    for row in invoices.of_payer(tenant, member_id, state):
        invoice = invoices.lock(row.id)
        if invoice.state == state:
            yield invoice


def release_decided(tenant: str, policy: TenantSettings, now: datetime) -> int:
    """After the mirror has changed: held invoices whose contact is clear go on.

    Each member in a transaction of its own: there may be thousands, and everybody else
    waits for a long one.

    Returns:
        How many members were decided.
    """
    count = 0
    for held in invoices.held_payers(tenant):
        with transaction():
            count += _release(tenant, held, policy, now)
    return count


def retry(tenant: str, member_id: str, policy: TenantSettings, now: datetime) -> None:
    """A person has mended something: decide anew, and ask Xero anew if it refused."""
    writes.ask_again(tenant, LaneName.CONTACTS, member_id, now)
    held = invoices.of_payer(tenant, member_id, InvoiceState.HELD)
    if held:
        _release(tenant, held[-1], policy, now)


def _release(tenant: str, held: Invoice, policy: TenantSettings, now: datetime) -> bool:
    """Whether it is clear now; then all that this payer waits for goes on."""
    member = Member.model_validate(held.payer)
    resolution = resolve(tenant, member, policy, now)
    if isinstance(resolution, Undecided):
        return False
    go_on(tenant, member.id, resolution, now)
    return True


def decide_anew(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The member's contact is not what it was: what waits for it is decided anew."""
    waiting = invoices.of_payer(tenant, member_id, InvoiceState.WAITING)
    if not waiting:
        return
    member = Member.model_validate(waiting[-1].payer)
    resolution = resolve(tenant, member, policy, now)
    if isinstance(resolution, Undecided):
        for invoice in _locked(tenant, member_id, InvoiceState.WAITING):
            hold(invoice, resolution.cause, resolution.reason, now)
    else:
        go_on(tenant, member_id, resolution, now)


def take_back(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The contact can't be invoiced now: what was not sent is decided anew."""
    for invoice in _locked(tenant, member_id, InvoiceState.READY):
        if writes.cancel(tenant, LaneName.INVOICES, str(invoice.id)):
            invoices.change(invoice, state=InvoiceState.WAITING, contact_id=None)
    decide_anew(tenant, member_id, policy, now)


def invoice_again(tenant: str, member_id: str, contact_id: str, now: datetime) -> None:
    """The member's contact can be invoiced again, or is this one from now on."""
    for invoice in _locked(tenant, member_id, InvoiceState.READY):
        if not writes.is_claimed(tenant, LaneName.INVOICES, str(invoice.id)):
            invoices.change(invoice, contact_id=contact_id)
    for invoice in _locked(tenant, member_id, InvoiceState.REFUSED):
        if writes.ask_again(tenant, LaneName.INVOICES, str(invoice.id), now):
            invoices.change(invoice, state=InvoiceState.READY, contact_id=contact_id)
            problems.close_problem(f"invoice:{invoice.id}", now)


def go_on(
    tenant: str,
    member_id: str,
    resolution: Known | Creating,
    now: datetime,
    by: str = contact_decisions.OURSELVES,
) -> int:
    """What waited for the decision about this member's contact; how many invoices."""
    held = list(_locked(tenant, member_id, InvoiceState.HELD))
    waiting = list(_locked(tenant, member_id, InvoiceState.WAITING))
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
            contact_id=contacts.link_of(tenant, member_id),
            reason=f"invoices that were held and go on: {len(held)}",
            by=by,
        )
    return len(held) + len(waiting)


def _undecided(
    tenant: str, member: Member, decision: Ambiguous, now: datetime
) -> Undecided:
    cause, reason = cause_of(tenant, member.id), reason_of(member.id, decision)
    candidates = [evidence(candidate) for candidate in decision.candidates]
    problems.open_problem(
        "contact_undecided",
        cause,
        reason,
        now,
        tenant=tenant,
        detail={"rule": decision.rule, "candidates": candidates},
    )
    contact_decisions.note(
        tenant,
        member.id,
        Decision.QUARANTINED,
        now,
        rule=decision.rule,
        reason=reason,
        candidates=candidates,
    )
    return Undecided(cause, reason)


def reason_of(member_id: str, decision: Ambiguous) -> str:
    """Why nobody but a person may decide, in a sentence."""
    count = len(decision.candidates)
    return {
        Doubt.SEVERAL: f"{count} contacts fit member {member_id} by {decision.rule}",
        Doubt.ARCHIVED: f"the contact of member {member_id} is archived",
        Doubt.ERASED: f"the contact of member {member_id} is to be erased (GDPR)",
        Doubt.TAKEN: f"the contact that fits member {member_id} is another member's",
        Doubt.UNSURE: f"a contact fits member {member_id} only perhaps",
        Doubt.UNLINKED: f"the contact that fits member {member_id} was unlinked",
        Doubt.MISSING: f"the contact of member {member_id} is not known any more",
    }[decision.reason]


def candidates_of(found: Match) -> Sequence[Candidate]:
    """The contacts that it is about."""
    match found:
        case Matched(contact, _, why):
            return (Candidate(contact, True, why),)
        case Ambiguous(candidates):
            return candidates
        case NoMatch():
            return ()


def cause_of(tenant: str, member_id: str) -> str:
    """Of the problem that is open while nobody has decided."""
    return f"contact:{tenant}:{member_id}"


def evidence(candidate: Candidate) -> Mapping[str, str]:
    """What a person needs to see of a contact, and why it was found."""
    contact = candidate.contact
    return {
        "contact_id": contact.contact_id,
        "name": contact.name,
        "email": contact.email,
        "contact_number": contact.contact_number,
        "account_number": contact.account_number,
        "tax_number": contact.tax_number,
        "company_number": contact.company_number,
        "status": contact.status,
        "why": candidate.why,
    }
