"""The stand-in as one object, and the way of one accounting call through it.

token → scope → tenant → limits → idempotency → endpoint → webhooks

Everything but the webhook thread runs on the server's event loop, and an endpoint
never awaits: a call happens as a whole or not at all.
"""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.xero import reply
from sandbox.xero.accounting import Endpoint, endpoint_of
from sandbox.xero.app import BROAD_SCOPES_END, App
from sandbox.xero.books import Books
from sandbox.xero.call import Call
from sandbox.xero.errors import NotFound, NotOffered, PostDataInvalid, QueryInvalid
from sandbox.xero.exchanges import Exchanges
from sandbox.xero.faults import Fault, Faults
from sandbox.xero.idempotency import LONGEST_KEY, METHODS, KeyReused, Memory
from sandbox.xero.identity import Identity
from sandbox.xero.limits import Gatekeeper, Limits, Problem, Refusal, TenantUse
from sandbox.xero.organisation import Organisation
from sandbox.xero.reply import Reply
from sandbox.xero.tokens import TokenStore
from sandbox.xero.webhooks import DELIVERY_TIMEOUT_S, Webhooks

_FAULTY_LIMITS: dict[str, Problem] = {
    "429_minute": "minute",
    "429_day": "day",
    "429_concurrent": "concurrent",
    "429_appminute": "appminute",
}

#: Calls that may wait on the clock at once (latency, slow faults).
_MOST_WAITING = 64


