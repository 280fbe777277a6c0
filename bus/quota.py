"""The quota counter on Redis: one script decides for all processes and hosts.

settled:quota:tenant:<id>:{flight,done,hours,state}   of one tenant
settled:quota:app:{flight,done,state}                 of all tenants together

What they hold is described at the top of quota.lua. Losing them is safe: a counter that
finds itself empty waits until no call of before can still count, unless the books show
that there was none, and then lets one call through at a time until it has seen Xero's
own count.
"""

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import redis
import structlog

from core.clock import Clock, SystemClock, require_utc
from core.quota import (
    CALL_LEASE_S,
    WINDOW_S,
    Admitted,
    Left,
    Purpose,
    QuotaPolicy,
    Remaining,
    Wait,
)

log = structlog.get_logger()

#: Without Redis nothing is admitted; this is how soon it is worth asking again.
REDIS_AWAY_WAIT_S = 1.0

#: After a loss: until the longest call of before has ended and left the window.
QUIET_S = WINDOW_S + CALL_LEASE_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCRIPT = Path(__file__).with_name("quota.lua")


class CallHistory(Protocol):
    """What the books know about calls; they survive Redis."""

    def last_call_at(self, tenant: str) -> datetime | None:
        """When the last call for this tenant was made; None when there was none."""
        ...


class RedisQuotaCounter:
    """Implements ``core.quota.QuotaCounter``.

    When Redis is away nothing is admitted (a Wait for "redis"), and what could not be
    given back counts until its lease has run out.

    Args:
        client: may send a command again after a lost answer; the script expects it.
        clock: the rehearsal's; without it Redis' own clock decides, which is the same
            for all hosts.
        history: asked once per tenant when the counter is found empty.
        holder: the process that makes these calls; without one a call whose process
            has died holds its place until its lease ends.
    """

    def __init__(
        self,
        client: redis.Redis,
        clock: Clock | None,
        history: CallHistory,
        holder: str | None = None,
    ) -> None:
        self._script = client.register_script(_SCRIPT.read_text())
        self._history = history
        self._clock = clock
        self._holder = holder

    def admit(
        self, tenant: str, purpose: Purpose, policy: QuotaPolicy
    ) -> Admitted | Wait:
        token = secrets.token_hex(12)
        if self._holder is not None:
            token = f"{self._holder}/{token}"
        arguments = [token, *_shares(policy, purpose)]
        try:
            answer = self._run(tenant, "admit", arguments)
            if answer == ["unopened"]:
                self._run(tenant, "open", [_ms(self._quiet_time(tenant))])
                answer = self._run(tenant, "admit", arguments)
        except redis.RedisError as error:
            _warn("quota.redis_away", tenant, error)
            return Wait(REDIS_AWAY_WAIT_S, "redis")
        match answer:
            case ["admitted"]:
                return Admitted(tenant, token)
            case ["wait", wait_ms, reason]:
                return Wait(int(wait_ms) / 1000, reason)
            case _:  # emptied again between our two questions
                return Wait(REDIS_AWAY_WAIT_S, "redis")

    def complete(self, admitted: Admitted, remaining: Remaining) -> None:
        headers = [remaining.minute, remaining.day, remaining.app_minute]
        self._tell(admitted.tenant, "complete", [admitted.token, *map(_text, headers)])

    def withdraw(self, admitted: Admitted) -> None:
        self._tell(admitted.tenant, "withdraw", [admitted.token])

    def block(self, tenant: str, until: datetime, reason: str) -> None:
        self._tell(tenant, "block", [_ms(require_utc(until) - _EPOCH), reason])

    def bury(self, tenant: str, alive: Collection[str]) -> bool:
        return self._tell(tenant, "bury", sorted(alive))

    def remaining(self, tenant: str, policy: QuotaPolicy) -> Left:
        limits = policy.limits
        asked = [limits.minute, limits.day, limits.app_minute]
        try:
            answer = self._run(tenant, "remaining", [_text(limit) for limit in asked])
        except redis.RedisError as error:
            _warn("quota.redis_away", tenant, error)
            return Left()
        minute, day, app_minute, ends_ms = (_number(part) for part in answer[1:])
        ends_at = None if ends_ms is None else _EPOCH + timedelta(milliseconds=ends_ms)
        return Left(minute, day, app_minute, ends_at)

    def _quiet_time(self, tenant: str) -> timedelta:
        """How long calls from before the counter began can still count."""
        last = self._history.last_call_at(tenant)
        now = (self._clock or SystemClock()).now()
        quiet = timedelta(seconds=QUIET_S)
        # Counted from now and not from the last call: the one that the books know of
        # need not be the last that was made.
        return quiet if last and now - require_utc(last) <= quiet else timedelta()

    def _tell(self, tenant: str, operation: str, arguments: Sequence[str]) -> bool:
        # The call to Xero has been made or given up, and its outcome matters more than
        # its place: a place that can't be given back is freed when its lease ends.
        try:
            self._run(tenant, operation, arguments)
        except redis.RedisError as error:
            _warn(f"quota.{operation}_lost", tenant, error)
            return False
        return True

    def _run(self, tenant: str, operation: str, arguments: Sequence[str]) -> list[str]:
        now = _microseconds(self._clock.now()) if self._clock else ""
        own = [_ms(timedelta(seconds=WINDOW_S)), _ms(timedelta(seconds=CALL_LEASE_S))]
        answer = self._script(
            keys=_keys(tenant), args=[operation, now, *own, *arguments]
        )
        return [
            part.decode() if isinstance(part, bytes) else str(part) for part in answer
        ]


def _keys(tenant: str) -> list[str]:
    own = f"settled:quota:tenant:{tenant}"
    return [
        *(f"{own}:{part}" for part in ("flight", "done", "hours", "state")),
        *(f"settled:quota:app:{part}" for part in ("flight", "done", "state")),
    ]


def _shares(policy: QuotaPolicy, purpose: Purpose) -> list[str]:
    """The limits, each with what this purpose may take, as quota.lua wants them."""
    limits, reserve = policy.limits, policy.reserves[purpose]
    return [
        _text(limits.minute),
        _text(_cap(limits.minute, reserve.minute)),
        _text(limits.day),
        _text(policy.kept_of_day(purpose)),
        _text(_cap(limits.concurrent, reserve.concurrent)),
        _text(limits.app_minute),
        _text(_cap(limits.app_minute, reserve.minute)),
    ]


def _cap(limit: int | None, reserve: int) -> int | None:
    """At least one, however small the limit: a reserve delays, it never ends."""
    return None if limit is None else min(limit, max(1, limit - reserve))


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _number(text: str) -> int | None:
    return int(text) if text else None


def _ms(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))


def _microseconds(moment: datetime) -> str:
    return str((require_utc(moment) - _EPOCH) // timedelta(microseconds=1))


def _warn(event: str, tenant: str, error: redis.RedisError) -> None:
    log.warning(event, tenant_id=tenant, error=str(error))
