"""The quota rule in plain Python: lists, no Redis, as slow and as plain as can be."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from core.quota import (
    CALL_LEASE_S,
    WINDOW_S,
    Left,
    Purpose,
    QuotaPolicy,
    Remaining,
    Wait,
)

WINDOW = WINDOW_S * 1000
LEASE = CALL_LEASE_S * 1000
HOUR = 3_600_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_DAY = 0.1
SHRINKS = HOUR // 4
DAY = 24 * HOUR
POLL = 50


@dataclass
class Call:
    token: str
    admitted_at: int
    completed_at: int | None = None

    def end(self, now: int) -> int | None:
        """When it ended as seen now: by completion, or by running out of its lease."""
        if self.completed_at is None and self.admitted_at + LEASE <= now:
            return self.admitted_at + LEASE
        return self.completed_at


@dataclass
class Places:
    """Who holds a place: of one tenant, or of all."""

    calls: list[Call] = field(default_factory=list)
    phantoms: list[int] = field(default_factory=list)

    def under_way(self, now: int) -> int:
        return sum(call.end(now) is None for call in self.calls)

    def ends(self, now: int) -> list[int]:
        ended = [call.end(now) for call in self.calls]
        ends = [*self.phantoms, *(end for end in ended if end is not None)]
        return sorted(end for end in ends if end > now - WINDOW)

    def held(self, now: int) -> int:
        return self.under_way(now) + len(self.ends(now))

    def wait(self, now: int, cap: int) -> int:
        too_many = self.held(now) - cap + 1
        if too_many <= 0:
            return 0
        ends = self.ends(now)
        return ends[too_many - 1] + WINDOW - now if too_many <= len(ends) else WINDOW

    def correct(self, now: int, limit: int | None, left: int | None) -> None:
        if limit is not None and left is not None:
            self.phantoms += [now] * (limit - self.held(now) - left)


@dataclass
class Tenant(Places):
    opened: bool = False
    quiet_until: int = 0
    proven: bool = False
    block_until: int = 0
    minute: int | None = None
    day: int | None = None
    counted: list[tuple[int, int]] = field(default_factory=list)  # hour, calls
    day_left: int | None = None
    read_at: int = 0
    read_by: int = 0
    asked_at: int = 0
    ends_at: int = 0

    def last_day(self, now: int) -> int:
        return sum(n for hour, n in self.counted if (hour + 1) * HOUR + DAY > now)

    def left(self, now: int, limit: int) -> int:
        return max(limit - self.last_day(now), self.day_left or 0)

    def read_day(self, now: int, said: int, call: Call) -> None:
        if call.admitted_at < self.read_by:
            return
        left = said - self.under_way(now)
        before, limit = self.day_left, self.day
        if before is not None and limit and left > before + NEW_DAY * limit:
            self.ends_at = now + DAY
        self.day_left = left
        self.read_at, self.read_by = now, call.admitted_at
        if self.day is not None and said < (own := self.day - self.last_day(now)):
            self.counted.append((now // HOUR, own - self.day_left))

    def take_from_day(self, now: int, limit: int | None, kept: int | None) -> None:
        if limit is not None and self.day_wait(now, limit, kept or 0)[1]:
            self.asked_at = now
        self.counted.append((now // HOUR, 1))
        if self.day_left is not None:
            self.day_left -= 1

    def day_wait(self, now: int, limit: int, kept: int) -> tuple[int, bool]:
        """How long, and whether a call now is made only to ask."""
        left = self.left(now, limit)
        if left > kept:
            return 0, False
        moments = sorted({(hour + 1) * HOUR + DAY for hour, _ in self.counted})
        enough = (
            moment
            for moment in moments
            if moment > now and limit - self.last_day(moment) > kept
        )
        wait = next(enough, now + DAY) - now
        if self.day_left is None:
            return wait, False
        looked_at = max(self.read_at, self.asked_at)
        if looked_at < self.ends_at:
            wait = min(wait, self.ends_at - now)
        if left > 0:
            wait = min(wait, looked_at + HOUR - now, SHRINKS)
        return max(0, wait), wait <= 0


class QuotaModel:
    def __init__(self) -> None:
        self.now = 0
        self.tenants: dict[str, Tenant] = {}
        self.app = Places()
        self.app_minute: int | None = None
        self.app_block_until = 0

    def tenant(self, name: str) -> Tenant:
        return self.tenants.setdefault(name, Tenant())

    def lose_everything(self) -> None:
        self.__init__()  # type: ignore[misc]

    def open(self, name: str, quiet_ms: int) -> None:
        tenant = self.tenant(name)
        tenant.opened, tenant.proven = True, False
        tenant.quiet_until = self.now + quiet_ms

    def admit(
        self, name: str, token: str, purpose: Purpose, policy: QuotaPolicy
    ) -> Wait | None:
        """None is an admission."""
        tenant, now = self.tenant(name), self.now
        longest, reason = max(
            self.waits(tenant, purpose, policy), key=lambda each: each[0]
        )
        if longest > 0:
            return Wait(longest / 1000, reason)
        call = Call(token, now)
        tenant.calls.append(call)
        self.app.calls.append(call)
        tenant.take_from_day(now, policy.limits.day, policy.kept_of_day(purpose))
        tenant.minute, tenant.day = policy.limits.minute, policy.limits.day
        self.app_minute = policy.limits.app_minute
        return None

    def waits(
        self, tenant: Tenant, purpose: Purpose, policy: QuotaPolicy
    ) -> Iterator[tuple[int, str]]:
        limits, reserve, now = policy.limits, policy.reserves[purpose], self.now
        yield max(tenant.block_until, self.app_block_until) - now, "block"
        yield tenant.quiet_until - now, "unproven"
        if tenant.under_way(now) and not tenant.proven:
            yield POLL, "unproven"
        if tenant.under_way(now) >= max(1, limits.concurrent - reserve.concurrent):
            yield POLL, "concurrent"
        if limits.minute is not None:
            cap = max(1, limits.minute - reserve.minute)
            yield tenant.wait(now, cap), "minute"
        if limits.app_minute is not None:
            cap = max(1, limits.app_minute - reserve.minute)
            yield self.app.wait(now, cap), "app_minute"
        if limits.day is not None:
            kept = policy.kept_of_day(purpose) or 0
            yield tenant.day_wait(now, limits.day, kept)[0], "day"

    def complete(self, name: str, token: str, remaining: Remaining) -> None:
        tenant, now = self.tenant(name), self.now
        call = next((call for call in tenant.calls if call.token == token), None)
        was_under_way = call is not None and call.end(now) is None
        if call is None:  # forgotten with everything else
            call = Call(token, now)
            tenant.calls.append(call)
            self.app.calls.append(call)
        call.completed_at = now
        if remaining.minute is not None or remaining.day is not None:
            tenant.proven = True
        tenant.correct(now, tenant.minute, remaining.minute)
        self.app.correct(now, self.app_minute, remaining.app_minute)
        if remaining.day is not None and was_under_way:
            tenant.read_day(now, remaining.day, call)

    def withdraw(self, name: str, token: str) -> None:
        tenant = self.tenant(name)
        for call in [call for call in tenant.calls if call.token == token]:
            if call.end(self.now) is None:
                tenant.counted.append((call.admitted_at // HOUR, -1))
                if tenant.day_left is not None:
                    tenant.day_left += 1
            tenant.calls.remove(call)
            self.app.calls.remove(call)

    def block(self, name: str, until: int, reason: str) -> None:
        if reason == "appminute":
            self.app_block_until = max(self.app_block_until, until)
            return
        tenant = self.tenant(name)
        tenant.block_until = max(tenant.block_until, until)
        if reason == "day":
            tenant.ends_at = until

    def remaining(self, name: str, policy: QuotaPolicy) -> Left:
        """The end of the day as milliseconds since the beginning, None for none."""
        tenant, limits, now = self.tenant(name), policy.limits, self.now
        if not tenant.opened:
            return Left()
        minute = limits.minute and max(0, limits.minute - tenant.held(now))
        app_minute = limits.app_minute and max(
            0, limits.app_minute - self.app.held(now)
        )
        day = limits.day and max(0, tenant.left(now, limits.day))
        return Left(minute, day, app_minute, self.moment(tenant.ends_at))

    def moment(self, at: int) -> datetime | None:
        return EPOCH + timedelta(milliseconds=at) if at else None
