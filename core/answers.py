"""What we say of a message itself: accepted, rejected, held, done."""

from collections.abc import Mapping
from typing import Any

from core.db.models import Inbox
from core.errors import Refused
from core.messages import OutboundMessage


def accepted(row: Inbox) -> OutboundMessage:
    return _answer("message.accepted", row, {"type": row.type})


def rejected(
    row: Inbox, refusal: Refused, *, message_id: str | None
) -> OutboundMessage:
    """Args: message_id: what the answer replies to; None where the entry had no id."""
    return OutboundMessage(
        type="message.rejected",
        subject=row.subject or row.message_id,
        data={"reason": refusal.reason, "field": refusal.field, "type": row.type},
        fact=(row.source, row.message_id),
        in_reply_to=message_id,
    )


def held(row: Inbox, cause: str, reason: str) -> OutboundMessage:
    """It waits for a person; the final answer follows when they have decided."""
    return OutboundMessage(
        type="message.held",
        subject=row.subject or row.message_id,
        data={"cause": cause, "reason": reason, "type": row.type},
        fact=(row.source, row.message_id, cause),
        in_reply_to=row.message_id,
    )


def done(
    row: Inbox, outcome: str, invoice: Mapping[str, Any] | None
) -> OutboundMessage:
    """Handled, and nothing else will be said in answer."""
    return _answer("message.done", row, {"outcome": outcome, "invoice": invoice})


def _answer(message_type: str, row: Inbox, data: Mapping[str, Any]) -> OutboundMessage:
    return OutboundMessage(
        type=message_type,
        subject=row.subject or row.message_id,
        data=data,
        fact=(row.source, row.message_id),
        in_reply_to=row.message_id,
    )
