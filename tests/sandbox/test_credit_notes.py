from typing import Any

import pytest

from sandbox import SimulatedClock
from tests.sandbox.caller import Caller, line, messages_of


def note(app: Caller, invoice: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {
        "Type": "ACCRECCREDIT",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": invoice["Contact"]["ContactID"]},
        "Date": "2026-11-20",
        "LineItems": [line(1000)],
    } | fields
    answer = app.put("CreditNotes", {"CreditNotes": [body]})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()["CreditNotes"][0]
    return made


def allocate(
    app: Caller, credit: dict[str, Any], invoice: dict[str, Any], amount: float
) -> Any:
    allocation = {
        "Invoice": {"InvoiceID": invoice["InvoiceID"]},
        "Amount": amount,
        "Date": "2026-11-20",
    }
    path = f"CreditNotes/{credit['CreditNoteID']}/Allocations"
    return app.put(path, {"Allocations": [allocation]})


def read(app: Caller, credit: dict[str, Any]) -> dict[str, Any]:
    answer = app.get(f"CreditNotes/{credit['CreditNoteID']}").json()
    found: dict[str, Any] = answer["CreditNotes"][0]
    return found


def test_a_credit_note_is_credit_until_it_is_allocated(app: Caller) -> None:
    invoice = app.invoice()
    credit = note(app, invoice)
    assert (credit["Total"], credit["RemainingCredit"]) == (1150, 1150)
    assert credit["CreditNoteNumber"] == "CN-0001"
    assert app.read(invoice)["AmountDue"] == 1150


def test_full_allocation_pays_both(app: Caller) -> None:
    invoice = app.invoice()
    credit = note(app, invoice)
    assert allocate(app, credit, invoice, 1150).status_code == 200
    settled, used = app.read(invoice), read(app, credit)
    assert (settled["Status"], settled["AmountCredited"]) == ("PAID", 1150)
    assert settled["AmountPaid"] == 0
    assert (used["Status"], used["RemainingCredit"]) == ("PAID", 0)


def test_part_allocation_leaves_the_rest(app: Caller) -> None:
    invoice = app.invoice()
    credit = note(app, invoice)
    allocate(app, credit, invoice, 150)
    part = app.read(invoice)
    assert (part["Status"], part["AmountDue"]) == ("AUTHORISED", 1000)
    assert part["CreditNotes"][0]["AppliedAmount"] == 150
    assert read(app, credit)["RemainingCredit"] == 1000


def test_an_allocation_can_be_taken_back(app: Caller, clock: SimulatedClock) -> None:
    invoice = app.invoice()
    credit = note(app, invoice)
    (made,) = allocate(app, credit, invoice, 1150).json()["Allocations"]
    clock.advance(60)
    path = f"CreditNotes/{credit['CreditNoteID']}/Allocations/{made['AllocationID']}"
    answer = app.send("DELETE", path).json()
    assert answer["IsDeleted"] is True
    assert answer["AllocationId"] == made["AllocationID"]
    assert "Amount" not in answer
    opened = app.read(invoice)
    assert (opened["Status"], opened["AmountDue"]) == ("AUTHORISED", 1150)
    assert read(app, credit)["RemainingCredit"] == 1150
    assert app.send("DELETE", path).status_code == 404


@pytest.mark.parametrize("amount", [0, -1, 1150.01])
def test_an_allocation_keeps_within_both(app: Caller, amount: float) -> None:
    invoice = app.invoice()
    answer = allocate(app, note(app, invoice), invoice, amount)
    assert answer.status_code == 400


def test_a_draft_cannot_be_allocated(app: Caller) -> None:
    invoice = app.invoice()
    answer = allocate(app, note(app, invoice, Status="DRAFT"), invoice, 1)
    assert "Authorised" in messages_of(answer)[0]


def test_credit_stays_with_its_contact(app: Caller) -> None:
    other = app.contact("Somebody else")
    invoice = app.invoice()
    credit = note(app, invoice, Contact={"ContactID": other["ContactID"]})
    assert "contacts" in messages_of(allocate(app, credit, invoice, 1))[0]


def test_an_invoice_with_credit_cannot_be_voided(app: Caller) -> None:
    invoice = app.invoice()
    allocate(app, note(app, invoice), invoice, 1)
    answer = app.post(
        "Invoices", {"InvoiceID": invoice["InvoiceID"], "Status": "VOIDED"}
    )
    assert answer.status_code == 400


def test_an_unused_credit_note_can_be_voided(app: Caller) -> None:
    credit = note(app, app.invoice())
    key = {"CreditNoteID": credit["CreditNoteID"]}
    app.post("CreditNotes", key | {"Status": "VOIDED"})
    assert read(app, credit)["Status"] == "VOIDED"
    assert app.post("CreditNotes", key | {"Reference": "x"}).status_code == 400


def test_a_used_credit_note_cannot_change(app: Caller) -> None:
    invoice = app.invoice()
    credit = note(app, invoice)
    allocate(app, credit, invoice, 1)
    path = f"CreditNotes/{credit['CreditNoteID']}"
    assert app.post(path, {"Status": "VOIDED"}).status_code == 400


def test_credit_note_numbers_are_unique(app: Caller) -> None:
    invoice = app.invoice()
    note(app, invoice, CreditNoteNumber="C-1")
    body = {
        "Type": "ACCRECCREDIT",
        "CreditNoteNumber": "C-1",
        "Contact": {"ContactID": invoice["Contact"]["ContactID"]},
        "LineItems": [line()],
    }
    assert messages_of(app.put("CreditNotes", body)) == [
        "Credit Note # must be unique."
    ]


def test_credit_notes_are_listed(app: Caller) -> None:
    credit = note(app, app.invoice())
    paged = app.get("CreditNotes", page=1, where='Status=="AUTHORISED"').json()
    assert [c["CreditNoteID"] for c in paged["CreditNotes"]] == [credit["CreditNoteID"]]
    assert paged["CreditNotes"][0]["LineItems"]
    assert app.get("CreditNotes").json()["CreditNotes"][0]["LineItems"] == []
