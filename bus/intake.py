"""From the stream into the inbox.

settled:in              stream  messages of the platform; field `event`: a CloudEvent
settled:in  «settled»   group   entries read and not yet acknowledged are ours

An entry is acknowledged and deleted only after its inbox row is committed: a crash in
between repeats a message and never loses one.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog

from bus.connection import BLOCK_MS
from core.accepting import Door
from core.clock import Clock
from core.message_reading import Entry
from core.waking import Waker

log = structlog.get_logger()

GROUP = "settled"
FIELD = b"event"

#: Entries taken at once: one transaction each.
TOGETHER = 100

#: An entry that another consumer has held for so long is taken over. That one may only
#: be slow: then the entry is taken twice, and the second time found to be here already.
ABANDONED_AFTER_MS = 5_000

LOOK_FOR_ABANDONED = timedelta(seconds=2)

PAUSE_AFTER_FAULT_S = 1.0


class Intake:
    """Reads the stream in one thread; several processes share the group."""

    def __init__(
        self,
        client: redis.Redis,
        stream: str,
        consumer: str,
        door: Door,
        waker: Waker,
        clock: Clock,
    ) -> None:
        self.client = client
        self.stream = stream
        self.consumer = consumer
        self.door = door
        self.waker = waker
        self.clock = clock
        self._claimed_at: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop. After any fault our own pending entries come first."""
        while not stopping.is_set():
            try:
                self.begin()
                while not stopping.is_set():
                    self.take(BLOCK_MS)
            except redis.RedisError as error:
                log.warning("intake.fault", kind=type(error).__name__)
                self.clock.wait(stopping, PAUSE_AFTER_FAULT_S)
            except Exception:
                log.exception("intake.failed")
                self.clock.wait(stopping, PAUSE_AFTER_FAULT_S)
        self._leave()

    def begin(self) -> None:
        """At the start and after any fault: what we had read comes first."""
        self._ensure_group()
        self._drain(self._own_pending)

    def take(self, block_ms: int | None) -> None:
        """One read, and all that follows from it.

        Args:
            block_ms: how long to wait for an entry; None: not at all.
        """
        self._claim_abandoned()
        self._take(self._read(">", block_ms))

    def _claim_abandoned(self) -> None:
        """Now and then, what a consumer that ended has left behind."""
        now = self.clock.now()
        if self._claimed_at is None or now - self._claimed_at > LOOK_FOR_ABANDONED:
            self._drain(self._abandoned)
            self._claimed_at = now

    def _leave(self) -> None:
        """A consumer that owes nothing is forgotten, or the group would only grow."""
        with contextlib.suppress(redis.RedisError):
            if not self._own_pending():
                self.client.xgroup_delconsumer(self.stream, GROUP, self.consumer)
            self.client.close()

    def _ensure_group(self) -> None:
        try:
            self.client.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _drain(self, read: Callable[[], Sequence[Any]]) -> None:
        while entries := read():
            self._take(entries)

    def _own_pending(self) -> Sequence[Any]:
        return self._read("0", block_ms=None)

    def _read(self, from_id: str, block_ms: int | None) -> Sequence[Any]:
        answer: Any = self.client.xreadgroup(
            GROUP,
            self.consumer,
            {self.stream: from_id},
            count=TOGETHER,
            block=block_ms,
        )
        if isinstance(answer, dict):
            answer = list(answer.items())
        return [entry for _, entries in answer or [] for entry in _flat(entries)]

    def _abandoned(self) -> Sequence[Any]:
        answer: Any = self.client.xautoclaim(
            self.stream,
            GROUP,
            self.consumer,
            min_idle_time=ABANDONED_AFTER_MS,
            start_id="0-0",
            count=TOGETHER,
        )
        entries: Sequence[Any] = answer[1]
        return entries

    def _take(self, raw: Sequence[Any]) -> None:
        if not raw:
            return
        entries = [
            Entry(entry_id.decode(), (fields or {}).get(FIELD))
            for entry_id, fields in raw
        ]
        accepted = self.door.accept(entries)
        ids = [entry.entry_id for entry in entries]
        with self.client.pipeline(transaction=True) as pipeline:
            pipeline.xack(self.stream, GROUP, *ids)
            pipeline.xdel(self.stream, *ids)
            pipeline.execute()
        self.waker.messages(accepted)
        self.waker.relay()


def _flat(entries: Any) -> Sequence[Any]:
    """RESP3 wraps the entries of a stream in one more list than RESP2."""
    if entries and isinstance(entries[0], list) and isinstance(entries[0][0], tuple):
        return [entry for batch in entries for entry in batch]
    return list(entries)
