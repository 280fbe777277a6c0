"""A call to Xero as the use cases see it: a request, an answer, and a door.

``core.xero.door`` implements the door; tests and rehearsals use the same one.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from core.quota import Purpose

#: Ids in one read: forty GUIDs keep the address under 2,000 characters.
IDS_TOGETHER = 40


@dataclass(frozen=True, slots=True)
class XeroRequest:
    """One request.

    Args:
        kind: what it is, for counting: ``create_invoices``.
        path: below the API's address, such as ``Invoices/1b2c/Email``.
        body: the exact bytes.
    """

    kind: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    idempotency_key: str | None = None
    modified_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class XeroAnswer:
    """A 2xx.

    Args:
        json: the parsed body, numbers as Decimal; None for an empty one.
        answered_at: Xero's own clock, from the Date header (whole seconds).
    """

    status: int
    json: Any
    answered_at: datetime


class Slot(Protocol):
    """A place under every limit, for one call."""

    def send(
        self, request: XeroRequest, last_check: Callable[[], None] | None = None
    ) -> XeroAnswer:
        """Make the call.

        Args:
            request: what is asked, exactly.
            last_check: the last act before the socket; what it raises stops the call.

        Raises:
            XeroError: as its kinds say.
        """
        ...


#: How a place is got for each of the calls that one look may need.
Admit = Callable[[], AbstractContextManager[Slot]]


class Door(Protocol):
    """The one place where calls leave."""

    def admit(self, tenant: str, purpose: Purpose) -> AbstractContextManager[Slot]:
        """A place for one call; given back unused if nothing is sent.

        Raises:
            XeroWait: there is no place now.
            NotConnected: there is no usable token.
        """
        ...
