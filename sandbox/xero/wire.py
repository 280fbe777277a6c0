"""JSON as Xero writes it: bare decimals, /Date()/ moments, and one envelope."""

import json
import re
import secrets
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sandbox.xero.errors import PostDataInvalid

#: What an element that was not created carries as its id.
NO_ID = "00000000-0000-0000-0000-000000000000"

PROVIDER_NAME = "settled sandbox"

# json.dumps cannot write a Decimal as a bare number, so it goes out as a string
# behind a mark that nobody else can know, and the quotes are taken off afterwards.
_MARK = secrets.token_hex(8)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')

_XERO_DATE = re.compile(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$")


def epoch_ms(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def xero_date(moment: date) -> str:
    """Return /Date(ms+0000)/; a calendar date is midnight UTC."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return f"/Date({epoch_ms(moment)}+0000)/"


def _as_xero(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    if isinstance(value, date):
        return xero_date(value)
    raise TypeError(f"{type(value).__name__} has no place in a Xero document")


def encode(document: object) -> bytes:
    """Return a document as the bytes that Xero would send."""
    text = json.dumps(
        document, default=_as_xero, ensure_ascii=False, separators=(",", ":")
    )
    # Half a surrogate pair can be sent to us in JSON, but not written in UTF-8.
    return _MARKED.sub(r"\1", text).encode("utf-8", "replace")


def envelope(now: datetime, name: str, elements: list[Any]) -> dict[str, Any]:
    """Return the document around a list of resources."""
    return {
        "Id": str(uuid4()),
        "Status": "OK",
        "ProviderName": PROVIDER_NAME,
        "DateTimeUTC": f"/Date({epoch_ms(now)})/",
        name: elements,
    }


def decode(body: bytes) -> Any:
    """Return what a request body says, with exact decimals.

    Raises:
        PostDataInvalid: the body is not JSON.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PostDataInvalid("JSON for post data was invalid") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def parse_date(text: str) -> date:
    """Read 2026-11-20, 2026-11-20T00:00:00 or /Date(1795132800000+0000)/.

    Raises:
        ValueError: it is none of these.
    """
    found = _XERO_DATE.match(text)
    if found:
        return datetime.fromtimestamp(int(found[1]) / 1000, UTC).date()
    return datetime.fromisoformat(text).date()
