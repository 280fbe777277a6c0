"""The mirror of Xero's contacts, and which member is which contact."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from core.contact_matching import MirrorContact, normal
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
    }
    return Contact.insert(
        {Contact.tenant: tenant, Contact.contact_id: contact_id, **shown}
    ).on_conflict(conflict_target=[Contact.tenant, Contact.contact_id], update=shown)


def put(tenant: str, contacts: Iterable[MirrorContact]) -> None:
    """Add or replace contacts of the mirror."""
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
        )


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
def _named(tenant: Slot, name_key: Slot) -> Any:
    rows = Contact.select().where(
        (Contact.tenant == tenant)
        & (Contact.name_key == name_key)
        & (Contact.status == "ACTIVE")
    )
    return rows.order_by(Contact.contact_id)


def named(tenant: str, name: str) -> list[MirrorContact]:
    """Active contacts of this name, whatever the case and the diacritics."""
    rows = _named.rows(tenant=tenant, name_key=normal(name)[:255])
    return [_value(row) for row in rows]


@statement
def _contact(tenant: Slot, contact_id: Slot) -> Any:
    return Contact.select().where(
        (Contact.tenant == tenant) & (Contact.contact_id == contact_id)
    )


def find(tenant: str, contact_id: str) -> MirrorContact | None:
    """None: the mirror has not seen it."""
    row = _contact.first(tenant=tenant, contact_id=contact_id)
    return row and _value(row)


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
