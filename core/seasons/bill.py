"""What a season costs, and when it is over: arithmetic on blocks of fifty messages."""

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from core import off_peak
from core.business_days import start_of
from core.day_shares import DAY, HOUR, ToCome, kept
from core.errors import SettledError
from core.quota import Purpose, QuotaPolicy

#: Messages that are sent out together, so that they share their calls.
BLOCK = 50

#: Nothing could be sent for so long: it never will be.
NEVER_AFTER = timedelta(days=8)

EMAILS = "write_emails"


class NeverEnds(SettledError):
    """The limits and reserves leave a season nothing."""


@dataclass(frozen=True, slots=True)
class Block:
    """Messages that go out together.

    Args:
        calls: by kind, as the quota's history names them; ``write_emails`` last.
        not_before: of its messages; None: at once.
    """

    messages: int
    calls: Mapping[str, int]
    not_before: date | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What a season may use, and what it starts with.

    Args:
        policy: limits and reserves.
        awaited_per_day: calls for payments, and for whoever waits, that a day brings.
        housekeeping_per_day: calls of the sweeps.
        day_left: calls left of Xero's day; None: a whole one.
        day_ends_at: about when it ends; None: in 24 hours, at the latest.
        emails_per_day: that a season may use in 24 hours; None: any.
        emails_sent: in the last 24 hours.
        hours: in which bulk may call; None: all.
    """

    now: datetime
    zone: ZoneInfo
    policy: QuotaPolicy
    awaited_per_day: float
    housekeeping_per_day: float
    day_left: int | None = None
    day_ends_at: datetime | None = None
    emails_per_day: int | None = None
    emails_sent: int = 0
    hours: str | None = None


@dataclass(frozen=True, slots=True)
class Hour:
    """What goes out in an hour."""

    begins_at: datetime
    calls: int
    emails: int
    messages: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What a season costs.

    Args:
        calls: by kind.
        hours: those in which anything goes out.
        days_at_best: if no day had a remainder, and no hour; None: no limit a day.
    """

    calls: Mapping[str, int]
    hours: Sequence[Hour]
    ends_at: datetime
    days_at_best: float | None

    @property
    def emails(self) -> int:
        return self.calls.get(EMAILS, 0)

    @property
    def days(self) -> list[tuple[date, int, int, int]]:
        """Each day in UTC with its calls, e-mails and messages."""
        found: dict[date, list[int]] = {}
        for hour in self.hours:
            day = found.setdefault(hour.begins_at.date(), [0, 0, 0])
            for place, count in enumerate((hour.calls, hour.emails, hour.messages)):
                day[place] += count
        return [(day, *counts) for day, counts in found.items()]  # type: ignore[misc]


def bill(blocks: Sequence[Block], pace: Pace) -> Bill:
    """The whole season, hour by hour.

    Raises:
        NeverEnds: nothing is left for it, day after day.
    """
    calls: Counter[str] = Counter()
    for block in blocks:
        calls.update(block.calls)
    hours = list(_hours(blocks, pace))
    ends_at = hours[-1].begins_at + HOUR if hours else pace.now
    return Bill(
        dict(sorted(calls.items())), hours, ends_at, _at_best(sum(calls.values()), pace)
    )


def _at_best(calls: int, pace: Pace) -> float | None:
    """Calls divided by what a day leaves a season."""
    day = pace.policy.limits.day
    if day is None:
        return None
    share = day * pace.policy.reserves[Purpose.BULK].day_share
    left = day - max(share, pace.awaited_per_day) - pace.housekeeping_per_day
    return calls / left if left > 0 else math.inf


def _hours(blocks: Sequence[Block], pace: Pace) -> Iterator[Hour]:
    units = deque(_units(blocks))
    day, mail = _Day(pace), _Mail(pace)
    at, worked_at = pace.now, pace.now
    while units:
        ends = at.replace(minute=0, second=0, microsecond=0) + HOUR
        room = day.room(at, ends)
        done = _fill(units, room, mail, at, ends, pace)
        if done.calls:
            day.use(done.calls)
            yield done
            worked_at = ends
        elif at - max(worked_at, _waits_until(units[0], pace)) > NEVER_AFTER:
            raise NeverEnds(
                "the day's limit, its reserves and the hours leave a season nothing"
            )
        at = ends


