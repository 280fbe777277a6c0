"""From the outbox to the stream.

settled:out              stream  messages to the platform; field `event`
settled:out  «declared»  group   one for each reader; never trimmed above its oldest
settled:relayed          string  how many entries were added, counted with each XADD

A row is marked only after XADD returned. The counter in Redis that is behind the one in
the database means that Redis has lost what we sent: it is published again, same ids.
"""

import contextlib
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import redis
import structlog

from bus.connection import RedisUnreachable
from core.clock import Clock
from core.db import lanes, outbox, positions, recovery, reference
from core.db.database import transaction
from core.db.models import Outbox
from core.metrics import Metrics

log = structlog.get_logger()

COUNTER = "settled:relayed"

#: The lane by which one process at a time relays.
LANE = "relay"

TOGETHER = 500

#: A relay that lost its turn (it was frozen, and another took over) notices in this.
LEASE_CHECK = timedelta(seconds=1)

#: How often we look whether Redis still knows what we sent.
LOOK_EVERY = timedelta(seconds=3)

#: Without a hint the outbox is looked at this often.
IDLE_S = 0.2
PAUSE_AFTER_FAULT_S = 1.0


class Relay:
    def __init__(
        self,
        client: redis.Redis,
        stream: str,
        groups: Sequence[str],
        holder: str,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.client = client
        self.stream = stream
        self.groups = groups
        self.holder = f"{holder}/relay"
        self.clock = clock
        self.metrics = metrics
        self.hint = threading.Event()
        self._counter = 0
        self._checked_at: datetime | None = None
        self._looked_at: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        """Until told to stop; what is in the outbox by then is sent first."""
        with transaction():
            lanes.ensure(lanes.EVERYBODY, [LANE])
        while not stopping.is_set():
            try:
                sent = self.turn()
                if sent is None:
                    self.clock.wait(stopping, PAUSE_AFTER_FAULT_S)
                elif not sent:
                    self.clock.wait(self.hint, IDLE_S)
                    self.hint.clear()
            except redis.RedisError as error:
                log.warning("relay.fault", kind=type(error).__name__)
                self.clock.wait(stopping, PAUSE_AFTER_FAULT_S)
            except Exception:
                log.exception("relay.failed")
                self.clock.wait(stopping, PAUSE_AFTER_FAULT_S)
        self._finish()

    def turn(self) -> int | None:
        """Send what there is; how many that was, None if another process relays.

        Where a turn has failed, perhaps between XADD and the mark, the next one begins
        with a look: so never more than one parcel is sent and not noted.
        """
        if not self._is_ours():
            self._looked_at = None
            return None
        try:
            self._look_for_loss()
            return self.send()
        except Exception:
            self._looked_at = None
            raise

    def send(self) -> int:
        """Send what is committed and unsent, in order; how many that was."""
        rows = outbox.unsent(TOGETHER)
        if not rows:
            return 0
        with self.client.pipeline(transaction=True) as pipeline:
            for row in rows:
                pipeline.xadd(self.stream, {"event": row.body})
            pipeline.incrby(COUNTER, len(rows))
            *ids, count = pipeline.execute()
        expected = self._counter + len(rows)
        with transaction():
            outbox.mark_sent(
                {row.id: entry.decode() for row, entry in zip(rows, ids, strict=True)}
            )
            positions.note_counter(int(count), self.clock.now())
        self._counter = int(count)
        self._count(rows)
        if count < expected:
            self._recover_from_loss(expected)
        return len(rows)

    def catch_up(self) -> None:
        """Books that are being recovered learn how much was sent without them.

        Raises:
            RedisUnreachable: no answer.
        """
        try:
            held = int(self.client.get(COUNTER) or 0)
        except redis.RedisError as error:
            raise RedisUnreachable(error) from error
        if held > positions.counter():
            self._note(held)

    def _is_ours(self) -> bool:
        """Whether we relay; looked up once a second, and taken over from the dead."""
        now = self.clock.now()
        if self._checked_at is not None and now - self._checked_at < LEASE_CHECK:
            return True
        self._checked_at = None
        if lanes.get(lanes.EVERYBODY, LANE).holder != self.holder:
            with transaction():
                if not lanes.take(lanes.EVERYBODY, LANE, self.holder, now):
                    return False
        self._checked_at = now
        return True

    def _look_for_loss(self) -> None:
        """On every (re)connection, before the first XADD; and now and then.

        Redis may forget without our connection breaking, and nobody may have anything
        to say for hours.
        """
        now = self.clock.now()
        if self._looked_at is None or now - self._looked_at > LOOK_EVERY:
            self._recover()
            self._looked_at = now

    def _recover(self) -> None:
        held = int(self.client.get(COUNTER) or 0)
        self._counter = positions.counter()
        if held < self._counter:
            self._recover_from_loss(self._counter)
        elif held > self._counter:
            # We ended between XADD and the mark: those rows go out once more.
            self._doubt_books(held - self._counter)
            self._note(held)
        self._ensure_groups()

    def _doubt_books(self, unknown: int) -> None:
        """More was sent than one end of ours explains: the books are older than that.

        What is sent is noted at once, so that at most one parcel is not, and its rows
        are still unsent here.
        """
        if unknown <= len(outbox.unsent(TOGETHER)):
            return
        now = self.clock.now()
        with transaction():
            for tenant in reference.tenants():
                reason = f"Redis knows {unknown} messages that it has never sent"
                recovery.require(tenant.alias, reason, now)
        log.error("relay.books_are_older", unknown=unknown)

    def _recover_from_loss(self, known: int) -> None:
        """Groups anew from what each has acknowledged; the rest is published again."""
        acknowledged = positions.acknowledged(self.groups)
        self._ensure_groups()
        with transaction():
            again = outbox.send_again_after(acknowledged)
        self.client.set(COUNTER, known)
        self._note(known)
        log.error("relay.redis_lost_data", published_again=again)

    def _note(self, counter: int) -> None:
        with transaction():
            positions.note_counter(counter, self.clock.now())
        self._counter = counter

    def _ensure_groups(self) -> None:
        for group in self.groups:
            try:
                self.client.xgroup_create(self.stream, group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def _count(self, rows: Sequence[Outbox]) -> None:
        for row in rows:
            self.metrics.messages_out.labels(row.type).inc()
        log.info("relay.sent", first=rows[0].message_id, messages=len(rows))

    def _finish(self) -> None:
        with contextlib.suppress(redis.RedisError):
            if self._is_ours():
                while self.send():
                    pass
            with transaction():
                lanes.leave(lanes.EVERYBODY, LANE, self.holder)
            self.client.close()
