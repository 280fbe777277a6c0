"""Which contact an invoice goes on: known, found, to be created, or for a person."""

from datetime import datetime

from core import contact_messages, people
from core.contacts import creating, waiting
from core.contacts.evidence import cause_of, evidence, reason_of
from core.contacts.resolution import Creating, Known, Resolution, Undecided
from core.db import contact_decisions, contact_links, contacts, outbox, problems, writes
from core.db.contact_decisions import Decision
from core.db.writes import WriteState
from core.matching.contact import ACTIVE, ARCHIVED
from core.matching.match import match
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


def resolve(
    tenant: str,
    member: Member,
    policy: TenantSettings,
    now: datetime,
    *,
    is_awaited: bool = False,
) -> Resolution:
    """Decide, and write the decision down, in the caller's transaction.

    What somebody waits for (``is_awaited``) does not wait for the contacts of others.

    Raises:
        VersionMoved: the contact that fits has become another member's meanwhile.
    """
    linked = contacts.linked(tenant, member.id)
    if linked is not None and linked.status == ACTIVE:
        was_asked = problems.close_problem(cause_of(tenant, member.id), now)
        return Known(linked.contact_id, others_wait=was_asked)
    member = people.newest(tenant, member)
    # From here on somebody at the desk may decide about the same member.
    contact_links.lock_member(tenant, member.id)
    decision = decide(tenant, member, policy)
    match decision:
        case Matched():
            return _matched(tenant, member, decision, policy, now)
        case NoMatch():
            return creating.create(tenant, member, now, is_awaited=is_awaited)
        case Ambiguous():
            return _doubted(tenant, member, decision, policy, now)


def find(tenant: str, member: Member, policy: TenantSettings, now: datetime) -> None:
    """Tie the member to its contact if that is beyond doubt; nobody is asked."""
    linked = contacts.linked(tenant, member.id)
    if linked is not None and linked.status == ACTIVE:
        return
    member = people.newest(tenant, member)
    contact_links.lock_member(tenant, member.id)
    decision = decide(tenant, member, policy)
    if not isinstance(decision, Matched):
        return
    resolution = _matched(tenant, member, decision, policy, now)
    if isinstance(resolution, Known) and resolution.others_wait:
        waiting.go_on(tenant, member.id, resolution, now)


def decide(tenant: str, member: Member, policy: TenantSettings) -> Match:
    """What the rules say now; nothing is written."""
    linked_to = contact_links.contact_of(tenant, member.id)
    found = contacts.candidates(tenant, member, linked_to)
    if not found and linked_to is None:
        return NoMatch()
    known = Circumstances(
        linked_to=linked_to,
        taken=contact_links.members_of(tenant, [each.contact_id for each in found]),
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
    contact_links.move(tenant, member_id, kept_id, MatchRule.MERGED, now)
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
    waiting.invoice_again(tenant, member_id, kept_id, now)


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
    before = contact_links.contact_of(tenant, member.id)
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
    if is_restored(decision, policy):
        return _restore(tenant, member, decision, now)
    return _undecided(tenant, member, decision, now)


def is_restored(decision: Ambiguous, policy: TenantSettings) -> bool:
    """Whether it is about one contact that is archived, and such are restored.

    One that was merged into another, or erased, stays as it is.
    """
    shown = [(c.contact.status, c.contact.merged_to) for c in decision.candidates]
    is_archived = decision.reason is Doubt.ARCHIVED and shown == [(ARCHIVED, None)]
    return policy.archived_contact == "restore" and is_archived


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


def _tie(tenant: str, member_id: str, decision: Matched, now: datetime) -> bool:
    """Whether they are tied now; False: the contact has just become another's."""
    contact_id = decision.contact.contact_id
    before = contact_links.contact_of(tenant, member_id)
    if before == contact_id:
        return True
    shown = [evidence(Candidate(decision.contact, True, decision.why))]
    rule = decision.rule
    if not contact_links.link(
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
