"""What Xero's JSON means, read tolerantly: an unknown value must not lose a page."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.contact_fields import ADDRESS_PARTS
from core.facts import XeroInvoice, XeroLine, XeroPayment
from core.matching.contact import MirrorContact

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JSON_DATE = re.compile(r"/Date\((-?\d+)([+-]\d{4})?\)/")


def moment(value: Any) -> datetime | None:
    """``/Date(1775692800000+0000)/`` as a moment; None for anything else."""
    found = _JSON_DATE.fullmatch(value) if isinstance(value, str) else None
    return _EPOCH + timedelta(milliseconds=int(found[1])) if found else None


def day(value: Any) -> date | None:
    """A calendar date: midnight UTC, never converted to a zone."""
    at = moment(value)
    return at.date() if at else None


def amount(value: Any) -> Decimal:
    """A number; nothing is zero."""
    return Decimal(str(value)) if value is not None else Decimal(0)


def number(amount: str) -> int | float:
    """An amount as Xero's description wants it: a JSON number.

    Up to fifteen digits a float is written with the digits that it was read from.
    """
    exact = Decimal(amount)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def invoice(raw: Mapping[str, Any]) -> XeroInvoice:
    """An invoice; payments that were deleted are left out."""
    return XeroInvoice(
        invoice_id=text(raw.get("InvoiceID")),
        number=text(raw.get("InvoiceNumber")),
        reference=text(raw.get("Reference")),
        contact_id=text((raw.get("Contact") or {}).get("ContactID")),
        status=text(raw.get("Status")),
        currency=text(raw.get("CurrencyCode")),
        total=amount(raw.get("Total")),
        amount_due=amount(raw.get("AmountDue", raw.get("Total"))),
        amount_paid=amount(raw.get("AmountPaid")),
        amount_credited=amount(raw.get("AmountCredited")),
        issued_on=day(raw.get("Date")),
        due_on=day(raw.get("DueDate")),
        sent_to_contact=bool(raw.get("SentToContact")),
        updated_at=moment(raw.get("UpdatedDateUTC")),
        lines=tuple(_line(line) for line in raw.get("LineItems") or []),
        payments=tuple(
            _payment(payment)
            for payment in raw.get("Payments") or []
            if payment.get("Status") != "DELETED"
        ),
    )


def contact(raw: Mapping[str, Any]) -> MirrorContact:
    return MirrorContact(
        contact_id=text(raw.get("ContactID")),
        name=text(raw.get("Name")),
        email=text(raw.get("EmailAddress")),
        contact_number=text(raw.get("ContactNumber")),
        account_number=text(raw.get("AccountNumber")),
        status=text(raw.get("ContactStatus")) or "ACTIVE",
        merged_to=raw.get("MergedToContactID"),
        updated_at=moment(raw.get("UpdatedDateUTC")),
        tax_number=text(raw.get("TaxNumber")),
        company_number=text(raw.get("CompanyNumber")),
        details=_details(raw),
    )


def errors(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Why Xero refused this element; empty if it did not.

    Its own ``StatusAttributeString`` decides, not the call's status.
    """
    messages = tuple(
        text(error.get("Message")) for error in raw.get("ValidationErrors") or []
    )
    if text(raw.get("StatusAttributeString")) == "ERROR" or messages:
        return messages or ("refused without a reason",)
    return ()


def _details(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Everything else that conflicts are about, or a person may want to see.

    Empty and missing are the same.
    """
    texts = {
        "first_name": "FirstName",
        "last_name": "LastName",
        "default_currency": "DefaultCurrency",
        "sales_tax_type": "AccountsReceivableTaxType",
        "purchases_tax_type": "AccountsPayableTaxType",
    }
    phones = {text(p.get("PhoneType")): _phone(p) for p in raw.get("Phones") or []}
    addresses = {
        text(a.get("AddressType")): _address(a) for a in raw.get("Addresses") or []
    }
    found = {
        **{name: text(raw.get(theirs)) for name, theirs in texts.items()},
        "payment_terms": raw.get("PaymentTerms") or {},
        "phone": phones.pop("DEFAULT", ""),
        "other_phones": {kind: phone for kind, phone in phones.items() if phone},
        "address": addresses.pop("STREET", {}),
        "other_addresses": {kind: part for kind, part in addresses.items() if part},
    }
    return {name: value for name, value in found.items() if value}


def _phone(raw: Mapping[str, Any]) -> str:
    """One text of a number that Xero keeps in three parts."""
    country, area = text(raw.get("PhoneCountryCode")), text(raw.get("PhoneAreaCode"))
    country = f"+{country.lstrip('+')}" if country else ""
    parts = (country, area, text(raw.get("PhoneNumber")))
    return " ".join(part for part in parts if part)


def _address(raw: Mapping[str, Any]) -> dict[str, str]:
    parts = {part: text(raw.get(name)) for part, name in ADDRESS_PARTS.items()}
    return {part: value for part, value in parts.items() if value}


def _line(raw: Mapping[str, Any]) -> XeroLine:
    return XeroLine(
        description=text(raw.get("Description")),
        quantity=amount(raw.get("Quantity")),
        unit_amount=amount(raw.get("UnitAmount")),
        account_code=text(raw.get("AccountCode")),
        tax_type=text(raw.get("TaxType")),
    )


def _payment(raw: Mapping[str, Any]) -> XeroPayment:
    return XeroPayment(
        payment_id=text(raw.get("PaymentID")),
        amount=amount(raw.get("Amount")),
        paid_on=day(raw.get("Date")),
        reference=text(raw.get("Reference")),
    )
