"""Contacts: who is invoiced, and the rules that keep them apart."""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from sandbox.xero.books import Books, new_id
from sandbox.xero.errors import ElementRefused, NotFound
from sandbox.xero.fields import Fields

if TYPE_CHECKING:
    from sandbox.xero.invoices import Invoice

#: Text fields and their longest values (OAS 21180).
TEXT_LIMITS = {
    "Name": 255,
    "ContactNumber": 50,
    "AccountNumber": 50,
    "FirstName": 255,
    "LastName": 255,
    "CompanyNumber": 50,
    "EmailAddress": 255,
    "BankAccountDetails": 255,
    "TaxNumber": 50,
    "AccountsReceivableTaxType": 50,
    "AccountsPayableTaxType": 50,
    "DefaultCurrency": 3,
    "SalesDefaultAccountCode": 10,
    "PurchasesDefaultAccountCode": 10,
}

_ADDRESS_LIMITS = {
    "AddressLine1": 500,
    "AddressLine2": 500,
    "AddressLine3": 500,
    "AddressLine4": 500,
    "City": 255,
    "Region": 255,
    "PostalCode": 50,
    "Country": 50,
    "AttentionTo": 255,
}
_PHONE_LIMITS = {"PhoneNumber": 50, "PhoneAreaCode": 10, "PhoneCountryCode": 20}
_PERSON_LIMITS = {"FirstName": 255, "LastName": 255, "EmailAddress": 255}

_ADDRESS_TYPES = ("STREET", "POBOX")
_PHONE_TYPES = ("DEFAULT", "DDI", "FAX", "MOBILE")
_MOST_PERSONS = 5

#: What the SDK always sends along, and what Xero itself would ignore.
_NOT_WRITABLE = frozenset(
    {"ContactID", "HasAttachments", "HasValidationErrors", "UpdatedDateUTC"}
)

_EMAIL = re.compile(r"^[!-?A-~]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$")

