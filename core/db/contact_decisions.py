"""What was decided about members' contacts: a row for each change, none for repeats."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.db.models import ContactDecision
from core.db.statement import Slot, insert, statement

#: Who decided, where no person did.
OURSELVES = "settled"


class Decision(StrEnum):
    LINKED = "linked"  # a rule found the contact
    CREATED = "created"  # none fitted, and Xero made one
    MERGED = "merged"  # Xero has merged the contact into another, which it is now
    RESTORED = "restored"  # it was archived, and Xero is to make it active again
    QUARANTINED = "quarantined"  # a person must decide
    RELEASED = "released"  # what waited for it goes on
    LAPSED = "lapsed"  # what waited for it was cancelled
    LINKED_BY_PERSON = "linked_by_person"
    CREATE_BY_PERSON = "create_by_person"  # none of them, somebody has said
    UNLINKED = "unlinked"


#: They say how far a decision has come, and decide nothing.
_PASSING = frozenset({Decision.QUARANTINED, Decision.RELEASED})


@statement
def _of_member(tenant: Slot, member_id: Slot) -> Any:
    rows = ContactDecision.select().where(
        (ContactDecision.tenant == tenant) & (ContactDecision.member_id == member_id)
    )
    return rows.order_by(ContactDecision.id)


def of_member(tenant: str, member_id: str) -> list[ContactDecision]:
    """All of them, the oldest first."""
    return _of_member.rows(tenant=tenant, member_id=member_id)


def of_contact(tenant: str, contact_id: str) -> list[ContactDecision]:
    """Those about this contact, and those in which it was a candidate.

    Reads every decision of the tenant: only people ask.
    """
    is_candidate = ContactDecision.candidates.cast("TEXT").contains(f'"{contact_id}"')
    rows = ContactDecision.select().where(
        (ContactDecision.tenant == tenant)
        & ((ContactDecision.contact_id == contact_id) | is_candidate)
    )
    return list(rows.order_by(ContactDecision.id))


def latest(tenant: str) -> dict[str, ContactDecision]:
    """The last one of each member."""
    rows = ContactDecision.select().where(ContactDecision.tenant == tenant)
    return {row.member_id: row for row in rows.order_by(ContactDecision.id)}


def note(
    tenant: str,
    member_id: str,
    decision: Decision,
    now: datetime,
    *,
    contact_id: str | None = None,
    rule: str = "",
    reason: str = "",
    candidates: Sequence[Mapping[str, str]] = (),
    by: str = OURSELVES,
) -> bool:
    """Write it down; False where it only repeats the last one of this member."""
    values = {
        "decision": decision.value,
        "contact_id": contact_id,
        "rule": str(rule),
        "reason": reason,
        "candidates": [dict(candidate) for candidate in candidates],
        "decided_by": by,
    }
    last = next(reversed(of_member(tenant, member_id)), None)
    if last is not None and all(getattr(last, k) == v for k, v in values.items()):
        return False
    insert(
        ContactDecision, tenant=tenant, member_id=member_id, decided_at=now, **values
    )
    return True


def is_undecided(tenant: str, member_id: str) -> bool:
    """Whether the last decision was to leave it to a person."""
    last = next(reversed(of_member(tenant, member_id)), None)
    return last is not None and last.decision == Decision.QUARANTINED


def note_all(rows: Sequence[Mapping[str, Any]]) -> None:
    """Many at once, each of them new."""
    ContactDecision.insert_many(rows).execute()


def is_creation_wanted(tenant: str, member_id: str) -> bool:
    """Whether a person has said that the member is none of the contacts there were."""
    rows = reversed(of_member(tenant, member_id))
    decided = (row.decision for row in rows if row.decision not in _PASSING)
    return next(decided, None) == Decision.CREATE_BY_PERSON


def unlinked(tenant: str, member_id: str) -> set[str]:
    """Contacts of which a person has said that they are not this member."""
    refused: set[str] = set()
    for row in of_member(tenant, member_id):
        if row.contact_id is None:
            continue
        if row.decision == Decision.UNLINKED:
            refused.add(row.contact_id)
        else:
            refused.discard(row.contact_id)
    return refused