@dataclass(frozen=True, slots=True)
class _Unit:
    """One call, and how many messages have gone out with it."""

    is_email: bool
    messages: int
    not_before: date | None


def _units(blocks: Iterable[Block]) -> Iterator[_Unit]:
    for block in blocks:
        setup = sum(n for kind, n in block.calls.items() if kind != EMAILS)
        emails = block.calls.get(EMAILS, 0)
        for number in range(setup):
            is_last = number == setup - 1
            yield _Unit(False, block.messages if is_last else 0, block.not_before)
        for _ in range(emails):
            yield _Unit(True, 0, block.not_before)


def _waits_until(unit: _Unit, pace: Pace) -> datetime:
    day = unit.not_before
    return pace.now if day is None else max(pace.now, start_of(day, pace.zone))


def _fill(
    units: deque[_Unit],
    room: int,
    mail: "_Mail",
    at: datetime,
    ends: datetime,
    pace: Pace,
) -> Hour:
    calls = emails = messages = 0
    may_mail = mail.room(at)
    is_open = pace.hours is None or off_peak.opens_at(pace.hours, pace.zone, at) is None
    while is_open and units and calls < room and _waits_until(units[0], pace) < ends:
        if units[0].is_email:
            if emails >= may_mail:
                break
            emails += 1
        messages += units.popleft().messages
        calls += 1
    mail.use(at, emails)
    return Hour(at, calls, emails, messages)


class _Day:
    """What each hour of Xero's day leaves a season: more, the later it is."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._ends_at = pace.day_ends_at or pace.now + DAY
        while self._ends_at <= pace.now:
            self._ends_at += DAY
        self._used = 0
        day = pace.policy.limits.day
        passed = 1 - (self._ends_at - pace.now) / DAY
        if day is not None and pace.day_left is not None:
            others = self._others * passed
            self._used = max(0, math.ceil(day - pace.day_left - others))

    @property
    def _others(self) -> float:
        return self._pace.awaited_per_day + self._pace.housekeeping_per_day

    def room(self, at: datetime, until: datetime) -> int:
        if at >= self._ends_at:
            self._ends_at, self._used = self._ends_at + DAY, 0
        policy = self._pace.policy
        rooms = [math.inf]
        if policy.limits.minute is not None:
            most = max(1, policy.limits.minute - policy.reserves[Purpose.BULK].minute)
            rooms.append(most * (until - at).total_seconds() / 60)
        if policy.limits.day is not None:
            share = max(0.0, (self._ends_at - until) / DAY)
            others = self._others * (1 - share)
            to_come = ToCome(
                share,
                self._pace.awaited_per_day * share,
                self._pace.housekeeping_per_day * share,
            )
            keeps = kept(policy, to_come)[Purpose.BULK]
            rooms.append(policy.limits.day - others - keeps - self._used)
        room = min(rooms)
        return 10**9 if math.isinf(room) else max(0, math.floor(room))

    def use(self, calls: int) -> None:
        self._used += calls


class _Mail:
    """How many e-mails 24 hours leave a season."""

    def __init__(self, pace: Pace) -> None:
        self._most = pace.emails_per_day
        self._sent: deque[tuple[datetime, int]] = deque()
        if pace.emails_sent:
            self._sent.append((pace.now, pace.emails_sent))

    def room(self, at: datetime) -> int:
        if self._most is None:
            return 10**9
        while self._sent and self._sent[0][0] + DAY <= at:
            self._sent.popleft()
        return max(0, self._most - sum(count for _, count in self._sent))

    def use(self, at: datetime, count: int) -> None:
        if count:
            self._sent.append((at, count))
