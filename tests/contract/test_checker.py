"""The checker can fail: each test breaks one thing in an exchange that is fine."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.checker import findings
from tests.contract.exchange import Exchange
from tests.contract.report import check

INVOICE_ID = "243216c5-369e-4056-ac67-05388f86dc81"
LINE = {"Description": "Membership 2027", "Quantity": 1, "UnitAmount": 1000.5}
SENT = {
    "Type": "ACCREC",
    "Contact": {"ContactID": INVOICE_ID},
    "Date": "/Date(1795132800000+0000)/",
    "LineItems": [LINE],
}
SEEN = SENT | {"InvoiceID": INVOICE_ID, "Total": 1150.58, "Status": "AUTHORISED"}
LIMITED = {"x-rate-limit-problem": "minute", "retry-after": "22"}


def put(**changes: Any) -> Exchange:
    """A good `PUT /Invoices`, with changes."""
    good = Exchange(
        number=1,
        method="PUT",
        path="/api.xro/2.0/Invoices",
        query={"summarizeErrors": "false"},
        headers={
            "xero-tenant-id": INVOICE_ID,
            "content-type": "application/json",
            "idempotency-key": "main-1",
        },
        body=json.dumps({"Invoices": [SENT]}).encode(),
        status=200,
        answer_headers={"content-type": "application/json; charset=utf-8"},
        answer_body=json.dumps({"Invoices": [SEEN]}).encode(),
    )
    return replace(good, **changes)


def sent(**fields: Any) -> Exchange:
    return put(body=json.dumps({"Invoices": [SENT | fields]}).encode())


def seen(**fields: Any) -> Exchange:
    return put(answer_body=json.dumps({"Invoices": [SEEN | fields]}).encode())


def get(query: dict[str, str], **changes: Any) -> Exchange:
    """A good `GET /Invoices`, with a query."""
    headers = {"xero-tenant-id": INVOICE_ID}
    return put(method="GET", query=query, headers=headers, body=b"", **changes)


def rules(exchange: Exchange) -> list[tuple[str, str, str, str]]:
    return [(f.side, f.place, f.at, f.rule) for f in findings(exchange)]


def test_nothing_is_found_in_a_good_exchange() -> None:
    assert findings(put()) == []
    assert findings(get({"IDs": f"{INVOICE_ID},{INVOICE_ID}", "page": "1"})) == []


@pytest.mark.parametrize(
    ("exchange", "found"),
    [
        (sent(Colour="red"), ("request", "body", "Invoices[].Colour", "unknown")),
        (sent(Status="OPEN"), ("request", "body", "Invoices[].Status", "enum")),
        (sent(Total=5), ("request", "body", "Invoices[].Total", "readOnly")),
        (sent(Date="20 Nov"), ("request", "body", "Invoices[].Date", "x-is-msdate")),
        (
            sent(Contact={"ContactID": "42"}),
            ("request", "body", "Invoices[].Contact.ContactID", "format"),
        ),
        (sent(Url=None), ("request", "body", "Invoices[].Url", "type")),
        (put(body=b"{"), ("request", "body", "", "JSON")),
        (put(body=b""), ("request", "body", "", "required")),
        (
            put(path="/api.xro/2.0/Invoces"),
            ("request", "path", "/Invoces", "unknown"),
        ),
        (put(method="DELETE"), ("request", "path", "/Invoices", "unknown")),
        (
            put(headers={"xero-tenant-id": "t", "idempotency-key": "k" * 129}),
            ("request", "header", "Idempotency-Key", "maxLength"),
        ),
        (put(headers={}), ("request", "header", "xero-tenant-id", "required")),
        (
            put(query={"summarizeErrors": "False"}),
            ("request", "query", "summarizeErrors", "type"),
        ),
        (put(query={"sumarize": "1"}), ("request", "query", "sumarize", "unknown")),
        (get({"page": "one"}), ("request", "query", "page", "type")),
        (get({"IDs": "1,2"}), ("request", "query", "IDs", "format")),
        (get({"ids": INVOICE_ID}), ("request", "query", "ids", "unknown")),
        (seen(Colour="red"), ("answer", "body", "Invoices[].Colour", "unknown")),
        (seen(Total="5.00"), ("answer", "body", "Invoices[].Total", "type")),
        (seen(Date="2026-11-20"), ("answer", "body", "Invoices[].Date", "x-is-msdate")),
        (put(status=418), ("answer", "status", "418", "unknown")),
        (
            put(answer_headers={"content-type": "text/html"}),
            ("answer", "media type", "", "unknown"),
        ),
        (put(answer_body=b"Oops"), ("answer", "body", "", "JSON")),
        (
            put(answer_headers={"content-type": "application/json", "x-colour": "red"}),
            ("answer", "header", "x-colour", "unknown"),
        ),
    ],
    ids=lambda value: None if isinstance(value, Exchange) else "-".join(value),
)
def test_a_broken_rule_is_named(
    exchange: Exchange, found: tuple[str, str, str, str]
) -> None:
    assert found in rules(exchange)


def test_a_missing_required_field_is_named() -> None:
    """Allocations are among the few objects that require a field."""
    exchange = put(
        path=f"/api.xro/2.0/CreditNotes/{INVOICE_ID}/Allocations",
        body=json.dumps({"Allocations": [{"Date": SENT["Date"]}]}).encode(),
    )
    assert ("request", "body", "Allocations[]", "required") in rules(exchange)


def test_an_email_is_asked_for_without_a_body_or_a_query() -> None:
    exchange = put(
        method="POST",
        path=f"/api.xro/2.0/Invoices/{INVOICE_ID}/Email",
        query={},
        body=b"",
        status=204,
        answer_body=b"",
    )
    report = check([exchange])
    assert report.unlisted == []
    assert [d.name for d in report.tolerated] == [
        "an e-mail is asked for with an empty body"
    ]


@pytest.mark.parametrize(
    "exchange",
    [
        put(status=418, answer_body=b""),
        put(status=429, answer_body=b"", answer_headers=LIMITED | {"retry-after": ""}),
        put(status=429, answer_body=b"slow down", answer_headers=LIMITED),
        put(status=401, answer_body=b"{}"),
        put(status=503, answer_body=b"gone", answer_headers={}),
        sent(Colour="red"),
        seen(LineItems=[LINE | {"Quantity": "1"}]),
    ],
    ids=["418", "429-when", "429-body", "401", "503", "sent-field", "amount-as-text"],
)
def test_what_no_fact_allows_is_unlisted(exchange: Exchange) -> None:
    assert check([exchange]).unlisted


def test_a_limit_as_the_facts_have_it_is_tolerated() -> None:
    report = check([put(status=429, answer_body=b"", answer_headers=LIMITED)])
    assert report.unlisted == []
    assert {d.name for d in report.tolerated} >= {"429", "a 429 says which limit"}


def test_a_deviation_that_does_not_occur_is_reported() -> None:
    assert len(check([put()]).unused) > 10


def test_sign_in_is_counted_apart() -> None:
    report = check([put(method="POST", path="/connect/token")])
    assert (report.checked, report.sign_in) == (0, 1)
