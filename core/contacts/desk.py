"""What a person decides about contacts: which one it is, that it is not, or none.

Each decision is made under the same locks as the daemon's own, beside it, and kept with
its reason and the name of who made it.
"""

from dataclasses import dataclass
from datetime import datetime

from core import people
from core.contacts import creating, deciding, deciding_anew, waiting
from core.contacts.evidence import candidates_of, evidence, reason_of
from core.contacts.resolution import Known, Undecided
from core.db import contact_decisions, contact_links, contacts, invoices, writes
from core.db.contact_decisions import Decision
from core.db.database import atomically
from core.db.invoices import InvoiceState
from core.db.writes import WriteState
from core.errors import SettledError
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.verdict import Ambiguous, Candidate, Match, MatchRule
from core.members import Member
from core.settings import Settings
from core.waking import LaneName

#: A call to Xero is under way, and nobody knows what comes of it.
SOON = "try again in a minute"


class NotDecided(SettledError):
    """A person's decision can't be carried out; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, and why."""

    name: str
    because: str


@atomically
def link(
    tenant: str,
    member_id: str,
    contact_id: str,
    person: Person,
    now: datetime,
    settings: Settings,
) -> int:
    """This contact is this member. What waited for it goes on.

    Returns:
        How many invoices go on.

    Raises:
        NotDecided: one of the two is tied otherwise, or the contact is not in use.
    """
    # In the order of matching, here as below.
    people.lock(tenant, member_id)
    contact_links.lock_member(tenant, member_id)
    contact = _in_use(tenant, contact_id)
    before = contact_links.contact_of(tenant, member_id)
    if before not in (None, contact_id):
        raise NotDecided(f"member {member_id} is linked to {before}; unlink it first")
    _stop_creating(tenant, member_id)
    shown = evidence(Candidate(contact, True, person.because))
    rule, why = MatchRule.PERSON, {"contact": shown}
    if not contact_links.link(tenant, member_id, contact_id, rule, why, now):
        owners = contact_links.members_of(tenant, [contact_id])
        owner = owners.get(contact_id, "another")
        raise NotDecided(f"contact {contact_id} is member {owner}'s")
    contact_decisions.note(
        tenant,
        member_id,
        Decision.LINKED_BY_PERSON,
        now,
        contact_id=contact_id,
        rule=rule,
        reason=person.because,
        candidates=[shown],
        by=person.name,
    )
    people.reconcile(tenant, member_id, settings.tenants[tenant], now)
    return waiting.go_on(tenant, member_id, Known(contact_id), now, person.name)


@atomically
def unlink(
    tenant: str, member_id: str, person: Person, now: datetime, settings: Settings
) -> int:
    """This member is not that contact. What is not in Xero is matched anew, without it.

    Returns:
        How many invoices in Xero stay on the contact; they are followed as before.

    Raises:
        NotDecided: there is no link, or an invoice is about to leave by it.
    """
    people.lock(tenant, member_id)
    row = contact_links.lock(tenant, member_id)
    contact_links.lock_member(tenant, member_id)
    if row is None:
        raise NotDecided(f"member {member_id} is linked to no contact")
    leaving = invoices.of_payer(tenant, member_id, InvoiceState.READY)
    if leaving:
        names = ", ".join(invoice.reference for invoice in leaving)
        raise NotDecided(
            f"on their way to Xero on contact {row.contact_id}: {names}; "
            "wait until they are raised, or have the platform cancel them"
        )
    if not people.part(tenant, member_id, now):
        raise NotDecided(f"contact {row.contact_id} is being updated; {SOON}")
    contact_links.unlink(tenant, member_id)
    contact_decisions.note(
        tenant,
        member_id,
        Decision.UNLINKED,
        now,
        contact_id=row.contact_id,
        rule=row.rule,
        reason=person.because,
        by=person.name,
    )
    deciding_anew.match_anew(tenant, member_id, settings.tenants[tenant], now)
    raised = invoices.of_payer(tenant, member_id, InvoiceState.RAISED)
    return sum(invoice.contact_id == row.contact_id for invoice in raised)


@atomically
def create(
    tenant: str, member_id: str, person: Person, now: datetime, settings: Settings
) -> int:
    """None of the candidates is this member: Xero is to make another contact.

    Returns:
        How many invoices go on when it has been made.

    Raises:
        NotDecided: nothing waits for this, or a contact has the member's number.
    """
    people.lock(tenant, member_id)
    contact_links.lock_member(tenant, member_id)
    held = invoices.of_payer(tenant, member_id, InvoiceState.HELD)
    if not held:
        raise NotDecided(f"nothing waits for a decision about member {member_id}")
    member = people.newest(tenant, Member.model_validate(held[-1].payer))
    found = deciding.decide(tenant, member, settings.tenants[tenant])
    _refuse_twins(member, found)
    resolution = creating.create(tenant, member, now)
    if isinstance(resolution, Undecided):
        raise NotDecided(f"Xero refuses the contact: {resolution.reason}")
    contact_decisions.note(
        tenant,
        member_id,
        Decision.CREATE_BY_PERSON,
        now,
        reason=person.because,
        candidates=[evidence(candidate) for candidate in candidates_of(found)],
        by=person.name,
    )
    return waiting.go_on(tenant, member_id, resolution, now, person.name)


def _refuse_twins(member: Member, found: Match) -> None:
    if not isinstance(found, Ambiguous):
        return
    ids = ", ".join(each.contact.contact_id for each in found.candidates)
    reason = f"{reason_of(member.id, found)}: {ids}"
    if found.rule is MatchRule.LINK:
        raise NotDecided(f"{reason}; unlink it first")
    if found.rule is MatchRule.CONTACT_NUMBER:
        raise NotDecided(
            f"{reason}; Xero gives a Contact Number once, so link it, or take its "
            "number off in Xero"
        )


def _in_use(tenant: str, contact_id: str) -> MirrorContact:
    contact = contacts.get(tenant, contact_id)
    if contact is None:
        raise NotDecided(
            f"contact {contact_id} is not in the mirror; `settled contacts load` reads "
            "what has changed in Xero"
        )
    if contact.status != ACTIVE:
        raise NotDecided(f"contact {contact_id} is {contact.status} in Xero")
    return contact


def _stop_creating(tenant: str, member_id: str) -> None:
    asked = writes.pending(tenant, LaneName.CONTACTS, member_id)
    if asked is None:
        return
    is_leaving = asked.state == WriteState.CLAIMED
    if is_leaving or not writes.drop(tenant, LaneName.CONTACTS, member_id):
        raise NotDecided(
            f"Xero is being asked to create a contact for member {member_id}; {SOON}"
        )
