"""The accounting endpoints: which address answers what."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.xero import contacts, credit_notes, invoices, payments, reply
from sandbox.xero.books import Books, note_shape
from sandbox.xero.call import Call
from sandbox.xero.errors import ElementRefused, NotFound, NotOffered
from sandbox.xero.fields import Fields, elements_of
from sandbox.xero.limits import Limits
from sandbox.xero.listing import Query, Resource, listed
from sandbox.xero.reply import Reply
from sandbox.xero.resources import CONTACTS, CREDIT_NOTES, INVOICES, PAYMENTS
from sandbox.xero.wire import NO_ID, envelope

T = TypeVar("T")

LONGEST_NOTE = 2_500

_DATE_FIELDS = ("Date", "DueDate", "ExpectedPaymentDate")


# -- lists ------------------------------------------------------------------------


def _list(resource: Resource[T]) -> "Handler":
    def answer(books: Books, call: Call, limits: Limits) -> Reply:
        shapes, pagination = listed(resource, books, call.filters)
        content = envelope(books.now(), resource.name, shapes)
        if pagination:
            content["pagination"] = pagination
        return reply.document(content)

    return answer


# -- writing many elements ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """How the elements of one resource are answered."""

    name: str
    id_field: str
    error_flag: str


_CONTACT = Kind("Contacts", "ContactID", "HasValidationErrors")
_INVOICE = Kind("Invoices", "InvoiceID", "HasErrors")
_PAYMENT = Kind("Payments", "PaymentID", "HasValidationErrors")
_CREDIT_NOTE = Kind("CreditNotes", "CreditNoteID", "HasErrors")

Write = Callable[[Fields], dict[str, Any]]


def _write_all(
    books: Books, call: Call, kind: Kind, elements: Iterable[Fields], write: Write
) -> Reply:
    """Write each element by itself; there is no transaction around them."""
    shapes, failed = [], []
    for fields in elements:
        try:
            shape = write(fields) | {"StatusAttributeString": "OK"}
        except ElementRefused as error:
            shape = _refused_shape(kind, fields, error)
            failed.append(shape)
        shapes.append(shape)
    if failed and _summarizes(call.filters):
        return reply.validation(failed)
    return reply.document(envelope(books.now(), kind.name, shapes))


def _summarizes(query: Query) -> bool:
    # The OAS says default false; Xero's real default is true (facts section 3).
    return (query.text("summarizeErrors") or "true").casefold() != "false"


def _refused_shape(kind: Kind, fields: Fields, error: ElementRefused) -> dict[str, Any]:
    """Return a refused element: as submitted, with its errors."""
    shape = dict(fields.raw)
    for name in _DATE_FIELDS:
        day = fields.day(name)
        if day is not None:
            shape |= {name: day, f"{name}String": f"{day}T00:00:00"}
    shape.setdefault(kind.id_field, NO_ID)
    shape[kind.error_flag] = True
    shape["StatusAttributeString"] = "ERROR"
    shape["ValidationErrors"] = [{"Message": message} for message in error.messages]
    return shape


def _places(call: Call) -> int:
    return 4 if call.filters.text("unitdp") == "4" else 2


# -- contacts ----------------------------------------------------------------------


def _put_contacts(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        return contacts.full_shape(contacts.create(books, fields), books)

    elements = elements_of(call.json(), "Contacts")
    return _write_all(books, call, _CONTACT, elements, write)


def _post_contacts(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        return contacts.full_shape(contacts.upsert(books, fields), books)

    elements = elements_of(call.json(), "Contacts")
    return _write_all(books, call, _CONTACT, elements, write)


def _post_contact(books: Books, call: Call, limits: Limits) -> Reply:
    contact = contacts.find(books, call.keys["id"])

    def write(fields: Fields) -> dict[str, Any]:
        return contacts.full_shape(contacts.update(books, contact, fields), books)

    elements = elements_of(call.json(), "Contacts")[:1]
    return _write_all(books, call, _CONTACT, elements, write)


def _get_contact(books: Books, call: Call, limits: Limits) -> Reply:
    shape = contacts.full_shape(contacts.find(books, call.keys["id"]), books)
    return reply.document(envelope(books.now(), "Contacts", [shape]))


# -- invoices ----------------------------------------------------------------------


def _put_invoices(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        invoice_id = fields.text("InvoiceID") or ""
        if invoice_id.lower() in books.invoices:
            raise ElementRefused("An invoice with this InvoiceID exists already")
        invoice = invoices.create(books, fields, _places(call))
        return invoices.full_shape(invoice, books)

    elements = elements_of(call.json(), "Invoices")
    return _write_all(books, call, _INVOICE, elements, write)


def _post_invoices(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        invoice = invoices.upsert(books, fields, _places(call))
        return invoices.full_shape(invoice, books)

    elements = elements_of(call.json(), "Invoices")
    return _write_all(books, call, _INVOICE, elements, write)


def _post_invoice(books: Books, call: Call, limits: Limits) -> Reply:
    invoice = invoices.find(books, call.keys["id"])

    def write(fields: Fields) -> dict[str, Any]:
        changed = invoices.update(books, invoice, fields, _places(call))
        return invoices.full_shape(changed, books)

    elements = elements_of(call.json(), "Invoices")[:1]
    return _write_all(books, call, _INVOICE, elements, write)


def _get_invoice(books: Books, call: Call, limits: Limits) -> Reply:
    shape = invoices.full_shape(invoices.find(books, call.keys["id"]), books)
    return reply.document(envelope(books.now(), "Invoices", [shape]))


def _email_invoice(books: Books, call: Call, limits: Limits) -> Reply:
    invoice = invoices.find(books, call.keys["id"])
    try:
        invoices.email(books, invoice, limits.emails_per_day)
    except ElementRefused as error:
        fields = Fields({"InvoiceID": invoice.document_id})
        return reply.validation([_refused_shape(_INVOICE, fields, error)])
    return Reply(204)


def _online_invoice(books: Books, call: Call, limits: Limits) -> Reply:
    invoice = invoices.find(books, call.keys["id"])
    if invoice.status in ("DRAFT", "DELETED"):
        error = ElementRefused("Online invoices are not available for draft invoices")
        fields = Fields({"InvoiceID": invoice.document_id})
        return reply.validation([_refused_shape(_INVOICE, fields, error)])
    shape = {"OnlineInvoiceUrl": f"https://in.xero.com/{invoice.online_token}"}
    return reply.document(envelope(books.now(), "OnlineInvoices", [shape]))


def _get_history(books: Books, call: Call, limits: Limits) -> Reply:
    invoice = invoices.find(books, call.keys["id"])
    shapes = books.history_shapes(invoice.document_id)
    return reply.document(envelope(books.now(), "HistoryRecords", shapes))


def _put_history(books: Books, call: Call, limits: Limits) -> Reply:
    invoice = invoices.find(books, call.keys["id"])
    elements = elements_of(call.json(), "HistoryRecords")
    texts = [fields.text("Details") or "" for fields in elements]
    if not all(0 < len(text) <= LONGEST_NOTE for text in texts):
        message = f"Details must have between 1 and {LONGEST_NOTE} characters"
        return reply.validation([{"ValidationErrors": [{"Message": message}]}])
    notes = [books.note(invoice.document_id, "Note", text, "API") for text in texts]
    shapes = [note_shape(note) | {"ValidationErrors": []} for note in notes]
    return reply.document(envelope(books.now(), "HistoryRecords", shapes))


# -- payments ----------------------------------------------------------------------


def _write_payments(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        return payments.full_shape(payments.create(books, fields), books)

    elements = elements_of(call.json(), "Payments")
    return _write_all(books, call, _PAYMENT, elements, write)


def _get_payment(books: Books, call: Call, limits: Limits) -> Reply:
    shape = payments.full_shape(payments.find(books, call.keys["id"]), books)
    return reply.document(envelope(books.now(), "Payments", [shape]))


def _delete_payment(books: Books, call: Call, limits: Limits) -> Reply:
    payment = payments.find(books, call.keys["id"])

    def write(fields: Fields) -> dict[str, Any]:
        if fields.text("Status") != "DELETED":
            raise ElementRefused("A payment cannot be changed, only deleted")
        return payments.full_shape(payments.delete(books, payment), books)

    elements = elements_of(call.json(), "Payments")[:1]
    return _write_all(books, call, _PAYMENT, elements, write)


# -- credit notes ------------------------------------------------------------------


def _put_credit_notes(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        note = credit_notes.create(books, fields, _places(call))
        return credit_notes.full_shape(note, books)

    elements = elements_of(call.json(), "CreditNotes")
    return _write_all(books, call, _CREDIT_NOTE, elements, write)


def _post_credit_notes(books: Books, call: Call, limits: Limits) -> Reply:
    def write(fields: Fields) -> dict[str, Any]:
        if "id" in call.keys:
            note_id = credit_notes.find(books, call.keys["id"]).document_id
            fields = Fields(fields.raw | {"CreditNoteID": note_id})
        note = credit_notes.upsert(books, fields, _places(call))
        return credit_notes.full_shape(note, books)

    elements = elements_of(call.json(), "CreditNotes")
    return _write_all(books, call, _CREDIT_NOTE, elements, write)


def _get_credit_note(books: Books, call: Call, limits: Limits) -> Reply:
    note = credit_notes.find(books, call.keys["id"])
    shape = credit_notes.full_shape(note, books)
    return reply.document(envelope(books.now(), "CreditNotes", [shape]))


def _put_allocations(books: Books, call: Call, limits: Limits) -> Reply:
    note = credit_notes.find(books, call.keys["id"])

    def write(fields: Fields) -> dict[str, Any]:
        applied = credit_notes.allocate(books, note, fields)
        return credit_notes.allocation_shape(books, applied)

    kind = Kind("Allocations", "AllocationID", "HasErrors")
    elements = elements_of(call.json(), "Allocations")
    return _write_all(books, call, kind, elements, write)


def _delete_allocation(books: Books, call: Call, limits: Limits) -> Reply:
    note = credit_notes.find(books, call.keys["id"])
    applied = credit_notes.unallocate(books, note, call.keys["allocation"])
    # The real answer is this, and the SDK stumbles over it (facts section 11).
    return reply.document(
        {
            "AllocationId": applied.allocation_id,
            "Date": applied.on,
            "Invoice": [{"InvoiceID": applied.invoice_id}],
            "IsDeleted": True,
        }
    )


# -- settings ----------------------------------------------------------------------


def _settings(name: str, shapes: Callable[[Books], list[dict[str, Any]]]) -> "Handler":
    def answer(books: Books, call: Call, limits: Limits) -> Reply:
        return reply.document(envelope(books.now(), name, shapes(books)))

    return answer


def _get_tax_rate(books: Books, call: Call, limits: Limits) -> Reply:
    rate = books.organisation.tax_rate(call.keys["id"])
    if rate is None:
        raise NotFound
    return reply.document(envelope(books.now(), "TaxRates", [rate.shape()]))


def _get_account(books: Books, call: Call, limits: Limits) -> Reply:
    account = books.organisation.account(account_id=call.keys["id"].lower())
    if account is None:
        raise NotFound
    return reply.document(envelope(books.now(), "Accounts", [account.shape()]))


def _not_offered(books: Books, call: Call, limits: Limits) -> Reply:
    raise NotOffered("over- and prepayments")


def _nothing(name: str) -> "Handler":
    def answer(books: Books, call: Call, limits: Limits) -> Reply:
        content = envelope(books.now(), name, [])
        if call.filters.text("page"):
            content["pagination"] = {
                "page": 1,
                "pageSize": 100,
                "pageCount": 0,
                "itemCount": 0,
            }
        return reply.document(content)

    return answer


# -- addresses ---------------------------------------------------------------------

Handler = Callable[[Books, Call, Limits], Reply]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address, the scope it wants and who answers."""

    method: str
    template: str
    scope: str
    handler: Handler
    pattern: re.Pattern[str]


