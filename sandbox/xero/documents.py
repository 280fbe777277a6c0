"""What invoices and credit notes have in common."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sandbox.xero.books import Books
from sandbox.xero.errors import ElementRefused
from sandbox.xero.fields import Fields
from sandbox.xero.lines import (
    Line,
    LineAmountTypes,
    Totals,
    approval_faults,
    read_lines,
    totals_of,
)

Status = Literal["DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"]

#: From where to where a document may be moved by a writer. PAID is the system's.
TRANSITIONS: dict[str, frozenset[str]] = {
    "": frozenset({"DRAFT", "SUBMITTED", "AUTHORISED"}),
    "DRAFT": frozenset({"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"}),
    "SUBMITTED": frozenset({"SUBMITTED", "AUTHORISED", "DRAFT", "DELETED"}),
    "AUTHORISED": frozenset({"AUTHORISED", "VOIDED"}),
    "PAID": frozenset({"PAID"}),
    "VOIDED": frozenset(),
    "DELETED": frozenset(),
}

NOT_MODIFIABLE = "{} not of valid status for modification"


@dataclass(slots=True)
class Allocation:
    """Credit of one credit note, applied to one invoice."""

    allocation_id: str
    credit_note_id: str
    invoice_id: str
    amount: Decimal
    on: date


@dataclass(slots=True)
class Document:
    """A sales document with lines: an invoice or a credit note."""

    document_id: str
    contact_id: str
    updated_at: datetime
    status: Status = "DRAFT"
    number: str = ""
    reference: str = ""
    on: date | None = None
    due_date: date | None = None
    currency: str = "ZAR"
    currency_rate: Decimal = Decimal("1.000000")
    amounts: LineAmountTypes = "Exclusive"
    lines: list[Line] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    branding_theme_id: str = ""
    sent: bool = False
    fully_paid_on: date | None = None
    created_by_app: bool = True
    allocations: list[Allocation] = field(default_factory=list)

    @property
    def amount_allocated(self) -> Decimal:
        """What was applied between credit notes and this document."""
        return sum((a.amount for a in self.allocations), Decimal("0.00"))


def apply_heading(books: Books, document: Document, fields: Fields) -> None:
    """Read dates, currency and reference into a draft of the document."""
    organisation = books.organisation
    document.on = fields.day("Date") or document.on
    document.on = document.on or organisation.today(books.now())
    document.due_date = fields.day("DueDate") or document.due_date
    document.currency = fields.text("CurrencyCode") or document.currency
    document.currency_rate = fields.number("CurrencyRate") or document.currency_rate
    reference = fields.text("Reference")
    document.reference = document.reference if reference is None else reference
    theme = fields.text("BrandingThemeID")
    document.branding_theme_id = document.branding_theme_id if theme is None else theme


def apply_lines(
    books: Books, document: Document, fields: Fields, unit_places: int
) -> None:
    """Read the lines into a draft; the submitted list replaces the old one."""
    kinds: dict[str, LineAmountTypes] = {
        "exclusive": "Exclusive",
        "inclusive": "Inclusive",
        "notax": "NoTax",
    }
    kind = fields.text("LineAmountTypes")
    if kind is not None and kind.lower() not in kinds:
        raise ElementRefused(f"LineAmountTypes {kind} is not valid")
    if kind is not None:
        document.amounts = kinds[kind.lower()]
    items = fields.children("LineItems")
    if items is None and kind is not None and document.lines:
        items = [Fields(_as_submitted(line)) for line in document.lines]
    if items is not None:
        kept = frozenset(line.line_id for line in document.lines)
        document.lines = read_lines(
            items, books.organisation, document.amounts, kept, unit_places
        )
    document.totals = totals_of(document.lines, document.amounts)


def _as_submitted(line: Line) -> dict[str, Any]:
    shape = line.shape(None)
    return {k: v for k, v in shape.items() if k not in ("TaxAmount", "LineAmount")}


def heading_faults(books: Books, document: Document) -> list[str]:
    """Return what is wrong with dates, currency and lengths."""
    organisation = books.organisation
    refused = []
    if document.currency not in organisation.currencies:
        refused.append(
            f"Organisation is not subscribed to currency {document.currency}"
        )
    if len(document.reference) > 255:
        refused.append("The Reference must be no longer than 255 characters")
    if len(document.number) > 255:
        refused.append("The document number must be no longer than 255 characters")
    themes = {organisation.branding_theme_id(n) for n in organisation.branding_themes}
    if document.branding_theme_id and document.branding_theme_id not in themes:
        refused.append("The branding theme could not be found")
    return refused


def lock_faults(books: Books, on: date | None) -> list[str]:
    """Return Xero's complaint about a date in a locked period."""
    organisation = books.organisation
    locks = (
        ("period lock", organisation.period_lock_date),
        ("end of year lock", organisation.end_of_year_lock_date),
    )
    return [
        f"The document date cannot be before the {name} date, "
        f"currently set at {locked.day} {locked:%B %Y}"
        for name, locked in locks
        if locked and on and on <= locked
    ]


def ready_faults(document: Document, *, needs_due_date: bool) -> list[str]:
    """Return what keeps a document from being approved."""
    refused = approval_faults(document.lines)
    if needs_due_date and document.due_date is None:
        refused.append("DueDate cannot be empty")
    if document.totals.total < 0:
        refused.append("The total of the document must not be negative")
    return refused


def line_shapes(books: Books, document: Document) -> list[dict[str, Any]]:
    """Return the lines as Xero shows them."""
    shapes = []
    for line in document.lines:
        account = books.organisation.account(code=line.account_code)
        shapes.append(line.shape(account.account_id if account else None))
    return shapes
