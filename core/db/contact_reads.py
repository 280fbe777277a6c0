"""Which contacts Xero should be asked about."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import EXCLUDED, Case, fn

from core.db.models import ContactRead
from core.db.statement import Slot, statement


def ask(
    tenant: str,
    contact_id: str,
    due_at: datetime,
    *,
    event_at: datetime | None = None,
    is_needed: bool = False,
) -> None:
    """Read this contact not before ``due_at``; asked for twice, it is read once."""
    new, old = EXCLUDED, ContactRead
    is_later = old.event_at.is_null() | (new.event_at > old.event_at)
    ContactRead.insert(
        tenant=tenant,
        contact_id=contact_id,
        event_at=event_at,
        is_needed=is_needed,
        due_at=due_at,
    ).on_conflict(
        conflict_target=[old.tenant, old.contact_id],
        update={
            old.asked: old.asked + 1,
            old.due_at: Case(None, [(new.due_at < old.due_at, new.due_at)], old.due_at),
            old.event_at: Case(None, [(is_later, new.event_at)], old.event_at),
            old.is_needed: Case(None, [(new.is_needed, True)], old.is_needed),
        },
    ).execute()


@statement
def _forget(tenant: Slot, contact_id: Slot, until: Slot) -> Any:
    is_old = ContactRead.event_at.is_null() | (ContactRead.event_at <= until)
    return ContactRead.delete().where(
        (ContactRead.tenant == tenant) & (ContactRead.contact_id == contact_id) & is_old
    )


def forget(tenant: str, contact_id: str, until: datetime | None) -> None:
    """What was asked for has been shown, as of this version of the contact."""
    if until is not None:
        _forget.changed(tenant=tenant, contact_id=contact_id, until=until)


@statement
def _due(tenant: Slot, now: Slot, limit: Slot) -> Any:
    query = ContactRead.select().where(
        (ContactRead.tenant == tenant) & (ContactRead.due_at <= now)
    )
    return query.order_by(ContactRead.due_at, ContactRead.id).limit(limit)


def due(tenant: str, now: datetime, limit: int) -> list[ContactRead]:
    return _due.rows(tenant=tenant, now=now, limit=limit)


def deferred(tenant: str, now: datetime, limit: int) -> list[ContactRead]:
    """Reads that could wait and that ride along in a call that is made anyway."""
    query = ContactRead.select().where(
        (ContactRead.tenant == tenant) & (ContactRead.due_at > now)
    )
    return list(query.order_by(ContactRead.due_at, ContactRead.id).limit(limit))


def count_unneeded(tenant: str) -> int:
    """How many are asked for that nobody waits for."""
    return int(_unneeded(tenant, fn.COUNT(ContactRead.id)).scalar())


def forget_unneeded(tenant: str) -> None:
    """Everything that changed is about to be read in another way."""
    ids = _unneeded(tenant, ContactRead.id)
    ContactRead.delete().where(ContactRead.id.in_(ids)).execute()


def answered(reads: Sequence[ContactRead]) -> None:
    """Done with these, except where somebody has asked once more meanwhile."""
    for read in sorted(reads, key=lambda read: read.contact_id):  # as they are asked
        ContactRead.delete().where(
            (ContactRead.id == read.id) & (ContactRead.asked == read.asked)
        ).execute()


@statement
def _next(tenant: Slot) -> Any:
    rows = ContactRead.select().where(ContactRead.tenant == tenant)
    return rows.order_by(ContactRead.due_at).limit(1)


def next_due(tenant: str) -> datetime | None:
    row = _next.first(tenant=tenant)
    return row.due_at if row else None


def _unneeded(tenant: str, *columns: Any) -> Any:
    return ContactRead.select(*columns).where(
        (ContactRead.tenant == tenant) & ~ContactRead.is_needed
    )
