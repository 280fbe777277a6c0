"""What speaks against a line, as far as Xero's answer and the other lines can tell."""

from typing import Any

import pytest

from core.adoption_lines import (
    Becomes,
    Finding,
    Wanted,
    blame_doubles,
    blame_shared_contacts,
    in_xero,
)
from core.facts import XeroInvoice


def raw(**changed: Any) -> dict[str, Any]:
    """An open invoice as Xero shows it."""
    return {
        "Type": "ACCREC",
        "InvoiceID": "i-1",
        "InvoiceNumber": "INV-0001",
        "Status": "AUTHORISED",
        "CurrencyCode": "ZAR",
        "Total": 100,
        "AmountDue": 100,
        "AmountPaid": 0,
        "AmountCredited": 0,
        "Contact": {"ContactID": "c-1"},
        **changed,
    }


def finding(
    line: int = 2, member_id: str = "M-1", contact_id: str = "c-1", **wanted: str
) -> Finding:
    values = {
        "number": f"INV-{line}",
        "workflow": "membership",
        "subject": f"renewal-{line}",
        **wanted,
    }
    seen = in_xero([raw(Contact={"ContactID": contact_id})])
    assert isinstance(seen, XeroInvoice)
    return Finding(Wanted(line, **values), member_id=member_id, seen=seen)


def blamed(*findings: Finding) -> list[tuple[int, str, str]]:
    return [(f.wanted.line, x.field, x.reason) for f in findings for x in f.faults]


# -- what Xero shows -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "is not in Xero"),
        ([raw(Type="ACCPAY")], "is not an invoice to a customer, but ACCPAY"),
        ([raw(Status="VOIDED")], "is voided in Xero"),
        ([raw(Status="DELETED")], "is deleted in Xero"),
        ([raw(Status="DRAFT")], "is draft in Xero; approve it first"),
        ([raw(Status="SUBMITTED")], "is submitted in Xero; approve it first"),
        ([raw(), raw(InvoiceID="i-2")], "stands in Xero 2 times"),
    ],
)
def test_what_can_not_be_adopted_is_said(found: list[Any], why: str) -> None:
    assert in_xero(found) == why


@pytest.mark.parametrize("other", [raw(Type="ACCPAY"), raw(Status="DELETED")])
def test_a_bill_or_a_deleted_draft_of_the_same_number_is_passed_over(
    other: dict[str, Any],
) -> None:
    seen = in_xero([{**other, "InvoiceID": "i-2"}, raw()])
    assert isinstance(seen, XeroInvoice)
    assert seen.invoice_id == "i-1"


PAYMENT = {"PaymentID": "p-1", "Amount": 100, "Status": "AUTHORISED"}


@pytest.mark.parametrize(
    ("changed", "becomes"),
    [
        ({}, Becomes.OPEN),
        ({"AmountDue": 60, "AmountPaid": 40}, Becomes.PART_PAID),
        ({"AmountDue": 60, "AmountCredited": 40}, Becomes.PART_PAID),
        (
            {"Status": "PAID", "AmountDue": 0, "Payments": [PAYMENT]},
            Becomes.PAID,
        ),
        (
            {"Status": "PAID", "AmountDue": -5, "Payments": [PAYMENT]},
            Becomes.PAID,
        ),
        ({"Status": "PAID", "AmountDue": 0, "AmountCredited": 100}, Becomes.CREDITED),
        ({"Status": "PAID", "AmountDue": 0, "Total": 0}, Becomes.PAID),
    ],
)
def test_an_invoice_is_taken_in_as_what_it_is(
    changed: dict[str, Any], becomes: Becomes
) -> None:
    seen = in_xero([raw(**changed)])
    assert isinstance(seen, XeroInvoice)
    found = finding()
    found.seen = seen
    assert found.becomes is becomes


# -- what other lines say --------------------------------------------------------------


def test_lines_that_have_nothing_in_common_are_fine() -> None:
    one, two = finding(2), finding(3, "M-2", "c-2")
    blame_doubles([one, two])
    blame_shared_contacts([one, two])
    assert blamed(one, two) == []


def test_an_invoice_stands_there_once_whatever_its_case() -> None:
    one, two = finding(2, number="inv-1"), finding(3, number="INV-1 ")
    blame_doubles([one, two])
    assert blamed(one, two) == [(3, "invoice_number", "stands in line 2 already")]


def test_a_subject_stands_there_once_for_each_charge() -> None:
    one, two = finding(2, subject="s"), finding(3, subject="s")
    three = finding(4, subject="s")
    three.charge = "joining_fee"
    blame_doubles([one, two, three])
    assert blamed(one, two, three) == [(3, "subject", "stands in line 2 already")]


def test_several_invoices_of_one_member_share_a_contact() -> None:
    one, two = finding(2), finding(3)
    blame_shared_contacts([one, two])
    assert blamed(one, two) == []


def test_two_members_do_not_share_a_contact() -> None:
    one, two = finding(2, "M-1"), finding(3, "M-2")
    blame_shared_contacts([one, two])
    assert blamed(one, two) == [
        (3, "member_id", "its contact is M-1's in line 2"),
    ]


def test_a_member_does_not_have_two_contacts() -> None:
    one, two = finding(2, "M-1", "c-1"), finding(3, "M-1", "c-2")
    blame_shared_contacts([one, two])
    assert blamed(one, two) == [(3, "member_id", "has another contact in line 2")]
