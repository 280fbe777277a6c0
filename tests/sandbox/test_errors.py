from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox import App, Sandbox, SimulatedClock
from tests.sandbox.caller import Caller


def test_a_bad_token_is_401(app: Caller) -> None:
    bad = {"Authorization": "Bearer nonsense"}
    answer = app.send("GET", "Organisation", None, bad)
    body = answer.json()
    assert answer.status_code == 401
    assert (body["Title"], body["Status"]) == ("Unauthorized", 401)
    assert body["Detail"] == "AuthenticationUnsuccessful"
    assert {"Type", "Instance", "Extensions"} <= set(body)


def test_no_token_is_401(app: Caller) -> None:
    headers = app.headers()
    del headers["Authorization"]
    answer = app.http.get(f"{app.xero.api_url}/Organisation", headers=headers)
    assert answer.status_code == 401


def test_an_expired_token_says_since_when(app: Caller, clock: SimulatedClock) -> None:
    clock.advance(1_799)
    assert app.get("Organisation").status_code == 200
    clock.advance(1)
    answer = app.get("Organisation")
    assert answer.status_code == 401
    assert (
        answer.json()["Detail"] == "TokenExpired: token expired at 11/20/2026 08:30:00"
    )


def test_a_missing_scope_is_401_and_not_403(xero: Sandbox) -> None:
    with Caller(xero, "accounting.contacts.read offline_access") as app:
        assert app.get("Contacts").status_code == 200
        answer = app.get("Invoices")
        assert answer.status_code == 401
        assert answer.json()["Detail"] == "AuthorizationUnsuccessful"
        assert "insufficent_scope" in answer.headers["WWW-Authenticate"]
        assert app.put("Contacts", {"Name": "x"}).status_code == 401


def test_broad_scopes_of_an_old_app_work_until_september_2027(
    clock: SimulatedClock,
) -> None:
    scopes = "accounting.transactions.read offline_access"
    with (
        Sandbox(clock=clock, app=App(has_broad_scopes=True)) as xero,
        Caller(xero, scopes) as app,
    ):
        assert app.get("Invoices").status_code == 200
        assert app.get("Payments").status_code == 200
        assert app.put("Invoices", {}).status_code == 401
        while clock.now() < datetime(2027, 9, 13, tzinfo=UTC):
            clock.advance(50 * 86_400)
            app.renew()
        assert app.get("Invoices").json()["Detail"] == "AuthorizationUnsuccessful"


@pytest.mark.parametrize("tenant", ["", "00000000-0000-0000-0000-000000000001"])
def test_a_wrong_tenant_is_403(app: Caller, tenant: str) -> None:
    answer = app.send("GET", "Organisation", None, {"xero-tenant-id": tenant})
    assert answer.status_code == 403
    assert answer.json()["Title"] == "Forbidden"
    assert answer.json()["Detail"] == "AuthenticationUnsuccessful"


@pytest.mark.parametrize("path", ["Invoices/x", "Contacts/x", "Payments/x", "Nonsense"])
def test_what_is_not_there_is_404_in_plain_text(app: Caller, path: str) -> None:
    answer = app.get(path)
    assert answer.status_code == 404
    assert answer.text == "The resource you're looking for cannot be found"
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"",
        b"[]",
        b"{",
        b'"text"',
        b'{"Invoices": []}',
        b'{"Invoices": [1]}',
        b'{"Invoices": [{"Date": "20th November"}]}',
        b'{"Invoices": [{"Date": 20261120}]}',
        b'{"Invoices": [{"Status": "PERHAPS"}]}',
        b'{"Invoices": [{"LineAmountTypes": "Perhaps"}]}',
        b'{"Invoices": [{"LineItems": [{"UnitAmount": "much"}]}]}',
        b'{"Invoices": [{"LineItems": [{"UnitAmount": NaN}]}]}',
        b'{"Invoices": [{"LineItems": {}}]}',
        b'{"Invoices": [{"Contact": "Thabo"}]}',
        b'{"Invoices": [{"SentToContact": "perhaps"}]}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_cannot_be_read_is_refused(app: Caller, body: bytes) -> None:
    answer = app.put("Invoices", body)
    assert answer.status_code == 400
    assert answer.json()["ErrorNumber"] == 14
    assert answer.json()["Type"] == "PostDataInvalidException"


def test_nothing_is_written_when_one_element_cannot_be_read(app: Caller) -> None:
    good, bad = app.draft(), {"Type": "ACCREC", "Date": "never"}
    app.put("Invoices", {"Invoices": [good, bad]}, summarizeErrors="false")
    assert app.xero.control.ledger()["invoices"] == []


@pytest.mark.parametrize("accept", ["*/*", "application/xml", ""])
def test_the_sandbox_speaks_json_only(app: Caller, accept: str) -> None:
    answer = app.send("GET", "Organisation", None, {"Accept": accept})
    assert answer.status_code == 406
    assert "JSON only" in answer.text


def test_an_offline_organisation_is_503(app: Caller) -> None:
    app.xero.control.set_organisation(offline=True)
    answer = app.get("Organisation")
    assert answer.status_code == 503
    assert answer.text == "The Organisation is offline"


def test_the_envelope(app: Caller, clock: SimulatedClock) -> None:
    answer = app.get("Organisation")
    body: dict[str, Any] = answer.json()
    assert body["Status"] == "OK"
    assert body["DateTimeUTC"] == "/Date(1795161600000)/"
    assert {"Id", "ProviderName"} <= set(body)
    clock.advance(3_600)
    app.renew()
    assert app.get("Organisation").headers["Date"] == "Fri, 20 Nov 2026 09:00:00 GMT"


def test_dates_may_be_sent_in_any_of_xeros_forms(app: Caller) -> None:
    forms = ("2026-11-20", "2026-11-20T00:00:00", "/Date(1795132800000+0000)/")
    for form in forms:
        assert app.invoice(Date=form)["DateString"] == "2026-11-20T00:00:00"


def test_paths_are_read_without_regard_to_case(app: Caller) -> None:
    assert app.get("organisation").status_code == 200
    url = f"{app.xero.url}/Connections"
    assert app.http.get(url, headers=app.headers()).status_code == 200


def test_a_body_has_at_most_ten_megabytes(app: Caller) -> None:
    answer = app.put("Contacts", b" " * (10 * 1024 * 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "line_item",
    [
        {"Quantity": 1, "UnitAmount": 10**20},
        {"Quantity": "1e-30", "LineAmount": 10**14},
        {"Quantity": 10**14, "UnitAmount": 10**14},
    ],
)
def test_absurd_amounts_are_refused(app: Caller, line_item: dict[str, Any]) -> None:
    bare = {"Description": "x", "AccountCode": "200"}
    answer = app.put("Invoices", app.draft(LineItems=[bare | line_item]))
    assert answer.status_code == 400


def test_half_a_character_does_not_break_the_answer(app: Caller) -> None:
    answer = app.put("Contacts", b'{"Contacts": [{"Name": "Zo\\ud83d"}]}')
    assert answer.status_code == 200
    assert app.xero.control.ledger()["contacts"]
