"""All that a service has written down, to go back to: for tests that begin often."""

import pickle
from typing import Any

from sandbox.xero.service import XeroService

_OF_BOOKS = (
    "contacts",
    "invoices",
    "payments",
    "credit_notes",
    "emails",
    "history",
    "contact_names",
    "contact_numbers",
    "invoice_numbers",
    "invoices_of",
)
_OF_TOKENS = ("_codes", "_access", "_refresh")


def take(service: XeroService) -> bytes:
    """Return the records and tokens of a service whose calls have all been answered."""
    books = {
        tenant_id: {name: getattr(books, name) for name in _OF_BOOKS}
        for tenant_id, books in service.books.items()
    }
    tokens = {name: getattr(service.tokens, name) for name in _OF_TOKENS}
    return pickle.dumps((books, tokens))


def restore(service: XeroService, snapshot: bytes) -> None:
    """Go back; idempotency keys are forgotten and counters start anew."""
    books, tokens = pickle.loads(snapshot)  # noqa: S301 our own
    for tenant_id, records in books.items():
        _set(service.books[tenant_id], records)
    _set(service.tokens, tokens)
    service.memory.clear()
    service.faults.clear()
    service.gatekeeper.forget()


def _set(owner: object, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(owner, name, value)
