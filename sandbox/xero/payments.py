"""Payments against sales invoices."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sandbox.xero import invoices
from sandbox.xero.books import Books, new_id
from sandbox.xero.documents import lock_faults
from sandbox.xero.errors import ElementRefused, NotFound, NotOffered
from sandbox.xero.fields import Fields
from sandbox.xero.invoices import Invoice
from sandbox.xero.lines import cents
from sandbox.xero.organisation import Account

TOO_MUCH = "Payment amount exceeds the amount outstanding on this document"
NOT_AUTHORISED = "Payments can only be made against Authorised documents"


@dataclass(slots=True)
class Payment:
    """Money received on one invoice. It can be deleted, never changed."""

    payment_id: str
    invoice_id: str
    account: Account
    on: date
    amount: Decimal
    updated_at: datetime
    reference: str = ""
    currency_rate: Decimal = Decimal("1.000000")
    is_reconciled: bool = False
    status: Literal["AUTHORISED", "DELETED"] = "AUTHORISED"


def create(books: Books, fields: Fields) -> Payment:
    """Add a payment.

    Raises:
        ElementRefused: with every message that Xero would give.
        NotOffered: it is a refund of a credit, which the sandbox does not keep.
    """
    if {"CreditNote", "CreditNoteNumber", "Prepayment", "Overpayment"} & set(
        fields.raw
    ):
        raise NotOffered("payments against credits")
    invoice, account = _invoice(books, fields), _account(books, fields)
    on = fields.day("Date") or books.organisation.today(books.now())
    amount = fields.number("Amount")
    refused = lock_faults(books, on)
    if invoice.status != "AUTHORISED":
        refused.append(NOT_AUTHORISED)
    elif amount is None or amount <= 0 or amount != cents(amount):
        refused.append("The Amount of a payment must be greater than zero")
    elif amount > invoice.amount_due:
        refused.append(TOO_MUCH)
    if refused or amount is None:
        raise ElementRefused(*refused)
    payment = Payment(
        new_id(), invoice.document_id, account, on, cents(amount), books.now()
    )
    payment.reference = fields.text("Reference") or ""
    payment.currency_rate = fields.number("CurrencyRate") or payment.currency_rate
    payment.is_reconciled = fields.flag("IsReconciled") or False
    _commit(books, payment, invoice)
    return payment


def _commit(books: Books, payment: Payment, invoice: Invoice) -> None:
    books.payments[payment.payment_id] = payment
    invoice.payment_ids.append(payment.payment_id)
    invoice.amount_paid += payment.amount
    invoices.settle(books, invoice, payment.on)
    payment.updated_at = invoice.updated_at
    books.note(
        invoice.document_id,
        "Payment Received",
        f"Payment of {payment.amount} received on {payment.on}",
        "System",
    )


def delete(books: Books, payment: Payment) -> Payment:
    """Delete a payment; the invoice is open again."""
    if payment.status == "DELETED":
        raise ElementRefused("Payment has already been deleted")
    if payment.is_reconciled:
        raise ElementRefused("A reconciled payment cannot be deleted")
    refused = lock_faults(books, payment.on)
    if refused:
        raise ElementRefused(*refused)
    invoice = books.invoices[payment.invoice_id]
    payment.status = "DELETED"
    invoice.payment_ids.remove(payment.payment_id)
    invoice.amount_paid -= payment.amount
    invoices.settle(books, invoice, payment.on)
    payment.updated_at = invoice.updated_at
    return payment


def find(books: Books, payment_id: str) -> Payment:
    """Return a payment by id.

    Raises:
        NotFound: there is none.
    """
    payment = books.payments.get(payment_id.lower())
    if payment is None:
        raise NotFound
    return payment


def _invoice(books: Books, fields: Fields) -> Invoice:
    child = fields.child("Invoice") or Fields({})
    key = child.text("InvoiceID") or child.text("InvoiceNumber")
    key = key or fields.text("InvoiceNumber")
    if not key:
        raise ElementRefused("Payment must be applied to an invoice")
    try:
        return invoices.find(books, key)
    except NotFound:
        raise ElementRefused("The invoice could not be found") from None


def _account(books: Books, fields: Fields) -> Account:
    child = fields.child("Account") or Fields({})
    code = child.text("Code") or fields.text("Code")
    account_id = child.text("AccountID")
    account = books.organisation.account(code=code, account_id=account_id)
    if account is None or account.status != "ACTIVE":
        raise ElementRefused("Account could not be found")
    if not account.can_receive_payment:
        raise ElementRefused(
            "The account must be a bank account or have payments enabled"
        )
    return account


def listed_shape(payment: Payment, books: Books) -> dict[str, Any]:
    """Return a payment as lists show it: a few fields of its invoice."""
    invoice = books.invoices[payment.invoice_id]
    return _shape(payment) | {
        "Invoice": {
            "Type": "ACCREC",
            "InvoiceID": invoice.document_id,
            "InvoiceNumber": invoice.number,
            "Payments": [],
            "CreditNotes": [],
            "Prepayments": [],
            "Overpayments": [],
            "HasErrors": False,
            "IsDiscounted": False,
            "Contact": books.contacts[invoice.contact_id].name_parts(),
            "LineItems": [],
            "CurrencyCode": invoice.currency,
        },
        "HasValidationErrors": False,
    }


def full_shape(payment: Payment, books: Books) -> dict[str, Any]:
    """Return a payment as single reads and writes show it: the whole invoice."""
    invoice = books.invoices[payment.invoice_id]
    return _shape(payment) | {
        "Invoice": invoices.paged_shape(invoice, books),
        "HasValidationErrors": False,
    }


def _shape(payment: Payment) -> dict[str, Any]:
    return {
        "PaymentID": payment.payment_id,
        "Date": payment.on,
        "BankAmount": payment.amount,
        "Amount": payment.amount,
        "Reference": payment.reference,
        "CurrencyRate": payment.currency_rate,
        "PaymentType": "ACCRECPAYMENT",
        "Status": payment.status,
        "UpdatedDateUTC": payment.updated_at,
        "UpdatedDateUTCString": f"{payment.updated_at:%Y-%m-%dT%H:%M:%S}Z",
        "HasAccount": True,
        "IsReconciled": payment.is_reconciled,
        "Account": {
            "AccountID": payment.account.account_id,
            "Code": payment.account.code,
            "Name": payment.account.name,
        },
    }
