"""An app that calls the stand-in: consent, tokens, and accounting calls."""

import base64
import hashlib
import json
import secrets
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from sandbox import Sandbox, browser
from sandbox.loopback import http_client

SCOPES = (
    "offline_access accounting.invoices accounting.payments "
    "accounting.contacts accounting.settings.read"
)


def authorize_url(xero: Sandbox, **changes: str | None) -> str:
    query = {
        "response_type": "code",
        "client_id": xero.client_id,
        "redirect_uri": xero.redirect_uris[0],
        "scope": SCOPES,
        "state": "some state",
    } | changes
    present = {k: v for k, v in query.items() if v is not None}
    return f"{xero.url}/identity/connect/authorize?{urlencode(present)}"


def answer_of(location: str) -> dict[str, str]:
    """The query that a redirect carries back to the app."""
    return {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}


def code_for(xero: Sandbox, **changes: str | None) -> str:
    return answer_of(browser.consent_redirect(authorize_url(xero, **changes)))["code"]


def connect(xero: Sandbox, tenant_id: str) -> None:
    """Consent to one more organisation."""
    url = authorize_url(xero)
    browser.consent_redirect(url, tenant_id=tenant_id)


def verifier_and_challenge() -> tuple[str, str]:
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Caller:
    """One connected app."""

    def __init__(self, xero: Sandbox, scopes: str = SCOPES) -> None:
        self.xero = xero
        self.http = http_client(20)
        self.tokens = self.token_for(
            grant_type="authorization_code",
            code=code_for(xero, scope=scopes),
            redirect_uri=xero.redirect_uris[0],
        ).json()
        self.tenant_id = xero.tenant_ids[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def token_for(self, **form: str) -> httpx.Response:
        client = (self.xero.client_id, self.xero.client_secret or "")
        return self.http.post(f"{self.xero.url}/connect/token", data=form, auth=client)

    def refresh(self, refresh_token: str | None = None) -> httpx.Response:
        token = refresh_token or self.tokens["refresh_token"]
        return self.token_for(grant_type="refresh_token", refresh_token=token)

    def renew(self) -> None:
        """Get a fresh access token, after the clock was moved."""
        self.tokens = self.refresh().json()

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.tokens['access_token']}",
            "xero-tenant-id": self.tenant_id,
            "Accept": "application/json",
        } | {name.replace("_", "-"): value for name, value in more.items()}

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: str | int,
    ) -> httpx.Response:
        raw = body if isinstance(body, bytes) or body is None else _encoded(body)
        return self.http.request(
            method,
            f"{self.xero.api_url}/{path}",
            content=raw,
            params=query or None,
            headers=self.headers() | (headers or {}),
        )

    def get(self, path: str, **query: str | int) -> httpx.Response:
        return self.send("GET", path, None, None, **query)

    def put(self, path: str, body: Any, **query: str | int) -> httpx.Response:
        return self.send("PUT", path, body, None, **query)

    def post(self, path: str, body: Any = None, **query: str | int) -> httpx.Response:
        return self.send("POST", path, body, None, **query)

    # -- shorter ways for what most tests need -------------------------------------

    def contact(self, name: str = "Thabo Nkosi", **fields: Any) -> dict[str, Any]:
        answer = self.put("Contacts", {"Contacts": [{"Name": name} | fields]})
        assert answer.status_code == 200, answer.text
        contact: dict[str, Any] = answer.json()["Contacts"][0]
        return contact

    def invoice(self, **fields: Any) -> dict[str, Any]:
        answer = self.put("Invoices", {"Invoices": [self.draft(**fields)]})
        assert answer.status_code == 200, answer.text
        invoice: dict[str, Any] = answer.json()["Invoices"][0]
        return invoice

    def draft(self, **fields: Any) -> dict[str, Any]:
        """A good invoice of 1150.00, ready to be submitted."""
        if "Contact" not in fields:
            found = self.get("Contacts", where='Name=="Thabo Nkosi"').json()["Contacts"]
            contact = found[0] if found else self.contact(EmailAddress="t@example.com")
            fields["Contact"] = {"ContactID": contact["ContactID"]}
        return {
            "Type": "ACCREC",
            "Status": "AUTHORISED",
            "Date": "2026-11-20",
            "DueDate": "2026-12-20",
            "LineItems": [line()],
        } | fields

    def pay(self, invoice: dict[str, Any], amount: str = "1150.00") -> httpx.Response:
        payment = {
            "Invoice": {"InvoiceID": invoice["InvoiceID"]},
            "Account": {"Code": "090"},
            "Date": "2026-11-20",
            "Amount": amount,
            "Reference": "EFT 1",
        }
        return self.put("Payments", {"Payments": [payment]})

    def read(self, invoice: dict[str, Any]) -> dict[str, Any]:
        answer = self.get(f"Invoices/{invoice['InvoiceID']}").json()
        read: dict[str, Any] = answer["Invoices"][0]
        return read


def line(unit_amount: str | float = 1000, **fields: Any) -> dict[str, Any]:
    return {
        "Description": "Membership 2027",
        "Quantity": 1,
        "UnitAmount": unit_amount,
        "AccountCode": "200",
        "TaxType": "OUTPUT3",
    } | fields


def messages_of(answer: httpx.Response, name: str = "Elements") -> list[str]:
    """All validation messages of an answer."""
    elements = answer.json()[name]
    return [
        error["Message"]
        for element in elements
        for error in element.get("ValidationErrors", [])
    ]


def wait_until_at_once(app: Caller, calls: list[Future[httpx.Response]]) -> None:
    """Return once so many calls were under way together."""
    while app.xero.control.ledger()["calls"]["peak_concurrent"] < len(calls):
        for call in calls:
            assert not call.done(), call.result()


def _encoded(body: Any) -> bytes:
    return json.dumps(body).encode()
