import base64
import json
import threading
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from sandbox import AdjustableClock, Control, Refused, Sandbox
from sandbox.xero.exchanges import Exchanges
from sandbox.xero.reply import Reply
from tests.sandbox.caller import Caller, line


def test_paying_by_hand(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="A")
    control = app.xero.control
    paid = control.pay("A", "150.00", on=date(2026, 11, 19), reference="EFT")
    assert paid["amount_due"] == "1000.00"
    (shown,) = app.read(invoice)["Payments"]
    assert (shown["PaymentID"], shown["Reference"]) == (paid["payment_id"], "EFT")
    assert control.pay("A")["amount_due"] == "0.00"
    assert app.read(invoice)["Status"] == "PAID"


def test_a_payment_by_hand_keeps_the_rules(app: Caller) -> None:
    app.invoice(InvoiceNumber="A")
    with pytest.raises(Refused, match="exceeds the amount outstanding"):
        app.xero.control.pay("A", "9999.00")
    with pytest.raises(Refused, match="not found"):
        app.xero.control.pay("B")


def test_removing_a_payment_by_hand(app: Caller) -> None:
    app.invoice(InvoiceNumber="A")
    payment_id = app.xero.control.pay("A")["payment_id"]
    gone = app.xero.control.delete_payment(payment_id)
    assert gone == {"status": "DELETED", "amount_due": "1150.00"}


def test_crediting_by_hand(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="A")
    assert app.xero.control.credit("A", "150.00")["amount_due"] == "1000.00"
    assert app.xero.control.credit("A")["amount_due"] == "0.00"
    assert app.read(invoice)["AmountCredited"] == 1150


def test_editing_and_voiding_by_hand(app: Caller) -> None:
    invoice = app.invoice(InvoiceNumber="A")
    app.xero.control.edit_invoice("A", Reference="finance", LineItems=[line(1)])
    assert app.read(invoice)["Total"] == 1.15
    app.xero.control.void_invoice("A")
    assert app.read(invoice)["Status"] == "VOIDED"


def test_contacts_by_hand(app: Caller) -> None:
    control = app.xero.control
    first, second = control.seed_contacts([{"Name": "A"}, {"Name": "B"}])
    control.edit_contact(first, EmailAddress="a@example.com")
    control.archive_contact(second)
    ledger = {c["ContactID"]: c for c in control.ledger()["contacts"]}
    assert ledger[first]["EmailAddress"] == "a@example.com"
    assert ledger[second]["ContactStatus"] == "ARCHIVED"


def test_contacts_may_be_seeded_as_a_bare_list(xero: Sandbox) -> None:
    answer = httpx.post(f"{xero.url}/_sandbox/contacts", json=[{"Name": "A"}])
    assert len(answer.json()["contact_ids"]) == 1


def test_a_merge_needs_two_active_contacts(app: Caller) -> None:
    (contact,) = app.xero.control.seed_contacts([{"Name": "A"}])
    with pytest.raises(Refused, match="itself"):
        app.xero.control.merge_contacts(contact, contact)


def test_the_ledger_writes_money_as_strings_and_moments_with_z(app: Caller) -> None:
    app.invoice(InvoiceNumber="A")
    ledger = app.xero.control.ledger()
    (invoice,) = ledger["invoices"]
    assert invoice["Total"] == "1150.00"
    assert invoice["Date"] == "2026-11-20"
    assert invoice["UpdatedDateUTC"] == "2026-11-20T08:00:00.000Z"
    assert ledger["now"] == "2026-11-20T08:00:00.000Z"
    assert ledger["organisations"][0]["BaseCurrency"] == "ZAR"


def test_the_ledger_counts_calls(app: Caller) -> None:
    app.get("Organisation")
    app.get("Nonsense")
    calls = app.xero.control.ledger()["calls"]
    assert calls["by_endpoint"]["GET /Organisation"] == 1
    assert calls["by_endpoint"]["GET (unknown)"] == 1
    assert calls["by_status"]["404"] == 1
    assert calls["total"] == sum(calls["by_endpoint"].values())


