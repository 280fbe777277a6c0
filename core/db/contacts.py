"""The mirror of Xero's contacts, and which member is which contact."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from core.contact_matching import MirrorContact
from core.db.models import Contact, MemberContact


def put(tenant: str, contacts: Iterable[MirrorContact]) -> None:
    """Add or replace contacts of the mirror."""
    rows = [
        {
            "tenant": tenant,
            "contact_id": contact.contact_id,
            "name": contact.name[:255],
            "name_key": contact.name_key[:255],
            "email": contact.email,
            "email_key": contact.email_key,
            "contact_number": contact.contact_number,
            "account_number": contact.account_number,
            "status": contact.status,
            "merged_to": contact.merged_to,
            "updated_at": contact.updated_at,
        }
        for contact in contacts
    ]
    for start in range(0, len(rows), 50):
        Contact.insert_many(rows[start : start + 50]).on_conflict(
            conflict_target=[Contact.tenant, Contact.contact_id],
            preserve=[
                Contact.name,
                Contact.name_key,
                Contact.email,
                Contact.email_key,
                Contact.contact_number,
                Contact.account_number,
                Contact.status,
                Contact.merged_to,
                Contact.updated_at,
            ],
        ).execute()


def candidates(
    tenant: str, *, member_id: str, email_key: str, contact_id: str | None
) -> list[MirrorContact]:
    """Every contact that any rule could pick for this member."""
    by_key = (
        (Contact.contact_number == member_id)
        | (Contact.account_number == member_id)
        | ((Contact.email_key == email_key) & (Contact.email_key != ""))
    )
    if contact_id is not None:
        by_key |= Contact.contact_id == contact_id
    query = Contact.select().where((Contact.tenant == tenant) & by_key)
    return [_value(row) for row in query.order_by(Contact.contact_id)]


def updated_at(tenant: str, contact_id: str) -> datetime | None:
    row = Contact.get_or_none(
        (Contact.tenant == tenant) & (Contact.contact_id == contact_id)
    )
    return row.updated_at if row else None


def link_of(tenant: str, member_id: str) -> str | None:
    row = MemberContact.get_or_none(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    )
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
    MemberContact.insert(
        tenant=tenant,
        member_id=member_id,
        contact_id=contact_id,
        rule=rule,
        evidence=dict(evidence),
        decided_at=now,
    ).on_conflict_ignore().execute()
    return link_of(tenant, member_id) == contact_id


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
    )
