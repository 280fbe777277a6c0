"""Messages to the platform: committed with the fact, sent by the relay."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from core.db.models import Inbox, Invoice, Outbox, proxy
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
        if Outbox.select().where(Outbox.message_id == message.id).exists():
            continue
        sequence = None if invoice is None else _next_in_sequence(invoice)
        event = as_cloud_event(message, tenant=tenant, at=at, sequence=sequence)
        Outbox.insert(
            message_id=message.id,
            type=message.type,
            invoice=invoice,
            answers=answers,
            body=canonical(event),
            created_at=at,
        ).on_conflict_ignore().execute()
        log.info(
            "message.said",
            id=message.id,
            type=message.type,
            message_id=message.in_reply_to,
        )


def say_again(answered: Inbox) -> None:
    """Send the answers to a message once more, with their first ids."""
    Outbox.update(stream_id=None).where(Outbox.answers == answered).execute()


def unsent(limit: int = 500) -> Sequence[Outbox]:
    query = Outbox.select().where(Outbox.stream_id.is_null())
    return list(query.order_by(Outbox.id).limit(limit))


def mark_sent(stream_ids: Mapping[int, str]) -> None:
    """After XADD returned: which row became which stream entry."""
    # In SQL: one statement for each row, which peewee would write anew each time.
    mark = proxy.obj.param
    statement = f"UPDATE outbox SET stream_id = {mark} WHERE id = {mark}"  # noqa: S608
    for row, entry in stream_ids.items():
        proxy.execute_sql(statement, (entry, row))


def send_again_after(stream_id: tuple[int, int]) -> int:
    """Redis lost what came after this entry: those rows are unsent once more."""
    lost = [
        row.id
        for row in Outbox.select(Outbox.id, Outbox.stream_id).where(
            Outbox.stream_id.is_null(False)
        )
        if entry_id(row.stream_id) > stream_id
    ]
    for start in range(0, len(lost), 500):
        batch = lost[start : start + 500]
        Outbox.update(stream_id=None).where(Outbox.id.in_(batch)).execute()
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
    rows = (
        Invoice.update(sequence=Invoice.sequence + 1)
        .where(Invoice.id == invoice.id)
        .returning(Invoice.sequence)
        .execute()
    )
    invoice.sequence = next(iter(rows)).sequence
    return int(invoice.sequence)
