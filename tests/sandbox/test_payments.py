from typing import Any

import pytest

from sandbox import SimulatedClock
from tests.sandbox.caller import Caller, line, messages_of

TOO_MUCH = "Payment amount exceeds the amount outstanding on this document"
NOT_AUTHORISED = "Payments can only be made against Authorised documents"


def payment(invoice: dict[str, Any], amount: Any = 1150, **fields: Any) -> Any:
    return {
        "Invoice": {"InvoiceID": invoice["InvoiceID"]},
        "Account": {"Code": "090"},
        "Date": "2026-11-20",
        "Amount": amount,
    } | fields


def test_a_payment_in_full_makes_the_invoice_paid(app: Caller) -> None:
    invoice = app.invoice()
    (made,) = app.pay(invoice).json()["Payments"]
    paid = app.read(invoice)
    assert made["PaymentType"] == "ACCRECPAYMENT"
    assert made["Reference"] == "EFT 1"
    assert made["Invoice"]["AmountDue"] == 0
    assert (paid["Status"], paid["AmountDue"], paid["AmountPaid"]) == ("PAID", 0, 1150)
    assert paid["FullyPaidOnDate"] == "/Date(1795132800000+0000)/"
    assert [p["PaymentID"] for p in paid["Payments"]] == [made["PaymentID"]]


def test_a_part_payment_leaves_the_rest_open(app: Caller) -> None:
    invoice = app.invoice()
    app.pay(invoice, "150.50")
    part = app.read(invoice)
    assert (part["Status"], part["AmountDue"]) == ("AUTHORISED", 999.50)
    assert "FullyPaidOnDate" not in part


def test_payments_in_parts_add_up(app: Caller) -> None:
    invoice = app.invoice()
    for amount in ("150.00", "1000.00"):
        app.pay(invoice, amount)
    assert app.read(invoice)["Status"] == "PAID"


def test_too_much_is_refused_and_no_overpayment_is_made(app: Caller) -> None:
    invoice = app.invoice()
    assert messages_of(app.pay(invoice, "1150.01")) == [TOO_MUCH]
    assert app.get("Overpayments").json()["Overpayments"] == []


@pytest.mark.parametrize("status", ["DRAFT", "SUBMITTED"])
def test_only_authorised_invoices_can_be_paid(app: Caller, status: str) -> None:
    assert messages_of(app.pay(app.invoice(Status=status))) == [NOT_AUTHORISED]


def test_a_paid_invoice_cannot_be_paid_again(app: Caller) -> None:
    invoice = app.invoice()
    app.pay(invoice)
    assert messages_of(app.pay(invoice)) == [NOT_AUTHORISED]


@pytest.mark.parametrize(
    "changes",
    [
        {"Amount": 0},
        {"Amount": -1},
        {"Amount": "1.001"},
        {"Amount": None},
        {"Account": {"Code": "200"}},
        {"Account": {"Code": "nowhere"}},
        {"Account": None},
        {"Invoice": {"InvoiceID": "00000000-0000-0000-0000-000000000001"}},
        {"Invoice": None},
    ],
)
def test_a_payment_that_breaks_a_rule_is_refused(
    app: Caller, changes: dict[str, Any]
) -> None:
    body = payment(app.invoice(), **changes)
    assert messages_of(app.put("Payments", {"Payments": [body]}))
    assert app.xero.control.ledger()["payments"] == []


def test_an_account_opened_for_payments_will_do(app: Caller) -> None:
    body = payment(app.invoice(), Account={"Code": "620"})
    assert app.put("Payments", body).status_code == 200


def test_the_invoice_may_be_named_by_number(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="A")
    body = payment(invoice, Invoice={"InvoiceNumber": "A"})
    assert app.post("Payments", body).status_code == 200


@pytest.mark.parametrize("length", [118, 255, 300])
def test_references_round_trip(app: Caller, length: int) -> None:
    body = payment(app.invoice(), Reference="r" * length)
    (made,) = app.put("Payments", body).json()["Payments"]
    (read,) = app.get(f"Payments/{made['PaymentID']}").json()["Payments"]
    assert read["Reference"] == "r" * length


