"""The one place where a call to Xero leaves.

Purpose, then quota, then the call, then headers back into the ledger, then a typed
error. The SDK gives the connection pool and its TLS; its serialisers are not used:
they would rewrite stored bytes, write amounts as floats, and lose a whole page for one
enum value that they have never seen (facts/xero.md, section 11).
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlencode

import structlog
import urllib3
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration

from core.calls import XeroAnswer, XeroRequest
from core.clock import Clock
from core.db import reference
from core.db.database import BOOKS_AWAY, transaction
from core.errors import (
    NotConnected,
    XeroOutcomeUnknown,
    XeroRateLimited,
    XeroRefused,
    XeroUnauthorised,
    XeroUnreachable,
    XeroWait,
)
from core.metrics import Metrics
from core.quota import Admitted, Purpose, QuotaCounter, QuotaPolicy, Remaining
from core.settings import XeroSettings

log = structlog.get_logger()

#: A wait under this is waited here by those whom somebody is waiting for; a longer one
#: returns to the row.
PATIENCE_S = 1.0
PATIENT = frozenset({Purpose.PAYMENTS, Purpose.INTERACTIVE})

#: Xero gives no Retry-After for these two (facts/xero.md, section 1).
BACKOFF_S = {"concurrent": 1.0, "appminute": 10.0}


#: What can only happen before anything was sent.
NOT_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
)


class AccessTokens(Protocol):
    """Where the door gets its bearer token."""

    def access_token(self) -> str:
        """A token that is valid for a minute or more.

        Raises:
            NotConnected: nobody has consented, or the consent is gone.
        """
        ...

    def distrust(self, token: str) -> None:
        """Xero refused this token: do not hand it out again."""
        ...


class Policies(Protocol):
    """Who may call now, and how much is left to others."""

    def of(self, tenant: str) -> QuotaPolicy: ...

    def opens_at(self, tenant: str, purpose: Purpose) -> datetime | None:
        """Until when a purpose has to wait for its hours; None: it may call now."""
        ...


class XeroDoor:
    """Implements ``core.calls.Door``.

    Args:
        at_once: so many calls to Xero at most, whoever asks.
    """

    def __init__(
        self,
        settings: XeroSettings,
        policies: Policies,
        counter: QuotaCounter,
        tokens: AccessTokens,
        clock: Clock,
        metrics: Metrics,
        *,
        at_once: int,
    ) -> None:
        self.settings = settings
        self.policies = policies
        self.counter = counter
        self.tokens = tokens
        self.clock = clock
        self.metrics = metrics
        self.pool = sdk_pool(at_once)
        self._never = threading.Event()

    @contextmanager
    def admit(self, tenant: str, purpose: Purpose) -> Iterator["XeroSlot"]:
        xero_tenant_id = reference.xero_tenant_id(tenant)
        if xero_tenant_id is None:
            raise NotConnected(f"{tenant} is not connected to Xero")
        token = self.tokens.access_token()
        admitted = self._take_place(tenant, purpose)
        slot = XeroSlot(self, admitted, purpose, xero_tenant_id, token)
        try:
            yield slot
        finally:
            slot.give_back()

    def close(self) -> None:
        self.pool.clear()

    def _take_place(self, tenant: str, purpose: Purpose) -> Admitted:
        opens_at = self.policies.opens_at(tenant, purpose)
        if opens_at is not None:
            self.metrics.quota_waits.labels(purpose, "hours").inc()
            raise XeroWait(opens_at, f"quota: hours of {purpose}")
        policy, waited_s = self.policies.of(tenant), 0.0
        while True:
            answer = self.counter.admit(tenant, purpose, policy)
            if isinstance(answer, Admitted):
                return answer
            if purpose not in PATIENT or waited_s + answer.wait_s > PATIENCE_S:
                self.metrics.quota_waits.labels(purpose, answer.reason).inc()
                until = self.clock.now() + timedelta(seconds=answer.wait_s)
                raise XeroWait(until, f"quota: {answer.reason}")
            self.clock.wait(self._never, answer.wait_s)
            waited_s += answer.wait_s


class XeroSlot:
    """One place in the ledger, for one call."""

    def __init__(
        self,
        door: XeroDoor,
        admitted: Admitted,
        purpose: Purpose,
        xero_tenant_id: str,
        token: str,
    ) -> None:
        self._door = door
        self._admitted = admitted
        self._purpose = purpose
        self._xero_tenant_id = xero_tenant_id
        self._token = token
        self._used = False

    def send(
        self, request: XeroRequest, last_check: Callable[[], None] | None = None
    ) -> XeroAnswer:
        if last_check is not None:
            last_check()
        self._used = True
        sent_at = self._door.clock.now()
        try:
            response = self._round_trip(request)
        except XeroUnreachable:
            self._ended(request, "unreachable", {}, sent_at)
            raise
        except XeroOutcomeUnknown:
            self._ended(request, "no_answer", {}, sent_at)
            raise
        self._ended(request, str(response.status), response.headers, sent_at)
        return self._read(response)

    def give_back(self) -> None:
        """Nothing was sent: the place is free again."""
        if not self._used:
            self._door.counter.withdraw(self._admitted)

    def _round_trip(self, request: XeroRequest) -> urllib3.BaseHTTPResponse:
        settings = self._door.settings
        url = f"{settings.api_url}/{request.path}"
        if request.query:
            url += "?" + urlencode(request.query)
        timeout = urllib3.Timeout(
            connect=settings.connect_timeout_s, read=settings.read_timeout_s
        )
        try:
            response: urllib3.BaseHTTPResponse = self._door.pool.request(
                request.method,
                url,
                body=request.body,
                headers=self._headers(request),
                timeout=timeout,
            )
        except urllib3.exceptions.MaxRetryError as error:
            # With its retries off the pool still wraps what went wrong.
            if isinstance(error.reason, NOT_CONNECTED):
                raise XeroUnreachable(type(error.reason).__name__) from error
            raise XeroOutcomeUnknown(type(error.reason).__name__) from error
        except NOT_CONNECTED as error:
            raise XeroUnreachable(type(error).__name__) from error
        except urllib3.exceptions.HTTPError as error:
            raise XeroOutcomeUnknown(type(error).__name__) from error
        return response

    def _headers(self, request: XeroRequest) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "xero-tenant-id": self._xero_tenant_id,
            "Accept": "application/json",
            "User-Agent": "settled/0.1",
        }
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        if request.modified_since is not None:
            # UTC, whole seconds, no zone (facts/xero.md, section 4).
            since = request.modified_since.strftime("%Y-%m-%dT%H:%M:%S")
            headers["If-Modified-Since"] = since
        return headers

    def _ended(
        self,
        request: XeroRequest,
        status: str,
        headers: Mapping[str, str],
        sent_at: datetime,
    ) -> None:
        door, tenant = self._door, self._admitted.tenant
        now = door.clock.now()
        door.counter.complete(self._admitted, remaining_of(headers))
        try:
            with transaction():
                reference.count_call(tenant, self._purpose, request.kind, status, now)
        except BOOKS_AWAY as error:
            # Xero's own count corrects ours; its answer comes once.
            log.warning("xero.not_counted", tenant=tenant, reason=str(error))
        door.metrics.xero_calls.labels(self._purpose, request.kind, status).inc()
        took_s = (now - sent_at).total_seconds()
        door.metrics.xero_seconds.labels(request.kind).observe(took_s)
        log.info(
            "xero.called",
            tenant=tenant,
            purpose=self._purpose.value,
            kind=request.kind,
            status=status,
            took_ms=round(took_s * 1000),
            idempotency_key=request.idempotency_key,
        )

    def _read(self, response: urllib3.BaseHTTPResponse) -> XeroAnswer:
        status = response.status
        if status == 429:
            raise self._limited(response.headers)
        if status in (401, 403):
            raise self._unauthorised(status, response.data)
        if status == 408:
            raise XeroOutcomeUnknown("HTTP 408")
        if 400 <= status < 500:
            raise XeroRefused(status, reason_of(response.data))
        if not 200 <= status < 300:
            raise XeroOutcomeUnknown(f"HTTP {status}", cached=True)
        return XeroAnswer(
            status=status,
            json=parse(response.data),
            answered_at=_date_of(response.headers, self._door.clock.now()),
        )

    def _limited(self, headers: Mapping[str, str]) -> XeroRateLimited:
        problem = headers.get("X-Rate-Limit-Problem", "unknown").lower()
        given = headers.get("Retry-After", "")
        wait_s = float(given) if given.isdigit() else BACKOFF_S.get(problem, 5.0)
        until = self._door.clock.now() + timedelta(seconds=wait_s)
        self._door.counter.block(self._admitted.tenant, until, problem)
        return XeroRateLimited(until, f"429: {problem}")

    def _unauthorised(self, status: int, body: bytes) -> XeroUnauthorised:
        detail = _detail_of(body)
        if status == 401 and not detail.startswith("AuthorizationUnsuccessful"):
            # A missing scope is also a 401, and no new token would help that.
            self._door.tokens.distrust(self._token)
        return XeroUnauthorised(status, detail)


def sdk_pool(concurrent: int) -> Any:
    """The SDK's connection pool, with its hidden retries off.

    Left on, a PUT whose answer is late is sent up to four times, and a 429 puts the
    thread to sleep (facts/xero.md, section 11, trap 4).
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = max(concurrent, 5)
    pool = ApiClient(configuration).rest_client.pool_manager
    pool.connection_pool_kw["retries"] = urllib3.Retry(
        0, redirect=0, respect_retry_after_header=False, raise_on_status=False
    )
    return pool


