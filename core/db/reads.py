"""Which invoices Xero should be asked about, and the webhook events that said so."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from core.db.models import InvoiceRead, WebhookEvent
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
    waiting = InvoiceRead.get_or_none(
        (InvoiceRead.tenant == tenant) & (InvoiceRead.xero_id == xero_id)
    )
    if waiting is None:
        InvoiceRead.insert(
            tenant=tenant,
            xero_id=xero_id,
            event_at=event_at,
            confirms=confirms,
            due_at=due_at,
            first_asked_at=now,
        ).on_conflict_ignore().execute()
        return
    moments = [m for m in (waiting.event_at, event_at) if m is not None]
    InvoiceRead.update(
        asked=InvoiceRead.asked + 1,
        due_at=min(waiting.due_at, due_at),
        event_at=max(moments, default=None),
        confirms=waiting.confirms or confirms,
    ).where(InvoiceRead.id == waiting.id).execute()


def put_off_echo(tenant: str, xero_id: str, until: datetime, now: datetime) -> bool:
    """The event that waits is the echo of an e-mail that ended then: no haste."""
    return bool(
        InvoiceRead.update(due_at=now + EMAIL_ECHO_WITHIN)
        .where(
            (InvoiceRead.tenant == tenant)
            & (InvoiceRead.xero_id == xero_id)
            & (InvoiceRead.event_at <= until)
            & ~InvoiceRead.confirms
        )
        .execute()
    )


def due(tenant: str, now: datetime, limit: int) -> list[InvoiceRead]:
    query = InvoiceRead.select().where(
        (InvoiceRead.tenant == tenant) & (InvoiceRead.due_at <= now)
    )
    return list(query.order_by(InvoiceRead.due_at, InvoiceRead.id).limit(limit))


def deferred(tenant: str, now: datetime, limit: int) -> list[InvoiceRead]:
    """Reads that could wait and that ride along in a call that is made anyway."""
    query = InvoiceRead.select().where(
        (InvoiceRead.tenant == tenant) & (InvoiceRead.due_at > now)
    )
    return list(query.order_by(InvoiceRead.due_at, InvoiceRead.id).limit(limit))


def answered(reads: Sequence[InvoiceRead]) -> None:
    """Done with these, except where somebody has asked once more meanwhile."""
    for read in reads:
        InvoiceRead.delete().where(
            (InvoiceRead.id == read.id) & (InvoiceRead.asked == read.asked)
        ).execute()


def postpone(read: InvoiceRead, until: datetime) -> None:
    """Not before then, whoever asked."""
    InvoiceRead.update(due_at=until).where(InvoiceRead.id == read.id).execute()


def next_due(tenant: str) -> datetime | None:
    row = (
        InvoiceRead.select(InvoiceRead.due_at)
        .where(InvoiceRead.tenant == tenant)
        .order_by(InvoiceRead.due_at)
        .first()
    )
    return row.due_at if row else None