def test_exchanges_keep_the_raw_bytes(app: Caller) -> None:
    body = b'{"Contacts":  [ {"Name": "Zo\xc3\xab"} ] }'
    answer = app.send("PUT", "Contacts", body, {"Idempotency-Key": "one"})
    exchange = app.xero.control.exchanges()[-1]
    assert base64.b64decode(exchange["request_body"]) == body
    assert base64.b64decode(exchange["response_body"]) == answer.content
    assert (exchange["method"], exchange["path"]) == ("PUT", "/api.xro/2.0/Contacts")
    assert exchange["idempotency_key"] == "one"
    assert exchange["status"] == 200
    assert exchange["request_headers"]["xero-tenant-id"] == app.tenant_id
    assert "X-MinLimit-Remaining" in exchange["response_headers"]


def test_exchanges_can_be_read_on(app: Caller) -> None:
    last = app.xero.control.exchanges()[-1]["number"]
    app.get("Organisation")
    assert [e["number"] for e in app.xero.control.exchanges(last)] == [last + 1]


def test_only_so_many_exchanges_are_kept() -> None:
    with Sandbox(keep_exchanges=2) as xero, Caller(xero) as app:
        for _ in range(3):
            app.get("Organisation")
        numbers = [e["number"] for e in xero.control.exchanges()]
        assert len(numbers) == 2
        assert numbers[1] == numbers[0] + 1


def test_exchanges_are_bounded_in_bytes_too() -> None:
    exchanges = Exchanges(keep=100, keep_bytes=25)
    for _ in range(5):
        request = ("GET", "/", "", dict[str, str](), b"0123456789")
        exchanges.add("2026-11-20", request, Reply(204))
    assert [e["number"] for e in exchanges.since(0)] == [4, 5]


def test_no_exchanges_are_kept_when_switched_off() -> None:
    with Sandbox(keep_exchanges=0) as xero, Caller(xero):
        assert xero.control.exchanges() == []


def test_the_clock_of_a_server_can_be_moved() -> None:
    start = datetime(2027, 3, 1, tzinfo=UTC)
    with Sandbox(clock=AdjustableClock(start)) as xero:
        xero.control.advance(3_600)
        assert timedelta(hours=1) <= xero.control.now() - start < timedelta(hours=2)
        xero.control.set_clock(start + timedelta(days=1))
        assert xero.control.now() - start >= timedelta(days=1)
        xero.control.set_rate(1_000_000)
        threading.Event().wait(0.01)
        assert xero.control.now() - start > timedelta(days=1, minutes=15)


def test_a_simulated_clock_is_only_advanced(xero: Sandbox) -> None:
    xero.control.advance(60)
    with pytest.raises(Refused, match="only be advanced"):
        xero.control.set_rate(2)


def test_a_moment_needs_an_offset() -> None:
    with Sandbox() as xero, pytest.raises(Refused, match="offset"):
        xero.control.set_clock(datetime(2027, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("limits", {"hourly": 1}),
        ("organisation", {"Mood": "good"}),
        ("faults", {}),
        ("clock", {"now": "soon"}),
        ("app", {"redirect_uris": ["http://example.com"]}),
        ("organisation", {"PeriodLockDate": "soon"}),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    xero: Sandbox, path: str, order: dict[str, object]
) -> None:
    answer = httpx.post(f"{xero.url}/_sandbox/{path}", json=order)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_order_must_be_json(xero: Sandbox) -> None:
    answer = httpx.post(f"{xero.url}/_sandbox/pay", content=b"pay up")
    assert answer.status_code == 400


def test_a_control_works_from_anywhere(xero: Sandbox) -> None:
    with Control(xero.url) as control:
        assert control.app()["client_id"] == xero.client_id


def test_the_front_page_is_for_people(app: Caller) -> None:
    app.xero.control.set_organisation(Name="<Institute>")
    page = httpx.get(app.xero.url).text
    assert "A stand-in for Xero" in page
    assert "&lt;Institute&gt;" in page


def test_orders_can_name_a_tenant(xero: Sandbox) -> None:
    answer = httpx.post(
        f"{xero.url}/_sandbox/contacts",
        content=json.dumps({"tenant_id": "nobody", "contacts": []}),
    )
    assert answer.status_code == 404
