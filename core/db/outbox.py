"""Messages to the platform: committed with the fact, sent by the relay."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from core.db.models import Inbox, Invoice, Outbox
from core.db.statement import Slot, in_parts, insert_once, statement
from core.messages import OutboundMessage, as_cloud_event, canonical

log = structlog.get_logger()


def say(
    messages: Iterable[OutboundMessage],
    *,
    tenant: str | None,
    at: datetime,
    invoice: Invoice | None = None,
    answers: Inbox | None = None,
) -> None:
    """Write messages in the transaction of the fact that they tell.

    Within an invoice they get the next places of its sequence. A message whose id is
    already here has been said and is not said again.
    """
    for message in messages:
        if _find.first(message_id=message.id) is not None:
            continue
        sequence = None if invoice is None else _next_in_sequence(invoice)
        event = as_cloud_event(message, tenant=tenant, at=at, sequence=sequence)
        insert_once(
            Outbox,
            message_id=message.id,
            type=message.type,
            invoice=invoice,
            answers=answers,
            body=canonical(event),
            created_at=at,
        )
        log.info(
            "message.said",
            id=message.id,
            type=message.type,
            message_id=message.in_reply_to,
        )


@statement
def _find(message_id: Slot) -> Any:
    return Outbox.select().where(Outbox.message_id == message_id)


def unanswered_by(message_type: str, rows: Sequence[Inbox]) -> list[Inbox]:
    """Those after the last one that was answered with a message of this type."""
    answered = Outbox.select(Outbox.answers).where(
        (Outbox.type == message_type) & Outbox.answers.in_([row.id for row in rows])
    )
    last = max((found.answers_id for found in answered), default=0)
    return [row for row in rows if row.id > last]


def say_again(answered: Inbox) -> None:
    """Send the answers to a message once more, with their first ids."""
    Outbox.update(stream_id=None).where(Outbox.answers == answered).execute()


@statement
def _unsent(limit: Slot) -> Any:
    query = Outbox.select().where(Outbox.stream_id.is_null())
    return query.order_by(Outbox.id).limit(limit)


def unsent(limit: int = 500) -> Sequence[Outbox]:
    return _unsent.rows(limit=limit)


@statement
def _mark_sent(row: Slot, stream_id: Slot) -> Any:
    return Outbox.update(stream_id=stream_id).where(Outbox.id == row)


def mark_sent(stream_ids: Mapping[int, str]) -> None:
    """After XADD returned: which row became which stream entry."""
    for row, entry in stream_ids.items():
        _mark_sent.changed(row=row, stream_id=entry)


def send_again_after(stream_id: tuple[int, int]) -> int:
    """Redis lost what came after this entry: those rows are unsent once more."""
    lost = [
        row.id
        for row in Outbox.select(Outbox.id, Outbox.stream_id).where(
            Outbox.stream_id.is_null(False)
        )
        if entry_id(row.stream_id) > stream_id
    ]
    for some in in_parts(lost):
        Outbox.update(stream_id=None).where(Outbox.id.in_(list(some))).execute()
    return len(lost)


def entry_id(text: str) -> tuple[int, int]:
    """A stream entry's id as numbers, so that it compares."""
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence or 0)


def oldest_unsent() -> datetime | None:
    row = (
        Outbox.select(Outbox.created_at)
        .where(Outbox.stream_id.is_null())
        .order_by(Outbox.id)
        .first()
    )
    return row.created_at if row else None


def _next_in_sequence(invoice: Invoice) -> int:
    """Counted in the row, which stays locked until the commit."""
    invoice.sequence = _count_on.one(invoice=invoice.id).sequence
    return int(invoice.sequence)


@statement
def _count_on(invoice: Slot) -> Any:
    return (
        Invoice.update(sequence=Invoice.sequence + 1)
        .where(Invoice.id == invoice)
        .returning(Invoice.sequence)
    )
