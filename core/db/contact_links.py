"""Which contact each member is: one to one, and who may change that now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from peewee import IntegrityError

from core.db.models import Contact, MemberContact
from core.db.proxy import proxy
from core.db.statement import (
    Slot,
    for_each_count,
    insert_once,
    rows_in_parts,
    statement,
)
from core.errors import VersionMoved


@statement
def _of_member(tenant: Slot, member_id: Slot) -> Any:
    return MemberContact.select().where(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    )


def contact_of(tenant: str, member_id: str) -> str | None:
    """The contact that this member is linked to, whatever became of it."""
    row = _of_member.first(tenant=tenant, member_id=member_id)
    return row.contact_id if row else None


@for_each_count
def _of_members(ids: list[Slot], tenant: Slot) -> Any:
    return MemberContact.select().where(
        (MemberContact.tenant == tenant) & MemberContact.member_id.in_(ids)
    )


def contacts_of(tenant: str, member_ids: Iterable[str]) -> dict[str, str]:
    """Which of these members are linked, and to which contact."""
    rows = rows_in_parts(_of_members, sorted(set(member_ids)), tenant=tenant)
    return {row.member_id: row.contact_id for row in rows}


@for_each_count
def _of_contacts(ids: list[Slot], tenant: Slot) -> Any:
    return MemberContact.select().where(
        (MemberContact.tenant == tenant) & MemberContact.contact_id.in_(ids)
    )


def members_of(tenant: str, contact_ids: Iterable[str]) -> dict[str, str]:
    """Which of these contacts are linked, and to whom."""
    rows = rows_in_parts(_of_contacts, sorted(contact_ids), tenant=tenant)
    return {row.contact_id: row.member_id for row in rows}


def everything(tenant: str) -> list[MemberContact]:
    """Every link of the tenant."""
    return list(MemberContact.select().where(MemberContact.tenant == tenant))


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
    return contact_of(tenant, member_id) == contact_id


def link_all(rows: Sequence[Mapping[str, Any]]) -> None:
    """Many at once.

    Raises:
        VersionMoved: a member or a contact has been tied to another meanwhile.
    """
    try:
        MemberContact.insert_many(rows).execute()
    except IntegrityError as error:
        raise VersionMoved("somebody linked one of them first; try again") from error


def unlink(tenant: str, member_id: str) -> None:
    """The member is no contact any more; why, is in its decisions."""
    MemberContact.delete().where(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    ).execute()


def move(tenant: str, member_id: str, to: str, rule: str, now: datetime) -> None:
    """The member is another contact from now on; what was before stays as evidence.

    Raises:
        VersionMoved: that contact has become another member's meanwhile.
    """
    row = _of_member.one(tenant=tenant, member_id=member_id)
    history = row.evidence.pop("history", [])
    was = {"contact_id": row.contact_id, "rule": row.rule, "evidence": row.evidence}
    until = {"decided_at": row.decided_at.isoformat(), "until": now.isoformat()}
    query = MemberContact.update(
        contact_id=to,
        rule=rule,
        decided_at=now,
        evidence={"history": [*history, {**was, **until}]},
    )
    try:
        query.where(MemberContact.id == row.id).execute()
    except IntegrityError as error:
        raise VersionMoved(f"{to} has just become another member's") from error


def lock(tenant: str, member_id: str) -> MemberContact | None:
    """The link, which no invoice that is being raised relies on, until the commit."""
    query = MemberContact.select().where(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    )
    row: MemberContact | None = next(
        iter(query.for_update() if proxy.obj.for_update else query), None
    )
    return row


def lock_member(tenant: str, member_id: str) -> None:
    """Nobody else decides about this member until the commit.

    On SQLite every transaction is alone already.
    """
    if proxy.obj.for_update:
        proxy.execute_sql(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0)), "
            "pg_advisory_xact_lock(hashtextextended(%s, 0))",
            (f"contacts:{tenant}", f"contact:{tenant}:{member_id}"),
        )


def lock_all_members(tenant: str) -> None:
    """Nobody else decides about any member until the commit.

    A lock for each of twenty thousand would not fit into PostgreSQL's table of locks.
    """
    if proxy.obj.for_update:
        proxy.execute_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            (f"contacts:{tenant}",),
        )
