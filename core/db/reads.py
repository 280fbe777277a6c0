"""Which invoices Xero should be asked about, and the webhook events that said so."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from peewee import EXCLUDED, Case

from core.db.models import InvoiceRead, WebhookEvent
from core.db.statement import Slot, statement
from core.messages import hash_of
from core.webhook_events import WebhookEvent as Event

#: The echo of an e-mail (SentToContact changes) needs a look, but no haste.
EMAIL_ECHO_WITHIN = timedelta(minutes=5)


def add_events(events: Iterable[Event], now: datetime) -> list[Event]:
    """Store events; those that were not here before."""
    new = []
    for event in events:
        identity = [
            event.tenant_id,
            event.category,
            event.event_type,
            event.resource_id,
            event.event_at.isoformat(),
        ]
        inserted = (
            WebhookEvent.insert(
                event_hash=hash_of(identity),
                tenant_id=event.tenant_id,
                category=event.category,
                event_type=event.event_type,
                resource_id=event.resource_id,
                event_at=event.event_at,
                received_at=now,
            )
            .on_conflict_ignore()
            .returning(WebhookEvent.id)
            .execute()
        )
        new.extend([event] if list(inserted) else [])
    return new


def ask(
    tenant: str,
    xero_id: str,
    due_at: datetime,
    now: datetime,
    *,
    event_at: datetime | None = None,
    confirms: bool = False,
) -> None:
    """Read this invoice not before ``due_at``; asked for twice, it is read once."""
    _ask.first(
        tenant=tenant,
        xero_id=xero_id,
        due_at=due_at,
        now=now,
        event_at=event_at,
        confirms=confirms,
    )


@statement
def _ask(
    tenant: Slot,
    xero_id: Slot,
    due_at: Slot,
    now: Slot,
    event_at: Slot,
    confirms: Slot,
) -> Any:
    # One statement: between a look and a write the reads lane may take the row away.
    new, old = EXCLUDED, InvoiceRead
    is_later = old.event_at.is_null() | (new.event_at > old.event_at)
    return InvoiceRead.insert(
        tenant=tenant,
        xero_id=xero_id,
        event_at=event_at,
        confirms=confirms,
        due_at=due_at,
        first_asked_at=now,
    ).on_conflict(
        conflict_target=[old.tenant, old.xero_id],
        update={
            old.asked: old.asked + 1,
            old.due_at: Case(None, [(new.due_at < old.due_at, new.due_at)], old.due_at),
            old.event_at: Case(None, [(is_later, new.event_at)], old.event_at),
            old.confirms: Case(None, [(new.confirms, True)], old.confirms),
        },
    )


@statement
def _forget_echo(tenant: Slot, xero_id: Slot, until: Slot) -> Any:
    return InvoiceRead.delete().where(
        _this(tenant, xero_id) & (InvoiceRead.event_at <= until) & ~InvoiceRead.confirms
    )


def forget_echo(tenant: str, xero_id: str, until: datetime | None) -> None:
    """What waits is the echo of our own write, which returned this time."""
    if until is not None:
        _forget_echo.changed(tenant=tenant, xero_id=xero_id, until=until)


@statement
def _hurry(tenant: Slot, xero_id: Slot, until: Slot, now: Slot) -> Any:
    is_more = (InvoiceRead.event_at > until) | (InvoiceRead.asked > 1)
    return InvoiceRead.update(due_at=now).where(
        _this(tenant, xero_id) & is_more & (InvoiceRead.due_at > now)
    )


@statement
def _put_off(tenant: Slot, xero_id: Slot, until: Slot, later: Slot) -> Any:
    is_more = (InvoiceRead.event_at > until) | (InvoiceRead.asked > 1)
    return InvoiceRead.update(due_at=later).where(
        _this(tenant, xero_id) & ~is_more & ~InvoiceRead.confirms
    )


def put_off_echo(tenant: str, xero_id: str, until: datetime, now: datetime) -> bool:
    """An e-mail has ended then: a lone event up to then is its echo and has no haste.

    A later one, or a second one, tells of something else, and has waited long enough.

    Returns:
        Whether the echo has come.
    """
    _hurry.changed(tenant=tenant, xero_id=xero_id, until=until, now=now)
    later = now + EMAIL_ECHO_WITHIN
    return (
        _put_off.changed(tenant=tenant, xero_id=xero_id, until=until, later=later) > 0
    )


def _this(tenant: Slot, xero_id: Slot) -> Any:
    return (InvoiceRead.tenant == tenant) & (InvoiceRead.xero_id == xero_id)


@statement
def _due(tenant: Slot, now: Slot, limit: Slot) -> Any:
    query = InvoiceRead.select().where(
        (InvoiceRead.tenant == tenant) & (InvoiceRead.due_at <= now)
    )
    return query.order_by(InvoiceRead.due_at, InvoiceRead.id).limit(limit)


def due(tenant: str, now: datetime, limit: int) -> list[InvoiceRead]:
    return _due.rows(tenant=tenant, now=now, limit=limit)


@statement
def _deferred(tenant: Slot, now: Slot, limit: Slot) -> Any:
    query = InvoiceRead.select().where(
        (InvoiceRead.tenant == tenant) & (InvoiceRead.due_at > now)
    )
    return query.order_by(InvoiceRead.due_at, InvoiceRead.id).limit(limit)


def deferred(tenant: str, now: datetime, limit: int) -> list[InvoiceRead]:
    """Reads that could wait and that ride along in a call that is made anyway."""
    return _deferred.rows(tenant=tenant, now=now, limit=limit)


@statement
def _answered(read: Slot, asked: Slot) -> Any:
    return InvoiceRead.delete().where(
        (InvoiceRead.id == read) & (InvoiceRead.asked == asked)
    )


def answered(reads: Sequence[InvoiceRead]) -> None:
    """Done with these, except where somebody has asked once more meanwhile."""
    for read in sorted(reads, key=lambda read: read.xero_id):  # as they are asked
        _answered.changed(read=read.id, asked=read.asked)


def postpone(read: InvoiceRead, until: datetime) -> None:
    """Not before then, whoever asked."""
    InvoiceRead.update(due_at=until).where(InvoiceRead.id == read.id).execute()


@statement
def _next(tenant: Slot) -> Any:
    rows = InvoiceRead.select().where(InvoiceRead.tenant == tenant)
    return rows.order_by(InvoiceRead.due_at).limit(1)


def next_due(tenant: str) -> datetime | None:
    row = _next.first(tenant=tenant)
    return row.due_at if row else None