def _endpoint(line: str, scope: str, handler: Handler) -> Endpoint:
    method, template = line.split()
    regex = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    pattern = re.compile(f"^/api\\.xro/2\\.0{regex}/?$", re.IGNORECASE)
    return Endpoint(method, template, scope, handler, pattern)


_INVOICE_SCOPE = "accounting.invoices"
_PAYMENT_SCOPE = "accounting.payments"
_CONTACT_SCOPE = "accounting.contacts"
_SETTINGS_SCOPE = "accounting.settings"

ENDPOINTS = [
    _endpoint(
        "GET /Organisation",
        _SETTINGS_SCOPE,
        _settings("Organisations", lambda b: [b.organisation.shape()]),
    ),
    _endpoint(
        "GET /Accounts",
        _SETTINGS_SCOPE,
        _settings("Accounts", lambda b: [a.shape() for a in b.organisation.accounts]),
    ),
    _endpoint("GET /Accounts/{id}", _SETTINGS_SCOPE, _get_account),
    _endpoint(
        "GET /TaxRates",
        _SETTINGS_SCOPE,
        _settings("TaxRates", lambda b: [r.shape() for r in b.organisation.tax_rates]),
    ),
    _endpoint("GET /TaxRates/{id}", _SETTINGS_SCOPE, _get_tax_rate),
    _endpoint(
        "GET /BrandingThemes",
        _SETTINGS_SCOPE,
        _settings("BrandingThemes", lambda b: b.organisation.branding_shapes()),
    ),
    _endpoint(
        "GET /Currencies",
        _SETTINGS_SCOPE,
        _settings("Currencies", lambda b: b.organisation.currency_shapes()),
    ),
    _endpoint("GET /Contacts", _CONTACT_SCOPE, _list(CONTACTS)),
    _endpoint("PUT /Contacts", _CONTACT_SCOPE, _put_contacts),
    _endpoint("POST /Contacts", _CONTACT_SCOPE, _post_contacts),
    _endpoint("GET /Contacts/{id}", _CONTACT_SCOPE, _get_contact),
    _endpoint("POST /Contacts/{id}", _CONTACT_SCOPE, _post_contact),
    _endpoint("GET /Invoices", _INVOICE_SCOPE, _list(INVOICES)),
    _endpoint("PUT /Invoices", _INVOICE_SCOPE, _put_invoices),
    _endpoint("POST /Invoices", _INVOICE_SCOPE, _post_invoices),
    _endpoint("GET /Invoices/{id}", _INVOICE_SCOPE, _get_invoice),
    _endpoint("POST /Invoices/{id}", _INVOICE_SCOPE, _post_invoice),
    _endpoint("POST /Invoices/{id}/Email", _INVOICE_SCOPE, _email_invoice),
    _endpoint("GET /Invoices/{id}/OnlineInvoice", _INVOICE_SCOPE, _online_invoice),
    _endpoint("GET /Invoices/{id}/History", _INVOICE_SCOPE, _get_history),
    _endpoint("PUT /Invoices/{id}/History", _INVOICE_SCOPE, _put_history),
    _endpoint("GET /Payments", _PAYMENT_SCOPE, _list(PAYMENTS)),
    _endpoint("PUT /Payments", _PAYMENT_SCOPE, _write_payments),
    _endpoint("POST /Payments", _PAYMENT_SCOPE, _write_payments),
    _endpoint("GET /Payments/{id}", _PAYMENT_SCOPE, _get_payment),
    _endpoint("POST /Payments/{id}", _PAYMENT_SCOPE, _delete_payment),
    _endpoint("GET /CreditNotes", _INVOICE_SCOPE, _list(CREDIT_NOTES)),
    _endpoint("PUT /CreditNotes", _INVOICE_SCOPE, _put_credit_notes),
    _endpoint("POST /CreditNotes", _INVOICE_SCOPE, _post_credit_notes),
    _endpoint("GET /CreditNotes/{id}", _INVOICE_SCOPE, _get_credit_note),
    _endpoint("POST /CreditNotes/{id}", _INVOICE_SCOPE, _post_credit_notes),
    _endpoint("PUT /CreditNotes/{id}/Allocations", _INVOICE_SCOPE, _put_allocations),
    _endpoint(
        "DELETE /CreditNotes/{id}/Allocations/{allocation}",
        _INVOICE_SCOPE,
        _delete_allocation,
    ),
    *(
        endpoint
        for name in ("Overpayments", "Prepayments")
        for endpoint in (
            _endpoint(f"GET /{name}", _PAYMENT_SCOPE, _nothing(name)),
            _endpoint(f"PUT /{name}/{{id}}/Allocations", _PAYMENT_SCOPE, _not_offered),
            _endpoint(
                f"DELETE /{name}/{{id}}/Allocations/{{allocation}}",
                _PAYMENT_SCOPE,
                _not_offered,
            ),
        )
    ),
]


def endpoint_of(method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
    """Return the endpoint of an address, and the keys in its path."""
    for endpoint in ENDPOINTS:
        found = endpoint.pattern.match(path)
        if found and endpoint.method == method:
            return endpoint, found.groupdict()
    return None
