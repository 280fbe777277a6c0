"""Contacts have been read: what follows for the members who are these contacts.

Fields are compared, merges followed, and what a contact held up goes on, or what it
can't bear any more is taken back. All of it compares what stands in the books, so doing
it once more changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from core import people
from core.contacts import deciding, deciding_anew, waiting
from core.contacts.evidence import evidence
from core.db import contact_decisions, contact_links, contact_reads, contacts, problems
from core.db.contact_decisions import Decision
from core.db.database import atomically
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.verdict import Candidate
from core.settings import TenantSettings

log = structlog.get_logger()

#: Members in one transaction; few, because others may want their rows in another order.
TOGETHER = 50


def noticed(
    tenant: str, contact_ids: Iterable[str], policy: TenantSettings, now: datetime
) -> None:
    """These contacts have just been read and stand in the mirror."""
    linked = contact_links.members_of(tenant, contact_ids)
    for some in _chunks(sorted(linked.items(), key=lambda item: item[1])):
        _noticed_together(tenant, some, policy, now)
    for member_id, lost in contact_links.merged_away(tenant).items():
        _follow(tenant, member_id, lost, policy, now)
    _close_ended(tenant, now)


@atomically
def _noticed_together(
    tenant: str,
    some: Sequence[tuple[str, str]],
    policy: TenantSettings,
    now: datetime,
) -> None:
    for contact_id, member_id in some:
        _noticed(tenant, member_id, contact_id, policy, now)


def _noticed(
    tenant: str,
    member_id: str,
    contact_id: str,
    policy: TenantSettings,
    now: datetime,
) -> None:
    contact = contacts.get(tenant, contact_id)
    if contact is None:
        return
    was_active = people.status_of(tenant, member_id) in (ACTIVE, "")
    people.reconcile(tenant, member_id, policy, now, is_fresh=True)
    contact_reads.forget(tenant, contact_id, contact.updated_at)
    into = contact.merged_to
    if into is not None and contacts.get(tenant, into) is None:
        contact_reads.ask(tenant, into, now, is_needed=True)
    elif contact.status != ACTIVE:
        deciding_anew.take_back(tenant, member_id, policy, now)
    elif not was_active:
        waiting.invoice_again(tenant, member_id, contact_id, now)
        deciding_anew.decide_anew(tenant, member_id, policy, now)


@atomically
def _follow(
    tenant: str, member_id: str, lost_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The member becomes the contact that is left, unless that is somebody else's."""
    lost = contacts.get(tenant, lost_id)
    kept = None if lost is None else _survivor(tenant, lost)
    if lost is None or kept is None:
        return
    if contact_links.contact_of(tenant, member_id) != lost_id:
        return
    holder = contact_links.members_of(tenant, [kept.contact_id]).get(kept.contact_id)
    if holder is not None:
        _two_members(tenant, member_id, holder, lost, kept, now)
        return
    deciding.follow_merge(tenant, member_id, lost_id, kept.contact_id, policy, now)
    log.info("contact.merged", member_id=member_id, contact_id=kept.contact_id)
    deciding_anew.decide_anew(tenant, member_id, policy, now)


def _survivor(tenant: str, lost: MirrorContact) -> MirrorContact | None:
    """The end of the chain; None while part of it has not been read."""
    passed: set[str] = set()
    contact: MirrorContact | None = lost
    while contact is not None and contact.merged_to is not None:
        if contact.contact_id in passed:
            return None
        passed.add(contact.contact_id)
        contact = contacts.get(tenant, contact.merged_to)
    return contact


def _two_members(
    tenant: str,
    member_id: str,
    holder: str,
    lost: MirrorContact,
    kept: MirrorContact,
    now: datetime,
) -> None:
    cause = _cause(tenant, member_id)
    if cause in {problem.cause for problem in problems.open_problems()}:
        return
    reason = f"the contact of member {member_id} was merged into that of {holder}"
    shown = {"lost": _shown(lost, member_id), "kept": _shown(kept, holder)}
    problems.open_problem(
        "contact_merged", cause, reason, now, tenant=tenant, detail=shown
    )
    contact_decisions.note(
        tenant,
        member_id,
        Decision.QUARANTINED,
        now,
        reason=reason,
        candidates=[shown["kept"]],
    )


def _shown(contact: MirrorContact, member_id: str) -> Mapping[str, str]:
    candidate = Candidate(contact, True, f"it is member {member_id}'s")
    return {**evidence(candidate), "member_id": member_id}


@atomically
def _close_ended(tenant: str, now: datetime) -> None:
    """Whoever decided has given one of the two another contact."""
    merged = contact_links.merged_away(tenant)
    standing = {_cause(tenant, member_id) for member_id in merged}
    for problem in problems.open_problems("contact_merged"):
        if problem.tenant == tenant and problem.cause not in standing:
            problems.close_problem(problem.cause, now)


def _cause(tenant: str, member_id: str) -> str:
    return f"merge:{tenant}:{member_id}"


def _chunks(
    pairs: Sequence[tuple[str, str]],
) -> Iterable[Sequence[tuple[str, str]]]:
    return (pairs[start : start + TOGETHER] for start in range(0, len(pairs), TOGETHER))
