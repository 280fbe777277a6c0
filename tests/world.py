"""A small world to test in: a stand-in Xero, a daemon and a platform, all of them real.

One clock for all of them. It runs like any clock and jumps when it is told to, so that
minutes and days are a matter of milliseconds and no test ever sleeps.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx
import redis

from core import mirror, reference_data
from core.clock import Clock
from core.db import intents, lanes, outbox, problems
from core.db.database import transaction
from core.db.inbox import InboxState
from core.db.invoices import by_number
from core.db.models import Inbox, Invoice, InvoiceSubject, Lane
from core.registry import Registry
from core.settings import Settings, settings_from
from core.waking import LaneName
from sandbox import AdjustableClock, App, Limits, Sandbox
from sandbox.browser import consent_redirect
from sandbox.platform import Platform, prices
from sandbox.xero.webhooks import sign
from settled.daemon import Daemon
from settled.maintenance import import_price_file, migrate_books
from tests.servers import ServerFailed, wait_until

#: A Friday, ten in the morning in Johannesburg.
STARTED_AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

LIFTED = Limits(minute=None, day=None, app_minute=None, emails_per_day=None)
OWN_LIFTED = {"minute": 0, "day": 0, "app_minute": 0, "emails_per_day": 0}

PATIENCE_S = 10.0

#: Where the consent ends; nobody listens there, the redirect is read and not followed.
CALLBACK = "http://localhost:9000/oauth/callback"

#: The sandbox's prices, and some that finance has got wrong: one so large that Xero
#: can't read it, and two with codes that Xero doesn't have.
PRICES_CSV = prices.prices_csv() + (
    "membership,unreadable,2026-01-01,ZAR,1000000000000000.00,200,OUTPUT3,Too much\n"
    "membership,unbooked,2026-01-01,ZAR,1.00,999,OUTPUT3,No account\n"
    "membership,untaxed,2026-01-01,ZAR,1.00,200,OUTPUT9,No tax rate\n"
)

#: Why a lane is parked while others make as many calls at once as it may see.
NO_PLACE = "quota: concurrent"

STREAM_IN, STREAM_OUT = "settled:in", "settled:out"


def xero_table(xero: Sandbox) -> dict[str, Any]:
    """``[xero]`` for a daemon that talks to this sandbox."""
    return {
        "client_id": xero.client_id,
        "client_secret": xero.client_secret,
        "redirect_uri": xero.redirect_uris[0],
        "authorize_url": f"{xero.url}/identity/connect/authorize",
        "token_url": f"{xero.url}/connect/token",
        "connections_url": f"{xero.url}/connections",
        "api_url": xero.api_url,
        "webhook_keys": [xero.webhook_key],
    }


def raise_by_hand(xero: Sandbox, access_token: str, contact_id: str) -> str:
    """An invoice that somebody made in Xero; its number."""
    line = {"Description": "By hand", "Quantity": 1, "UnitAmount": "10.00"}
    body = {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": contact_id},
        "Date": "2026-11-20",
        "DueDate": "2026-12-20",
        "LineItems": [{**line, "AccountCode": "200", "TaxType": "OUTPUT3"}],
    }
    answer = httpx.put(
        f"{xero.api_url}/Invoices",
        json={"Invoices": [body]},
        headers={
            "Authorization": f"Bearer {access_token}",
            "xero-tenant-id": xero.tenant_ids[0],
            "Accept": "application/json",
        },
    )
    number: str = answer.json()["Invoices"][0]["InvoiceNumber"]
    return number


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call to Xero, as it crossed the wire."""

    query: str
    key: str | None
    body: bytes
    status: int
    reply: bytes


