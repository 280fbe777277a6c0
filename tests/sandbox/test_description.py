"""Answers agree with Xero's own description, field by field.

xero_schemas.json is cut from Xero's OpenAPI description of the accounting API: the
schemas of what the stand-in answers, without their prose.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.sandbox.caller import Caller, line

SCHEMAS = json.loads(
    (Path(__file__).parent / "xero_schemas.json").read_text(encoding="utf-8")
)
DATE = re.compile(r"^/Date\(-?\d+(\+0000)?\)/$")

#: In Xero's own examples and in what it really sends, but not in its schemas.
UNDESCRIBED = {
    "AccountID",
    "DateString",
    "DateUTCString",
    "DueDateString",
    "ID",
    "ValidationErrors",
}


def check(answer: httpx.Response, name: str) -> None:
    """Every field is described, has its type, and dates are Xero's."""
    body = answer.json()
    registry: Registry[Any] = Registry().with_resource(
        "urn:xero", Resource.from_contents(SCHEMAS, default_specification=DRAFT202012)
    )
    schema = {"$ref": f"urn:xero#/components/schemas/{name}"}
    errors = list(OAS31Validator(schema, registry=registry).iter_errors(body))
    assert not errors, [f"{e.json_path}: {e.message}" for e in errors]
    envelope = {"Id", "Status", "ProviderName", "DateTimeUTC"}
    described({k: v for k, v in body.items() if k not in envelope}, schema_of(name))


def schema_of(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMAS["components"]["schemas"][name]
    return schema


def described(value: Any, schema: dict[str, Any]) -> None:
    if "$ref" in schema:
        schema = schema_of(schema["$ref"].rsplit("/", 1)[-1])
    if isinstance(value, list):
        for item in value:
            described(item, schema.get("items", {}))
    elif isinstance(value, dict) and "properties" in schema:
        unknown = set(value) - set(schema["properties"]) - UNDESCRIBED
        assert not unknown
        for name, part in value.items():
            described(part, schema["properties"].get(name, {}))
    elif schema.get("x-is-msdate") or schema.get("x-is-msdate-time"):
        assert DATE.match(value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Organisation", "Organisations"),
        ("Accounts", "Accounts"),
        ("TaxRates", "TaxRates"),
        ("BrandingThemes", "BrandingThemes"),
        ("Currencies", "Currencies"),
    ],
)
def test_settings(app: Caller, path: str, name: str) -> None:
    app.xero.control.set_organisation(PeriodLockDate="2026-01-31")
    check(app.get(path), name)


def test_contacts(app: Caller) -> None:
    full = {
        "Name": "Zoë Müller",
        "ContactNumber": "1",
        "AccountNumber": "2",
        "EmailAddress": "z@example.com",
        "TaxNumber": "3",
        "Phones": [{"PhoneType": "MOBILE", "PhoneNumber": "060"}],
        "Addresses": [{"AddressType": "STREET", "City": "Durban"}],
        "ContactPersons": [{"FirstName": "A", "IncludeInEmails": True}],
        "PaymentTerms": {"Sales": {"Day": 30, "Type": "DAYSAFTERBILLDATE"}},
    }
    made = app.put("Contacts", {"Contacts": [full, full]}, summarizeErrors="false")
    check(made, "Contacts")
    contact_id = made.json()["Contacts"][0]["ContactID"]
    app.invoice(Contact={"ContactID": contact_id})
    check(app.get("Contacts"), "Contacts")
    check(app.get("Contacts", page=1), "Contacts")
    check(app.get("Contacts", summaryOnly="true"), "Contacts")
    check(app.get(f"Contacts/{contact_id}"), "Contacts")


def test_invoices_payments_and_credit(app: Caller) -> None:
    discounted = [line(1000, DiscountRate=10)]
    drafts = [
        app.draft(InvoiceNumber="A", LineItems=discounted),
        app.draft(Type="ACCREC"),
    ]
    broken = app.draft(LineItems=[line(AccountCode="9")])
    made = app.put("Invoices", {"Invoices": [*drafts, broken]}, summarizeErrors="false")
    check(made, "Invoices")
    invoice = made.json()["Invoices"][1]
    app.xero.control.credit(invoice["InvoiceNumber"], "150.00")
    paid = app.pay(invoice, "1000.00")
    check(paid, "Payments")
    check(app.get("Invoices"), "Invoices")
    check(app.get("Invoices", page=1), "Invoices")
    check(app.get("Invoices", summaryOnly="true"), "Invoices")
    check(app.get(f"Invoices/{invoice['InvoiceID']}"), "Invoices")
    check(app.get(f"Invoices/{invoice['InvoiceID']}/OnlineInvoice"), "OnlineInvoices")
    check(app.get(f"Invoices/{invoice['InvoiceID']}/History"), "HistoryRecords")
    check(app.get("Payments", page=1), "Payments")
    check(app.get("CreditNotes", page=1), "CreditNotes")
    payment_id = paid.json()["Payments"][0]["PaymentID"]
    check(app.get(f"Payments/{payment_id}"), "Payments")
    check(app.post(f"Payments/{payment_id}", {"Status": "DELETED"}), "Payments")


def test_allocations(app: Caller) -> None:
    invoice = app.invoice()
    body = {
        "Type": "ACCRECCREDIT",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": invoice["Contact"]["ContactID"]},
        "Date": "2026-11-20",
        "LineItems": [line()],
    }
    made = app.put("CreditNotes", {"CreditNotes": [body]})
    check(made, "CreditNotes")
    path = f"CreditNotes/{made.json()['CreditNotes'][0]['CreditNoteID']}/Allocations"
    allocation = {
        "Invoice": {"InvoiceID": invoice["InvoiceID"]},
        "Amount": 1,
        "Date": "2026-11-20",
    }
    check(app.put(path, {"Allocations": [allocation]}), "Allocations")


def test_validation_errors(app: Caller) -> None:
    answer = app.put("Invoices", app.draft(LineItems=[]))
    body = answer.json()
    assert set(body) == set(schema_of("Error")["properties"])
    for element in body["Elements"]:
        described(element, schema_of("Invoice"))
