"""Entries of the stream: acknowledged after their commit, repeated and never lost."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from bus.intake import ABANDONED_AFTER_MS, GROUP, Intake
from core.message_reading import Entry
from core.waking import LaneName
from sandbox import AdjustableClock
from tests.servers import wait_until

STREAM = "settled:in"


class Books:
    """A door that remembers what it was given; ``faults`` times it can't commit."""

    def __init__(self, faults: int = 0) -> None:
        self.faults = faults
        self.taken: list[bytes | None] = []

    def accept(self, entries: Sequence[Entry]) -> list[int]:
        if self.faults:
            self.faults -= 1
            raise OSError("the disk is full")
        self.taken += [entry.raw for entry in entries]
        return list(range(len(entries)))


class Waker:
    """Remembers who was told to look."""

    def __init__(self) -> None:
        self.woken = 0

    def lane(self, tenant: str, lane: LaneName) -> None:
        raise AssertionError("an intake wakes no lane")

    def messages(self, inbox_ids: Sequence[int]) -> None:
        self.woken += len(inbox_ids)

    def relay(self) -> None:
        """The answers can go."""


MakeIntake = Callable[..., Intake]


@pytest.fixture
def make_intake(redis_url: str, clock: AdjustableClock) -> MakeIntake:
    def make(books: Books, consumer: str = "ours") -> Intake:
        client = redis.Redis.from_url(redis_url)
        door: Any = books
        return Intake(client, STREAM, consumer, door, Waker(), clock)

    return make


@contextmanager
def running(intake: Intake) -> Iterator[Intake]:
    stopping = threading.Event()
    thread = threading.Thread(target=intake.run, args=(stopping,))
    thread.start()
    try:
        yield intake
    finally:
        stopping.set()
        thread.join()


def add(client: redis.Redis, *raws: bytes) -> list[bytes]:
    return [client.xadd(STREAM, {"event": raw}) for raw in raws]  # type: ignore[misc]


def read_by(client: redis.Redis, consumer: str) -> None:
    """Another process reads what there is, and then it ends."""
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    client.xreadgroup(GROUP, consumer, {STREAM: ">"})


def is_empty(client: redis.Redis) -> bool:
    pending: Any = client.xpending(STREAM, GROUP)
    return client.xlen(STREAM) == 0 and pending["pending"] == 0


def test_an_entry_is_taken_and_gone(
    redis_client: redis.Redis, make_intake: MakeIntake
) -> None:
    books = Books()
    with running(make_intake(books)):
        add(redis_client, b"one", b"two")
        wait_until(lambda: len(books.taken) == 2, 10, "taken")
        wait_until(lambda: is_empty(redis_client), 10, "gone")
    assert books.taken == [b"one", b"two"]


def test_what_was_there_before_the_group_is_taken_too(
    redis_client: redis.Redis, make_intake: MakeIntake
) -> None:
    books = Books()
    add(redis_client, b"early")
    with running(make_intake(books)):
        wait_until(lambda: books.taken == [b"early"], 10, "taken")


def test_an_entry_without_the_field_is_taken_as_nothing(
    redis_client: redis.Redis, make_intake: MakeIntake
) -> None:
    books = Books()
    with running(make_intake(books)):
        redis_client.xadd(STREAM, {"other": "field"})
        wait_until(lambda: books.taken == [None], 10, "taken")


def test_what_could_not_be_committed_stays_and_is_tried_again(
    redis_client: redis.Redis, make_intake: MakeIntake, clock: AdjustableClock
) -> None:
    books = Books(faults=1)
    add(redis_client, b"one")
    with running(make_intake(books)):
        wait_until(lambda: books.faults == 0, 10, "the fault")
        assert not is_empty(redis_client)
        clock.advance(2)
        wait_until(lambda: is_empty(redis_client), 10, "taken")
    assert books.taken == [b"one"]


def test_what_was_read_and_not_acknowledged_comes_first_after_a_restart(
    redis_client: redis.Redis, make_intake: MakeIntake
) -> None:
    books = Books()
    add(redis_client, b"old")
    read_by(redis_client, "ours")
    add(redis_client, b"new")
    with running(make_intake(books)):
        wait_until(lambda: len(books.taken) == 2, 10, "taken")
    assert books.taken == [b"old", b"new"]


def test_what_a_dead_consumer_left_is_taken_over_in_time(
    redis_client: redis.Redis, make_intake: MakeIntake, clock: AdjustableClock
) -> None:
    """Also when it died while we were running already."""
    books = Books()
    (entry,) = add(redis_client, b"orphan")
    read_by(redis_client, "dead")
    with running(make_intake(books)):
        add(redis_client, b"ours")
        wait_until(lambda: books.taken == [b"ours"], 10, "ours")
        # Redis counts idle time itself; this is how it is told that it has passed.
        redis_client.execute_command(  # type: ignore[no-untyped-call]
            "XCLAIM", STREAM, GROUP, "dead", 0, entry, "IDLE", ABANDONED_AFTER_MS
        )
        clock.advance(16)
        wait_until(lambda: len(books.taken) == 2, 10, "the orphan")
    assert books.taken == [b"ours", b"orphan"]
    assert is_empty(redis_client)


def test_what_a_living_consumer_has_in_hand_is_left_to_it(
    redis_client: redis.Redis, make_intake: MakeIntake, clock: AdjustableClock
) -> None:
    books = Books()
    add(redis_client, b"theirs")
    read_by(redis_client, "alive")
    with running(make_intake(books)):
        clock.advance(16)
        add(redis_client, b"ours")
        wait_until(lambda: books.taken == [b"ours"], 10, "ours")
    pending: Any = redis_client.xpending(STREAM, GROUP)
    assert pending["consumers"] == [{"name": b"alive", "pending": 1}]


def test_a_group_that_vanishes_is_made_anew(
    redis_client: redis.Redis, make_intake: MakeIntake, clock: AdjustableClock
) -> None:
    books = Books()
    with running(make_intake(books)):
        add(redis_client, b"one")
        wait_until(lambda: books.taken == [b"one"], 10, "taken")
        redis_client.flushall()
        add(redis_client, b"two")
        clock.advance(2)
        wait_until(lambda: books.taken == [b"one", b"two"], 10, "taken anew")


def test_a_consumer_that_ends_in_good_order_is_forgotten(
    redis_client: redis.Redis, make_intake: MakeIntake
) -> None:
    books = Books()
    with running(make_intake(books)):
        add(redis_client, b"one")
        wait_until(lambda: books.taken == [b"one"], 10, "taken")
    assert redis_client.xinfo_consumers(STREAM, GROUP) == []
