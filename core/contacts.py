"""Which contact an invoice goes on: known, found, to be created, or for a person."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import answers
from core.contact_matching import (
    ACTIVE,
    Ambiguous,
    Candidate,
    Circumstances,
    Doubt,
    Match,
    Matched,
    MatchRule,
    MirrorContact,
    NoMatch,
    match,
)
from core.db import contact_decisions, contacts, invoices, outbox, problems, writes
from core.db.contact_decisions import Decision
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice, Write
from core.db.writes import WriteState
from core.members import Member
from core.normalising import plain
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
    """A contact is being created; the invoice waits for it."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A person must say which contact it is."""

    cause: str
    reason: str


Resolution = Known | Creating | Undecided


def resolve(
    tenant: str, member: Member, now: datetime, tag_domains: Collection[str]
) -> Resolution:
    """Decide, and write the decision down, in the caller's transaction.

    Args:
        tenant: whose contacts they are.
        member: who is to be invoiced.
        now: the moment of the decision.
        tag_domains: where jan+tax@… is the mailbox of jan@…, as the tenant declares.
    """
    linked = contacts.linked(tenant, member.id)
    if linked is not None and linked.status == ACTIVE:
        was_asked = problems.close_problem(cause_of(tenant, member.id), now)
        return Known(linked.contact_id, others_wait=was_asked)
    # From here on somebody at the desk may decide about the same member.
    contacts.lock_member(tenant, member.id)
    decision = decide(tenant, member, tag_domains)
    match decision:
        case Matched():
            return _matched(tenant, member, decision, now)
        case NoMatch():
            return create(tenant, member, now)
        case Ambiguous():
            return _undecided(tenant, member, decision, now)


def _matched(
    tenant: str, member: Member, decision: Matched, now: datetime
) -> Resolution:
    """Tie them, unless Xero is making another contact at this moment."""
    asked = writes.pending(tenant, LaneName.CONTACTS, member.id)
    if asked is not None and not writes.drop(tenant, LaneName.CONTACTS, member.id):
        return Creating()
    contact = decision.contact
    if not _tie(tenant, member.id, decision, now):
        candidate = Candidate(contact, True, decision.why)
        taken = Ambiguous((candidate,), decision.rule, Doubt.TAKEN)
        return _undecided(tenant, member, taken, now)
    was_asked = problems.close_problem(cause_of(tenant, member.id), now)
    return Known(contact.contact_id, others_wait=was_asked or asked is not None)


def decide(tenant: str, member: Member, tag_domains: Collection[str]) -> Match:
    """What the rules say now; nothing is written."""
    linked_to = contacts.link_of(tenant, member.id)
    found = contacts.candidates(tenant, member, linked_to)
    if not found and linked_to is None:
        return NoMatch()
    known = Circumstances(
        linked_to=linked_to,
        taken=contacts.member_of(tenant, [each.contact_id for each in found]),
        unlinked=contact_decisions.unlinked(tenant, member.id),
        tag_domains=tag_domains,
    )
    return match(member, found, known)


def _tie(tenant: str, member_id: str, decision: Matched, now: datetime) -> bool:
    """Whether they are tied now; False: the contact has just become another's."""
    contact_id = decision.contact.contact_id
    before = contacts.link_of(tenant, member_id)
    if before == contact_id:
        return True
    if before is not None:  # merged in Xero: the link follows
        contacts.unlink(tenant, member_id)
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
    if asked.state != WriteState.REFUSED:
        return Creating()
    if asked.data["member"] == data["member"] and not _is_free(tenant, asked):
        return Undecided(cause_of(tenant, member.id), asked.reason)
    writes.due_again(asked, now, data=data)
    return Creating()


def created(
    tenant: str,
    member_id: str,
    contact: MirrorContact,
    now: datetime,
    *,
    names_taken: Sequence[Mapping[str, Any]] = (),
) -> None:
    """A contact has been created for this member: whatever waited for it is ready.

    With the link is kept which names it was to have and Xero refused, each as
    ``name_clash`` describes it; the contact's own is the one that was used.
    """
    contacts.put(tenant, [contact])
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


def release_decided(tenant: str, now: datetime, tag_domains: Collection[str]) -> int:
    """After the mirror has changed: held invoices whose contact is clear go on.

    Each member in a transaction of its own: there may be thousands, and everybody else
    waits for a long one.

    Returns:
        How many members were decided.
    """
    count = 0
    for held in invoices.held_payers(tenant):
        with transaction():
            count += _release(tenant, held, now, tag_domains)
    return count


def retry(
    tenant: str, member_id: str, now: datetime, tag_domains: Collection[str]
) -> None:
    """A person has mended something: decide anew, and ask Xero anew if it refused."""
    writes.ask_again(tenant, LaneName.CONTACTS, member_id, now)
    held = invoices.of_payer(tenant, member_id, InvoiceState.HELD)
    if held:
        _release(tenant, held[-1], now, tag_domains)


def _release(
    tenant: str, held: Invoice, now: datetime, tag_domains: Collection[str]
) -> bool:
    """Whether it is clear now; then all that this payer waits for goes on."""
    member = Member.model_validate(held.payer)
    resolution = resolve(tenant, member, now, tag_domains)
    if isinstance(resolution, Undecided):
        return False
    go_on(tenant, member.id, resolution, now)
    return True


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
) -> Undecided | Creating:
    asked = writes.pending(tenant, LaneName.CONTACTS, member.id)
    if asked is not None and asked.state != WriteState.REFUSED:
        return Creating()  # somebody has said that it is none of them
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
