"""Which contact an invoice goes on: known, found, to be created, or for a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import answers
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
from core.db.models import Invoice, Write
from core.db.writes import WriteState
from core.members import Member
from core.waking import LaneName


@dataclass(frozen=True, slots=True)
class Known:
    contact_id: str


@dataclass(frozen=True, slots=True)
class Creating:
    """A contact is being created; the invoice waits for it."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A person must say which contact it is."""

    cause: str
    reason: str


Resolution = Known | Creating | Undecided


def resolve(tenant: str, member: Member, now: datetime) -> Resolution:
    """Decide, and write the decision down, in the caller's transaction."""
    decision = _decide(tenant, member)
    match decision:
        case Matched(contact, rule):
            evidence = {"contact": _evidence(contact)}
            linked = rule is MatchRule.LINK or contacts.link(
                tenant, member.id, contact.contact_id, rule, evidence, now
            )
            if linked:
                problems.close_problem(_cause(tenant, member.id), now)
                return Known(contact.contact_id)
            return _undecided(tenant, member, Ambiguous((contact,), rule, "taken"), now)
        case NoMatch():
            return _create(tenant, member, now)
        case Ambiguous():
            return _undecided(tenant, member, decision, now)


def _create(tenant: str, member: Member, now: datetime) -> Resolution:
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
        return Undecided(_cause(tenant, member.id), asked.reason)
    writes.due_again(asked, now, data=data)
    return Creating()


def _is_free(tenant: str, refused: Write) -> bool:
    """Whether a name that was refused as taken is nobody's any more."""
    wanted = refused.data.get("wanted_names", ())
    return any(not contacts.named(tenant, name) for name in wanted)


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
    evidence: dict[str, Any] = {"contact": _evidence(contact)}
    if names_taken:
        evidence["names_taken"] = list(names_taken)
    rule, contact_id = MatchRule.CREATED, contact.contact_id
    if not contacts.link(tenant, member_id, contact_id, rule, evidence, now):
        reason = "the contact with its number is another member's"
        _hold_all(tenant, member_id, reason, now)
        return
    problems.close_problem(_cause(tenant, member_id), now)
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


def name_clash(tenant: str, name: str, reason: str) -> Mapping[str, Any]:
    """Who has a name that Xero refuses as taken, as far as the mirror knows."""
    found = contacts.named(tenant, name)
    members = contacts.member_of(tenant, [contact.contact_id for contact in found])
    held_by = [
        {**_evidence(contact), "member_id": members.get(contact.contact_id, "")}
        for contact in found
    ]
    return {"name": name, "reason": reason, "held_by": held_by}


def name_taken(
    tenant: str, member: Member, clashes: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Nobody may choose another name for this newcomer: a person decides."""
    cause = _cause(tenant, member.id)
    names = " and ".join(clash["name"] for clash in clashes)
    reason = f"the name {names} is another contact's"
    problems.open_problem(
        "contact_name_taken",
        cause,
        f"No contact for member {member.id}: {reason}",
        now,
        tenant=tenant,
        detail={
            "rule": "name",
            "candidates": [who for clash in clashes for who in clash["held_by"]],
            "names_taken": list(clashes),
        },
    )
    _hold_waiting(tenant, member.id, reason, now)


def _hold_all(tenant: str, member_id: str, reason: str, now: datetime) -> None:
    """Whatever waits for this member's contact waits for a person now."""
    problems.open_problem(
        "contact_refused",
        _cause(tenant, member_id),
        f"No contact for member {member_id}: {reason}",
        now,
        tenant=tenant,
    )
    _hold_waiting(tenant, member_id, reason, now)


def _hold_waiting(tenant: str, member_id: str, reason: str, now: datetime) -> None:
    cause = _cause(tenant, member_id)
    for invoice in _locked(tenant, member_id, InvoiceState.WAITING):
        hold(invoice, cause, reason, now)


def _locked(tenant: str, member_id: str, state: InvoiceState) -> Iterator[Invoice]:
    """The member's invoices in a state, each held until the commit."""
    for row in invoices.of_payer(tenant, member_id, state):
        invoice = invoices.lock(row.id)
        if invoice.state == state:
            yield invoice


def release_decided(tenant: str, now: datetime) -> int:
    """After the mirror has changed: held invoices whose contact is clear go on.

    Returns:
        How many members were decided.
    """
    return sum(_release(tenant, held, now) for held in invoices.held_payers(tenant))


def retry(tenant: str, member_id: str, now: datetime) -> None:
    """A person has mended something: decide anew, and ask Xero anew if it refused."""
    writes.ask_again(tenant, LaneName.CONTACTS, member_id, now)
    held = invoices.of_payer(tenant, member_id, InvoiceState.HELD)
    if held:
        _release(tenant, held[-1], now)


def _release(tenant: str, held: Invoice, now: datetime) -> bool:
    """Whether it is clear now; then all that this payer waits for goes on."""
    member = Member.model_validate(held.payer)
    resolution = resolve(tenant, member, now)
    if isinstance(resolution, Undecided):
        return False
    for invoice in _locked(tenant, member.id, InvoiceState.HELD):
        if isinstance(resolution, Known):
            make_ready(invoice, resolution.contact_id, now)
        else:
            invoices.change(invoice, state=InvoiceState.WAITING)
    return True


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
        "archived": f"the contact of member {member.id} is archived",
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
