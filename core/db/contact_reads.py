"""Which contacts Xero should be asked about."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import fn

from core.db.models import Contact, ContactRead
from core.db.read_queue import ReadQueue
from core.db.statement import Slot, statement

_queue = ReadQueue(ContactRead, "contact_id", "is_needed")

due = _queue.due
deferred = _queue.deferred
next_due = _queue.next_due
answered = _queue.answered


def ask(
    tenant: str,
    contact_id: str,
    due_at: datetime,
    *,
    event_at: datetime | None = None,
    is_needed: bool = False,
) -> None:
    """Read this contact not before ``due_at``; asked for twice, it is read once.

    An event that happened at ``event_at`` told of it, or none did. A read that
    something waits for (``is_needed``) is not answered by an echo.
    """
    _queue.ask(
        tenant=tenant,
        contact_id=contact_id,
        event_at=event_at,
        is_needed=is_needed,
        due_at=due_at,
    )


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


def told_at(tenant: str, contact_ids: Sequence[str]) -> dict[str, datetime]:
    """When a contact that is still to be read was changed, as an event has told."""
    rows = ContactRead.select(ContactRead.contact_id, ContactRead.event_at).where(
        (ContactRead.tenant == tenant)
        & ContactRead.contact_id.in_(contact_ids)
        & ContactRead.event_at.is_null(False)
    )
    return {row.contact_id: row.event_at for row in rows}


@statement
def _of_unknown(tenant: Slot) -> Any:
    known = Contact.select(Contact.id).where(
        (Contact.tenant == ContactRead.tenant)
        & (Contact.contact_id == ContactRead.contact_id)
    )
    return ContactRead.select().where(
        (ContactRead.tenant == tenant) & ~fn.EXISTS(known)
    )


def of_unknown(tenant: str) -> list[ContactRead]:
    """Contacts that are to be read and that the mirror has never seen."""
    rows: list[ContactRead] = _of_unknown.rows(tenant=tenant)
    return rows


def count_unneeded(tenant: str) -> int:
    """How many are asked for that nobody waits for."""
    return int(_unneeded(tenant, fn.COUNT(ContactRead.id)).scalar())


def forget_unneeded(tenant: str) -> None:
    """Everything that changed is about to be read in another way."""
    ids = _unneeded(tenant, ContactRead.id)
    ContactRead.delete().where(ContactRead.id.in_(ids)).execute()


def _unneeded(tenant: str, *columns: Any) -> Any:
    return ContactRead.select(*columns).where(
        (ContactRead.tenant == tenant) & ~ContactRead.is_needed
    )
