"""The pump wakes what is due and nobody works on, whatever became of the hints."""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from core.clock import Clock
from core.db import inbox, intents, lanes, processes, reference
from core.db.database import transaction
from core.invariants import Invariants
from core.lane_running import LaneRunner
from core.quota import QuotaCounter
from core.waking import LaneName, Waker

log = structlog.get_logger()

#: With nothing due the pump still looks this often: other processes add work too.
IDLE_S = 0.5


class Pump:
    def __init__(
        self,
        runner: LaneRunner,
        waker: Waker,
        quota: QuotaCounter,
        invariants: Invariants,
        clock: Clock,
        gone: Callable[[], Sequence[str]],
    ) -> None:
        self.runner = runner
        self.waker = waker
        self.quota = quota
        self.gone = gone
        self.invariants = invariants
        self.clock = clock
        self._prepared: set[str] = set()
        self._were_hushed: set[str] = set()
        #: Who has died on this host, until the books know it.
        self._gone: set[str] = set()
        self._has_buried_calls = False

    def tick(self) -> float:
        """Wake what is due.

        Returns:
            Seconds until the next look.
        """
        now = self.clock.now()
        self._gone.update(self.gone())
        with transaction():
            self._bury_dead(now)
            alive = processes.presumed_alive(self.runner.process, now)
            orphaned = intents.orphan(alive, now)
            lanes.free_orphaned(alive, self._hushed(now))
            messages = inbox.wake_due(now)
        self._gone.clear()
        self.waker.messages(messages)
        for tenant, lane in orphaned:
            self.waker.lane(tenant, lane)
        tenants = self._tenants(now)
        self._end_calls_of_the_dead(tenants, alive)
        moments = [
            moment
            for tenant in tenants
            for name in LaneName
            if (moment := self._lane(tenant, name, now)) is not None
        ]
        self.invariants.measure()
        soonest = min((m - now).total_seconds() for m in moments) if moments else IDLE_S
        return min(max(soonest, 0.02), IDLE_S)

    def _bury_dead(self, now: datetime) -> None:
        """Who died may have been told to look, and nobody would look for a while."""
        for name in self._gone:
            processes.leave(name)
        dead = [*self._gone, *processes.bury_silent(self.runner.process, now)]
        if dead:
            log.warning("process.silent", processes=dead)
            lanes.forget_wakes()
            inbox.forget_wakes()
            self._has_buried_calls = False

    def _hushed(self, now: datetime) -> set[str]:
        """Who may be frozen: what they were told to look at, others are told."""
        hushed = processes.hushed(self.runner.process, now)
        if hushed - self._were_hushed:
            log.warning("process.hushed", processes=sorted(hushed))
            lanes.forget_wakes()
            inbox.forget_wakes()
        self._were_hushed = hushed
        return hushed

    def _end_calls_of_the_dead(self, tenants: Sequence[str], alive: set[str]) -> None:
        """A call under way counts in the quota until it ends, or whoever made it."""
        if not self._has_buried_calls:
            buried = [self.quota.bury(tenant, alive) for tenant in tenants]
            self._has_buried_calls = all(buried)

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


def _prepare(tenant: str, now: datetime) -> None:
    lanes.ensure(tenant, [name.value for name in LaneName])
    for name in (LaneName.REFERENCE, LaneName.MIRROR, LaneName.SWEEP):
        if lanes.get(tenant, name).due_at is None:
            lanes.ask(tenant, name, now, now)
