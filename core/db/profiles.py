"""What platform and Xero say of each member, and the edits that were overruled."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.agreeing import Edit, Field
from core.db.models import ContactEdit, MemberProfile
from core.db.proxy import proxy
from core.db.statement import Slot, statement


@statement
def _locked(tenant: Slot, member_id: Slot) -> Any:
    return (
        MemberProfile.insert(tenant=tenant, member_id=member_id)
        .on_conflict(
            conflict_target=[MemberProfile.tenant, MemberProfile.member_id],
            update={MemberProfile.member_id: member_id},
        )
        .returning(MemberProfile)
    )


def locked(tenant: str, member_id: str) -> MemberProfile:
    """The member's profile, made if there is none; ours until the commit."""
    row: MemberProfile = _locked.one(tenant=tenant, member_id=member_id)
    return row


def _of(tenant: Slot, member_id: Slot) -> Any:
    return MemberProfile.select().where(
        (MemberProfile.tenant == tenant) & (MemberProfile.member_id == member_id)
    )


@statement
def _get(tenant: Slot, member_id: Slot) -> Any:
    return _of(tenant, member_id)


@statement
def _lock(tenant: Slot, member_id: Slot) -> Any:
    query = _of(tenant, member_id)
    return query.for_update() if proxy.obj.for_update else query


def lock(tenant: str, member_id: str) -> MemberProfile | None:
    """As ``locked``; None for a member of whom nothing was ever said."""
    row: MemberProfile | None = _lock.first(tenant=tenant, member_id=member_id)
    return row


def get(tenant: str, member_id: str) -> MemberProfile | None:
    """As it stands, for whoever only looks."""
    row: MemberProfile | None = _get.first(tenant=tenant, member_id=member_id)
    return row


def known(tenant: str) -> set[str]:
    """Members of whom something was said."""
    rows = MemberProfile.select(MemberProfile.member_id)
    return {row.member_id for row in rows.where(MemberProfile.tenant == tenant)}


def everything(tenant: str) -> Iterator[MemberProfile]:
    """Of every member of whom something was said, as it stands."""
    query = MemberProfile.select().where(MemberProfile.tenant == tenant)
    yield from query.order_by(MemberProfile.member_id).iterator()


def fields_of(profile: MemberProfile) -> dict[str, Field]:
    return {name: Field.from_data(data) for name, data in profile.fields.items()}


@statement
def _save(
    row: Slot, contact_id: Slot, contact_status: Slot, fields: Slot, waiting: Slot
) -> Any:
    return MemberProfile.update(
        contact_id=contact_id,
        contact_status=contact_status,
        fields=fields,
        waiting=waiting,
    ).where(MemberProfile.id == row)


def save(profile: MemberProfile, fields: Mapping[str, Field]) -> None:
    """Write the profile with these fields, if anything has changed."""
    data = {name: field.as_data() for name, field in fields.items()}
    if data == profile.fields and not profile.is_dirty():
        return
    _save.changed(
        row=profile.id,
        contact_id=profile.contact_id,
        contact_status=profile.contact_status,
        fields=data,
        waiting=list(profile.waiting),
    )
    profile.fields = data


def forget_agreements(tenant: str) -> list[str]:
    """Whatever was compared counts as compared with another contact.

    Returns:
        Members of whom something was still to be written to Xero.
    """
    is_theirs = MemberProfile.tenant == tenant
    unfinished = [
        str(profile.member_id)
        for profile in MemberProfile.select().where(is_theirs)
        if any(field.is_due for field in fields_of(profile).values())
    ]
    MemberProfile.update(contact_id=None).where(is_theirs).execute()
    return sorted(unfinished)


def add_edit(
    tenant: str, member_id: str, contact_id: str, edit: Edit, now: datetime
) -> None:
    ContactEdit.insert(
        tenant=tenant,
        member_id=member_id,
        contact_id=contact_id,
        field=edit.field,
        agreed=edit.agreed,
        platform=edit.platform,
        xero=edit.xero,
        winner=edit.winner.value,
        decided_at=now,
    ).execute()


def edits(tenant: str, member_id: str | None = None) -> Sequence[ContactEdit]:
    """Values that were overruled, oldest first; of one member, or of all."""
    query = ContactEdit.select().where(ContactEdit.tenant == tenant)
    if member_id is not None:
        query = query.where(ContactEdit.member_id == member_id)
    return list(query.order_by(ContactEdit.id))
