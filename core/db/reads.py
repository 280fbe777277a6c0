"""Which invoices Xero should be asked about, and the webhook events that said so."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from core.db.models import InvoiceRead, WebhookEvent
from core.db.read_queue import ReadQueue
from core.db.statement import Slot, statement
from core.messages import hash_of
from core.webhook_events import WebhookEvent as Event

#: The echo of an e-mail (SentToContact changes) needs a look, but no haste.
EMAIL_ECHO_WITHIN = timedelta(minutes=5)

_queue = ReadQueue(InvoiceRead, "xero_id", "confirms", "first_asked_at")

due = _queue.due
deferred = _queue.deferred
next_due = _queue.next_due
answered = _queue.answered


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
    """Read this invoice not before ``due_at``; asked for twice, it is read once.

    An event that happened at ``event_at`` told of it, or none did. A read that is to
    confirm what was seen (``confirms``) is not answered by an echo.
    """
    _queue.ask(
        tenant=tenant,
        xero_id=xero_id,
        event_at=event_at,
        confirms=confirms,
        due_at=due_at,
        first_asked_at=now,
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


def ask_again(read: InvoiceRead, due_at: datetime) -> None:
    """It was no answer, by which an echo of it is none either.

    Whoever has asked meanwhile does not wait for that.
    """
    InvoiceRead.update(event_at=None, due_at=due_at).where(
        (InvoiceRead.id == read.id) & (InvoiceRead.asked == read.asked)
    ).execute()


def postpone(read: InvoiceRead, until: datetime) -> None:
    """Not before then, whoever asked."""
    InvoiceRead.update(due_at=until).where(InvoiceRead.id == read.id).execute()
