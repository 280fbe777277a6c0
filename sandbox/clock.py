"""The sandbox's time. Everything that depends on time asks one of these clocks.

AdjustableClock    real time plus an offset, at a rate; what a server process uses
SimulatedClock     virtual time, shared by the daemon and the sandbox in one process
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

#: Longest real block in one wait. Event.wait overflows on larger numbers.
FOREVER_S = 86_400.0


class Clock(Protocol):
    """Where the time comes from, and how long a wait is."""

    def now(self) -> datetime:
        """Return the moment, aware and in UTC."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Block until the event is set or timeout_s has passed on this clock.

        Returns:
            Whether the event is set.
        """


class _Waiters:
    """Who waits, until when, and how to make them look at the clock again.

    A waiter sleeps on the condition inside its own event, so that both setting the
    event and moving the clock wake it at once. threading.Event offers no public way
    to wait on two things, and polling costs 10 ms a jump.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[datetime, threading.Condition]] = {}
        self._next = 0

    def enter(self, due: datetime, condition: threading.Condition) -> int:
        with self._lock:
            self._next += 1
            self._waiting[self._next] = (due, condition)
            return self._next

    def leave(self, number: int) -> None:
        with self._lock:
            del self._waiting[number]

    def earliest(self) -> datetime | None:
        with self._lock:
            return min((due for due, _ in self._waiting.values()), default=None)

    def nudge(self) -> None:
        with self._lock:
            conditions = {condition for _, condition in self._waiting.values()}
        for condition in conditions:
            with condition:
                condition.notify_all()


def _condition_of(event: threading.Event) -> threading.Condition:
    condition: threading.Condition = event._cond  # type: ignore[attr-defined]
    return condition


class AdjustableClock:
    """Real time plus an offset, running at a rate."""

    def __init__(self, start: datetime | None = None, rate: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._base = start or datetime.fromtimestamp(time.time(), UTC)
        self._mark = time.monotonic()
        self._rate = rate
        self._waiters = _Waiters()

    @property
    def rate(self) -> float:
        """How many seconds pass here in one real second."""
        return self._rate

    def now(self) -> datetime:
        """Return the moment, aware and in UTC."""
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
        passed = (time.monotonic() - self._mark) * self._rate
        return self._base + timedelta(seconds=passed)

    def advance(self, seconds: float) -> None:
        """Jump forward, waking whoever becomes due."""
        self._rebase(lambda now: now + timedelta(seconds=seconds), self._rate)

    def set(self, moment: datetime) -> None:
        """Jump to a moment."""
        self._rebase(lambda _: moment.astimezone(UTC), self._rate)

    def set_rate(self, rate: float) -> None:
        """Let so many seconds pass here in one real second."""
        self._rebase(lambda now: now, rate)

    def _rebase(self, move: Callable[[datetime], datetime], rate: float) -> None:
        with self._lock:
            self._base = move(self._now())
            self._mark = time.monotonic()
            self._rate = rate
        self._waiters.nudge()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Block until the event is set or timeout_s has passed on this clock."""
        condition = _condition_of(event)
        due = self.now() + timedelta(seconds=timeout_s)
        number = self._waiters.enter(due, condition)
        try:
            with condition:
                while not event.is_set():
                    left_s = (due - self.now()).total_seconds()
                    if left_s <= 0:
                        break
                    condition.wait(self._real_s(left_s))
        finally:
            self._waiters.leave(number)
        return event.is_set()

    def _real_s(self, seconds: float) -> float:
        return min(seconds / self._rate, FOREVER_S) if self._rate > 0 else FOREVER_S


class SimulatedClock:
    """Virtual time. It stands still until advanced, by hand or by jumping.

    While jumping, a thread moves the time to the earliest moment that somebody waits
    for, but only after nobody has been busy for several looks in a row. The product
    of looks and look_s is the quiet time: work that is handed from one thread to
    another must be picked up within it, or the handing side must report busy.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("the start of a simulated clock must be aware")
        self._lock = threading.Lock()
        self._now = start.astimezone(UTC)
        self._waiters = _Waiters()
        self._busy_checks: list[Callable[[], bool]] = []
        self._stop = threading.Event()
        self._jumper: threading.Thread | None = None

    def now(self) -> datetime:
        """Return the virtual moment, aware and in UTC."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move the time forward and wake whoever becomes due."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
        self._waiters.nudge()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Block until the event is set or virtual time has moved by timeout_s."""
        condition = _condition_of(event)
        due = self.now() + timedelta(seconds=timeout_s)
        number = self._waiters.enter(due, condition)
        try:
            with condition:
                while not event.is_set() and self.now() < due:
                    condition.wait(FOREVER_S)
        finally:
            self._waiters.leave(number)
        return event.is_set()

    def add_busy_check(self, check: Callable[[], bool]) -> None:
        """Ask this before every jump; while it answers True, time stands still."""
        self._busy_checks.append(check)

    def start_jumping(self, looks: int = 5, look_s: float = 0.001) -> None:
        """Jump from due moment to due moment whenever nobody is busy.

        Args:
            looks: how many looks in a row must find nobody busy.
            look_s: real seconds between two looks.
        """
        if self._jumper is not None:
            raise RuntimeError("the clock is already jumping")
        self._stop.clear()
        self._jumper = threading.Thread(
            target=self._jump, args=(looks, look_s), name="clock-jumper", daemon=True
        )
        self._jumper.start()

    def stop_jumping(self) -> None:
        """Let time stand still again."""
        if self._jumper is None:
            return
        self._stop.set()
        self._jumper.join()
        self._jumper = None

    def _jump(self, looks: int, look_s: float) -> None:
        quiet = 0
        while not self._stop.wait(look_s):
            quiet = 0 if self._is_busy() else quiet + 1
            if quiet >= looks:
                quiet = 0
                self._jump_to_earliest()

    def _is_busy(self) -> bool:
        due = self._waiters.earliest()
        released = due is not None and due <= self.now()
        return released or any(check() for check in self._busy_checks)

    def _jump_to_earliest(self) -> None:
        due = self._waiters.earliest()
        if due is not None and due > self.now():
            self.advance((due - self.now()).total_seconds())
