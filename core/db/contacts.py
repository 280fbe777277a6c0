"""The mirror of Xero's contacts."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import reduce
from typing import Any

from peewee import EXCLUDED, SQL, PostgresqlDatabase

from core.db.models import Contact, MemberContact
from core.db.proxy import proxy
from core.db.statement import (
    Slot,
    Statement,
    for_each_count,
    rows_in_parts,
    statement,
)
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.normalising import email_key, name_key, number_key
from core.members import Member

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
    found = {row.contact_id: _value(row) for row in rows}
    return _with_survivors(tenant, [found[each] for each in sorted(found)])


@statement
def _candidates(
    tenant: Slot, number: Slot, tax: Slot, company: Slot, email: Slot, contact_id: Slot
) -> Any:
    """One look into an index for each key; who fits by several comes several times.

    With OR between them SQLite reads every contact of the tenant: without statistics
    it takes the index that begins with the tenant for good enough. With the ids of all
    in a subquery PostgreSQL, without statistics, reads all for each of all.
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
        Contact.select().where((Contact.tenant == tenant) & (key == value))
        for key, value in by_key
    )
    return reduce(lambda some, more: some.union_all(more), others, first)


def _with_survivors(tenant: str, found: list[MirrorContact]) -> list[MirrorContact]:
    known = {contact.contact_id: contact for contact in found}
    while True:
        wanted = {c.merged_to for c in known.values() if c.merged_to} - known.keys()
        survivors = by_ids(tenant, wanted)
        if not survivors:
            return list(known.values())
        known.update(survivors)


def by_ids(tenant: str, contact_ids: Iterable[str]) -> dict[str, MirrorContact]:
    """Those of them that the mirror knows, by id."""
    rows = rows_in_parts(_by_ids, sorted(contact_ids), tenant=tenant)
    return {row.contact_id: _value(row) for row in rows}


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


def many_came() -> None:
    """PostgreSQL plans as for an empty table until it has looked at what came.

    By itself it does so within a minute, in which each look for a member would read
    every contact.
    """
    if isinstance(proxy.obj, PostgresqlDatabase):
        proxy.execute_sql("ANALYZE contact")


def count(tenant: str) -> int:
    """How many contacts the mirror has, whatever their status."""
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
    """Xero's own time of the version that the mirror has; None: it has none."""
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
