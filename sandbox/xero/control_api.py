"""The control API under /_sandbox/: what a person, or a test, may do to Xero.

JSON both ways; decimals are strings, moments ISO 8601 with Z.
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from sandbox.clock import AdjustableClock, SimulatedClock
from sandbox.xero import contacts, credit_notes, invoices, payments
from sandbox.xero.app import check_redirect_uri
from sandbox.xero.books import Books
from sandbox.xero.errors import ElementRefused, NotFound, XeroError
from sandbox.xero.faults import KINDS, Fault, WebhookFaults
from sandbox.xero.fields import Fields
from sandbox.xero.records import RECORDS, records
from sandbox.xero.service import XeroService
from sandbox.xero.wire import decode

_LIMIT_NAMES = ("minute", "day", "concurrent", "app_minute", "emails_per_day")
_LOCKS = {
    "PeriodLockDate": "period_lock_date",
    "EndOfYearLockDate": "end_of_year_lock_date",
}
_ORGANISATION_TEXTS = {"Name": "name", "Timezone": "timezone"}


class BadOrder(Exception):
    """The control API was asked for something it cannot do."""


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _answer(content: object, status: int = 200) -> Response:
    body = json.dumps(content, default=_plain)
    return Response(body, status, media_type="application/json")


Handler = Callable[[Request, dict[str, Any]], Any]


class ControlApi:
    """Orders to one XeroService."""

    def __init__(self, service: XeroService, base_url: Callable[[], str]) -> None:
        self._service = service
        self._base_url = base_url

    def router(self) -> Router:
        """Return the routes."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "ledger", self._ledger),
            ("POST", "pay", self._pay),
            ("POST", "payments/{id}/delete", self._delete_payment),
            ("POST", "invoices/{number}/edit", self._edit_invoice),
            ("POST", "invoices/{number}/void", self._void_invoice),
            ("POST", "contacts", self._seed_contacts),
            ("POST", "contacts/merge", self._merge_contacts),
            ("POST", "contacts/{id}/edit", self._edit_contact),
            ("POST", "contacts/{id}/archive", self._archive_contact),
            ("POST", "contacts/{id}/erase", self._erase_contact),
            ("POST", "credit", self._credit),
            ("GET", "faults", self._show_faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "clock", self._show_clock),
            ("POST", "clock", self._set_clock),
            ("GET", "limits", self._show_limits),
            ("POST", "limits", self._set_limits),
            ("POST", "latency", self._set_latency),
            ("POST", "organisation", self._set_organisation),
            ("GET", "app", self._show_app),
            ("POST", "app", self._set_app),
            ("GET", "webhooks", self._show_webhooks),
            ("POST", "webhooks/disable", self._disable_webhooks),
            ("GET", "exchanges", self._exchanges),
        ]
        routes = [
            Route(f"/_sandbox/{path}", self._endpoint(handler), methods=[method])
            for method, path, handler in table
        ]
        routes += [
            Route("/_sandbox/webhooks", self._subscribe, methods=["POST"]),
            Route("/_sandbox/webhooks/enable", self._enable, methods=["POST"]),
            Route("/", self._page, methods=["GET"]),
        ]
        return Router(routes)

    def _endpoint(self, handler: Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                return _answer(handler(request, await _order(request)))
            except NotFound:
                return _answer({"error": "not found"}, 404)
            except ElementRefused as error:
                return _answer({"error": str(error), "errors": error.messages}, 400)
            except (BadOrder, XeroError, ValueError) as error:
                return _answer({"error": str(error)}, 400)
            finally:
                self._service.webhooks.flush()

        return endpoint

    def _books(self, order: dict[str, Any]) -> Books:
        tenant_id = order.get("tenant_id")
        if tenant_id is None:
            return self._service.only_books
        if tenant_id not in self._service.books:
            raise NotFound
        return self._service.books[tenant_id]

    # -- looking -------------------------------------------------------------------

    def _ledger(self, request: Request, order: dict[str, Any]) -> Any:
        service = self._service
        per_minute, at_once = service.gatekeeper.peaks()
        ledger: dict[str, Any] = {
            "now": service.now(),
            "organisations": [b.organisation.shape() for b in service.books.values()],
            "webhooks": service.webhooks.shape(),
            "calls": {
                "total": sum(service.by_endpoint.values()),
                "by_endpoint": dict(service.by_endpoint),
                "by_status": dict(service.by_status),
                "limited": service.gatekeeper.limited,
                "peak_per_minute": per_minute,
                "peak_concurrent": at_once,
            },
        }
        held: dict[str, list[Any]] = {name: [] for name in RECORDS}
        for books in service.books.values():
            for name, shapes in records(books).items():
                held[name] += shapes
        return ledger | held

    def _exchanges(self, request: Request, order: dict[str, Any]) -> Any:
        since = int(request.query_params.get("since", "0"))
        return self._service.exchanges.since(since)

    # -- money ---------------------------------------------------------------------

    def _pay(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        invoice = invoices.find(books, str(order.get("invoice_number", "")))
        fields = {
            "Invoice": {"InvoiceID": invoice.document_id},
            "Account": {"Code": order.get("account_code", "090")},
            "Amount": order.get("amount", invoice.amount_due),
            "Date": order.get("date"),
            "Reference": order.get("reference"),
        }
        payment = payments.create(books, Fields(fields))
        return {
            "payment_id": payment.payment_id,
            "paid_at": payment.updated_at,
            "amount_due": invoice.amount_due,
        }

    def _delete_payment(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        payment = payments.find(books, request.path_params["id"])
        payments.delete(books, payment)
        invoice = books.invoices[payment.invoice_id]
        return {"status": payment.status, "amount_due": invoice.amount_due}

    def _credit(self, request: Request, order: dict[str, Any]) -> Any:
        """Make a credit note by hand and allocate it to an invoice."""
        books = self._books(order)
        invoice = invoices.find(books, str(order.get("invoice_number", "")))
        amount = Decimal(str(order.get("amount", invoice.amount_due)))
        account = invoice.lines[0].account_code if invoice.lines else "200"
        line = {
            "Description": order.get("reason", "Credited by hand"),
            "Quantity": 1,
            "UnitAmount": amount,
            "AccountCode": account,
        }
        note = credit_notes.create(
            books,
            Fields(
                {
                    "Type": "ACCRECCREDIT",
                    "Status": "AUTHORISED",
                    "Contact": {"ContactID": invoice.contact_id},
                    "CurrencyCode": invoice.currency,
                    "Date": order.get("date"),
                    "LineAmountTypes": "NoTax",
                    "LineItems": [line],
                }
            ),
        )
        fields = {
            "Invoice": {"InvoiceID": invoice.document_id},
            "Amount": amount,
            "Date": order.get("date"),
        }
        applied = credit_notes.allocate(books, note, Fields(fields))
        return {
            "credit_note_id": note.document_id,
            "credit_note_number": note.number,
            "allocation_id": applied.allocation_id,
            "amount_due": invoice.amount_due,
        }

    # -- records -------------------------------------------------------------------

    def _edit_invoice(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        invoice = invoices.find(books, request.path_params["number"])
        fields = {k: v for k, v in order.items() if k != "tenant_id"}
        changed = invoices.update(books, invoice, Fields(fields))
        return invoices.paged_shape(changed, books)

    def _void_invoice(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        invoice = invoices.find(books, request.path_params["number"])
        return invoices.paged_shape(invoices.void(books, invoice), books)

    def _seed_contacts(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        listed = order.get("contacts", [])
        made = [contacts.create(books, Fields(item)) for item in listed]
        return {"contact_ids": [contact.contact_id for contact in made]}

    def _edit_contact(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        contact = contacts.find(books, request.path_params["id"])
        fields = {k: v for k, v in order.items() if k != "tenant_id"}
        changed = contacts.update(books, contact, Fields(fields))
        return contacts.full_shape(changed, books)

    def _archive_contact(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        contact = contacts.find(books, request.path_params["id"])
        return contacts.full_shape(contacts.archive(books, contact), books)

    def _erase_contact(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        contact = contacts.find(books, request.path_params["id"])
        return contacts.full_shape(contacts.erase(books, contact), books)

    def _merge_contacts(self, request: Request, order: dict[str, Any]) -> Any:
        books = self._books(order)
        losing = contacts.find(books, str(order.get("losing", "")))
        winning = contacts.find(books, str(order.get("winning", "")))
        contacts.merge(books, losing, winning)
        return {"losing": losing.contact_id, "winning": winning.contact_id}

    # -- circumstances -------------------------------------------------------------

    def _show_faults(self, request: Request, order: dict[str, Any]) -> Any:
        webhooks = self._service.faults.webhooks
        return {
            "faults": [fault.shape() for fault in self._service.faults.standing],
            "webhooks": {
                "duplicate": webhooks.duplicate,
                "repeat": webhooks.repeat,
                "reorder": webhooks.reorder,
                "drop": webhooks.drop,
                "delay_s": webhooks.delay_s,
            },
        }

    def _add_fault(self, request: Request, order: dict[str, Any]) -> Any:
        if "webhooks" in order:
            self._service.faults.webhooks = _webhook_faults(order["webhooks"])
        if "kind" in order:
            self._service.faults.standing.append(_fault(order))
        if not {"webhooks", "kind"} & set(order):
            raise BadOrder("a fault has a kind, or is about webhooks")
        return self._show_faults(request, order)

    def _clear_faults(self, request: Request, order: dict[str, Any]) -> Any:
        self._service.faults.clear()
        return self._show_faults(request, order)

    def _show_clock(self, request: Request, order: dict[str, Any]) -> Any:
        clock = self._service.clock
        rate = clock.rate if isinstance(clock, AdjustableClock) else None
        return {"now": self._service.now(), "rate": rate}

    def _set_clock(self, request: Request, order: dict[str, Any]) -> Any:
        clock = self._service.clock
        if "advance_s" in order:
            if not isinstance(clock, AdjustableClock | SimulatedClock):
                raise BadOrder("this clock cannot be moved")
            clock.advance(float(order["advance_s"]))
            return self._show_clock(request, order)
        if not isinstance(clock, AdjustableClock):
            raise BadOrder("a simulated clock can only be advanced")
        if "now" in order:
            clock.set(_moment(order["now"]))
        if "rate" in order:
            clock.set_rate(float(order["rate"]))
        return self._show_clock(request, order)

    def _show_limits(self, request: Request, order: dict[str, Any]) -> Any:
        return {name: getattr(self._service.limits, name) for name in _LIMIT_NAMES}

    def _set_limits(self, request: Request, order: dict[str, Any]) -> Any:
        for name, value in order.items():
            if name not in _LIMIT_NAMES:
                raise BadOrder(f"{name} is not a limit")
            setattr(self._service.limits, name, None if value is None else int(value))
        return self._show_limits(request, order)

    def _set_latency(self, request: Request, order: dict[str, Any]) -> Any:
        self._service.latency_ms = float(order.get("ms", 0))
        return {"ms": self._service.latency_ms}

    def _set_organisation(self, request: Request, order: dict[str, Any]) -> Any:
        organisation = self._books(order).organisation
        for name, value in order.items():
            if name in _LOCKS:
                locked = None if value is None else date.fromisoformat(str(value))
                setattr(organisation, _LOCKS[name], locked)
            elif name in _ORGANISATION_TEXTS:
                setattr(organisation, _ORGANISATION_TEXTS[name], str(value))
            elif name == "Currencies":
                organisation.currencies = [str(code) for code in value]
            elif name == "offline":
                organisation.offline = bool(value)
            elif name != "tenant_id":
                raise BadOrder(f"{name} of an organisation cannot be changed here")
        return organisation.shape()

    def _show_app(self, request: Request, order: dict[str, Any]) -> Any:
        app = self._service.app
        return {
            "name": app.name,
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "redirect_uris": app.redirect_uris,
            "url": self._base_url(),
        }

    def _set_app(self, request: Request, order: dict[str, Any]) -> Any:
        uris = [check_redirect_uri(str(uri)) for uri in order.get("redirect_uris", [])]
        self._service.app.redirect_uris = uris or self._service.app.redirect_uris
        return self._show_app(request, order)

    # -- webhooks ------------------------------------------------------------------

    def _show_webhooks(self, request: Request, order: dict[str, Any]) -> Any:
        return self._service.webhooks.shape()

    def _disable_webhooks(self, request: Request, order: dict[str, Any]) -> Any:
        self._service.webhooks.disable()
        return self._service.webhooks.shape()

    async def _subscribe(self, request: Request) -> Response:
        order = await _order(request)
        if not isinstance(order.get("url"), str):
            return _answer({"error": "url is missing"}, 400)
        webhooks = self._service.webhooks
        await run_in_threadpool(webhooks.subscribe, order["url"], order.get("key"))
        return _answer(webhooks.shape())

    async def _enable(self, request: Request) -> Response:
        await run_in_threadpool(self._service.webhooks.enable)
        return _answer(self._service.webhooks.shape())

    # -- for people ----------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        service, books = self._service, self._service.only_books
        rows = {
            "Organisation": books.organisation.name,
            "Time": f"{service.now():%Y-%m-%d %H:%M:%S} UTC",
            "Contacts": len(books.contacts),
            "Invoices": len(books.invoices),
            "Payments": len(books.payments),
            "E-mails": len(books.emails),
            "Calls": sum(service.by_endpoint.values()),
            "Webhooks": service.webhooks.status,
            "Connections": len(service.identity.connections),
        }
        table = "".join(
            f"<tr><th align=left>{escape(k)}</th><td>{escape(str(v))}</td></tr>"
            for k, v in rows.items()
        )
        return HTMLResponse(
            "<!doctype html><title>settled sandbox</title><h1>settled sandbox</h1>"
            "<p>A stand-in for Xero. Nothing here is real: no money moves and no "
            f"e-mail leaves.</p><table>{table}</table>"
            '<p><a href="/_sandbox/ledger">Ledger</a> · '
            '<a href="/_sandbox/faults">Faults</a> · '
            '<a href="/_sandbox/app">App</a> · consent begins at '
            "<code>/identity/connect/authorize</code>, where your daemon sends you.</p>"
        )


async def _order(request: Request) -> dict[str, Any]:
    body = await request.body()
    content = decode(body) if body else {}
    if isinstance(content, list):
        content = {"contacts": content}
    if not isinstance(content, dict):
        raise BadOrder("an order is a JSON object")
    return content


def _fault(order: dict[str, Any]) -> Fault:
    kind, match = order["kind"], order.get("match") or {}
    if kind not in KINDS:
        raise BadOrder(f"{kind} is not a fault; there are {', '.join(KINDS)}")
    retry_after = order.get("retry_after_s")
    return Fault(
        kind=kind,
        method=match.get("method"),
        path=match.get("path"),
        times=int(order.get("times", 1)),
        after=int(order.get("after", 0)),
        delay_s=float(order.get("delay_s", 0)),
        retry_after_s=None if retry_after is None else int(retry_after),
    )


def _webhook_faults(order: dict[str, Any]) -> WebhookFaults:
    return WebhookFaults(
        duplicate=int(order.get("duplicate", 0)),
        repeat=int(order.get("repeat", 0)),
        reorder=bool(order.get("reorder", False)),
        drop=int(order.get("drop", 0)),
        delay_s=float(order.get("delay_s", 0)),
    )


def _moment(text: object) -> datetime:
    moment = datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise BadOrder("a moment needs its offset, for example Z")
    return moment
