"""How many calls are let through: per tenant and app, minute, day and at once.

Windows are fixed, and each tenant's and app's begins at a second of its own
(facts section 1). Refused calls use up nothing.
"""

import math
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Problem = Literal["minute", "day", "concurrent", "appminute"]

MINUTE_S = 60
DAY_S = 86_400

#: What the remaining-headers show where a limit is lifted.
LIFTED_REMAINING = 1_000_000


@dataclass(slots=True)
class Limits:
    """Xero's limits on the Core tier; None lifts one."""

    minute: int | None = 60
    day: int | None = 5_000
    concurrent: int | None = 5
    app_minute: int | None = 10_000
    emails_per_day: int | None = 1_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not let through. retry_after_s only for minute and day."""

    problem: Problem
    retry_after_s: int | None = None


@dataclass(slots=True)
class Window:
    """One fixed window: how many calls it has let through."""

    length_s: int
    offset_s: int
    number: int = -1
    used: int = 0

    def roll(self, now: datetime) -> None:
        """Begin a new window when the old one is over."""
        number = int(now.timestamp() - self.offset_s) // self.length_s
        if number != self.number:
            self.number, self.used = number, 0

    def ends_in_s(self, now: datetime) -> int:
        """Return whole seconds to the next window, rounded up."""
        end = (self.number + 1) * self.length_s + self.offset_s
        return max(1, math.ceil(end - now.timestamp()))

    def remaining(self, limit: int | None) -> int:
        """Return what a header shows as left."""
        return LIFTED_REMAINING if limit is None else max(0, limit - self.used)


@dataclass(slots=True)
class Recorder:
    """What the caller really did, whether or not it was let through."""

    starts: deque[datetime] = field(default_factory=deque)
    at_once: int = 0
    peak_per_minute: int = 0
    peak_concurrent: int = 0

    def start(self, now: datetime) -> None:
        """Note that a call arrived."""
        self.starts.append(now)
        while (now - self.starts[0]).total_seconds() >= MINUTE_S:
            self.starts.popleft()
        self.at_once += 1
        self.peak_per_minute = max(self.peak_per_minute, len(self.starts))
        self.peak_concurrent = max(self.peak_concurrent, self.at_once)


@dataclass(slots=True)
class TenantUse:
    """The windows of one tenant."""

    minute: Window
    day: Window
    at_once: int = 0
    recorder: Recorder = field(default_factory=Recorder)


class Gatekeeper:
    """Lets calls through, and counts those it does not."""

    def __init__(
        self, limits: Limits, client_id: str, now: Callable[[], datetime]
    ) -> None:
        self.limits = limits
        self.limited: dict[Problem, int] = {
            "minute": 0,
            "day": 0,
            "concurrent": 0,
            "appminute": 0,
        }
        self._now = now
        self._app = Window(MINUTE_S, _offset(client_id, MINUTE_S))
        self._tenants: dict[str, TenantUse] = {}

    def forget(self) -> None:
        """As if no call had been made."""
        self._tenants.clear()
        self._app = Window(MINUTE_S, self._app.offset_s)
        self.limited = dict.fromkeys(self.limited, 0)

    def arrive(self, tenant_id: str) -> TenantUse:
        """Note a call of a tenant, before it is let through or not."""
        use = self._use(tenant_id)
        use.recorder.start(self._now())
        return use

    def leave(self, use: TenantUse, *, admitted: bool) -> None:
        """Note that a call is over."""
        use.recorder.at_once -= 1
        if admitted:
            use.at_once -= 1

    def admit(self, use: TenantUse) -> Refusal | None:
        """Take a place in every window, or say which one is full."""
        refusal = self._refusal(use)
        if refusal:
            self.limited[refusal.problem] += 1
            return refusal
        use.minute.used += 1
        use.day.used += 1
        self._app.used += 1
        use.at_once += 1
        return None

    def refuse(self, use: TenantUse, problem: Problem, after_s: int | None) -> Refusal:
        """Count and return a refusal that was asked for by a fault."""
        now = self._now()
        self.limited[problem] += 1
        if problem == "minute":
            after_s = after_s or use.minute.ends_in_s(now)
        if problem == "day":
            after_s = after_s or use.day.ends_in_s(now)
        return Refusal(problem, after_s)

    def headers(self, use: TenantUse) -> dict[str, str]:
        """Return what is left, as every answer says it."""
        self._roll(use)
        day, minute = self.limits.day, self.limits.minute
        return {
            "X-DayLimit-Remaining": str(use.day.remaining(day)),
            "X-MinLimit-Remaining": str(use.minute.remaining(minute)),
            "X-AppMinLimit-Remaining": str(self._app.remaining(self.limits.app_minute)),
        }

    def peaks(self) -> tuple[int, int]:
        """Return the most calls in any rolling minute, and at once."""
        recorders = [use.recorder for use in self._tenants.values()]
        return (
            max((r.peak_per_minute for r in recorders), default=0),
            max((r.peak_concurrent for r in recorders), default=0),
        )

    def _refusal(self, use: TenantUse) -> Refusal | None:
        self._roll(use)
        limits, now = self.limits, self._now()
        if limits.day is not None and use.day.used >= limits.day:
            return Refusal("day", use.day.ends_in_s(now))
        if limits.minute is not None and use.minute.used >= limits.minute:
            return Refusal("minute", use.minute.ends_in_s(now))
        if limits.app_minute is not None and self._app.used >= limits.app_minute:
            return Refusal("appminute")
        if limits.concurrent is not None and use.at_once >= limits.concurrent:
            return Refusal("concurrent")
        return None

    def _roll(self, use: TenantUse) -> None:
        now = self._now()
        for window in (use.minute, use.day, self._app):
            window.roll(now)

    def _use(self, tenant_id: str) -> TenantUse:
        if tenant_id not in self._tenants:
            self._tenants[tenant_id] = TenantUse(
                Window(MINUTE_S, _offset(tenant_id, MINUTE_S)),
                Window(DAY_S, _offset(tenant_id, DAY_S)),
            )
        return self._tenants[tenant_id]


def _offset(name: str, length_s: int) -> int:
    return zlib.crc32(name.encode()) % length_s
