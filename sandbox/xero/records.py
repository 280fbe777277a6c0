"""All records of one organisation, as the control API's ledger shows them."""

from typing import Any

from sandbox.xero import contacts, credit_notes, invoices, payments
from sandbox.xero.books import Books

RECORDS = ("contacts", "invoices", "payments", "credit_notes", "emails")


def records(books: Books) -> dict[str, list[Any]]:
    """Return the shapes of everything, under the names of RECORDS."""
    return {
        "contacts": [contacts.full_shape(c, books) for c in books.contacts.values()],
        "invoices": [invoices.paged_shape(i, books) for i in books.invoices.values()],
        "payments": [payments.listed_shape(p, books) for p in books.payments.values()],
        "credit_notes": [
            credit_notes.full_shape(n, books) for n in books.credit_notes.values()
        ],
        "emails": [
            {
                "invoice_id": sent.invoice_id,
                "invoice_number": sent.invoice_number,
                "to": sent.to,
                "sent_at": sent.sent_at,
            }
            for sent in books.emails
        ],
    }