def remaining_of(headers: Mapping[str, str]) -> Remaining:
    """What Xero says is left."""

    def left(name: str) -> int | None:
        value = headers.get(name, "")
        return int(value) if value.isdigit() else None

    return Remaining(
        minute=left("X-MinLimit-Remaining"),
        day=left("X-DayLimit-Remaining"),
        app_minute=left("X-AppMinLimit-Remaining"),
    )


def parse(body: bytes) -> Any:
    """JSON with Decimal numbers; half a body is no answer.

    Raises:
        XeroOutcomeUnknown: it is neither empty nor JSON.
    """
    if not body:
        return None
    try:
        return json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise XeroOutcomeUnknown("the answer is not JSON") from error


def reason_of(body: bytes) -> str:
    """Xero's words about a 4xx: the first validation error, else the message."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return body[:200].decode(errors="replace")
    if not isinstance(parsed, dict):
        return ""
    for element in parsed.get("Elements") or []:
        for error in element.get("ValidationErrors") or []:
            return str(error.get("Message", ""))
    return str(parsed.get("Message") or parsed.get("Detail") or "")


def _detail_of(body: bytes) -> str:
    try:
        return str(json.loads(body).get("Detail", ""))
    except (ValueError, AttributeError):
        return ""


def _date_of(headers: Mapping[str, str], otherwise: datetime) -> datetime:
    try:
        return parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError):
        return otherwise
