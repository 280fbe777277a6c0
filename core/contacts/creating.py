"""Contacts that Xero is to create: asked for, created, or refused."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import people
from core.contact_fields import answered
from core.contacts import waiting
from core.contacts.evidence import cause_of, evidence
from core.contacts.resolution import Creating, Known, Resolution, Undecided
from core.db import contact_decisions, contact_links, contacts, problems, writes
from core.db.contact_decisions import Decision
from core.db.models import Write
from core.db.writes import WriteState
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.normalising import plain
from core.matching.verdict import Candidate, MatchRule
from core.members import Member
from core.waking import LaneName


def create(
    tenant: str, member: Member, now: datetime, *, is_awaited: bool = False
) -> Resolution:
    """Ask for a contact, unless that has been asked before.

    Returns:
        Known: one was created a moment ago. Undecided: Xero has refused this one.
    """
    data = {"member": member.model_dump(mode="json")}
    asked = writes.add_locked(
        tenant, LaneName.CONTACTS, member.id, now, data, is_awaited=is_awaited
    )
    if asked.state == WriteState.DONE:
        # It was created between our look and our lock; or its contact went to another.
        contact_id = contact_links.contact_of(tenant, member.id)
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
    if not contact_links.link(tenant, member_id, contact_id, rule, shown, now):
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
    waiting.go_on(tenant, member_id, Known(contact_id), now)


def refused_by_xero(tenant: str, member: Member, reason: str, now: datetime) -> None:
    """Xero will not have this contact: its invoices wait for a person."""
    _refuse(tenant, member.id, f"Xero refuses it: {reason}", now)


def name_clash(tenant: str, name: str, reason: str) -> Mapping[str, Any]:
    """Who has a name that Xero refuses as taken, as far as the mirror knows.

    Returns:
        ``name``, ``reason`` (Xero's words), and ``held_by``: the evidence of each
        contact, with the ``member_id`` it is linked to, or an empty one.
    """
    found = _in_use(tenant, name)
    members = contact_links.members_of(tenant, [each.contact_id for each in found])
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
    if waiting.let_lapse(tenant, member.id, now):
        return
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
    waiting.hold_all(tenant, member.id, reason, now, holders)


def _is_free(tenant: str, refused: Write) -> bool:
    """Whether a name that was refused as taken is nobody's any more.

    Who has it is perhaps not in the mirror yet: a name is free only once its holder was
    seen, and has given way. Else each change of any contact would have Xero refuse it.
    """
    seen = set(refused.data.get("held_names", ()))
    wanted = refused.data.get("wanted_names", ())
    held = {name for name in wanted if _in_use(tenant, name)}
    if not held <= seen:
        seen |= held
        writes.keep(refused, {**refused.data, "held_names": sorted(seen)})
    return not seen <= held


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
    if waiting.let_lapse(tenant, member_id, now):
        return
    problems.open_problem(
        "contact_refused",
        cause_of(tenant, member_id),
        f"No contact for member {member_id}: {reason}",
        now,
        tenant=tenant,
    )
    waiting.hold_all(tenant, member_id, reason, now)