def test_a_batch_is_answered_in_its_order(app: Caller) -> None:
    invoices = [app.invoice(LineItems=[line(n)]) for n in (100, 200, 300)]
    bodies = [payment(i, a) for i, a in zip(invoices, (115, 999, 345), strict=True)]
    answer = app.put("Payments", {"Payments": bodies}, summarizeErrors="false")
    made = answer.json()["Payments"]
    assert [p["StatusAttributeString"] for p in made] == ["OK", "ERROR", "OK"]
    assert [p["HasValidationErrors"] for p in made] == [False, True, False]
    assert made[1]["PaymentID"] == "00000000-0000-0000-0000-000000000000"


def test_a_deleted_payment_opens_the_invoice_again(
    app: Caller, clock: SimulatedClock
) -> None:
    invoice = app.invoice()
    (made,) = app.pay(invoice).json()["Payments"]
    clock.advance(60)
    answer = app.post(f"Payments/{made['PaymentID']}", {"Status": "DELETED"})
    (deleted,) = answer.json()["Payments"]
    opened = app.read(invoice)
    assert deleted["Status"] == "DELETED"
    assert (opened["Status"], opened["AmountDue"]) == ("AUTHORISED", 1150)
    assert opened["Payments"] == []
    assert opened["UpdatedDateUTC"] == deleted["UpdatedDateUTC"]
    assert opened["UpdatedDateUTC"] != made["UpdatedDateUTC"]


def test_deleted_payments_are_still_listed(app: Caller, clock: SimulatedClock) -> None:
    (made,) = app.pay(app.invoice()).json()["Payments"]
    clock.advance(60)
    app.post(f"Payments/{made['PaymentID']}", {"Status": "DELETED"})
    since = {"If-Modified-Since": "2026-11-20T08:00:30"}
    listed = app.send("GET", "Payments", None, since, page=1).json()["Payments"]
    assert [(p["PaymentID"], p["Status"]) for p in listed] == [
        (made["PaymentID"], "DELETED")
    ]


def test_a_payment_is_deleted_once(app: Caller) -> None:
    (made,) = app.pay(app.invoice()).json()["Payments"]
    path = f"Payments/{made['PaymentID']}"
    assert app.post(path, {"Status": "DELETED"}).status_code == 200
    assert app.post(path, {"Status": "DELETED"}).status_code == 400


def test_a_payment_cannot_be_changed(app: Caller) -> None:
    (made,) = app.pay(app.invoice()).json()["Payments"]
    answer = app.post(f"Payments/{made['PaymentID']}", {"Reference": "other"})
    assert answer.status_code == 400


def test_a_reconciled_payment_cannot_be_deleted(app: Caller) -> None:
    body = payment(app.invoice(), IsReconciled=True)
    (made,) = app.put("Payments", body).json()["Payments"]
    answer = app.post(f"Payments/{made['PaymentID']}", {"Status": "DELETED"})
    assert answer.status_code == 400


def test_a_payment_cannot_lie_in_a_locked_period(app: Caller) -> None:
    invoice = app.invoice()
    app.xero.control.set_organisation(PeriodLockDate="2026-11-20")
    assert "period lock" in messages_of(app.pay(invoice))[0]


def test_payments_of_an_invoice_can_be_listed(app: Caller) -> None:
    first, second = app.invoice(), app.invoice()
    app.pay(first)
    app.pay(second)
    where = f'Invoice.InvoiceID==guid("{first["InvoiceID"]}")'
    (found,) = app.get("Payments", where=where, page=1).json()["Payments"]
    assert found["Invoice"]["InvoiceID"] == first["InvoiceID"]


def test_payments_against_credits_are_not_offered(app: Caller) -> None:
    body = payment(app.invoice(), CreditNote={"CreditNoteID": "x"})
    answer = app.put("Payments", body)
    assert answer.status_code == 501
    assert "credits" in answer.text


def test_overpayments_cannot_be_allocated(app: Caller) -> None:
    answer = app.put("Overpayments/x/Allocations", {"Allocations": []})
    assert answer.status_code == 501
    assert app.get("Prepayments", page=1).json()["Prepayments"] == []
