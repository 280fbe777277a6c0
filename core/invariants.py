"""What must hold, measured all the time: the gauges of whatever process pumps."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from core.db import inbox, invariants, outbox, problems, reference
from core.lane_running import LaneRunner
from core.metrics import Metrics
from core.waking import LaneName

EVERY = timedelta(seconds=2)

#: What has to look at every settled invoice, or every member of whom something waits:
#: 20,000 of them take some 50 ms.
THOROUGHLY_EVERY = timedelta(minutes=1)


class Measured(Protocol):
    """What else is measured, once a minute."""

    def measure(self) -> None: ...


class Invariants:
    def __init__(
        self,
        groups: Sequence[str],
        runner: LaneRunner,
        forecasting: Measured,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.groups = groups
        self.runner = runner
        self.forecasting = forecasting
        self.clock = clock
        self.metrics = metrics
        self._measured_at: datetime | None = None
        self._thoroughly_at: datetime | None = None
        self._waits_since: datetime | None = None

    def measure(self) -> None:
        """At most every few seconds, however often it is asked for."""
        now = self.clock.now()
        if self._thoroughly_at is None or now >= self._thoroughly_at + THOROUGHLY_EVERY:
            self._thoroughly_at = now
            self._waits_since = invariants.oldest_waiting()
            self._invoices(now)
            self.forecasting.measure()
        if self._measured_at is None or now >= self._measured_at + EVERY:
            self._measured_at = now
            self._work(now)
            self._writes(now)
            self._lanes(now)

    def _work(self, now: datetime) -> None:
        metrics = self.metrics
        accepted = inbox.oldest_unfinished()
        unraised = invariants.oldest_unraised(now)
        unanswered = (accepted, unraised, self._waits_since)
        metrics.problems_open.set(len(problems.open_problems()))
        metrics.inbox_oldest.set(_age(now, [accepted]))
        metrics.unanswered_oldest.set(_age(now, unanswered))
        metrics.outbox_oldest.set(_age(now, [outbox.oldest_unsent()]))
        for group in self.groups:
            waits = invariants.oldest_unacknowledged(group)
            metrics.unacknowledged_oldest.labels(group).set(_age(now, [waits]))

    def _writes(self, now: datetime) -> None:
        unknown = invariants.unknown_since()
        self.metrics.intents_unknown.set(len(unknown))
        self.metrics.intents_unknown_oldest.set(_age(now, unknown))
        self.metrics.writes_stranded.set(invariants.stranded_writes())

    def _lanes(self, now: datetime) -> None:
        parked = Counter(invariants.parked_lanes(now))
        tenants = [row.alias for row in reference.tenants()]
        for lane in LaneName:
            due = [self.runner.works[lane].next_due(tenant) for tenant in tenants]
            self.metrics.lanes_parked.labels(lane).set(parked[lane])
            self.metrics.lane_behind.labels(lane).set(_age(now, due))

    def _invoices(self, now: datetime) -> None:
        """Rows that do not agree with what Xero was last seen to say."""
        without_id = [
            moment
            for tenant in reference.tenants()
            for moment in invariants.raised_without_id(tenant.alias)
        ]
        for how, found in (
            ("raised_without_id", without_id),
            ("settled_without_action", invariants.settled_without_action()),
        ):
            self.metrics.invoices_astray.labels(how).set(len(found))
            self.metrics.invoices_astray_oldest.labels(how).set(_age(now, found))


def _age(now: datetime, moments: Iterable[datetime | None]) -> float:
    """Seconds since the earliest of them; 0 where there is none."""
    oldest = min((moment for moment in moments if moment is not None), default=now)
    return max((now - oldest).total_seconds(), 0.0)
