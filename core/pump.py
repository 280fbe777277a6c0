"""The pump wakes what is due and nobody works on, whatever became of the hints."""

from datetime import datetime, timedelta

from core.clock import Clock
from core.db import inbox, lanes, outbox, problems, processes, reference, writes
from core.db.database import transaction
from core.lane_running import LaneRunner
from core.metrics import Metrics
from core.waking import LaneName, Waker

#: With nothing due the pump still looks this often: other processes add work too.
IDLE_S = 0.5

GAUGES_EVERY = timedelta(seconds=2)


class Pump:
    def __init__(
        self, runner: LaneRunner, waker: Waker, clock: Clock, metrics: Metrics
    ) -> None:
        self.runner = runner
        self.waker = waker
        self.clock = clock
        self.metrics = metrics
        self._gauges_at: datetime | None = None
        self._prepared: set[str] = set()

    def tick(self) -> float:
        """Wake what is due.

        Returns:
            Seconds until the next look.
        """
        now = self.clock.now()
        with transaction():
            alive = processes.living(now)
            orphaned = writes.orphan(alive, now)
            lanes.free_orphaned(alive)
            messages = inbox.wake_due(now)
        self.waker.messages(messages)
        for tenant, kind in orphaned:
            self.waker.lane(tenant, LaneName(kind))
        moments = [
            moment
            for tenant in self._tenants(now)
            for name in LaneName
            if (moment := self._lane(tenant, name, now)) is not None
        ]
        self._measure(now)
        soonest = min((m - now).total_seconds() for m in moments) if moments else IDLE_S
        return min(max(soonest, 0.02), IDLE_S)

    def _tenants(self, now: datetime) -> list[str]:
        """Connected tenants; a new one gets its lanes, and its first reads are due."""
        connected = [row.alias for row in reference.tenants()]
        for tenant in set(connected) - self._prepared:
            with transaction():
                _prepare(tenant, now)
            self._prepared.add(tenant)
        return connected

    def _lane(self, tenant: str, name: LaneName, now: datetime) -> datetime | None:
        """Wake a lane that is due; otherwise when it will be."""
        due_at = self.runner.next_due(tenant, name)
        if due_at is None or due_at > now:
            return due_at
        self.waker.lane(tenant, name)
        return None

    def _measure(self, now: datetime) -> None:
        if self._gauges_at is not None and now < self._gauges_at + GAUGES_EVERY:
            return
        self._gauges_at = now
        self.metrics.intents_unknown.set(len(writes.unknown_intents()))
        self.metrics.problems_open.set(len(problems.open_problems()))
        self.metrics.inbox_oldest.set(_age(inbox.oldest_unfinished(), now))
        self.metrics.outbox_oldest.set(_age(outbox.oldest_unsent(), now))


def _prepare(tenant: str, now: datetime) -> None:
    lanes.ensure(tenant, [name.value for name in LaneName])
    for name in (LaneName.REFERENCE, LaneName.MIRROR, LaneName.SWEEP):
        if lanes.get(tenant, name).due_at is None:
            lanes.ask(tenant, name, now, now)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max((now - moment).total_seconds(), 0.0)
