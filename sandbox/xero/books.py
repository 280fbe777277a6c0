"""The books of one organisation: everything that is written down in it.

Rules live beside their resource (contacts.py, invoices.py, payments.py,
credit_notes.py); this is where they find each other, and where a change leaves its
mark: a new UpdatedDateUTC, a history line, a webhook event.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from sandbox.clock import Clock
from sandbox.xero.organisation import Organisation

if TYPE_CHECKING:
    from sandbox.xero.contacts import Contact
    from sandbox.xero.credit_notes import CreditNote
    from sandbox.xero.invoices import Invoice
    from sandbox.xero.payments import Payment

Category = Literal["CONTACT", "INVOICE", "CREDITNOTE"]
EventType = Literal["CREATE", "UPDATE"]


@dataclass(frozen=True, slots=True)
class Event:
    """What a webhook will say."""

    tenant_id: str
    category: Category
    type: EventType
    resource_id: str
    at: datetime
    data: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """One invoice that was sent by e-mail."""

    invoice_id: str
    invoice_number: str
    to: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a document's history."""

    changes: str
    details: str
    user: str
    at: datetime


@dataclass(slots=True)
class Books:
    """All records of one organisation, with the indexes that keep them unique."""

    organisation: Organisation
    clock: Clock
    announce: Callable[[Event], None]
    contacts: "dict[str, Contact]" = field(default_factory=dict)
    invoices: "dict[str, Invoice]" = field(default_factory=dict)
    payments: "dict[str, Payment]" = field(default_factory=dict)
    credit_notes: "dict[str, CreditNote]" = field(default_factory=dict)
    emails: list[Email] = field(default_factory=list)
    history: dict[str, list[Note]] = field(default_factory=lambda: defaultdict(list))
    #: ids by case-folded name (active contacts), number and invoice number
    contact_names: dict[str, str] = field(default_factory=dict)
    contact_numbers: dict[str, str] = field(default_factory=dict)
    invoice_numbers: dict[str, str] = field(default_factory=dict)
    invoices_of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def tenant_id(self) -> str:
        """The id that the xero-tenant-id header carries."""
        return self.organisation.organisation_id

    def now(self) -> datetime:
        """Return the moment to the millisecond, which is what Xero keeps."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def changed(
        self,
        category: Category,
        kind: EventType,
        resource_id: str,
        at: datetime,
        data: dict[str, str] | None = None,
    ) -> None:
        """Tell the webhooks that a resource was created or updated."""
        self.announce(Event(self.tenant_id, category, kind, resource_id, at, data))

    def note(self, resource_id: str, changes: str, details: str, user: str) -> Note:
        """Write a line into a document's history."""
        note = Note(changes, details, user, self.now())
        self.history[resource_id].append(note)
        return note

    def history_shapes(self, resource_id: str) -> list[dict[str, Any]]:
        """Return a document's history, newest first."""
        return [note_shape(note) for note in reversed(self.history[resource_id])]


def note_shape(note: Note) -> dict[str, Any]:
    """Return a history line as Xero shows it."""
    return {
        "Changes": note.changes,
        "DateUTCString": f"{note.at:%Y-%m-%dT%H:%M:%S}",
        "DateUTC": note.at,
        "User": note.user,
        "Details": note.details,
    }


def new_id() -> str:
    """Return a fresh id."""
    return str(uuid4())
