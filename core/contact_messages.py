"""What we tell the platform about a member's contact."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.agreeing import Told
from core.db.models import Inbox
from core.messages import OutboundMessage


def changed(
    tenant: str,
    member_id: str,
    contact_id: str,
    version: datetime | None,
    changes: Sequence[Told],
    answers: Inbox | None = None,
) -> OutboundMessage:
    """Fields that changed in Xero, or whose conflict was decided.

    The contact's version (UpdatedDateUTC) and the fields make this fact this fact, and
    the message that met the conflict (``answers``), if one did.
    """
    at = version and version.isoformat()
    asked = [answers.source, answers.message_id] if answers is not None else []
    fields = [change.field for change in changes]
    return OutboundMessage(
        type="contact.changed",
        subject=member_id,
        data={
            "member_id": member_id,
            "contact_id": contact_id,
            "changed_at": at,
            "changes": [_change(change) for change in changes],
        },
        fact=(tenant, contact_id, at or "", *fields, *asked),
        in_reply_to=None if answers is None else answers.message_id,
    )


def merged(
    tenant: str,
    member_id: str,
    lost: str,
    kept: str,
    version: datetime | None,
    now: datetime,
) -> OutboundMessage:
    """Xero has merged the member's contact into another one."""
    at = version and version.isoformat()
    change = {"field": "contact_id", "old": lost, "new": kept, "outcome": "merged"}
    return OutboundMessage(
        type="contact.changed",
        subject=member_id,
        data={
            "member_id": member_id,
            "contact_id": kept,
            "changed_at": at,
            "changes": [{**change, "overruled": None, "as_of": now.isoformat()}],
        },
        fact=(tenant, lost, "merged", kept),
    )


def _change(change: Told) -> dict[str, Any]:
    return {
        "field": change.field,
        "old": change.old,
        "new": change.new,
        "outcome": change.outcome.value,
        "overruled": change.overruled,
        "as_of": change.as_of.isoformat(),
    }
