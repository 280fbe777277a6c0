import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import AdjustableClock, SimulatedClock

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


class Waiting:
    """Somebody who waits on a clock in a thread of their own."""

    def __init__(self, wait: Callable[[threading.Event], bool]) -> None:
        self.event = threading.Event()
        self.result: bool | None = None
        self._thread = threading.Thread(target=self._run, args=(wait,))
        self._thread.start()

    def _run(self, wait: Callable[[threading.Event], bool]) -> None:
        self.result = wait(self.event)

    def join(self) -> bool | None:
        self._thread.join(5)
        assert not self._thread.is_alive()
        return self.result

    def is_waiting(self) -> bool:
        threading.Event().wait(0.02)
        return self._thread.is_alive()


def test_adjustable_clock_starts_at_the_real_time() -> None:
    assert abs(AdjustableClock().now().timestamp() - time.time()) < 1


def test_adjustable_clock_is_aware_and_in_utc() -> None:
    assert AdjustableClock().now().tzinfo is UTC


def test_advancing_moves_the_time_and_ends_waits() -> None:
    clock = AdjustableClock(START)
    waiting = Waiting(lambda event: clock.wait(event, 3_600))
    assert waiting.is_waiting()
    clock.advance(3_600)
    assert waiting.join() is False
    assert clock.now() - START >= timedelta(hours=1)


def test_setting_the_time_ends_waits() -> None:
    clock = AdjustableClock(START)
    waiting = Waiting(lambda event: clock.wait(event, 60))
    assert waiting.is_waiting()
    clock.set(START + timedelta(minutes=2))
    assert waiting.join() is False


def test_a_faster_rate_shortens_waits() -> None:
    clock = AdjustableClock(START, rate=1_000)
    began = time.monotonic()
    assert clock.wait(threading.Event(), 50) is False
    assert 0.02 < time.monotonic() - began < 2


def test_a_new_rate_applies_to_waits_under_way() -> None:
    clock = AdjustableClock(START)
    waiting = Waiting(lambda event: clock.wait(event, 600))
    assert waiting.is_waiting()
    clock.set_rate(1_000_000)
    assert waiting.join() is False


def test_a_set_event_ends_a_wait_of_either_clock() -> None:
    for clock in (AdjustableClock(START), SimulatedClock(START)):
        waiting = Waiting(lambda event, c=clock: c.wait(event, 3_600))  # type: ignore[misc]
        assert waiting.is_waiting()
        waiting.event.set()
        assert waiting.join() is True


def test_simulated_time_stands_still() -> None:
    clock = SimulatedClock(START)
    threading.Event().wait(0.01)
    assert clock.now() == START


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        SimulatedClock(datetime(2026, 11, 20))  # noqa: DTZ001


def test_a_simulated_wait_lasts_until_its_virtual_moment() -> None:
    clock = SimulatedClock(START)
    waiting = Waiting(lambda event: clock.wait(event, 60))
    clock.advance(59)
    assert waiting.is_waiting()
    clock.advance(1)
    assert waiting.join() is False


def test_no_time_at_all_is_no_wait() -> None:
    assert SimulatedClock(START).wait(threading.Event(), 0) is False


def test_jumping_goes_from_due_moment_to_due_moment() -> None:
    clock = SimulatedClock(START)
    ends: list[datetime] = []

    def wait(event: threading.Event, seconds: float) -> bool:
        answer = clock.wait(event, seconds)
        ends.append(clock.now())
        return answer

    waits = [
        Waiting(lambda event, s=s: wait(event, s))  # type: ignore[misc]
        for s in (7_200, 86_400, 30)
    ]
    clock.start_jumping()
    for waiting in waits:
        waiting.join()
    clock.stop_jumping()
    assert ends == [START + timedelta(seconds=s) for s in (30, 7_200, 86_400)]


def test_nobody_jumps_while_somebody_is_busy() -> None:
    clock = SimulatedClock(START)
    busy = threading.Event()
    busy.set()
    clock.add_busy_check(busy.is_set)
    waiting = Waiting(lambda event: clock.wait(event, 60))
    clock.start_jumping()
    assert waiting.is_waiting()
    assert clock.now() == START
    busy.clear()
    waiting.join()
    clock.stop_jumping()
    assert clock.now() == START + timedelta(seconds=60)


def test_time_stands_still_again_after_jumping() -> None:
    clock = SimulatedClock(START)
    clock.start_jumping()
    clock.stop_jumping()
    waiting = Waiting(lambda event: clock.wait(event, 60))
    assert waiting.is_waiting()
    clock.advance(60)
    waiting.join()


def test_a_clock_cannot_jump_twice_at_once() -> None:
    clock = SimulatedClock(START)
    clock.start_jumping()
    with pytest.raises(RuntimeError, match="already"):
        clock.start_jumping()
    clock.stop_jumping()
