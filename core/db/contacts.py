"""The mirror of Xero's contacts, and which member is which contact."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any

from peewee import EXCLUDED, SQL, IntegrityError

from core.db.models import Contact, MemberContact
from core.db.proxy import proxy
from core.db.statement import (
    Slot,
    Statement,
    for_each_count,
    insert_once,
    listed,
    statement,
)
from core.errors import VersionMoved
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.normalising import email_key, name_key, number_key
from core.members import Member

#: Values in one statement.
_AT_ONCE = 500

#: No key is ever this one: what a member lacks finds nobody.
NO_KEY = "-"

#: Columns that Xero's contact gives as they are, and those made of them.
_SHOWN = ("email", "contact_number", "account_number", "tax_number", "company_number")
_NUMBERS = ("contact_number", "account_number", "tax_number", "company_number")
_COLUMNS = (
    "name",
    "name_key",
    "email_key",
    *_SHOWN,
    *(f"{name}_key" for name in _NUMBERS),
    "status",
    "merged_to",
    "updated_at",
    "details",
)


def _put_statement(tenant: Slot, contact_id: Slot, **shown: Slot) -> Any:
    # An answer that was on its way while a later one was stored is older news.
    is_older = Contact.updated_at > EXCLUDED.updated_at
    return Contact.insert(tenant=tenant, contact_id=contact_id, **shown).on_conflict(
        conflict_target=[Contact.tenant, Contact.contact_id],
        update={getattr(Contact, name): slot for name, slot in shown.items()},
        where=Contact.updated_at.is_null() | EXCLUDED.updated_at.is_null() | ~is_older,
    )


_put = Statement(_put_statement, ["tenant", "contact_id", *_COLUMNS])


def put(tenant: str, contacts: Iterable[MirrorContact]) -> None:
    """Add or replace contacts of the mirror; one that is older than ours is not."""
    for contact in contacts:
        _put.first(tenant=tenant, contact_id=contact.contact_id, **_columns(contact))


def _columns(contact: MirrorContact) -> Mapping[str, Any]:
    numbers = {f"{name}_key": number_key(getattr(contact, name)) for name in _NUMBERS}
    return {
        **{name: getattr(contact, name) for name in _SHOWN},
        **numbers,
        "name": contact.name[:255],
        "name_key": contact.name_key[:255],
        "email_key": contact.email_key,
        "status": contact.status,
        "merged_to": contact.merged_to,
        "updated_at": contact.updated_at,
        "details": dict(contact.details),
    }


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
    tenant: str, member: Member, linked_to: str | None
) -> list[MirrorContact]:
    """Every contact that any rule could pick, and what those were merged into."""
    rows = _candidates.rows(
        tenant=tenant,
        number=number_key(member.id) or NO_KEY,
        tax=number_key(member.tax_number or "") or NO_KEY,
        company=number_key(member.company_number or "") or NO_KEY,
        email=email_key(member.email) or NO_KEY,
        contact_id=linked_to or NO_KEY,
    )
    return _with_survivors(tenant, [_value(row) for row in rows])


@statement
def _candidates(
    tenant: Slot, number: Slot, tax: Slot, company: Slot, email: Slot, contact_id: Slot
) -> Any:
    """One look into an index for each key.

    With OR between them SQLite reads every contact of the tenant: without statistics
    it takes the index that begins with the tenant for good enough.
    """
    by_key = (
        (Contact.contact_number_key, number),
        (Contact.account_number_key, number),
        (Contact.tax_number_key, tax),
        (Contact.company_number_key, company),
        (Contact.email_key, email),
        (Contact.contact_id, contact_id),
    )
    first, *others = (
        Contact.select(Contact.id).where((Contact.tenant == tenant) & (key == value))
        for key, value in by_key
    )
    ids = reduce(lambda some, more: some.union_all(more), others, first)
    return Contact.select().where(Contact.id.in_(ids)).order_by(Contact.contact_id)


def _with_survivors(tenant: str, found: list[MirrorContact]) -> list[MirrorContact]:
    known = {contact.contact_id: contact for contact in found}
    while True:
        wanted = {c.merged_to for c in known.values() if c.merged_to} - known.keys()
        survivors = by_ids(tenant, wanted)
        if not survivors:
            return list(known.values())
        known.update(survivors)


def by_ids(tenant: str, contact_ids: Iterable[str]) -> dict[str, MirrorContact]:
    ids, found = sorted(contact_ids), dict[str, MirrorContact]()
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = _by_ids(len(some)).rows(**listed(some), tenant=tenant)
        found.update((row.contact_id, _value(row)) for row in rows)
    return found


@for_each_count
def _by_ids(ids: list[Slot], tenant: Slot) -> Any:
    return Contact.select().where(
        (Contact.tenant == tenant) & Contact.contact_id.in_(ids)
    )


def everything(tenant: str) -> Iterator[MirrorContact]:
    """The whole mirror, in the order of the contacts' ids."""
    query = Contact.select().where(Contact.tenant == tenant)
    for row in query.order_by(Contact.contact_id).iterator():
        yield _value(row)


