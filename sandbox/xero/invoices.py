"""Sales invoices: the rules of their numbers, states and amounts."""

import secrets
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from sandbox.xero import contacts
from sandbox.xero.books import Books, Email, new_id
from sandbox.xero.contacts import Contact
from sandbox.xero.documents import (
    NOT_MODIFIABLE,
    TRANSITIONS,
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

NUMBER_TAKEN = "Invoice # must be unique."
FROZEN = NOT_MODIFIABLE.format("Invoice")

_EMAILED = frozenset({"SUBMITTED", "AUTHORISED", "PAID"})


@dataclass(slots=True)
class Invoice(Document):
    """One sales invoice (ACCREC)."""

    url: str = ""
    payment_ids: list[str] = field(default_factory=list)
    amount_paid: Decimal = Decimal("0.00")
    online_token: str = field(default_factory=lambda: secrets.token_urlsafe(30))

    @property
    def amount_due(self) -> Decimal:
        """What is still to be paid; nothing on a document that is void."""
        if self.status in ("VOIDED", "DELETED"):
            return Decimal("0.00")
        return self.totals.total - self.amount_paid - self.amount_allocated

    @property
    def has_money(self) -> bool:
        """Whether anything was paid or credited."""
        return bool(self.amount_paid or self.allocations)


# -- writing -----------------------------------------------------------------------


def create(books: Books, fields: Fields, unit_places: int = 2) -> Invoice:
    """Add an invoice. This is what PUT does, and POST where nothing matches.

    Raises:
        ElementRefused: with every message that Xero would give.
    """
    invoice = Invoice(
        new_id(), "", books.now(), currency=books.organisation.base_currency
    )
    return _write(books, invoice, fields, unit_places)


def update(
    books: Books, invoice: Invoice, fields: Fields, unit_places: int = 2
) -> Invoice:
    """Change an invoice; the submitted lines replace the old ones."""
    return _write(books, deepcopy(invoice), fields, unit_places)


def upsert(books: Books, fields: Fields, unit_places: int = 2) -> Invoice:
    """Change the invoice with that id or number, or create one."""
    invoice_id, number = fields.text("InvoiceID"), fields.text("InvoiceNumber")
    if invoice_id:
        invoice = books.invoices.get(invoice_id.lower())
        if invoice is None:
            raise ElementRefused("The invoice could not be found")
        return update(books, invoice, fields, unit_places)
    found = books.invoice_numbers.get(number.casefold()) if number else None
    if found:
        return update(books, books.invoices[found], fields, unit_places)
    return create(books, fields, unit_places)


def find(books: Books, key: str) -> Invoice:
    """Return an invoice by id or by number.

    Raises:
        NotFound: there is none.
    """
    invoice = books.invoices.get(key.lower())
    if invoice is None:
        invoice = books.invoices.get(books.invoice_numbers.get(key.casefold(), ""))
    if invoice is None:
        raise NotFound
    return invoice


def void(books: Books, invoice: Invoice) -> Invoice:
    """Void an approved invoice by hand."""
    return update(books, invoice, Fields({"Status": "VOIDED"}))


def settle(books: Books, invoice: Invoice, on: date) -> None:
    """Bring status and time up to date after money was applied or taken away."""
    before = invoice.status
    if invoice.status in ("AUTHORISED", "PAID"):
        invoice.status = "PAID" if invoice.amount_due <= 0 else "AUTHORISED"
    if invoice.status != "PAID":
        invoice.fully_paid_on = None
    elif before != "PAID":
        invoice.fully_paid_on = on
    touch(books, invoice)


def touch(books: Books, invoice: Invoice) -> None:
    """Give an invoice a new UpdatedDateUTC and tell the webhooks."""
    invoice.updated_at = books.now()
    books.changed("INVOICE", "UPDATE", invoice.document_id, invoice.updated_at)


def email(books: Books, invoice: Invoice, emails_per_day: int | None) -> None:
    """Send an invoice to its contact.

    Raises:
        ElementRefused: it cannot be sent, or the day's e-mails are used up.
    """
    contact = books.contacts[invoice.contact_id]
    if invoice.status not in _EMAILED:
        raise ElementRefused("Invoice is not of a valid status to be emailed")
    if not contact.email:
        raise ElementRefused("The contact has no email address")
    if emails_per_day is not None and _emails_today(books) >= emails_per_day:
        raise ElementRefused("Daily Email Rate Limit exceeded")
    sent = Email(invoice.document_id, invoice.number, contact.email, books.now())
    books.emails.append(sent)
    books.note(
        invoice.document_id, "Invoice sent", f"Sent to {contact.email}", "System"
    )
    if not invoice.sent and invoice.status in ("AUTHORISED", "PAID"):
        _mark_sent(books, invoice)


def _mark_sent(books: Books, invoice: Invoice) -> None:
    invoice.sent = True
    # SentToContact on an invoice that has money does not move UpdatedDateUTC, so
    # If-Modified-Since does not find it (facts section 4). The webhook still comes.
    if invoice.has_money:
        now = books.now()
        books.changed("INVOICE", "UPDATE", invoice.document_id, now)
    else:
        touch(books, invoice)


def _emails_today(books: Books) -> int:
    today = books.organisation.today(books.now())
    count = 0
    for sent in reversed(books.emails):
        if books.organisation.today(sent.sent_at) != today:
            break
        count += 1
    return count


def _write(books: Books, draft: Invoice, fields: Fields, unit_places: int) -> Invoice:
    old = books.invoices.get(draft.document_id)
    if old and not TRANSITIONS[old.status]:
        raise ElementRefused(FROZEN)
    _apply(books, draft, fields, unit_places)
    if (old and old.has_money) or (old and old.status == "PAID"):
        _refuse_frozen_changes(old, draft, fields)
    refused = _faults(books, draft, old)
    if refused:
        raise ElementRefused(*refused)
    contact = _contact(books, draft, old, fields)
    draft.contact_id = contact.contact_id
    return _commit(books, draft, old)


def _apply(books: Books, draft: Invoice, fields: Fields, unit_places: int) -> None:
    kind = fields.text("Type")
    if kind != "ACCREC" and (kind is not None or not draft.contact_id):
        raise ElementRefused(
            "Invoice type is not valid: the sandbox keeps sales invoices (ACCREC)"
        )
    apply_heading(books, draft, fields)
    apply_lines(books, draft, fields, unit_places)
    number, url = fields.text("InvoiceNumber"), fields.text("Url")
    draft.number = draft.number if number is None else number
    draft.url = draft.url if url is None else url
    _apply_status(draft, fields)
    sent = fields.flag("SentToContact")
    if sent and draft.status not in ("AUTHORISED", "PAID"):
        raise ElementRefused("SentToContact can only be set on approved invoices")
    draft.sent = draft.sent if sent is None else sent


def _apply_status(draft: Invoice, fields: Fields) -> None:
    status = fields.text("Status")
    before = draft.status if draft.contact_id else ""
    if status is None:
        return
    if status not in TRANSITIONS[before]:
        raise ElementRefused(FROZEN if before else f"Status {status} is not valid")
    if status == "VOIDED" and draft.has_money:
        raise ElementRefused(
            "Invoice cannot be voided: it has payments or credit notes applied"
        )
    draft.status = _status(status)


def _status(text: str) -> Status:
    statuses: dict[str, Status] = {
        "DRAFT": "DRAFT",
        "SUBMITTED": "SUBMITTED",
        "AUTHORISED": "AUTHORISED",
        "PAID": "PAID",
        "VOIDED": "VOIDED",
        "DELETED": "DELETED",
    }
    return statuses[text]


def _refuse_frozen_changes(old: Invoice, draft: Invoice, fields: Fields) -> None:
    frozen = (
        draft.on != old.on,
        draft.currency != old.currency,
        draft.amounts != old.amounts,
        sorted(map(repr, (n.money for n in draft.lines)))
        != sorted(map(repr, (n.money for n in old.lines))),
    )
    if any(frozen):
        raise ElementRefused(FROZEN)


def _faults(books: Books, draft: Invoice, old: Invoice | None) -> list[str]:
    if draft.status in ("VOIDED", "DELETED"):
        return lock_faults(books, draft.on) if draft.status == "VOIDED" else []
    refused = heading_faults(books, draft)
    if not draft.lines:
        refused.append("One or more line items must be specified")
    if draft.url and not _is_good_url(draft.url):
        refused.append("The Url must be a valid URL and must not contain xero")
    if draft.status == "AUTHORISED" and not draft.has_money:
        refused += ready_faults(draft, needs_due_date=True)
        refused += lock_faults(books, draft.on)
        if old and old.status == "AUTHORISED" and old.on != draft.on:
            refused += lock_faults(books, old.on)
    holder = books.invoice_numbers.get(draft.number.casefold())
    if draft.number and holder not in (None, draft.document_id):
        refused.append(NUMBER_TAKEN)
    return refused


def _is_good_url(url: str) -> bool:
    parts = urlsplit(url)
    return (
        parts.scheme in ("http", "https")
        and bool(parts.netloc)
        and ("xero" not in url.lower())
    )


def _contact(
    books: Books, draft: Invoice, old: Invoice | None, fields: Fields
) -> Contact:
    child = fields.child("Contact")
    if old is not None and child is None:
        return books.contacts[draft.contact_id]
    return contacts.for_document(books, child)


def _commit(books: Books, draft: Invoice, old: Invoice | None) -> Invoice:
    if not draft.number:
        draft.number = _next_number(books)
    if draft.status == "AUTHORISED" and not draft.totals.total:
        # Xero has nothing to wait for: a document of zero is paid when approved.
        draft.status, draft.fully_paid_on = "PAID", draft.on
    books.invoices[draft.document_id] = draft
    _reindex(books, draft, old)
    if old is not None and _only_quiet_changes(old, draft):
        return draft
    draft.updated_at = books.now()
    kind = "UPDATE" if old else "CREATE"
    books.changed(
        "INVOICE", "UPDATE" if old else "CREATE", draft.document_id, draft.updated_at
    )
    books.note(draft.document_id, f"{kind.title()}d", f"INV {draft.number}", "API")
    return draft


def _only_quiet_changes(old: Invoice, draft: Invoice) -> bool:
    """Tell whether only fields changed that do not move UpdatedDateUTC.

    DueDate and SentToContact of a part-paid invoice do not (facts section 4).
    """
    quiet = deepcopy(old)
    if old.has_money:
        quiet.due_date, quiet.sent = draft.due_date, draft.sent
    return quiet == draft


def _reindex(books: Books, draft: Invoice, old: Invoice | None) -> None:
    if old:
        books.invoice_numbers.pop(old.number.casefold(), None)
    # The number of a deleted draft is free again, that of a voided invoice is not.
    if draft.status != "DELETED":
        books.invoice_numbers[draft.number.casefold()] = draft.document_id
    if old is None or old.contact_id != draft.contact_id:
        if old:
            books.invoices_of[old.contact_id].remove(draft.document_id)
        books.invoices_of[draft.contact_id].append(draft.document_id)


def _next_number(books: Books) -> str:
    count = len(books.invoices) + 1
    while f"inv-{count:04}" in books.invoice_numbers:
        count += 1
    return f"INV-{count:04}"


# -- reading -----------------------------------------------------------------------


def summary_shape(invoice: Invoice, books: Books) -> dict[str, Any]:
    """Return the light fields: no lines, no payments."""
    shape: dict[str, Any] = {
        "Type": "ACCREC",
        "InvoiceID": invoice.document_id,
        "InvoiceNumber": invoice.number,
        "Reference": invoice.reference,
        "Prepayments": [],
        "Overpayments": [],
        "AmountDue": invoice.amount_due,
        "AmountPaid": invoice.amount_paid,
        "AmountCredited": invoice.amount_allocated,
        "SentToContact": invoice.sent,
        "CurrencyRate": invoice.currency_rate,
        "HasErrors": False,
        "IsDiscounted": bool(invoice.totals.discount),
        "HasAttachments": False,
        "Contact": books.contacts[invoice.contact_id].name_parts(),
        "Status": invoice.status,
        "LineAmountTypes": invoice.amounts,
        "SubTotal": invoice.totals.sub_total,
        "TotalTax": invoice.totals.total_tax,
        "Total": invoice.totals.total,
        "UpdatedDateUTC": invoice.updated_at,
        "UpdatedDateUTCString": f"{invoice.updated_at:%Y-%m-%dT%H:%M:%S}Z",
        "CurrencyCode": invoice.currency,
    }
    for name, day in (("Date", invoice.on), ("DueDate", invoice.due_date)):
        if day:
            shape[f"{name}String"] = f"{day}T00:00:00"
            shape[name] = day
    if invoice.branding_theme_id:
        shape["BrandingThemeID"] = invoice.branding_theme_id
    if invoice.url:
        shape["Url"] = invoice.url
    if invoice.fully_paid_on:
        shape["FullyPaidOnDate"] = invoice.fully_paid_on
    return shape


def stripped_shape(invoice: Invoice, books: Books) -> dict[str, Any]:
    """Return what an unpaged list gives: payments, but an empty list of lines."""
    shape = summary_shape(invoice, books)
    shape["LineItems"] = []
    shape["Payments"] = [
        _payment_parts(books, payment_id) for payment_id in invoice.payment_ids
    ]
    shape["CreditNotes"] = [
        _credit_parts(books, a.credit_note_id, a.amount) for a in invoice.allocations
    ]
    return shape


def paged_shape(invoice: Invoice, books: Books) -> dict[str, Any]:
    """Return what a paged list gives."""
    shape = stripped_shape(invoice, books)
    shape["LineItems"] = line_shapes(books, invoice)
    if invoice.totals.discount:
        shape["TotalDiscount"] = invoice.totals.discount
    return shape


def full_shape(invoice: Invoice, books: Books) -> dict[str, Any]:
    """Return what a single read or a write gives: the whole contact as well."""
    shape = paged_shape(invoice, books)
    contact = books.contacts[invoice.contact_id]
    shape["Contact"] = contacts.stripped_shape(contact, books)
    return shape


def _payment_parts(books: Books, payment_id: str) -> dict[str, Any]:
    payment = books.payments[payment_id]
    return {
        "PaymentID": payment_id,
        "Date": payment.on,
        "Amount": payment.amount,
        "Reference": payment.reference,
        "CurrencyRate": payment.currency_rate,
        "HasAccount": False,
        "HasValidationErrors": False,
    }


def _credit_parts(books: Books, credit_note_id: str, amount: Decimal) -> dict[str, Any]:
    note = books.credit_notes[credit_note_id]
    return {
        "CreditNoteID": credit_note_id,
        "CreditNoteNumber": note.number,
        "ID": credit_note_id,
        "HasErrors": False,
        "AppliedAmount": amount,
        "DateString": f"{note.on}T00:00:00",
        "Date": note.on,
        "LineItems": [],
        "Total": note.totals.total,
    }
