"""What a member's contact says, field by field: ours, Xero's, and when both are equal.

A value is text, or an object of texts for an address. Empty and missing are the same.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.matching.contact import MirrorContact
from core.members import Address, Member
from core.messages import canonical

#: What platform and Xero both say of a member.
SHARED = ("name", "email", "phone", "address", "tax_number", "company_number")

#: What Xero alone says: the platform has no value of its own, and is told.
OF_XERO = (
    "first_name",
    "last_name",
    "account_number",
    "default_currency",
    "payment_terms",
    "sales_tax_type",
    "purchases_tax_type",
)

#: Only seen in the answer to its creation, which may leave out what it has.
IS_PARTIAL = "is_partial"

#: Each part of an address and what Xero calls it.
ADDRESS_PARTS = {
    "line1": "AddressLine1",
    "line2": "AddressLine2",
    "city": "City",
    "region": "Region",
    "postal_code": "PostalCode",
    "country": "Country",
}

#: Our address is the whole address, so what Xero has besides goes.
_OTHER_LINES = {"AddressLine3": "", "AddressLine4": ""}


def said(member: Member) -> dict[str, Any]:
    """What a message says of a member; what it leaves out it does not say."""
    given = {
        "name": member.name,
        "email": member.email,
        "phone": member.phone,
        "address": None if member.address is None else _parts(member.address),
        "tax_number": member.tax_number,
        "company_number": member.company_number,
    }
    return {field: value for field, value in given.items() if value is not None}


def shown(contact: MirrorContact) -> dict[str, Any]:
    """What Xero shows; fields of Xero's own as far as they have been read."""
    details = contact.details
    own = {"account_number": contact.account_number, **details}
    known = own if details.get(IS_PARTIAL) else {**dict.fromkeys(OF_XERO, ""), **own}
    return {
        "name": contact.name,
        "email": contact.email,
        "phone": details.get("phone", ""),
        "address": details.get("address", {}),
        "tax_number": contact.tax_number,
        "company_number": contact.company_number,
        **{field: known[field] for field in OF_XERO if field in known},
    }


def answered(contact: MirrorContact, before: MirrorContact | None) -> MirrorContact:
    """The contact as an answer to a write shows it, with what such answers leave out.

    Terms and taxes that it does not name are those that were read before.
    """
    known = {} if before is None else before.details
    own = {field: known[field] for field in OF_XERO if field in known}
    is_partial = before is None or known.get(IS_PARTIAL, False)
    details = {**own, **contact.details, **({IS_PARTIAL: True} if is_partial else {})}
    return replace(contact, details=details)


def same(field: str, one: Any, other: Any) -> bool:
    """Whether both mean the same, however it is spaced, written or left out."""
    return bool(_comparable(field, one) == _comparable(field, other))


def is_empty(value: Any) -> bool:
    return not any(value.values()) if isinstance(value, Mapping) else not value


def as_xero_has_it(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a contact as Xero is sent them."""
    body: dict[str, Any] = {}
    for field, value in values.items():
        match field:
            case "name":
                body["Name"] = value
            case "email":
                body["EmailAddress"] = value
            case "tax_number":
                body["TaxNumber"] = value
            case "company_number":
                body["CompanyNumber"] = value
            case "phone":
                # All three parts, or those that stay would make another number of it.
                phone = {"PhoneCountryCode": "", "PhoneAreaCode": ""}
                phone |= {"PhoneType": "DEFAULT", "PhoneNumber": value}
                body["Phones"] = [phone]
            case "address":
                body["Addresses"] = [_address(value)]
    return body


def _address(value: Mapping[str, str]) -> dict[str, str]:
    parts = {name: value.get(part, "") for part, name in ADDRESS_PARTS.items()}
    return {"AddressType": "STREET", **parts, **_OTHER_LINES}


def _parts(address: Address) -> dict[str, str]:
    return {name: value for name, value in address.model_dump().items() if value}


def _comparable(field: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {name: _plain(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part}
    if field == "address":
        return {}
    text = _plain(value)
    match field:
        case "email":
            return text.casefold()
        case "phone" | "tax_number" | "company_number":
            # Xero splits a number into three parts, and people group its digits.
            bare = "".join(c for c in text if c.isalnum())
            return bare.casefold()
        case _:
            return text


def _plain(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return canonical(value)
    text = "" if value is None else str(value)
    return " ".join(unicodedata.normalize("NFC", text).split())
