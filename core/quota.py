"""Xero's limits and who may use how much of them.

Facts: per tenant 60 calls a minute, five at once, 1,000 or 5,000 a day by tier;
per app 10,000 a minute (facts/xero.md, section 1).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

#: A call occupies its place in the minute until its completion plus this window.
WINDOW_S = 60

#: Longer than the longest call (connect 5 s, read 60 s): a caller silent for so long
#: is dead, and its place counts as completed when it is reaped.
CALL_LEASE_S = 130


class Purpose(StrEnum):
    """Why a call is made, in the order in which they are served."""

    PAYMENTS = "payments"
    INTERACTIVE = "interactive"
    BULK = "bulk"
    HOUSEKEEPING = "housekeeping"


@dataclass(frozen=True, slots=True)
class Limits:
    """What Xero grants; None where a limit has been lifted."""

    minute: int | None = 60
    day: int | None = 5_000
    concurrent: int = 5
    app_minute: int | None = 10_000


@dataclass(frozen=True, slots=True)
class Reserve:
    """What a purpose leaves to those before it; of a day, at its beginning."""

    minute: int
    concurrent: int
    day_share: float


#: From facts/engine.md section 5.2: payments see the full limits, each later purpose
#: leaves more. Of the minute housekeeping can always wait; of the day bulk leaves it
#: what it will need, or a season would keep the sweep from seeing payments.
DEFAULT_RESERVES: Mapping[Purpose, Reserve] = {
    Purpose.PAYMENTS: Reserve(minute=0, concurrent=0, day_share=0.0),
    Purpose.INTERACTIVE: Reserve(minute=5, concurrent=1, day_share=0.05),
    Purpose.BULK: Reserve(minute=15, concurrent=2, day_share=0.20),
    Purpose.HOUSEKEEPING: Reserve(minute=20, concurrent=3, day_share=0.05),
}


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """Who may take a place now.

    Args:
        kept: calls of the day that a purpose leaves now to those before it, where more
            is known than a share of the day.
    """

    limits: Limits = field(default_factory=Limits)
    reserves: Mapping[Purpose, Reserve] = field(
        default_factory=lambda: dict(DEFAULT_RESERVES)
    )
    kept: Mapping[Purpose, int] = field(default_factory=dict)

    def kept_of_day(self, purpose: Purpose) -> int | None:
        """None where the day's limit has been lifted."""
        day = self.limits.day
        if day is None:
            return None
        return self.kept.get(purpose, int(day * self.reserves[purpose].day_share))


@dataclass(frozen=True, slots=True)
class Remaining:
    """What Xero's headers say is left; None where a header is missing."""

    minute: int | None = None
    day: int | None = None
    app_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What may still be called, as far as is known; None: it isn't, or has no limit.

    Args:
        day_ends_at: about when Xero's day ends, as its headers have shown. Xero
            promises nothing of the kind: it may only be hoped for.
    """

    minute: int | None = None
    day: int | None = None
    app_minute: int | None = None
    day_ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A place in the ledger, to be given back by ``complete`` or ``withdraw``."""

    tenant: str
    token: str


@dataclass(frozen=True, slots=True)
class Wait:
    """No place now.

    Args:
        reason: minute, day, concurrent, app_minute, block, unproven or redis.
    """

    wait_s: float
    reason: str


class QuotaCounter(Protocol):
    """One atomic decision for all processes and hosts. Implemented on Redis by bus."""

    def admit(
        self, tenant: str, purpose: Purpose, policy: QuotaPolicy
    ) -> Admitted | Wait:
        """Take a place under every limit at once, or say how long to wait and why."""
        ...

    def complete(self, admitted: Admitted, remaining: Remaining) -> None:
        """The call has ended; its place stays taken for the window."""
        ...

    def withdraw(self, admitted: Admitted) -> None:
        """No call was made; the place is free again at once."""
        ...

    def block(self, tenant: str, until: datetime, reason: str) -> None:
        """Admit nothing for this tenant before a moment, as a 429 asked for.

        The reason is minute, day, concurrent or appminute, as Xero says; the last one
        is every tenant's.
        """
        ...

    def bury(self, tenant: str, alive: Collection[str]) -> bool:
        """Calls of processes that are not among these have ended with them.

        Their sockets are closed; that Xero may still be at one of them costs a 429 at
        worst, while their places would else be held for a whole call lease. False
        while the counter is away: to be said again.
        """
        ...

    def remaining(self, tenant: str, policy: QuotaPolicy) -> Left:
        """What is left now."""
        ...
