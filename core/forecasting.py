"""How much of Xero's day is left, when it will be used up, and what would then wait."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.day_shares import DAY, HOUR, TenantPolicies
from core.db import emails, invariants, reference
from core.metrics import Metrics
from core.quota import Left, Purpose, QuotaCounter
from core.settings import Settings
from core.waking import LaneName

#: What is written to Xero, by the names of its lanes.
KINDS = (
    LaneName.CONTACTS,
    LaneName.CONTACT_UPDATES,
    LaneName.INVOICES,
    LaneName.EMAILS,
    LaneName.VOIDS,
)

#: What a pace is taken from.
LATELY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Forecast:
    """One organisation at one moment.

    Args:
        limit: calls a day; None: no limit.
        left: what Xero still grants.
        kept: of the day, what bulk leaves to others now.
        used: calls of the last 24 hours by purpose.
        pace: calls of the last hour.
        bulk_ends_at: when bulk will have used up what is not kept, at this pace; None:
            not before the day ends.
        ends_at: when nothing will be left, at this pace; None: as above.
        waiting: things to be written that are due, by kind.
        emails_sent: in the last 24 hours.
        emails_limit: in 24 hours; None: no limit.
    """

    tenant: str
    limit: int | None
    left: Left
    kept: int
    used: Mapping[str, int]
    pace: int
    bulk_ends_at: datetime | None
    ends_at: datetime | None
    waiting: Mapping[str, int]
    emails_sent: int
    emails_limit: int | None


class Forecasting:
    def __init__(
        self,
        settings: Settings,
        counter: QuotaCounter,
        policies: TenantPolicies,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.counter = counter
        self.policies = policies
        self.clock = clock
        self.metrics = metrics

    def measure(self) -> None:
        """Of the organisation that is worst off."""
        now = self.clock.now()
        found = [self.of(row.alias) for row in reference.tenants()]
        mail = [f.emails_limit - f.emails_sent for f in found if f.emails_limit]
        for limit, lefts in (
            ("minute", [f.left.minute for f in found]),
            ("day", [f.left.day for f in found]),
            ("emails", mail),
        ):
            known = [left for left in lefts if left is not None]
            self.metrics.quota_left.labels(limit).set(min(known, default=math.inf))
        for purpose, moments in (
            ("bulk", [f.bulk_ends_at for f in found]),
            ("all", [f.ends_at for f in found]),
        ):
            soonest = min((at for at in moments if at is not None), default=None)
            seconds = math.inf if soonest is None else (soonest - now).total_seconds()
            self.metrics.quota_used_up.labels(purpose).set(seconds)
        for kind in KINDS:
            due = sum(f.waiting.get(kind, 0) for f in found)
            self.metrics.writes_due.labels(kind).set(due)

    def of(self, tenant: str) -> Forecast:
        now, policy = self.clock.now(), self.policies.of(tenant)
        left = self.counter.remaining(tenant, policy)
        kept = policy.kept_of_day(Purpose.BULK) or 0
        pace = _pace(tenant, now)
        ends_at = left.day_ends_at
        until = ends_at if ends_at is not None and ends_at > now else now + DAY
        return Forecast(
            tenant,
            policy.limits.day,
            left,
            kept,
            {
                purpose.value: reference.calls_between(
                    tenant, [purpose], now - DAY, now
                )
                for purpose in Purpose
            },
            pace,
            _used_up(left.day, kept, pace, now, until),
            _used_up(left.day, 0, pace, now, until),
            invariants.due_writes(tenant, now),
            emails.in_a_day(tenant, now),
            self.settings.quota.emails_per_day or None,
        )


def _pace(tenant: str, now: datetime) -> int:
    """Calls in the last hour, as far as whole hours say it."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    everyone = tuple(Purpose)
    current = reference.calls_between(tenant, everyone, this_hour, now + HOUR)
    before = reference.calls_between(tenant, everyone, this_hour - HOUR, this_hour)
    return round(current + before * (1 - (now - this_hour) / HOUR))


def _used_up(
    left: int | None, kept: int, pace: int, now: datetime, until: datetime
) -> datetime | None:
    if left is None or pace == 0:
        return None
    at = now + LATELY * (max(0, left - kept) / pace)
    return at if at < until else None
