"""The four kinds of records that have lists: their filters, order and shapes."""

from collections.abc import Callable
from typing import Any

from sandbox.xero import contacts, credit_notes, invoices, payments
from sandbox.xero.books import Books
from sandbox.xero.contacts import Contact
from sandbox.xero.credit_notes import CreditNote
from sandbox.xero.documents import Document
from sandbox.xero.invoices import Invoice
from sandbox.xero.listing import Resource
from sandbox.xero.payments import Payment


def _contact_field(name: str) -> Callable[[Any, Books], object]:
    def get(document: Document, books: Books) -> object:
        contact = books.contacts[document.contact_id]
        return contact.contact_id if name == "ContactID" else contact.text.get(name)

    return get


_OF_CONTACT = {
    f"Contact.{name}": _contact_field(name)
    for name in ("ContactID", "Name", "ContactNumber")
}

CONTACTS: Resource[Contact] = Resource(
    name="Contacts",
    records=lambda books: books.contacts.values(),
    getters={
        "ContactID": lambda c, _: c.contact_id,
        "Name": lambda c, _: c.name,
        "FirstName": lambda c, _: c.text.get("FirstName"),
        "LastName": lambda c, _: c.text.get("LastName"),
        "EmailAddress": lambda c, _: c.email,
        "AccountNumber": lambda c, _: c.text.get("AccountNumber"),
        "ContactNumber": lambda c, _: c.number,
        "CompanyNumber": lambda c, _: c.text.get("CompanyNumber"),
        "TaxNumber": lambda c, _: c.text.get("TaxNumber"),
        "ContactStatus": lambda c, _: c.status,
        "IsCustomer": lambda c, books: bool(books.invoices_of.get(c.contact_id)),
        "UpdatedDateUTC": lambda c, _: c.updated_at,
    },
    id_field="ContactID",
    updated_at=lambda c: c.updated_at,
    full=contacts.full_shape,
    stripped=contacts.stripped_shape,
    summary=contacts.summary_shape,
    lists={"IDs": "ContactID"},
    searched=(
        "Name",
        "FirstName",
        "LastName",
        "ContactNumber",
        "CompanyNumber",
        "EmailAddress",
    ),
    is_archived=lambda c: c.status != "ACTIVE",
)

INVOICES: Resource[Invoice] = Resource(
    name="Invoices",
    records=lambda books: books.invoices.values(),
    getters={
        "InvoiceID": lambda i, _: i.document_id,
        "InvoiceNumber": lambda i, _: i.number,
        "Reference": lambda i, _: i.reference,
        "Type": lambda i, _: "ACCREC",
        "Status": lambda i, _: i.status,
        "Date": lambda i, _: i.on,
        "DueDate": lambda i, _: i.due_date,
        "AmountDue": lambda i, _: i.amount_due,
        "AmountPaid": lambda i, _: i.amount_paid,
        "AmountCredited": lambda i, _: i.amount_allocated,
        "Total": lambda i, _: i.totals.total,
        "CurrencyCode": lambda i, _: i.currency,
        "SentToContact": lambda i, _: i.sent,
        "FullyPaidOnDate": lambda i, _: i.fully_paid_on,
        "UpdatedDateUTC": lambda i, _: i.updated_at,
        **_OF_CONTACT,
    },
    id_field="InvoiceID",
    updated_at=lambda i: i.updated_at,
    full=invoices.paged_shape,
    stripped=invoices.stripped_shape,
    summary=invoices.summary_shape,
    lists={
        "IDs": "InvoiceID",
        "InvoiceNumbers": "InvoiceNumber",
        "ContactIDs": "Contact.ContactID",
        "Statuses": "Status",
    },
    searched=("InvoiceNumber", "Reference"),
    is_ours=lambda i: i.created_by_app,
)

PAYMENTS: Resource[Payment] = Resource(
    name="Payments",
    records=lambda books: books.payments.values(),
    getters={
        "PaymentID": lambda p, _: p.payment_id,
        "PaymentType": lambda p, _: "ACCRECPAYMENT",
        "Status": lambda p, _: p.status,
        "Date": lambda p, _: p.on,
        "Amount": lambda p, _: p.amount,
        "Reference": lambda p, _: p.reference,
        "IsReconciled": lambda p, _: p.is_reconciled,
        "Invoice.InvoiceID": lambda p, _: p.invoice_id,
        "Invoice.InvoiceNumber": lambda p, b: b.invoices[p.invoice_id].number,
        "Account.Code": lambda p, _: p.account.code,
        "UpdatedDateUTC": lambda p, _: p.updated_at,
    },
    id_field="PaymentID",
    updated_at=lambda p: p.updated_at,
    full=payments.listed_shape,
    stripped=payments.listed_shape,
)

CREDIT_NOTES: Resource[CreditNote] = Resource(
    name="CreditNotes",
    records=lambda books: books.credit_notes.values(),
    getters={
        "CreditNoteID": lambda n, _: n.document_id,
        "CreditNoteNumber": lambda n, _: n.number,
        "Reference": lambda n, _: n.reference,
        "Type": lambda n, _: "ACCRECCREDIT",
        "Status": lambda n, _: n.status,
        "Date": lambda n, _: n.on,
        "Total": lambda n, _: n.totals.total,
        "RemainingCredit": lambda n, _: n.remaining,
        "UpdatedDateUTC": lambda n, _: n.updated_at,
        **_OF_CONTACT,
    },
    id_field="CreditNoteID",
    updated_at=lambda n: n.updated_at,
    full=credit_notes.full_shape,
    stripped=credit_notes.stripped_shape,
)
