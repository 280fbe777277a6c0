"""Reading the fields of one submitted element."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Self

from sandbox.xero.errors import PostDataInvalid
from sandbox.xero.wire import parse_date

#: No number of Xero is as large; below it, rounding stays within the precision.
_LARGEST = Decimal(10) ** 15


class Fields:
    """The fields that an element carries. A null counts as absent.

    A field of a wrong type is a fault of the whole body, as at Xero: it could not
    be read into the resource, so no element is looked at.
    """

    def __init__(self, raw: object) -> None:
        if not isinstance(raw, Mapping):
            raise PostDataInvalid("an element is not a JSON object")
        self.raw: dict[str, Any] = {k: v for k, v in raw.items() if v is not None}

    def __contains__(self, name: str) -> bool:
        return name in self.raw

    def text(self, name: str) -> str | None:
        """Return a string, or None where the field is absent."""
        value = self.raw.get(name)
        if isinstance(value, bool):
            raise self._wrong(name)
        if isinstance(value, int | Decimal):
            return str(value)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name)
        return value

    def number(self, name: str) -> Decimal | None:
        """Return an exact number; Xero reads quoted numbers as well."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise self._wrong(name)
        try:
            number = Decimal(value)
        except ArithmeticError as error:
            raise self._wrong(name) from error
        if not number.is_finite() or abs(number) >= _LARGEST:
            raise self._wrong(name)
        return number

    def day(self, name: str) -> date | None:
        """Return a calendar date."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._wrong(name)
        try:
            return parse_date(value)
        except (ValueError, OverflowError, OSError) as error:
            raise self._wrong(name) from error

    def flag(self, name: str) -> bool | None:
        """Return true or false; Xero reads quoted booleans as well."""
        value = self.raw.get(name)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name)
        return value

    def child(self, name: str) -> Self | None:
        """Return a nested object."""
        value = self.raw.get(name)
        return None if value is None else type(self)(value)

    def children(self, name: str) -> list[Self] | None:
        """Return a list of nested objects."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong(name)
        return [type(self)(item) for item in value]

    def _wrong(self, name: str) -> PostDataInvalid:
        return PostDataInvalid(f"the value of {name} cannot be read")


def elements_of(document: object, name: str) -> list[Fields]:
    """Return the elements of a body: a wrapped list, a bare list or one element.

    Raises:
        PostDataInvalid: some field of some element has a wrong type or enum value.
    """
    if isinstance(document, dict) and name in document:
        document = document[name]
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list) or not document:
        raise PostDataInvalid("No data was found in the request")
    elements = [Fields(item) for item in document]
    for element in elements:
        _check(element)
    return elements


_DAYS = ("Date", "DueDate", "ExpectedPaymentDate")
_NUMBERS = (
    "Amount",
    "CurrencyRate",
    "DiscountAmount",
    "DiscountRate",
    "LineAmount",
    "Quantity",
    "TaxAmount",
    "UnitAmount",
)
_FLAGS = ("IncludeInEmails", "IsReconciled", "SentToContact")
_OBJECTS = ("Account", "Contact", "Invoice")
_LISTS = ("Addresses", "ContactPersons", "LineItems", "Phones", "Tracking")
_ENUMS = {
    "Status": {"DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"},
    "ContactStatus": {"ACTIVE", "ARCHIVED", "GDPRREQUEST"},
    "LineAmountTypes": {"Exclusive", "Inclusive", "NoTax"},
    "AddressType": {"POBOX", "STREET"},
    "PhoneType": {"DEFAULT", "DDI", "MOBILE", "FAX", "OFFICE"},
}


def _check(fields: Fields) -> None:
    """Read everything once, so that a bad field is found before anything is done."""
    for name in fields.raw:
        _check_value(fields, name)
    for name in _OBJECTS:
        child = fields.child(name)
        if child is not None:
            _check(child)
    for name in _LISTS:
        for child in fields.children(name) or []:
            _check(child)


def _check_value(fields: Fields, name: str) -> None:
    if name in _DAYS:
        fields.day(name)
    elif name in _NUMBERS:
        fields.number(name)
    elif name in _FLAGS:
        fields.flag(name)
    elif name in _ENUMS and fields.text(name) not in _ENUMS[name]:
        raise PostDataInvalid(f"{fields.text(name)} is not a valid {name}")
