"""Webhooks: one subscription per app, signed, retried, disabled, replayed.

none      nobody subscribed; events are not kept
intent    the address has not passed intent-to-receive; events are kept
ok        delivered as they come
retry     the last delivery failed; tried again at once, then ever more rarely
disabled  24 hours of failures, or switched off; events are kept for 31 days
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import httpx

from sandbox.clock import Clock
from sandbox.loopback import http_client
from sandbox.xero.books import Event
from sandbox.xero.faults import Faults

Status = Literal["none", "intent", "ok", "retry", "disabled"]

MOST_PER_POST = 100
DELIVERY_TIMEOUT_S = 5.0
KEPT_FOR = timedelta(days=31)

#: Seconds from one failed try to the next: at once, then about every 15 minutes
#: with falling frequency. After the last one, 24 hours are over.
RETRIES_S = (0, 900, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)

#: Which intent-to-receive probes carry a good signature.
_PROBES = (True, False, True, False)

_SEGMENTS = {"INVOICE": "Invoices", "CONTACT": "Contacts", "CREDITNOTE": "CreditNotes"}


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits for its delivery."""

    sequence: int
    event: Event
    raised_at: datetime


def sign(key: str, body: bytes) -> str:
    """Return the x-xero-signature of a raw body."""
    digest = hmac.new(key.encode(), body, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class Webhooks:
    """The app's subscription, and the thread that delivers."""

    def __init__(
        self, clock: Clock, faults: Faults, timeout_s: float = DELIVERY_TIMEOUT_S
    ) -> None:
        self.status: Status = "none"
        self.url = ""
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.delivered = 0
        self.failed = 0
        self._clock = clock
        self._faults = faults
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._pending: deque[Pending] = deque()
        self._batch: list[Pending] = []
        self._body = b""
        self._events = 0
        self._tries = 0
        self._delivering = False
        self._waiting_until: datetime | None = None
        self._stopping = False
        self._client = http_client(timeout_s)
        self._thread = threading.Thread(
            target=self._run, name="xero-webhooks", daemon=True
        )

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Stop delivering; what is pending is lost."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._client.close()

    # -- what others do ------------------------------------------------------------

    def raise_event(self, event: Event) -> None:
        """Queue an event. Nothing is kept while nobody subscribes."""
        with self._lock:
            if self.status == "none":
                return
            if self._faults.webhooks.drop > 0:
                self._faults.webhooks.drop -= 1
                return
            self._events += 1
            self._pending.append(Pending(self._events, event, self._clock.now()))

    def flush(self) -> None:
        """Let the thread look: the call that raised events is over."""
        if self._pending:
            self._wake.set()

    def subscribe(self, url: str, key: str | None) -> Status:
        """Set the address and run intent-to-receive; blocks for the probes."""
        with self._lock:
            self.url, self.key = url, key or self.key
            self.status = "intent"
        return self.enable()

    def enable(self) -> Status:
        """Run intent-to-receive; when it passes, replay what was kept."""
        if not self.url:
            return self.status
        passed = self._passes_intent()
        with self._lock:
            self._tries = 0
            if passed:
                self.status = "ok"
                self._forget_old()
            elif self.status != "disabled":
                self.status = "intent"
        self._wake.set()
        return self.status

    def disable(self) -> Status:
        """Switch the subscription off; events are kept."""
        with self._lock:
            if self.status != "none":
                self.status = "disabled"
        self._wake.set()
        return self.status

    def is_busy(self) -> bool:
        """Whether a delivery is under way or about to begin."""
        with self._lock:
            due = self.status in ("ok", "retry") and bool(self._pending or self._batch)
            return self._delivering or (due and not self._is_waiting())

    def _is_waiting(self) -> bool:
        """Whether it is too early to deliver; the thread may not have woken yet."""
        until = self._waiting_until
        return until is not None and self._clock.now() < until

    def shape(self) -> dict[str, Any]:
        """Return the state as the control API shows it."""
        with self._lock:
            return {
                "status": self.status,
                "url": self.url,
                "key": self.key,
                "delivered": self.delivered,
                "failed": self.failed,
                "pending": len(self._pending) + len(self._batch),
                "events": self._events,
            }

    # -- the thread ----------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            due = self._deliver_next()
            if due is None:
                self._wake.wait()
            else:
                self._wait_until(due)
            self._wake.clear()

    def _wait_until(self, due: datetime) -> None:
        self._waiting_until = due
        try:
            # New events wake the thread too, but do not bring a retry forward.
            while not self._stopping and self.status in ("ok", "retry"):
                left_s = (due - self._clock.now()).total_seconds()
                if left_s <= 0:
                    return
                if self._clock.wait(self._wake, left_s):
                    self._wake.clear()
        finally:
            self._waiting_until = None

    def _deliver_next(self) -> datetime | None:
        """Deliver one batch. Return when to look again, None for not before a wake."""
        with self._lock:
            if self.status not in ("ok", "retry"):
                return None
            if not self._batch:
                self._take_batch()
            if not self._batch:
                return None
            body = self._body
            self._delivering = True
        try:
            self._delay(self._batch[0].raised_at, self._faults.webhooks.delay_s)
            good = not self._stopping and self._post_batch(body)
        finally:
            self._delivering = False
        with self._lock:
            return self._delivered() if good else self._missed()

    def _delay(self, raised_at: datetime, seconds: float) -> None:
        if seconds > 0:
            self._delivering = False
            self._wait_until(raised_at + timedelta(seconds=seconds))
            self._delivering = True

    def _take_batch(self) -> None:
        """Write the next body; a retry sends the same bytes."""
        self._forget_old()
        count = min(MOST_PER_POST, len(self._pending))
        batch = [self._pending.popleft() for _ in range(count)]
        if self._faults.webhooks.reorder:
            batch.reverse()
        self._batch = batch
        if batch:
            sequences = [pending.sequence for pending in batch]
            events = [_shape(pending.event) for pending in batch]
            self._body = _body(events, min(sequences), max(sequences))

    def _delivered(self) -> datetime:
        self.delivered += len(self._batch)
        self._batch = []
        self._tries = 0
        if self.status == "retry":
            self.status = "ok"
        return self._clock.now()

    def _missed(self) -> datetime | None:
        self.failed += 1
        if self.status == "disabled":
            return None
        if self._tries >= len(RETRIES_S):
            self.status = "disabled"
            return None
        self.status = "retry"
        self._tries += 1
        return self._clock.now() + timedelta(seconds=RETRIES_S[self._tries - 1])

    def _forget_old(self) -> None:
        horizon = self._clock.now() - KEPT_FOR
        while self._pending and self._pending[0].raised_at < horizon:
            self._pending.popleft()

    # -- the wire ------------------------------------------------------------------

    def _post_batch(self, body: bytes) -> bool:
        signature = sign(self.key, body)
        good = self._post(body, signature)
        for _ in range(self._faults.webhooks.repeat):
            good = self._post(body, signature)
        while self._faults.webhooks.duplicate > 0:
            self._faults.webhooks.duplicate -= 1
            good = self._post(body, signature)
        return good

    def _post(self, body: bytes, signature: str) -> bool:
        answer = self._send(body, signature)
        return answer is not None and answer.is_success

    def _send(self, body: bytes, signature: str) -> httpx.Response | None:
        headers = {
            "Content-Type": "application/json",
            "x-xero-signature": signature,
            "User-Agent": "Xero webhooks",
        }
        try:
            answer = self._client.post(self.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        self._client.cookies.clear()
        return answer

    def _passes_intent(self) -> bool:
        body = _body([], 0, 0)
        for is_good in _PROBES:
            signature = sign(self.key if is_good else secrets.token_hex(16), body)
            answer = self._send(body, signature)
            if answer is None or answer.status_code != (200 if is_good else 401):
                return False
            if answer.content or "set-cookie" in answer.headers:
                return False
        return True


def _body(events: list[dict[str, Any]], first: int, last: int) -> bytes:
    body = {
        "events": events,
        "firstEventSequence": first,
        "lastEventSequence": last,
        "entropy": secrets.token_hex(10).upper(),
    }
    return json.dumps(body).encode()


def _shape(event: Event) -> dict[str, Any]:
    segment = _SEGMENTS[event.category]
    shape: dict[str, Any] = {
        "resourceUrl": (
            f"https://api.xero.com/api.xro/2.0/{segment}/{event.resource_id}"
        ),
        "resourceId": event.resource_id,
        "tenantId": event.tenant_id,
        "tenantType": "ORGANISATION",
        "eventCategory": event.category,
        "eventType": event.type,
        # Xero writes no Z behind it.
        "eventDateUtc": event.at.replace(tzinfo=None).isoformat(
            timespec="milliseconds"
        ),
    }
    if event.data:
        shape["data"] = event.data
    return shape
