"""Credit notes, and their allocation to invoices."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.xero import contacts, invoices
from sandbox.xero.books import Books, EventType, new_id
from sandbox.xero.documents import (
    NOT_MODIFIABLE,
    TRANSITIONS,
    Allocation,
    Document,
    Status,
    apply_heading,
    apply_lines,
    heading_faults,
    line_shapes,
    lock_faults,
    ready_faults,
)
from sandbox.xero.errors import ElementRefused, NotFound
from sandbox.xero.fields import Fields
from sandbox.xero.lines import cents

FROZEN = NOT_MODIFIABLE.format("Credit note")


@dataclass(slots=True)
class CreditNote(Document):
    """One sales credit note (ACCRECCREDIT)."""

    @property
    def remaining(self) -> Decimal:
        """The credit that is not applied yet."""
        if self.status in ("VOIDED", "DELETED"):
            return Decimal("0.00")
        return self.totals.total - self.amount_allocated


def create(books: Books, fields: Fields, unit_places: int = 2) -> CreditNote:
    """Add a credit note.

    Raises:
        ElementRefused: with every message that Xero would give.
    """
    note = CreditNote(
        new_id(), "", books.now(), currency=books.organisation.base_currency
    )
    return _write(books, note, fields, unit_places)


def upsert(books: Books, fields: Fields, unit_places: int = 2) -> CreditNote:
    """Change the credit note with that id or number, or create one."""
    note_id, number = fields.text("CreditNoteID"), fields.text("CreditNoteNumber")
    if note_id and note_id.lower() not in books.credit_notes:
        raise ElementRefused("The credit note could not be found")
    old = books.credit_notes.get(note_id.lower()) if note_id else None
    if old is None and number:
        old = _numbered(books, number)
    if old is None:
        return create(books, fields, unit_places)
    return _write(books, deepcopy(old), fields, unit_places)


def find(books: Books, key: str) -> CreditNote:
    """Return a credit note by id or by number.

    Raises:
        NotFound: there is none.
    """
    note = books.credit_notes.get(key.lower()) or _numbered(books, key)
    if note is None:
        raise NotFound
    return note


def allocate(books: Books, note: CreditNote, fields: Fields) -> Allocation:
    """Apply credit to an invoice.

    Raises:
        ElementRefused: with every message that Xero would give.
    """
    child = fields.child("Invoice") or Fields({})
    key = child.text("InvoiceID") or child.text("InvoiceNumber") or ""
    amount = cents(fields.number("Amount") or Decimal(0))
    on = fields.day("Date") or books.organisation.today(books.now())
    try:
        invoice = invoices.find(books, key)
    except NotFound:
        raise ElementRefused("The invoice could not be found") from None
    refused = lock_faults(books, on) + _allocation_faults(note, invoice, amount)
    if refused:
        raise ElementRefused(*refused)
    applied = Allocation(new_id(), note.document_id, invoice.document_id, amount, on)
    note.allocations.append(applied)
    invoice.allocations.append(applied)
    _settle(books, note, invoice, on)
    return applied


def _allocation_faults(
    note: CreditNote, invoice: invoices.Invoice, amount: Decimal
) -> list[str]:
    checks = (
        (
            note.status != "AUTHORISED" or invoice.status != "AUTHORISED",
            "Allocations can only be made between Authorised documents",
        ),
        (
            note.contact_id != invoice.contact_id,
            "The credit note and the invoice have different contacts",
        ),
        (
            note.currency != invoice.currency,
            "The credit note and the invoice have different currencies",
        ),
        (amount <= 0, "The Amount of an allocation must be greater than zero"),
        (
            amount > note.remaining,
            "The amount exceeds the remaining credit on the credit note",
        ),
        (
            amount > invoice.amount_due,
            "The amount exceeds the amount outstanding on the invoice",
        ),
    )
    return [message for is_wrong, message in checks if is_wrong][:1]


def unallocate(books: Books, note: CreditNote, allocation_id: str) -> Allocation:
    """Take credit away from an invoice again.

    Raises:
        NotFound: this credit note has no such allocation.
    """
    for applied in note.allocations:
        if applied.allocation_id == allocation_id.lower():
            invoice = books.invoices[applied.invoice_id]
            note.allocations.remove(applied)
            invoice.allocations.remove(applied)
            _settle(books, note, invoice, applied.on)
            return applied
    raise NotFound


def _settle(
    books: Books, note: CreditNote, invoice: invoices.Invoice, on: date
) -> None:
    note.status = "AUTHORISED" if note.remaining else "PAID"
    note.fully_paid_on = None if note.remaining else on
    _announce(books, note, "UPDATE")
    invoices.settle(books, invoice, on)


def _announce(books: Books, note: CreditNote, kind: EventType) -> None:
    note.updated_at = books.now()
    data = {"Type": "ACCRECCREDIT", "Status": note.status}
    books.changed("CREDITNOTE", kind, note.document_id, note.updated_at, data)


def _numbered(books: Books, number: str) -> CreditNote | None:
    for note in books.credit_notes.values():
        if note.number.casefold() == number.casefold() and note.status != "DELETED":
            return note
    return None


def _write(
    books: Books, draft: CreditNote, fields: Fields, unit_places: int
) -> CreditNote:
    old = books.credit_notes.get(draft.document_id)
    if old and (not TRANSITIONS[old.status] or old.allocations):
        raise ElementRefused(FROZEN)
    if old is None and fields.text("Type") != "ACCRECCREDIT":
        raise ElementRefused(
            "Credit note type is not valid: the sandbox keeps ACCRECCREDIT only"
        )
    apply_heading(books, draft, fields)
    apply_lines(books, draft, fields, unit_places)
    draft.number = fields.text("CreditNoteNumber") or draft.number
    _apply_status(draft, fields, old)
    refused = _faults(books, draft)
    if refused:
        raise ElementRefused(*refused)
    child = fields.child("Contact")
    if old is None or child is not None:
        draft.contact_id = contacts.for_document(books, child).contact_id
    draft.number = draft.number or f"CN-{len(books.credit_notes) + 1:04}"
    books.credit_notes[draft.document_id] = draft
    _announce(books, draft, "UPDATE" if old else "CREATE")
    return draft


def _apply_status(draft: CreditNote, fields: Fields, old: CreditNote | None) -> None:
    known: dict[str, Status] = {
        "DRAFT": "DRAFT",
        "SUBMITTED": "SUBMITTED",
        "AUTHORISED": "AUTHORISED",
        "VOIDED": "VOIDED",
        "DELETED": "DELETED",
    }
    status = fields.text("Status")
    if status is None:
        return
    if status not in known or status not in TRANSITIONS[old.status if old else ""]:
        raise ElementRefused(FROZEN if old else f"Status {status} is not valid")
    draft.status = known[status]


def _faults(books: Books, draft: CreditNote) -> list[str]:
    if draft.status in ("VOIDED", "DELETED"):
        return []
    refused = heading_faults(books, draft)
    if not draft.lines:
        refused.append("One or more line items must be specified")
    if draft.status == "AUTHORISED":
        refused += ready_faults(draft, needs_due_date=False)
        refused += lock_faults(books, draft.on)
    holder = _numbered(books, draft.number) if draft.number else None
    if holder and holder.document_id != draft.document_id:
        refused.append("Credit Note # must be unique.")
    return refused


# -- reading -----------------------------------------------------------------------


def stripped_shape(note: CreditNote, books: Books) -> dict[str, Any]:
    """Return what an unpaged list gives: an empty list of lines."""
    shape: dict[str, Any] = {
        "CreditNoteID": note.document_id,
        "CreditNoteNumber": note.number,
        "ID": note.document_id,
        "Type": "ACCRECCREDIT",
        "Reference": note.reference,
        "Payments": [],
        "HasErrors": False,
        "HasAttachments": False,
        "CurrencyRate": note.currency_rate,
        "Contact": books.contacts[note.contact_id].name_parts(),
        "Status": note.status,
        "LineAmountTypes": note.amounts,
        "LineItems": [],
        "SubTotal": note.totals.sub_total,
        "TotalTax": note.totals.total_tax,
        "Total": note.totals.total,
        "RemainingCredit": note.remaining,
        "AppliedAmount": note.amount_allocated,
        "Allocations": [_applied_shape(books, a) for a in note.allocations],
        "UpdatedDateUTC": note.updated_at,
        "UpdatedDateUTCString": f"{note.updated_at:%Y-%m-%dT%H:%M:%S}Z",
        "CurrencyCode": note.currency,
        "SentToContact": note.sent,
        "DateString": f"{note.on}T00:00:00",
        "Date": note.on,
    }
    if note.fully_paid_on:
        shape["FullyPaidOnDate"] = note.fully_paid_on
    return shape


def full_shape(note: CreditNote, books: Books) -> dict[str, Any]:
    """Return what a paged list, a single read or a write gives."""
    return stripped_shape(note, books) | {"LineItems": line_shapes(books, note)}


def allocation_shape(books: Books, applied: Allocation) -> dict[str, Any]:
    """Return an allocation as its own endpoint shows it."""
    return _applied_shape(books, applied) | {
        "CreditNote": {
            "CreditNoteID": applied.credit_note_id,
            "ID": applied.credit_note_id,
            "LineItems": [],
        },
        "ValidationErrors": [],
    }


def _applied_shape(books: Books, applied: Allocation) -> dict[str, Any]:
    return {
        "AllocationID": applied.allocation_id,
        "Amount": applied.amount,
        "Date": applied.on,
        "Invoice": {
            "InvoiceID": applied.invoice_id,
            "InvoiceNumber": books.invoices[applied.invoice_id].number,
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "HasErrors": False,
            "IsDiscounted": False,
            "LineItems": [],
            "ValidationErrors": [],
        },
    }
