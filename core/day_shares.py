"""How much of Xero's day each purpose leaves, from what is still to come of the others.

Bulk leaves what payments and whoever waits will need until the day ends, and what the
sweeps will. Early in a day that is nearly all of the reserve, late nearly nothing: what
was kept and not needed is used before it lapses. When Xero's day ends is not promised
(facts/xero.md, section 1): it is a hope for how much to keep, and never a permission.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core import off_peak
from core.clock import Clock
from core.db import reference, seasons
from core.quota import Purpose, QuotaCounter, QuotaPolicy
from core.settings import Settings

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)

#: Never fewer: what is to come is not known to the call.
AT_LEAST = 5

#: What the books and Xero's headers say of a day is read again after this.
KEEP = timedelta(seconds=30)

#: Whom a call of bulk or housekeeping must never keep waiting.
AWAITED = (Purpose.PAYMENTS, Purpose.INTERACTIVE)


@dataclass(frozen=True, slots=True)
class ToCome:
    """What the rest of a day will bring.

    Args:
        share: how much of the day is left, 0 to 1.
        awaited: calls for payments and for whoever waits.
        housekeeping: calls of the sweeps.
    """

    share: float
    awaited: float
    housekeeping: float


def kept(policy: QuotaPolicy, to_come: ToCome) -> Mapping[Purpose, int]:
    """Calls of the day that each purpose leaves now to those before it."""
    day = policy.limits.day
    if day is None:
        return {}
    shares = {
        purpose: day * reserve.day_share * to_come.share
        for purpose, reserve in policy.reserves.items()
    }
    needed = with_margin(to_come.awaited)
    awaited = max(shares[Purpose.BULK], needed)
    return {
        Purpose.PAYMENTS: math.ceil(shares[Purpose.PAYMENTS]),
        Purpose.INTERACTIVE: math.ceil(shares[Purpose.INTERACTIVE]),
        Purpose.BULK: math.ceil(awaited + to_come.housekeeping),
        Purpose.HOUSEKEEPING: math.ceil(max(shares[Purpose.HOUSEKEEPING], needed)),
    }


def with_margin(expected: float) -> float:
    """So many come at most, but for one time in forty: arrivals are like Poisson's."""
    return expected + 2 * math.sqrt(expected) + AT_LEAST


def housekeeping_a_day(settings: Settings) -> float:
    """Calls of the sweeps, of a tenant with which nothing happens."""
    sweep = settings.sweep
    every = (sweep.invoices_every_s, sweep.contacts_every_s)
    reads = sum(DAY.total_seconds() / seconds for seconds in every)
    return reads + KINDS_OF_REFERENCE * DAY.total_seconds() / sweep.reference_every_s


#: Accounts, tax rates and the organisation.
KINDS_OF_REFERENCE = 3


class TenantPolicies:
    """Each tenant's quota policy of the moment."""

    def __init__(self, settings: Settings, counter: QuotaCounter, clock: Clock) -> None:
        self.settings = settings
        self.counter = counter
        self.clock = clock
        self._policy = settings.quota.policy()
        self._held: dict[str, tuple[datetime, QuotaPolicy]] = {}

    def of(self, tenant: str) -> QuotaPolicy:
        if self._policy.limits.day is None:
            return self._policy
        now = self.clock.now()
        held = self._held.get(tenant)
        if held is None or not held[0] <= now < held[0] + KEEP:
            shares = kept(self._policy, self._to_come(tenant, now))
            held = self._held[tenant] = (now, replace(self._policy, kept=shares))
        return held[1]

    def opens_at(self, tenant: str, purpose: Purpose) -> datetime | None:
        """Until when a purpose has to wait for its hours; None: it may call now."""
        window = self.settings.quota.bulk_hours
        if window is None or purpose is not Purpose.BULK:
            return None
        zone = self.settings.tenants[tenant].zone_info
        return off_peak.opens_at(window, zone, self.clock.now())

    def _to_come(self, tenant: str, now: datetime) -> ToCome:
        ends_at = self.counter.remaining(tenant, self._policy).day_ends_at
        left = DAY if ends_at is None or ends_at <= now else min(ends_at - now, DAY)
        share = left / DAY
        return ToCome(
            share,
            max(self._expected(tenant) * share, self._of_yesterday(tenant, now, left)),
            housekeeping_a_day(self.settings) * share,
        )

    def _expected(self, tenant: str) -> float:
        """As the settings or the season that goes out say, whichever is more."""
        season = seasons.running(tenant)
        planned = 0 if season is None else season.awaited_per_day
        return max(self.settings.quota.awaited_per_day, planned)

    def _of_yesterday(self, tenant: str, now: datetime, left: timedelta) -> float:
        """Calls that somebody waited for, in the same hours a day ago."""
        return reference.calls_between(tenant, AWAITED, now - DAY, now - DAY + left)
