"""Wake-up calls and no more: lost, late or failed, nobody tries them again."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bus.broker import TOGETHER, Actors, DramatiqWaker, make_broker, start_worker
from core.db import inbox, lanes
from core.db.database import transaction
from core.waking import LaneName
from sandbox import AdjustableClock
from tests.core.db.rows import envelope
from tests.servers import free_port, wait_until


class Runner:
    """Counts the runs of each lane, and fails ``faults`` times."""

    def __init__(self, faults: int = 0) -> None:
        self.runs: list[tuple[str, LaneName]] = []
        self.faults = faults

    def run(self, tenant: str, name: LaneName) -> None:
        self.runs.append((tenant, name))
        if self.faults:
            self.faults -= 1
            raise OSError("not now")


class Handled:
    def __init__(self) -> None:
        self.calls: list[Sequence[int]] = []
        self._lock = threading.Lock()

    def __call__(self, inbox_ids: Sequence[int]) -> None:
        with self._lock:
            self.calls.append(inbox_ids)


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def handled() -> Handled:
    return Handled()


@pytest.fixture
def waker(
    books: None,
    redis_client: redis.Redis,
    clock: AdjustableClock,
    runner: Runner,
    handled: Handled,
) -> Iterator[DramatiqWaker]:
    with transaction():
        lanes.ensure("main", [name.value for name in LaneName])
    broker = make_broker(redis_client)
    made: Any = runner
    waker = DramatiqWaker(clock, lambda: None)
    waker.actors = Actors(broker, lambda: made, handled)
    worker = start_worker(broker, 2)
    yield waker
    worker.stop()
    broker.close()


def test_a_lane_that_is_woken_runs(waker: DramatiqWaker, runner: Runner) -> None:
    waker.lane("main", LaneName.EMAILS)
    wait_until(lambda: runner.runs == [("main", LaneName.EMAILS)], 10, "the run")


def test_a_lane_has_one_outstanding_wake(
    waker: DramatiqWaker, runner: Runner, clock: AdjustableClock
) -> None:
    for _ in range(5):
        waker.lane("main", LaneName.EMAILS)
    wait_until(lambda: len(runner.runs) == 1, 10, "the run")
    # This runner forgets to say that it has run; it is told again after ten seconds.
    clock.advance(11)
    waker.lane("main", LaneName.EMAILS)
    wait_until(lambda: len(runner.runs) == 2, 10, "the second run")


def test_messages_go_in_small_parcels_of_ids(
    waker: DramatiqWaker, handled: Handled
) -> None:
    waker.messages(list(range(25)))
    wait_until(lambda: len(handled.calls) == 3, 10, "the calls")
    assert max(len(call) for call in handled.calls) == TOGETHER
    assert sorted(i for call in handled.calls for i in call) == list(range(25))


@pytest.mark.filterwarnings("default")
def test_what_fails_is_not_tried_again(
    waker: DramatiqWaker, runner: Runner, redis_client: redis.Redis
) -> None:
    runner.faults = 1
    waker.lane("main", LaneName.READS)
    wait_until(lambda: len(runner.runs) == 1, 10, "the run")
    waker.lane("main", LaneName.SWEEP)
    wait_until(lambda: len(runner.runs) == 2, 10, "the neighbour's run")
    assert runner.runs[1] == ("main", LaneName.SWEEP)
    assert list(redis_client.scan_iter("settled:work:*.DQ*")) == []


def test_without_redis_nobody_is_woken_and_nothing_fails(
    books: None, clock: AdjustableClock
) -> None:
    """Nobody was told: the pump need not wait until it tells somebody again."""
    now = clock.now()
    with transaction():
        lanes.ensure("main", [LaneName.EMAILS.value])
        kept = inbox.add_accepted(envelope(), "main", "{}", now)
    assert kept is not None
    with redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as nowhere:
        broker = make_broker(nowhere)
        waker = DramatiqWaker(clock, lambda: None)
        waker.actors = Actors(broker, Runner, Handled())  # type: ignore[arg-type]
        waker.lane("main", LaneName.EMAILS)
        waker.messages([kept.id])
    with transaction():
        assert lanes.claim_wake("main", LaneName.EMAILS, now)
        assert inbox.wake_due(now) == [kept.id]


def test_actors_can_be_declared_on_any_number_of_brokers(
    redis_client: redis.Redis,
) -> None:
    for _ in range(2):
        Actors(make_broker(redis_client), Runner, Handled())  # type: ignore[arg-type]
