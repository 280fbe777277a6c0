"""What a Xero webhook body says. Values only; facts/xero.md, section 8."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import SettledError

# Xero's ids are GUIDs and its words are capitals. Nothing else goes any further, so
# that no odd character of one event can fail the commit that it shares with others.
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_WORD = re.compile(r"[0-9A-Za-z_.-]{1,64}")


class WebhookUnreadable(SettledError):
    """A body that is not what Xero sends, although it bears Xero's signature."""


@dataclass(frozen=True, slots=True, order=True)
class WebhookEvent:
    """Something changed in Xero; what, only a read tells.

    Args:
        category: INVOICE, CONTACT, CREDITNOTE, …; one that we do not know is kept.
        event_type: CREATE or UPDATE.
    """

    tenant_id: str
    category: str
    event_type: str
    resource_id: str
    event_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookBody:
    """The events of one request.

    Args:
        unreadable: entries left out, because one odd entry must not make Xero send
            its neighbours again until it gives up on us.
    """

    events: Sequence[WebhookEvent]
    unreadable: int = 0


def read_webhook(body: bytes) -> WebhookBody:
    """The events in a body; none in Xero's probe of our intent to receive.

    Raises:
        WebhookUnreadable: the body has no list of events, or none of them is readable.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WebhookUnreadable("not JSON") from error
    entries = parsed.get("events") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise WebhookUnreadable("no list of events")
    read = [_event(entry) for entry in entries]
    events = [event for event in read if event is not None]
    if entries and not events:
        raise WebhookUnreadable("no readable event")
    return WebhookBody(events, unreadable=len(read) - len(events))


def _event(entry: object) -> WebhookEvent | None:
    if not isinstance(entry, Mapping):
        return None
    tenant_id = _matching(_ID, entry.get("tenantId"))
    category = _matching(_WORD, entry.get("eventCategory"))
    event_type = _matching(_WORD, entry.get("eventType"))
    resource_id = _matching(_ID, entry.get("resourceId"))
    event_at = _moment(entry.get("eventDateUtc"))
    if tenant_id and category and event_type and resource_id and event_at:
        return WebhookEvent(tenant_id, category, event_type, resource_id, event_at)
    return None


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _moment(value: object) -> datetime | None:
    """UTC, although Xero writes no Z; None if it is no time."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            return moment and moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