def numbered(tenant: str, numbers: Iterable[str]) -> list[MirrorContact]:
    """Those with exactly one of these Contact Numbers; those in use come last."""
    keys, found = {number: number_key(number) for number in numbers}, []
    for number, key in sorted(keys.items()):
        rows = _numbered.rows(tenant=tenant, key=key or NO_KEY)
        found += [_value(row) for row in rows if row.contact_number == number]
    return sorted(found, key=lambda contact: contact.status == ACTIVE)


@statement
def _numbered(tenant: Slot, key: Slot) -> Any:
    return Contact.select().where(
        (Contact.tenant == tenant) & (Contact.contact_number_key == key)
    )


def namesakes(tenant: str, name: str) -> list[MirrorContact]:
    """Those of one name. There is no index: few ask."""
    query = Contact.select().where(
        (Contact.tenant == tenant) & (Contact.name_key == name_key(name)[:255])
    )
    return [_value(row) for row in query.order_by(Contact.contact_id)]


def count(tenant: str) -> int:
    found: int = Contact.select().where(Contact.tenant == tenant).count()
    return found


@statement
def _contact(tenant: Slot, contact_id: Slot) -> Any:
    return Contact.select().where(
        (Contact.tenant == tenant) & (Contact.contact_id == contact_id)
    )


def get(tenant: str, contact_id: str) -> MirrorContact | None:
    """None: the mirror has not seen it."""
    row = _contact.first(tenant=tenant, contact_id=contact_id)
    return row and _value(row)


def updated_at(tenant: str, contact_id: str) -> datetime | None:
    row = _contact.first(tenant=tenant, contact_id=contact_id)
    return row.updated_at if row else None


@statement
def _linked(tenant: Slot, member_id: Slot) -> Any:
    is_tied = (MemberContact.tenant == Contact.tenant) & (
        MemberContact.contact_id == Contact.contact_id
    )
    query = (
        Contact.select(SQL('"t1".*'))
        .join(MemberContact, on=is_tied)
        .where(
            (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
        )
    )
    # Whoever unties them waits for those who are raising an invoice by this link.
    keep = 'FOR KEY SHARE OF "t2"'
    return query.for_update(keep) if proxy.obj.for_update else query


def linked(tenant: str, member_id: str) -> MirrorContact | None:
    """The contact that a member is tied to, as the mirror has it."""
    row = _linked.first(tenant=tenant, member_id=member_id)
    return None if row is None else _value(row)


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
    ids, found = sorted(contact_ids), dict[str, str]()
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = _links_of(len(some)).rows(**listed(some), tenant=tenant)
        found.update((row.contact_id, row.member_id) for row in rows)
    return found


@for_each_count
def _links_of(ids: list[Slot], tenant: Slot) -> Any:
    return MemberContact.select().where(
        (MemberContact.tenant == tenant) & MemberContact.contact_id.in_(ids)
    )


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


def unlink(tenant: str, member_id: str) -> None:
    MemberContact.delete().where(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    ).execute()


def lock_link(tenant: str, member_id: str) -> MemberContact | None:
    """The link, which no invoice that is being raised relies on, until the commit."""
    query = MemberContact.select().where(
        (MemberContact.tenant == tenant) & (MemberContact.member_id == member_id)
    )
    row: MemberContact | None = next(
        iter(query.for_update() if proxy.obj.for_update else query), None
    )
    return row


def link_all(rows: Sequence[Mapping[str, Any]]) -> None:
    """Many at once.

    Raises:
        VersionMoved: a member or a contact has been tied to another meanwhile.
    """
    try:
        MemberContact.insert_many(rows).execute()
    except IntegrityError as error:
        raise VersionMoved("somebody linked one of them first; try again") from error


def move_link(tenant: str, member_id: str, to: str, rule: str, now: datetime) -> None:
    """The member is another contact from now on; what was before stays as evidence.

    Raises:
        VersionMoved: that contact has become another member's meanwhile.
    """
    row = _link_of.one(tenant=tenant, member_id=member_id)
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
        tax_number=row.tax_number,
        company_number=row.company_number,
        details=row.details,
    )
