"""How members and contacts came together, and what would be decided now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.contacts import deciding
from core.contacts.evidence import candidates_of, evidence, reason_of
from core.contacts.members_known import member_known
from core.db import contact_decisions, contact_links, contacts, invoices
from core.db.contact_decisions import Decision
from core.db.invoices import InvoiceState
from core.db.models import ContactDecision, Invoice
from core.errors import SettledError
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.match import all_that_fit
from core.matching.verdict import (
    Ambiguous,
    Candidate,
    Circumstances,
    Match,
    Matched,
    MatchRule,
    NoMatch,
)
from core.members import Member
from core.settings import Settings


class Unheard(SettledError):
    """Nothing is known by this id."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A member and its contact, as they stand."""

    member_id: str
    contact: MirrorContact | None
    decision: str
    rule: str
    reason: str
    decided_at: datetime
    waiting: int  # invoices that wait for the decision

    @property
    def is_undecided(self) -> bool:
        """A contact that came back into use has answered the question itself."""
        is_usable = self.contact is not None and self.contact.status == ACTIVE
        return self.decision == Decision.QUARANTINED and not is_usable


def standings(tenant: str, *, undecided_only: bool) -> list[Standing]:
    """Every member that was decided on, in the order of their ids."""
    linked = {row.member_id: row for row in contact_links.everything(tenant)}
    latest = contact_decisions.latest(tenant)
    waiting = invoices.count_by_payer(tenant, InvoiceState.HELD)
    shown = contacts.by_ids(tenant, [row.contact_id for row in linked.values()])
    found = []
    for member_id in sorted(linked.keys() | latest.keys()):
        row, decided = linked.get(member_id), latest.get(member_id)
        # Links that are older than the decisions that are kept have only themselves.
        source: Any = decided or row
        found.append(
            Standing(
                member_id=member_id,
                contact=shown.get(row.contact_id) if row else None,
                decision=decided.decision if decided else Decision.LINKED.value,
                rule=source.rule,
                reason=decided.reason if decided else "",
                decided_at=source.decided_at,
                waiting=waiting.get(member_id, 0),
            )
        )
    return [one for one in found if one.is_undecided or not undecided_only]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of how a member and a contact came together, or did not."""

    member_id: str | None
    member: Member | None  # as the newest message told
    contact: MirrorContact | None  # the linked one, or the one that was asked for
    is_linked: bool
    decisions: Sequence[ContactDecision]
    now: Match | None  # what would be decided; None: no message has told who it is
    also: Sequence[tuple[MatchRule, Candidate]]  # what else any rule finds
    namesakes: Sequence[MirrorContact]  # which no rule looks at
    waiting: Sequence[Invoice]


def explain(tenant: str, who: str, settings: Settings) -> Explanation:
    """Of a member by its id, or of a contact by Xero's.

    Raises:
        Unheard: neither is known.
    """
    contact = contacts.get(tenant, who)
    if contact is None:
        return _explain_member(tenant, who, settings)
    owner = contact_links.members_of(tenant, [who]).get(who)
    if owner is not None:
        return _explain_member(tenant, owner, settings)
    decisions = contact_decisions.of_contact(tenant, who)
    return Explanation(None, None, contact, False, decisions, None, (), (), ())


def _explain_member(tenant: str, member_id: str, settings: Settings) -> Explanation:
    linked_to = contact_links.contact_of(tenant, member_id)
    decisions = contact_decisions.of_member(tenant, member_id)
    member = member_known(tenant, member_id)
    if linked_to is None and not decisions and member is None:
        raise Unheard(f"{member_id}: no member and no contact is known by this id")
    contact = contacts.get(tenant, linked_to) if linked_to else None
    waiting = invoices.of_payer(tenant, member_id, *_WAITING)
    if member is None:
        return Explanation(
            member_id, None, contact, bool(linked_to), decisions, None, (), (), waiting
        )
    found = deciding.decide(tenant, member, settings.tenants[tenant])
    also, namesakes = _also(tenant, member, found, settings)
    return Explanation(
        member_id,
        member,
        contact,
        bool(linked_to),
        decisions,
        found,
        also,
        namesakes,
        waiting,
    )


_WAITING = (InvoiceState.HELD, InvoiceState.WAITING)


def _also(
    tenant: str, member: Member, found: Match, settings: Settings
) -> tuple[list[tuple[MatchRule, Candidate]], list[MirrorContact]]:
    """What speaks for other contacts than those that were found."""
    shown = {candidate.contact.contact_id for candidate in candidates_of(found)}
    some = contacts.candidates(tenant, member, None)
    fitting = {
        candidate.contact.contact_id: (rule, candidate)
        for rule, candidate in reversed(
            all_that_fit(
                member,
                some,
                Circumstances(tag_domains=settings.tenants[tenant].plus_tag_domains),
            )
        )
        if candidate.contact.contact_id not in shown
    }
    named = contacts.namesakes(tenant, member.name)
    others = [c for c in named if c.contact_id not in shown | fitting.keys()]
    return list(fitting.values()), others


def as_data(explained: Explanation) -> Mapping[str, Any]:
    """For programs."""
    return {
        "member": explained.member_id,
        "name": explained.member.name if explained.member else None,
        "email": explained.member.email if explained.member else None,
        "linked": explained.is_linked,
        "contact": explained.contact and _shown(explained.contact),
        "decisions": [
            {
                "at": row.decided_at.isoformat(),
                "decision": row.decision,
                "member": row.member_id,
                "contact_id": row.contact_id,
                "rule": row.rule,
                "reason": row.reason,
                "by": row.decided_by,
                "candidates": row.candidates,
            }
            for row in explained.decisions
        ],
        "now": explained.now and outcome(explained),
        "candidates": [
            dict(evidence(each))
            for each in (candidates_of(explained.now) if explained.now else ())
        ],
        "also": [
            {"rule": rule.value, **evidence(candidate)}
            for rule, candidate in explained.also
        ],
        "namesakes": [_shown(contact) for contact in explained.namesakes],
        "waiting": [row.reference for row in explained.waiting],
    }


def _shown(contact: MirrorContact) -> Mapping[str, str]:
    return evidence(Candidate(contact, True, ""))


def outcome(explained: Explanation) -> str:
    """What would be decided now, in a sentence."""
    match explained.now:
        case Matched(contact, rule, why):
            return f"link {contact.contact_id} by {rule}: {why}"
        case Ambiguous() as doubt:
            return f"ask a person: {reason_of(explained.member_id or '', doubt)}"
        case NoMatch():
            return "create: no contact fits"
        case _:
            return "no message has told yet who this is"