class XeroService:
    """All state of the stand-in."""

    def __init__(
        self,
        clock: Clock,
        app: App,
        organisations: list[Organisation],
        limits: Limits,
        keep_exchanges: int = 0,
        webhook_timeout_s: float = DELIVERY_TIMEOUT_S,
    ) -> None:
        self.clock = clock
        self.app = app
        self.limits = limits
        self.faults = Faults()
        self.webhooks = Webhooks(clock, self.faults, webhook_timeout_s)
        self.books = {
            o.organisation_id: Books(o, clock, self.webhooks.raise_event)
            for o in organisations
        }
        tenants = {o.organisation_id: o.name for o in organisations}
        self.tokens = TokenStore(clock.now)
        self.identity = Identity(app, self.tokens, tenants, clock.now)
        self.gatekeeper = Gatekeeper(limits, app.client_id, clock.now)
        self.memory = Memory(clock.now)
        self.exchanges = Exchanges(keep_exchanges)
        self.latency_ms = 0.0
        self.by_endpoint: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self._in_flight = 0
        self._waiting: list[datetime] = []
        self._counting = threading.Lock()
        self._closing = threading.Event()
        self._sleepers = ThreadPoolExecutor(_MOST_WAITING, "xero-latency")

    def close(self) -> None:
        """Stop the threads."""
        self._closing.set()
        self.webhooks.stop()
        self._sleepers.shutdown()

    def now(self) -> datetime:
        """Return the sandbox's moment."""
        return self.clock.now()

    @property
    def only_books(self) -> Books:
        """The first organisation's books, which most calls mean."""
        return next(iter(self.books.values()))

    # -- being busy ----------------------------------------------------------------

    def is_busy(self) -> bool:
        """Whether a simulated clock must stand still for us."""
        now = self.now()
        with self._counting:
            # A wait that is over counts as work, before its thread has woken.
            working = self._in_flight > sum(now < until for until in self._waiting)
        return working or self.webhooks.is_busy()

    def enter(self) -> None:
        """Note that a request is being worked on."""
        with self._counting:
            self._in_flight += 1

    def leave(self) -> None:
        """Note that a request is answered."""
        with self._counting:
            self._in_flight -= 1

    @property
    def is_asleep(self) -> bool:
        """Whether a call waits for the clock, whatever it says by now."""
        return bool(self._waiting)

    async def sleep(self, seconds: float) -> None:
        """Wait on the sandbox's clock without holding up other calls."""
        if seconds > 0:
            loop = asyncio.get_running_loop()
            until = self.now() + timedelta(seconds=seconds)
            await loop.run_in_executor(self._sleepers, self._sleep, until)

    def _sleep(self, until: datetime) -> None:
        with self._counting:
            self._waiting.append(until)
        try:
            self.clock.wait(self._closing, (until - self.now()).total_seconds())
        finally:
            with self._counting:
                self._waiting.remove(until)

    # -- one accounting call -------------------------------------------------------

    async def accounting(self, call: Call, fault: Fault | None) -> Reply:
        """Answer a call to the accounting API."""
        found = endpoint_of(call.method, call.path)
        label = found[0].template if found else "(unknown)"
        self.by_endpoint[f"{call.method} {label}"] += 1
        books = self._books_of(call, found[0] if found else None)
        if isinstance(books, Reply):
            return books
        use = self.gatekeeper.arrive(books.tenant_id)
        refusal = self._refusal(use, fault)
        try:
            if refusal:
                answer = reply.rate_limited(refusal)
            elif found is None:
                answer = reply.not_found()
            else:
                call.books, call.keys = books, found[1]
                answer = await self._admitted(call, found[0], fault)
        finally:
            self.gatekeeper.leave(use, admitted=refusal is None)
        left = self.gatekeeper.headers(use)
        headers = left | answer.headers
        return Reply(answer.status, answer.body, answer.content_type, headers)

    def _refusal(self, use: TenantUse, fault: Fault | None) -> Refusal | None:
        if fault and fault.kind in _FAULTY_LIMITS:
            problem = _FAULTY_LIMITS[fault.kind]
            return self.gatekeeper.refuse(use, problem, fault.retry_after_s)
        return self.gatekeeper.admit(use)

    def _books_of(self, call: Call, endpoint: Endpoint | None) -> Books | Reply:
        token = self.identity.bearer(call)
        if isinstance(token, Reply):
            return token
        if endpoint and not self._allows(token.grant.scopes, call.method, endpoint):
            return reply.scope_missing()
        tenant_id = call.header("xero-tenant-id")
        if tenant_id is None and self.app.is_custom_connection:
            tenant_id = self.only_books.tenant_id
        books = self.books.get((tenant_id or "").lower())
        if books is None or not self.identity.is_connected(books.tenant_id):
            return reply.forbidden()
        if books.organisation.offline:
            return reply.offline()
        return books

    def _allows(self, scopes: frozenset[str], method: str, endpoint: Endpoint) -> bool:
        wanted = {endpoint.scope}
        if method == "GET":
            wanted.add(f"{endpoint.scope}.read")
        is_split = endpoint.scope in ("accounting.invoices", "accounting.payments")
        if is_split and self.now() < BROAD_SCOPES_END:
            wanted.add("accounting.transactions")
            if method == "GET":
                wanted.add("accounting.transactions.read")
        return bool(wanted & scopes)

    async def _admitted(
        self, call: Call, endpoint: Endpoint, fault: Fault | None
    ) -> Reply:
        key = call.header("idempotency-key")
        if key is None or call.method not in METHODS:
            return await self._answer(call, endpoint, fault)
        if len(key) > LONGEST_KEY:
            detail = f"Idempotency Key is longer than {LONGEST_KEY} characters."
            return reply.problem(400, "Bad Request", detail)
        try:
            known, is_first = self.memory.recall(
                key, call.method, call.address, call.body
            )
        except KeyReused:
            detail = f"Idempotency Key: {key} is used with a different request."
            return reply.problem(400, "Bad Request", detail)
        if is_first:
            try:
                self.memory.keep(known, await self._answer(call, endpoint, fault))
            except BaseException:
                # A bug of ours: whoever waits for this key must not wait for ever.
                self.memory.keep(known, reply.server_error())
                raise
        await known.answered.wait()
        if known.reply is None:
            raise RuntimeError("an idempotency key was answered without a reply")
        return known.reply

    async def _answer(
        self, call: Call, endpoint: Endpoint, fault: Fault | None
    ) -> Reply:
        if fault and fault.kind == "500_before":
            return reply.server_error()
        if fault and fault.kind == "slow_before":
            await self.sleep(fault.delay_s)
        answer = self._run(call, endpoint)
        self.webhooks.flush()
        if fault and fault.kind == "500_after":
            answer = reply.server_error()
        if fault and fault.kind == "slow":
            await self.sleep(fault.delay_s)
        return answer

    def _run(self, call: Call, endpoint: Endpoint) -> Reply:
        if call.books is None:
            raise RuntimeError("a call reached an endpoint without books")
        if "application/json" not in (call.header("accept") or ""):
            message = (
                "The sandbox speaks JSON only: send Accept: application/json. "
                "Without it, Xero answers in XML."
            )
            return reply.text(message, 406)
        try:
            return endpoint.handler(call.books, call, self.limits)
        except NotFound:
            return reply.not_found()
        except PostDataInvalid as error:
            return reply.exception(14, "PostDataInvalidException", str(error), [])
        except QueryInvalid as error:
            return reply.exception(16, "QueryParseException", str(error), [])
        except NotOffered as error:
            return reply.text(f"The sandbox does not offer {error}", 501)