class World:
    """Everything started, connected and with prices. Use as a context manager.

    Args:
        folder: for whatever the daemon keeps.
        contacts: in Xero from the beginning, with Xero's field names.
        prices_csv: what finance has imported.
        is_connected: whether somebody has consented.
        registry: the plugins; None: those that are installed.
        tables: settings that differ, by table.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        redis_url: str,
        *,
        started_at: datetime = STARTED_AT,
        limits: Limits = LIFTED,
        contacts: Iterable[Mapping[str, Any]] = (),
        prices_csv: str = PRICES_CSV,
        is_connected: bool = True,
        registry: Registry | None = None,
        tables: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.clock = AdjustableClock(started_at)
        #: Of the daemon's host; everybody else goes by `clock`.
        self.daemon_clock: Clock = self.clock
        self.registry = registry
        self.is_connected = is_connected
        self.prices_csv = prices_csv
        self._contacts = list(contacts)
        self._closing = ExitStack()
        self.xero = Sandbox(
            clock=self.clock, limits=limits, app=App(redirect_uris=[CALLBACK])
        )
        self.settings = self._settings(database_url, redis_url, tables or {})
        self.redis_url = redis_url
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self.platform = Platform(redis_url, clock=self.clock)
        self.daemon: Daemon

    def _settings(
        self, database_url: str, redis_url: str, tables: Mapping[str, Any]
    ) -> Settings:
        values: dict[str, Any] = {
            "data_folder": self.folder,
            "database_url": database_url,
            "redis_url": redis_url,
            "worker_threads": 4,
            "web": {"public_port": 0, "internal_port": 0},
            "quota": OWN_LIFTED,
            "xero": xero_table(self.xero),
        }
        for name, table in tables.items():
            known = values.get(name)
            values[name] = {**known, **table} if isinstance(known, dict) else table
        return settings_from(values)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def _start(self) -> None:
        self._closing.callback(self.redis.close)
        self._closing.enter_context(self.xero)
        if self._contacts:
            self.xero.control.seed_contacts(self._contacts)
        migrate_books(self.settings)
        self.import_prices(self.prices_csv)
        self.start_daemon()
        self._closing.callback(self.stop_daemon)
        self._closing.enter_context(self.platform)
        if self.is_connected:
            self.connect()
            self.wait(self._has_read_xero, "the first reads of Xero")

    # -- the daemon ------------------------------------------------------------------

    def start_daemon(self) -> None:
        """As ``settled run`` does. The webhooks of Xero go to the new address."""
        self.daemon = Daemon(
            self.settings, clock=self.daemon_clock, registry=self.registry
        )
        self.daemon.__enter__()
        self.xero.subscribe_webhooks(f"{self.daemon.public.url}/webhooks/xero")

    def stop_daemon(self) -> None:
        """In good order; harmless when it has been stopped."""
        self.daemon.stop()

    def connect(self) -> list[str]:
        """A person consents; the organisations that are connected now."""
        back = consent_redirect(self.daemon.tokens.begin_consent())
        query = dict(parse_qsl(urlsplit(back).query))
        return self.daemon.tokens.finish_consent(query)

    def import_prices(self, text: str) -> None:
        """As finance does, while the daemon is stopped."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "prices.csv"
        file.write_text(text, encoding="utf-8")
        import_price_file(self.settings, file)

    def _has_read_xero(self) -> bool:
        return reference_data.is_known("main") and mirror.is_loaded("main")

    # -- waiting ---------------------------------------------------------------------

    def wait(self, reached: Callable[[], bool], what: str) -> None:
        """Until other threads have brought it about."""
        wait_until(reached, PATIENCE_S, what)

    def advance(self, time: timedelta | float) -> None:
        """Let time pass, when nothing is under way any more."""
        self.quiet()
        self.jump(time)

    def jump(self, time: timedelta | float) -> None:
        """Let time pass, whatever is under way."""
        seconds = time.total_seconds() if isinstance(time, timedelta) else time
        self.clock.advance(seconds)

    def advance_until(self, reached: Callable[[], bool], what: str) -> None:
        """Let seconds pass, as many as it takes, at most a minute and a half."""
        for _ in range(90):
            if reached():
                return
            self.jump(1)
            never = threading.Event()
            never.wait(0.05)  # real threads take real time
        raise ServerFailed(f"not within 90 s: {what}")

    def sweep(self) -> None:
        """Let time pass until the next sweep has ended, and all that it set off.

        What Xero refuses it may have to wait for, seconds that nobody else needs.
        """
        self.quiet()
        due_at = lanes.due_at("main", LaneName.SWEEP)
        assert due_at is not None
        self.jump(max(due_at - self.clock.now(), timedelta(0)))
        self.quiet()
        self.advance_until(lambda: self._has_swept(due_at), "the sweep")
        self.quiet()

    @staticmethod
    def _has_swept(due_at: datetime) -> bool:
        next_at = lanes.due_at("main", LaneName.SWEEP)
        return next_at is not None and next_at > due_at

    def quiet(self) -> None:
        """Until nobody has anything to do now: what has not happened will not."""
        try:
            # One look takes a while, and work may slip from behind it to before it.
            wait_until(
                lambda: not self._unrest() and not self._unrest(), PATIENCE_S, "quiet"
            )
        except ServerFailed as error:
            raise ServerFailed(f"{error}: {self._unrest()}") from error

    def _unrest(self) -> str:
        """Who has something to do; empty: nobody."""
        now = self.clock.now()
        open_rows = (Inbox.state == InboxState.ACCEPTED) & (Inbox.due_at <= now)
        looks: dict[str, Callable[[], object]] = {
            "Xero": self.xero.service.is_busy,
            "the stream": lambda: (
                self.redis.exists(STREAM_IN) and self.redis.xlen(STREAM_IN)
            ),
            "the inbox": Inbox.select().where(open_rows).exists,
            "a lane": self._is_a_lane_busy,
            "the outbox": lambda: outbox.unsent(1),
            "the platform": self._is_the_platform_behind,
        }
        return ", ".join(name for name, look in looks.items() if look())

    def _is_a_lane_busy(self) -> bool:
        # Before what is due, or it may become due between these two looks.
        if self._waits_a_lane_for_a_place():
            return True
        tenants = {row.tenant for row in Lane.select() if row.tenant != lanes.EVERYBODY}
        runner = self.daemon.runner
        if any(runner.is_due(t, name) for t in tenants for name in LaneName):
            return True
        held = Lane.select().where(
            Lane.holder.is_null(False) & (Lane.tenant != lanes.EVERYBODY)
        )
        return bool(held.exists())

    def _waits_a_lane_for_a_place(self) -> bool:
        """One of Xero's five is free as soon as another call ends: it is at work."""
        waits = (Lane.reason == NO_PLACE) & (Lane.parked_until > self.clock.now())
        return bool(Lane.select().where(waits).exists())

    def _is_the_platform_behind(self) -> bool:
        try:
            groups: Any = self.redis.xinfo_groups(STREAM_OUT)
        except redis.ResponseError:
            return True  # the daemon has not made it yet
        (ours,) = [group for group in groups if group["name"] == "platform"]
        return bool(ours["pending"] or ours["lag"])

    # -- the platform ----------------------------------------------------------------

    def publish(self, *messages: Mapping[str, Any]) -> None:
        self.platform.publish(messages)

    def accepts(self, message: Mapping[str, Any]) -> None:
        """It is published and accepted, and all that can be done for now is done."""
        self.publish(message)
        self.hear_answer(message, "message.accepted")
        self.quiet()

    def publish_raw(self, raw: bytes | str, field: str = "event") -> None:
        """An entry as no platform should write it."""
        self.redis.xadd(STREAM_IN, {field: raw})

    def told(self, message_type: str, subject: str | None = None) -> list[Any]:
        """What has come of this type, in order; each id once."""
        return [
            received.message
            for received in self.platform.received
            if received.type == message_type and subject in (None, received.subject)
        ]

    def hear(self, message_type: str, subject: str | None = None) -> Any:
        """The first message of this type, about this subject; waits for it."""
        self.hear_all(1, message_type, subject)
        return self.told(message_type, subject)[0]

    def hear_all(
        self, count: int, message_type: str, subject: str | None = None
    ) -> list[Any]:
        """That many messages of this type; waits for them."""
        arrived = self.platform.wait_until(
            lambda _: len(self.told(message_type, subject)) >= count, PATIENCE_S
        )
        if not arrived:
            heard = [
                received.type
                for received in self.platform.received
                if subject in (None, received.subject)
            ]
            titles = [problem.title for problem in problems.open_problems()]
            raise ServerFailed(
                f"not heard {count} times: {message_type} of {subject};"
                f" heard {heard}; problems {titles}"
            )
        return self.told(message_type, subject)

    def times_heard(self, message: Mapping[str, Any]) -> int:
        """How often exactly this message has come."""
        heard = {r.message_id: r.times for r in self.platform.received}
        return heard[message["id"]]

    def answers(self, message_id: str) -> list[str]:
        """The types of all answers to a message."""
        return [answer["type"] for answer in self.platform.answers(message_id)]

    def hear_answer(self, asked: Mapping[str, Any], message_type: str) -> Any:
        """The answer of this type to a message; waits for it."""

        def found() -> list[Any]:
            answers = self.platform.answers(asked["id"])
            return [answer for answer in answers if answer["type"] == message_type]

        self.platform.wait_until(lambda _: bool(found()), PATIENCE_S)
        if not found():
            heard = self.answers(asked["id"])
            raise ServerFailed(f"no {message_type} to {asked['id']}, but {heard}")
        return found()[0]

    def invoiced(self, asked: Mapping[str, Any]) -> str:
        """Publish, and wait until it was e-mailed, two seconds ago; its number."""
        self.publish(asked)
        told = self.hear_answer(asked, "invoice.emailed")
        # What happens in the second of an e-mail is taken for its echo at first.
        self.jump(2)
        number: str = told["data"]["invoice"]["number"]
        return number

    # -- Xero ------------------------------------------------------------------------

    @property
    def ledger(self) -> dict[str, Any]:
        return self.xero.control.ledger()

    @property
    def invoices(self) -> list[dict[str, Any]]:
        """Xero's invoices, in the order of their numbers."""
        invoices: list[dict[str, Any]] = self.ledger["invoices"]
        return sorted(invoices, key=lambda invoice: str(invoice["InvoiceNumber"]))

    def invoice(self, number: str) -> dict[str, Any]:
        """Xero's invoice of this number."""
        return self.xero.control.invoices()[number]

    def contact(self, invoice: Mapping[str, Any]) -> dict[str, Any]:
        """The contact of one of Xero's invoices."""
        contact_id = invoice["Contact"]["ContactID"]
        contacts = {c["ContactID"]: c for c in self.ledger["contacts"]}
        found: dict[str, Any] = contacts[contact_id]
        return found

    def contact_numbers(self) -> list[str]:
        """The number of every contact that Xero has, archived ones too."""
        return [c.get("ContactNumber", "") for c in self.ledger["contacts"]]

    def calls(self, endpoint: str) -> int:
        """How often Xero was called, such as ``PUT /Invoices``."""
        count: int = self.ledger["calls"]["by_endpoint"].get(endpoint, 0)
        return count

    def pay(self, number: str, amount: str | None = None) -> str:
        """Pay in Xero; the id of the payment."""
        payment_id: str = self.xero.control.pay(number, amount)["payment_id"]
        return payment_id

    def exchanges(self, method: str, path: str) -> list["Exchange"]:
        """Raw traffic of one kind, in order; the path may be a glob."""
        return [
            Exchange(
                query=raw["query"],
                key=raw["idempotency_key"],
                body=base64.b64decode(raw["request_body"]),
                status=raw["status"],
                reply=base64.b64decode(raw["response_body"]),
            )
            for raw in self.xero.control.exchanges()
            if raw["method"] == method
            and fnmatchcase(raw["path"].removeprefix("/api.xro/2.0"), path)
        ]

    def emails(self, number: str) -> int:
        """How often Xero has sent this invoice to its contact."""
        return [e["invoice_number"] for e in self.ledger["emails"]].count(number)

    def sent(self, resource: str) -> list[dict[str, Any]]:
        """Every element that was put to a resource, such as ``Invoices``."""
        bodies = [json.loads(e.body) for e in self.exchanges("PUT", f"/{resource}")]
        return [element for body in bodies for element in body[resource]]

    def is_under_way(self, method: str, path: str) -> bool:
        """Whether a fault has hit such a call; one that it slows down waits by now."""
        service = self.xero.service
        return any(
            fault.hits
            and (fault.method, fault.path) == (method, path)
            and (service.is_asleep or not fault.kind.startswith("slow"))
            for fault in service.faults.standing
        )

    def raise_by_hand(self, contact_id: str) -> str:
        """An invoice that somebody made in Xero; its number."""
        token = self.daemon.tokens.access_token()
        return raise_by_hand(self.xero, token, contact_id)

    def webhook(self, invoice_id: str, event_at: str) -> bytes:
        """What Xero would post of a change of this invoice."""
        event = {
            "resourceId": invoice_id,
            "eventDateUtc": event_at,
            "eventType": "UPDATE",
            "eventCategory": "INVOICE",
            "tenantId": self.xero.tenant_ids[0],
            "tenantType": "ORGANISATION",
        }
        return json.dumps({"events": [event]}).encode()

    def deliver(self, body: bytes) -> None:
        """Post a webhook as Xero does."""
        httpx.post(
            f"{self.daemon.public.url}/webhooks/xero",
            content=body,
            headers={"x-xero-signature": sign(self.xero.webhook_key, body)},
        ).raise_for_status()

    def looked_up(self, by: str) -> int:
        """How many reads of invoices asked by these keys, such as InvoiceNumbers."""
        return sum(f"{by}=" in e.query for e in self.exchanges("GET", "/Invoices"))

    @staticmethod
    def parsed(raw: str) -> dict[str, Any]:
        """The content of a stream entry."""
        event: dict[str, Any] = json.loads(raw)
        return event

    # -- the books -------------------------------------------------------------------

    def has_unknown(self, kind: str) -> bool:
        """Whether a call of this kind has had no clear answer so far."""
        return any(intent.kind == kind for intent in intents.unknown())

    def row(self, number: str) -> Invoice:
        """Our row of an invoice."""
        return by_number("main", [number])[number]

    def row_of(self, subject: str) -> Invoice:
        """Our row of the invoice that settles this subject; the latest one."""
        found: InvoiceSubject = (
            InvoiceSubject.select()
            .where(InvoiceSubject.subject == subject)
            .order_by(InvoiceSubject.round.desc())
            .get()
        )
        return found.invoice

    def problems(self) -> list[str]:
        """The kinds of the open problems."""
        return [problem.kind for problem in problems.open_problems()]

    def close_problems(self) -> None:
        """A person has looked into all of them."""
        with transaction():
            for problem in problems.open_problems():
                problems.close_problem(problem.cause, self.clock.now())


def threads_of_ours() -> set[threading.Thread]:
    """Those that live now, besides whoever asks."""
    return set(threading.enumerate()) - {threading.current_thread()}
