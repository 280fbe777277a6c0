"""The mirror of Xero's contacts, and which member is which contact."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from peewee import EXCLUDED

from core.contact_matching import MirrorContact
from core.db.models import Contact, MemberContact
from core.db.statement import Slot, insert_once, statement


@statement
def _put(
    tenant: Slot,
    contact_id: Slot,
    name: Slot,
    name_key: Slot,
    email: Slot,
    email_key: Slot,
    contact_number: Slot,
    account_number: Slot,
    status: Slot,
    merged_to: Slot,
    updated_at: Slot,
    details: Slot,
) -> Any:
    shown = {
        Contact.name: name,
        Contact.name_key: name_key,
        Contact.email: email,
        Contact.email_key: email_key,
        Contact.contact_number: contact_number,
        Contact.account_number: account_number,
        Contact.status: status,
        Contact.merged_to: merged_to,
        Contact.updated_at: updated_at,
        Contact.details: details,
    }
    # An answer that was on its way while a later one was stored is older news.
    is_older = Contact.updated_at > EXCLUDED.updated_at
    return Contact.insert(
        {Contact.tenant: tenant, Contact.contact_id: contact_id, **shown}
    ).on_conflict(
        conflict_target=[Contact.tenant, Contact.contact_id],
        update=shown,
        where=Contact.updated_at.is_null() | EXCLUDED.updated_at.is_null() | ~is_older,
    )


def put(tenant: str, contacts: Iterable[MirrorContact]) -> None:
    """Add or replace contacts of the mirror; one that is older than ours is not."""
    for contact in contacts:
        _put.first(
            tenant=tenant,
            contact_id=contact.contact_id,
            name=contact.name[:255],
            name_key=contact.name_key[:255],
            email=contact.email,
            email_key=contact.email_key,
            contact_number=contact.contact_number,
            account_number=contact.account_number,
            status=contact.status,
            merged_to=contact.merged_to,
            updated_at=contact.updated_at,
            details=dict(contact.details),
        )


def get(tenant: str, contact_id: str) -> MirrorContact | None:
    row = _contact.first(tenant=tenant, contact_id=contact_id)
    return row and _value(row)


def merged_away(tenant: str) -> dict[str, str]:
    """Members whose contact Xero has merged into another one, and that contact."""
    rows = (
        MemberContact.select(MemberContact.member_id, MemberContact.contact_id)
        .join(
            Contact,
            on=(
                (Contact.tenant == MemberContact.tenant)
                & (Contact.contact_id == MemberContact.contact_id)
            ),
        )
        .where((MemberContact.tenant == tenant) & Contact.merged_to.is_null(False))
        .order_by(MemberContact.member_id)
    )
    return {row.member_id: row.contact_id for row in rows}


def candidates(
    tenant: str, *, member_id: str, email_key: str, contact_id: str | None
) -> list[MirrorContact]:
    """Every contact that any rule could pick for this member."""
    rows = _candidates.rows(
        tenant=tenant,
        member_id=member_id,
        email_key=email_key,
        contact_id=contact_id or "",
    )
    return [_value(row) for row in rows]


@statement
def _candidates(
    tenant: Slot, member_id: Slot, email_key: Slot, contact_id: Slot
) -> Any:
    by_key = (
        (Contact.contact_number == member_id)
        | (Contact.account_number == member_id)
        | ((Contact.email_key == email_key) & (Contact.email_key != ""))
        | (Contact.contact_id == contact_id)
    )
    query = Contact.select().where((Contact.tenant == tenant) & by_key)
    return query.order_by(Contact.contact_id)


@statement
def _contact(tenant: Slot, contact_id: Slot) -> Any:
    return Contact.select().where(
        (Contact.tenant == tenant) & (Contact.contact_id == contact_id)
    )


def updated_at(tenant: str, contact_id: str) -> datetime | None:
    row = _contact.first(tenant=tenant, contact_id=contact_id)
    return row.updated_at if row else None


@statement
def _link_of(tenant: Slot, member_id: Slot) -> Any:
    return MemberContact.select().where(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    )


def link_of(tenant: str, member_id: str) -> str | None:
    row = _link_of.first(tenant=tenant, member_id=member_id)
    return row.contact_id if row else None


def member_of(tenant: str, contact_ids: Iterable[str]) -> dict[str, str]:
    """Which of these contacts are linked, and to whom."""
    rows = MemberContact.select().where(
        (MemberContact.tenant == tenant)
        & MemberContact.contact_id.in_(list(contact_ids))
    )
    return {row.contact_id: row.member_id for row in rows}


def link(
    tenant: str,
    member_id: str,
    contact_id: str,
    rule: str,
    evidence: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Tie a member to a contact; False if either is tied to somebody else."""
    insert_once(
        MemberContact,
        tenant=tenant,
        member_id=member_id,
        contact_id=contact_id,
        rule=rule,
        evidence=dict(evidence),
        decided_at=now,
    )
    return link_of(tenant, member_id) == contact_id


def move_link(tenant: str, member_id: str, to: str, rule: str, now: datetime) -> None:
    """The member is another contact from now on; what was before stays as evidence.

    Raises:
        IntegrityError: that contact is another member's.
    """
    row = _link_of.one(tenant=tenant, member_id=member_id)
    history = row.evidence.pop("history", [])
    was = {"contact_id": row.contact_id, "rule": row.rule, "evidence": row.evidence}
    until = {"decided_at": row.decided_at.isoformat(), "until": now.isoformat()}
    MemberContact.update(
        contact_id=to,
        rule=rule,
        decided_at=now,
        evidence={"history": [*history, {**was, **until}]},
    ).where(MemberContact.id == row.id).execute()


def links(tenant: str) -> list[MemberContact]:
    return list(MemberContact.select().where(MemberContact.tenant == tenant))


def _value(row: Contact) -> MirrorContact:
    return MirrorContact(
        contact_id=row.contact_id,
        name=row.name,
        email=row.email,
        contact_number=row.contact_number,
        account_number=row.account_number,
        status=row.status,
        merged_to=row.merged_to,
        updated_at=row.updated_at,
        details=row.details,
    )
