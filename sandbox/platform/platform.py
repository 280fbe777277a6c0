"""The member platform: publishes facts, and acts on what comes back.

settled:in    stream  what the platform publishes; one field, `event`
settled:out   stream  what the daemon answers; read by a group that the daemon makes
An entry is acknowledged after it was acted on, so a crash repeats an action's
message and never loses one; actions are done once by their id.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import redis

from sandbox.clock import AdjustableClock, Clock, SimulatedClock
from sandbox.platform.season import BadMessage

STREAM_IN = "settled:in"
STREAM_OUT = "settled:out"

#: What was neither accepted nor rejected after this long is sent again.
RESEND_AFTER = timedelta(seconds=60)

#: Well below the socket timeout; it is also how long stopping may take.
_BLOCK_MS = 250
_SOCKET_TIMEOUT_S = 10
_PAUSE_S = 0.2
_LOOK_S = 0.2
_READ_COUNT = 100
_SEND_COUNT = 500

_RECEIPTS = frozenset({"message.accepted", "message.rejected"})

#: What each order of the daemon makes of its subject.
_STANDINGS = {
    "membership.activate": "activated",
    "membership.renew": "renewed",
    "membership.suspend": "suspended",
    "application.advance": "advanced",
    "application.hold": "held",
    "event.confirm_attendance": "confirmed",
    "event.release_seat": "released",
    "exam.unlock": "unlocked",
    "exam.lock": "locked",
    "product.release": "released",
    "product.recall": "recalled",
}


@dataclass(slots=True)
class Received:
    """One message of the daemon, by its id."""

    message: dict[str, Any]
    arrived_at: datetime
    times: int = 1

    @property
    def message_id(self) -> str:
        """The CloudEvents id."""
        return str(self.message.get("id", ""))

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return str(self.message.get("type", ""))

    @property
    def subject(self) -> str:
        """What it is about."""
        return str(self.message.get("subject", ""))

    @property
    def in_reply_to(self) -> str | None:
        """The id of the message that this answers."""
        answered = self.message.get("inreplyto")
        return None if answered is None else str(answered)


@dataclass(slots=True)
class _Sent:
    """A message that was published, and when last."""

    raw: bytes
    sent_at: datetime
    times: int = 1
    is_answered: bool = False


class Platform:
    """A running platform; a context manager.

    Attributes:
        actions: orders of the daemon that were acted on, each id once, in order.
        standing: by subject, what the last order made of it.
        send_errors: how often Redis would not take what was published. The messages
            are kept, and sent again like any that were not answered.
    """

    def __init__(
        self,
        redis_url: str,
        group: str = "platform",
        consumer: str = "platform-1",
        clock: Clock | None = None,
    ) -> None:
        self.actions: list[dict[str, Any]] = []
        self.standing: dict[str, str] = {}
        self.send_errors = 0
        self._clock = clock or AdjustableClock()
        self._group, self._consumer = group, consumer
        # RESP2, so that answers have the shape of lists whatever the client's default.
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=_SOCKET_TIMEOUT_S, protocol=2
        )
        self._received: dict[str, Received] = {}
        self._sent: dict[str, _Sent] = {}
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._resend_wake = threading.Event()
        self._is_acting = False
        self._threads = [
            threading.Thread(target=run, name=f"platform-{name}", daemon=True)
            for name, run in (("reader", self._read), ("resender", self._resend))
        ]

    def start(self) -> Self:
        """Begin to read and to re-send."""
        if isinstance(self._clock, SimulatedClock):
            self._clock.add_busy_check(lambda: self._is_acting)
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Stop the threads and close the connections."""
        self._stopping.set()
        self._resend_wake.set()
        for thread in self._threads:
            thread.join()
        self._redis.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- publishing ----------------------------------------------------------------

    def publish(self, messages: Iterable[Mapping[str, Any] | BadMessage]) -> None:
        """Publish messages. Those with an id are kept until they are answered.

        Args:
            messages: CloudEvents, and bad messages of a season.
        """
        raws, now = [], self._clock.now()
        with self._news:
            for message in messages:
                message_id, raw = _written(message)
                raws.append(raw)
                if message_id is not None:
                    self._sent[message_id] = _Sent(raw, now)
        self._add(raws)
        self._resend_wake.set()

    def _add(self, raws: list[bytes]) -> None:
        for at in range(0, len(raws), _SEND_COUNT):
            pipeline = self._redis.pipeline(transaction=False)
            for raw in raws[at : at + _SEND_COUNT]:
                pipeline.xadd(STREAM_IN, {"event": raw})
            try:
                pipeline.execute()
            except redis.RedisError:
                self.send_errors += 1

    def _resend(self) -> None:
        while not self._stopping.is_set():
            self._resend_wake.clear()
            due = self._first_due()
            if due is None:
                self._resend_wake.wait()
                continue
            left_s = (due - self._clock.now()).total_seconds()
            if left_s <= 0:
                self._resend_due()
            else:
                self._clock.wait(self._resend_wake, left_s)

    def _first_due(self) -> datetime | None:
        with self._news:
            open_ = [s.sent_at for s in self._sent.values() if not s.is_answered]
        return min(open_) + RESEND_AFTER if open_ else None

    def _resend_due(self) -> None:
        now, raws = self._clock.now(), []
        with self._news:
            for sent in self._sent.values():
                if not sent.is_answered and sent.sent_at + RESEND_AFTER <= now:
                    sent.sent_at, sent.times = now, sent.times + 1
                    raws.append(sent.raw)
        self._add(raws)

    # -- reading -------------------------------------------------------------------

    def _read(self) -> None:
        start = "0"  # what this consumer was given before and never acknowledged
        while not self._stopping.is_set():
            try:
                entries = self._next_entries(start)
                self._act_on(entries)
            except redis.RedisError:
                # A lost connection, or NOGROUP: the daemon has not made it yet.
                start = "0"
                self._stopping.wait(_PAUSE_S)
                continue
            if start == "0" and not entries:
                start = ">"

    def _next_entries(self, start: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        answer: Any = self._redis.xreadgroup(
            self._group,
            self._consumer,
            {STREAM_OUT: start},
            count=_READ_COUNT,
            block=_BLOCK_MS,
        )
        return [entry for _, entries in answer or [] for entry in entries]

    def _act_on(self, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        if not entries:
            return
        self._is_acting = True
        try:
            for _, fields in entries:
                # An entry that was trimmed while it was ours comes without fields.
                if fields and b"event" in fields:
                    self._take(json.loads(fields[b"event"]))
            self._redis.xack(STREAM_OUT, self._group, *(entry for entry, _ in entries))
        finally:
            self._is_acting = False

    def _take(self, message: dict[str, Any]) -> None:
        received = Received(message, self._clock.now())
        with self._news:
            known = self._received.get(received.message_id)
            if known:
                known.times += 1
            else:
                self._received[received.message_id] = received
                self._act(received)
            if received.type in _RECEIPTS and received.in_reply_to in self._sent:
                self._sent[received.in_reply_to].is_answered = True
            self._news.notify_all()

    def _act(self, received: Received) -> None:
        if received.type in _STANDINGS:
            self.actions.append(received.message)
            self.standing[received.subject] = _STANDINGS[received.type]

    # -- looking -------------------------------------------------------------------

    @property
    def received(self) -> list[Received]:
        """Everything that came, each id once, in the order of arrival."""
        with self._news:
            return list(self._received.values())

    @property
    def repeats(self) -> int:
        """How many messages came more often than once."""
        with self._news:
            return sum(r.times - 1 for r in self._received.values())

    @property
    def unanswered(self) -> list[str]:
        """Ids of messages that were neither accepted nor rejected."""
        with self._news:
            return [i for i, sent in self._sent.items() if not sent.is_answered]

    @property
    def resent(self) -> int:
        """How many messages were sent again."""
        with self._news:
            return sum(sent.times - 1 for sent in self._sent.values())

    def answers(self, message_id: str) -> list[dict[str, Any]]:
        """Return what came in reply to a message, in the order of arrival."""
        with self._news:
            return [
                r.message
                for r in self._received.values()
                if r.in_reply_to == message_id
            ]

    def first_arrival(self, type_: str, subject: str) -> datetime | None:
        """Return when the first message of a type about a subject came."""
        with self._news:
            return next(
                (
                    r.arrived_at
                    for r in self._received.values()
                    if r.type == type_ and r.subject == subject
                ),
                None,
            )

    def wait_until(
        self, predicate: Callable[["Platform"], bool], timeout_s: float = 30.0
    ) -> bool:
        """Wait, in real time, until something is true of this platform.

        The predicate is asked again after each message, and a few times a second.

        Returns:
            Whether it became true in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not predicate(self):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            with self._news:
                self._news.wait(min(left_s, _LOOK_S))
        return True


def _written(message: Mapping[str, Any] | BadMessage) -> tuple[str | None, bytes]:
    """Return a message's id, where it has one, and the content of `event`."""
    if isinstance(message, BadMessage):
        return message.message_id, message.raw
    return str(message["id"]), json.dumps(message, ensure_ascii=False).encode()