TAKEN_NAME = (
    "The contact name {} is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)


@dataclass(slots=True)
class Contact:
    """One contact, with its text fields under Xero's own names."""

    contact_id: str
    updated_at: datetime
    text: dict[str, str] = field(default_factory=dict)
    status: Literal["ACTIVE", "ARCHIVED", "GDPRREQUEST"] = "ACTIVE"
    addresses: dict[str, dict[str, str]] = field(default_factory=dict)
    phones: dict[str, dict[str, str]] = field(default_factory=dict)
    persons: list[dict[str, Any]] = field(default_factory=list)
    payment_terms: dict[str, Any] = field(default_factory=dict)
    merged_to: str | None = None

    @property
    def name(self) -> str:
        """The full name."""
        return self.text["Name"]

    @property
    def number(self) -> str:
        """The ContactNumber, empty where there is none."""
        return self.text.get("ContactNumber", "")

    @property
    def email(self) -> str:
        """The e-mail address, empty where there is none."""
        return self.text.get("EmailAddress", "")

    def name_parts(self) -> dict[str, Any]:
        """Return the few fields that stand inside other documents."""
        shape: dict[str, Any] = {"ContactID": self.contact_id}
        if self.number:
            shape["ContactNumber"] = self.number
        return shape | {
            "Name": self.name,
            "Addresses": [],
            "Phones": [],
            "ContactGroups": [],
            "ContactPersons": [],
            "HasValidationErrors": False,
        }


# -- writing -----------------------------------------------------------------------


def create(books: Books, fields: Fields) -> Contact:
    """Add a contact. This is what PUT does, and POST where nothing matches.

    Raises:
        ElementRefused: with every message that Xero would give.
    """
    contact = Contact(new_id(), books.now())
    refused = _apply(books, contact, fields)
    if refused:
        raise ElementRefused(*refused)
    contact.updated_at = books.now()
    books.contacts[contact.contact_id] = contact
    _index(books, contact)
    books.changed("CONTACT", "CREATE", contact.contact_id, contact.updated_at)
    return contact


def update(books: Books, contact: Contact, fields: Fields) -> Contact:
    """Change a contact in place; fields that are absent stay as they are."""
    if contact.merged_to:
        raise ElementRefused("The contact has been merged and cannot be changed")
    if contact.status == "GDPRREQUEST":
        raise ElementRefused("The contact has been erased and cannot be changed")
    draft = deepcopy(contact)
    refused = _apply(books, draft, fields)
    if refused:
        raise ElementRefused(*refused)
    if draft == contact:
        return contact
    _replace(books, draft)
    return draft


def upsert(books: Books, fields: Fields) -> Contact:
    """Change the contact that matches on id, number or name, or create one."""
    contact = _match(books, fields)
    return update(books, contact, fields) if contact else create(books, fields)


def archive(books: Books, contact: Contact, merged_to: str | None = None) -> Contact:
    """Archive a contact; its name becomes free."""
    draft = deepcopy(contact)
    draft.status = "ARCHIVED"
    draft.merged_to = merged_to
    _replace(books, draft)
    return draft


def erase(books: Books, contact: Contact) -> Contact:
    """Erase a contact by hand, as its owner may ask: no API brings it back."""
    draft = deepcopy(contact)
    draft.status = "GDPRREQUEST"
    _replace(books, draft)
    return draft


def merge(books: Books, losing: Contact, winning: Contact) -> None:
    """Merge two contacts by hand: documents move over, the loser is archived."""
    if losing.contact_id == winning.contact_id:
        raise ElementRefused("A contact cannot be merged with itself")
    if {losing.status, winning.status} != {"ACTIVE"}:
        raise ElementRefused("Only active contacts can be merged")
    moved = books.invoices_of.pop(losing.contact_id, [])
    for invoice_id in moved:
        books.invoices[invoice_id].contact_id = winning.contact_id
    books.invoices_of[winning.contact_id].extend(moved)
    for note in books.credit_notes.values():
        if note.contact_id == losing.contact_id:
            note.contact_id = winning.contact_id
    archive(books, losing, merged_to=winning.contact_id)
    _replace(books, deepcopy(winning))


def for_document(books: Books, fields: Fields | None) -> Contact:
    """Return the contact that an invoice or credit note names.

    As at Xero, whatever stands beside the ContactID is written into the contact,
    contact persons that are not repeated are dropped, and an unknown name becomes
    a new contact.
    """
    if fields is None:
        raise ElementRefused("A Contact must be specified for this type of transaction")
    contact = _match(books, fields)
    if contact is None:
        return create(books, fields)
    if contact.status != "ACTIVE":
        raise ElementRefused(f"The contact {contact.name} is archived")
    if not set(fields.raw) - _NOT_WRITABLE:
        return contact
    if "ContactPersons" not in fields:
        fields = Fields(fields.raw | {"ContactPersons": []})
    return update(books, contact, fields)


def find(books: Books, key: str) -> Contact:
    """Return a contact by id or by ContactNumber.

    Raises:
        NotFound: there is none.
    """
    contact = books.contacts.get(key.lower())
    if contact is None:
        contact = books.contacts.get(books.contact_numbers.get(key.casefold(), ""))
    if contact is None:
        raise NotFound
    return contact


def _match(books: Books, fields: Fields) -> Contact | None:
    contact_id = fields.text("ContactID")
    if contact_id:
        contact = books.contacts.get(contact_id.lower())
        if contact is None:
            raise ElementRefused(
                "The contact with the specified ContactID was not found"
            )
        return contact
    number, name = fields.text("ContactNumber"), fields.text("Name")
    found = books.contact_numbers.get(number.casefold()) if number else None
    if found is None and name:
        found = books.contact_names.get(name.casefold())
    return books.contacts[found] if found else None


def _replace(books: Books, contact: Contact) -> None:
    old = books.contacts[contact.contact_id]
    if books.contact_names.get(old.name.casefold()) == old.contact_id:
        del books.contact_names[old.name.casefold()]
    books.contact_numbers.pop(old.number.casefold(), None)
    contact.updated_at = books.now()
    books.contacts[contact.contact_id] = contact
    _index(books, contact)
    books.changed("CONTACT", "UPDATE", contact.contact_id, contact.updated_at)


def _index(books: Books, contact: Contact) -> None:
    if contact.status == "ACTIVE":
        books.contact_names[contact.name.casefold()] = contact.contact_id
    if contact.number:
        books.contact_numbers[contact.number.casefold()] = contact.contact_id


def _apply(books: Books, contact: Contact, fields: Fields) -> list[str]:
    refused: list[str] = []
    for name, limit in TEXT_LIMITS.items():
        value = fields.text(name)
        if value is not None:
            # A name with spaces around it is refused, everything else is trimmed.
            contact.text[name] = value if name == "Name" else value.strip()
            refused += _too_long(name, value, limit)
    status = fields.text("ContactStatus")
    if status == "ACTIVE":
        contact.status = "ACTIVE"
    elif status == "ARCHIVED":
        contact.status = "ARCHIVED"
    elif status is not None:
        refused.append(f"{status} is not a valid contact status")
    refused += _apply_parts(contact, fields)
    refused += _name_faults(books, contact)
    refused += _number_faults(books, contact)
    if contact.email and not _EMAIL.match(contact.email):
        refused.append(f"Email address {contact.email} is not valid")
    return refused


def _apply_parts(contact: Contact, fields: Fields) -> list[str]:
    refused: list[str] = []
    for item in fields.children("Addresses") or []:
        kind, part = _part(item, "AddressType", _ADDRESS_LIMITS, refused)
        if kind not in _ADDRESS_TYPES:
            refused.append(f"Address type {kind} is not valid")
        contact.addresses[kind] = part
    for item in fields.children("Phones") or []:
        kind, part = _part(item, "PhoneType", _PHONE_LIMITS, refused)
        if kind not in (*_PHONE_TYPES, "OFFICE"):
            refused.append(f"Phone type {kind} is not valid")
        contact.phones[kind] = part
    persons = fields.children("ContactPersons")
    if persons is not None:
        contact.persons = [_person(item, refused) for item in persons]
        if len(contact.persons) > _MOST_PERSONS:
            refused.append("A contact can have at most 5 contact persons")
    if "PaymentTerms" in fields:
        contact.payment_terms = fields.raw["PaymentTerms"]
    return refused


def _part(
    item: Fields, kind_field: str, limits: dict[str, int], refused: list[str]
) -> tuple[str, dict[str, str]]:
    part = {}
    for name, limit in limits.items():
        value = item.text(name)
        if value is not None:
            part[name] = value.strip()
            refused += _too_long(name, value, limit)
    return item.text(kind_field) or "", part


def _person(item: Fields, refused: list[str]) -> dict[str, Any]:
    _, part = _part(item, "", _PERSON_LIMITS, refused)
    return {**part, "IncludeInEmails": item.flag("IncludeInEmails") or False}


def _too_long(name: str, value: str, limit: int) -> list[str]:
    if len(value) <= limit:
        return []
    return [f"The {name} field must be no longer than {limit} characters"]


def _name_faults(books: Books, contact: Contact) -> list[str]:
    name = contact.text.get("Name", "")
    if not name:
        return ["The contact name must be specified"]
    refused = []
    if name != " ".join(name.split()) or "<" in name or ">" in name:
        refused.append(
            "The contact name contains characters or spaces that are not allowed"
        )
    holder = books.contact_names.get(name.casefold())
    if contact.status == "ACTIVE" and holder not in (None, contact.contact_id):
        refused.append(TAKEN_NAME.format(name))
    return refused


def _number_faults(books: Books, contact: Contact) -> list[str]:
    holder = books.contact_numbers.get(contact.number.casefold())
    if not contact.number or holder in (None, contact.contact_id):
        return []
    return [
        f"The contact number {contact.number} is already assigned to another contact"
    ]


# -- reading -----------------------------------------------------------------------


def summary_shape(contact: Contact, books: Books) -> dict[str, Any]:
    """Return the light fields that summaryOnly gives."""
    shape: dict[str, Any] = {
        "ContactID": contact.contact_id,
        "ContactStatus": contact.status,
    }
    shape |= {name: contact.text.get(name, "") for name in ("Name", "FirstName")}
    shape |= {name: contact.text.get(name, "") for name in ("LastName", "EmailAddress")}
    for name in ("ContactNumber", "AccountNumber", "CompanyNumber"):
        if contact.text.get(name):
            shape[name] = contact.text[name]
    shape["UpdatedDateUTC"] = contact.updated_at
    shape["IsSupplier"] = False
    shape["IsCustomer"] = bool(books.invoices_of.get(contact.contact_id))
    shape["HasValidationErrors"] = False
    return shape


def stripped_shape(contact: Contact, books: Books) -> dict[str, Any]:
    """Return what an unpaged list gives: no contact persons, terms or balances."""
    shape = summary_shape(contact, books)
    for name in TEXT_LIMITS:
        if contact.text.get(name):
            shape[name] = contact.text[name]
    shape["BankAccountDetails"] = contact.text.get("BankAccountDetails", "")
    shape["Addresses"] = [
        {"AddressType": kind, "City": "", "Region": "", "PostalCode": ""}
        | {"Country": ""}
        | contact.addresses.get(kind, {})
        for kind in _ADDRESS_TYPES
    ]
    empty = {"PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""}
    shape["Phones"] = [
        {"PhoneType": kind} | empty | contact.phones.get(kind, {})
        for kind in (*_PHONE_TYPES, *(k for k in contact.phones if k == "OFFICE"))
    ]
    shape["ContactGroups"] = []
    shape["ContactPersons"] = []
    return shape


def full_shape(contact: Contact, books: Books) -> dict[str, Any]:
    """Return what a paged list or a single read gives."""
    shape = stripped_shape(contact, books)
    if contact.merged_to:
        shape["MergedToContactID"] = contact.merged_to
    shape["ContactPersons"] = contact.persons
    shape["SalesTrackingCategories"] = []
    shape["PurchasesTrackingCategories"] = []
    if contact.payment_terms:
        shape["PaymentTerms"] = contact.payment_terms
    outstanding, overdue = _balances(contact, books)
    if outstanding or overdue:
        nothing = {"Outstanding": Decimal("0.00"), "Overdue": Decimal("0.00")}
        shape["Balances"] = {
            "AccountsReceivable": {"Outstanding": outstanding, "Overdue": overdue},
            "AccountsPayable": nothing,
        }
    shape["HasAttachments"] = False
    return shape


def _balances(contact: Contact, books: Books) -> tuple[Decimal, Decimal]:
    today = books.organisation.today(books.now())
    open_invoices: list[Invoice] = [
        books.invoices[i]
        for i in books.invoices_of.get(contact.contact_id, [])
        if books.invoices[i].status == "AUTHORISED"
    ]
    outstanding = sum((i.amount_due for i in open_invoices), Decimal(0))
    overdue = sum(
        (i.amount_due for i in open_invoices if i.due_date and i.due_date < today),
        Decimal(0),
    )
    return outstanding, overdue
