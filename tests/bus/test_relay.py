"""The outbox goes out in order, each message with its id, whatever is lost."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import redis
from peewee import IntegrityError

from bus.relay import COUNTER, LANE, Relay
from core.clock import Clock
from core.db import lanes, outbox, positions, processes, recovery, reference
from core.db.database import transaction
from core.db.models import Outbox
from core.db.proxy import proxy
from core.messages import OutboundMessage
from core.metrics import Metrics
from sandbox import AdjustableClock
from tests.servers import wait_until

STREAM = "settled:out"

MakeRelay = Callable[..., Relay]


@pytest.fixture
def make_relay(books: None, redis_url: str, clock: AdjustableClock) -> MakeRelay:
    def make(process: str = "first") -> Relay:
        client = redis.Redis.from_url(redis_url)
        groups = ("platform", "crm")
        return Relay(client, STREAM, groups, process, clock, Metrics())

    return make


def beat(process: str, clock: Clock) -> None:
    with transaction():
        processes.beat(process, clock.now())


@contextmanager
def running(relay: Relay) -> Iterator[Relay]:
    beat(relay.holder.split("/")[0], relay.clock)
    stopping = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stopping,))
    thread.start()
    try:
        yield relay
    finally:
        stopping.set()
        relay.hint.set()
        thread.join()


def say(clock: AdjustableClock, *facts: str) -> None:
    messages = [
        OutboundMessage("invoice.paid", fact, {"fact": fact}, (fact,)) for fact in facts
    ]
    with transaction():
        outbox.say(messages, tenant="main", at=clock.now())


def sent(client: redis.Redis) -> list[str]:
    """The subjects of what stands in the stream."""
    entries: Any = client.xrange(STREAM)
    return [json.loads(fields[b"event"])["subject"] for _, fields in entries]


def ids(client: redis.Redis) -> list[str]:
    entries: Any = client.xrange(STREAM)
    return [json.loads(fields[b"event"])["id"] for _, fields in entries]


def acknowledge_all(client: redis.Redis, clock: AdjustableClock, group: str) -> None:
    """A reader has read and acknowledged everything, and that has been noted."""
    answer: Any = client.xreadgroup(group, "reader", {STREAM: ">"})
    if isinstance(answer, dict):
        entries = [entry for batch in answer[STREAM.encode()] for entry in batch]
    else:
        entries = answer[0][1]
    client.xack(STREAM, group, *(entry for entry, _ in entries))
    last = entries[-1][0].decode()
    with transaction():
        positions.note_group(group, last, clock.now())


def test_what_is_committed_goes_out_in_its_order(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    say(clock, "one", "two")
    with running(make_relay()) as relay:
        wait_until(lambda: sent(redis_client) == ["one", "two"], 10, "sent")
        say(clock, "three")
        relay.hint.set()
        wait_until(lambda: len(sent(redis_client)) == 3, 10, "sent")
    assert sent(redis_client) == ["one", "two", "three"]
    assert outbox.unsent() == []
    assert redis_client.get(COUNTER) == b"3"


def test_what_is_committed_is_sent_before_the_end(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    with running(make_relay()) as relay:
        wait_until(lambda: relay.client.exists(STREAM) == 1, 10, "the groups")
        say(clock, "last")
    assert sent(redis_client) == ["last"]


def test_the_declared_groups_are_made(
    redis_client: redis.Redis, make_relay: MakeRelay
) -> None:
    with running(make_relay()):
        wait_until(lambda: redis_client.exists(STREAM) == 1, 10, "the stream")
        wait_until(
            lambda: len(redis_client.xinfo_groups(STREAM)) == 2,
            10,
            "the groups",
        )


def test_killed_before_the_mark_it_sends_the_same_id_again(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    say(clock, "one")
    with running(make_relay()):
        wait_until(lambda: sent(redis_client) == ["one"], 10, "sent")
        wait_until(lambda: outbox.unsent() == [], 10, "marked")
    # As if the process had ended after XADD: the mark was never committed.
    with transaction():
        Outbox.update(stream_id=None).execute()
        positions.note_counter(0, clock.now())
    clock.advance(10)
    with running(make_relay("second")):
        wait_until(lambda: len(ids(redis_client)) == 2, 10, "sent again")
        wait_until(lambda: outbox.unsent() == [], 10, "marked")
    first, second = ids(redis_client)
    assert first == second
    assert redis_client.get(COUNTER) == b"2"


def test_marks_that_fail_again_and_again_do_not_make_the_books_look_old(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    with transaction():
        reference.put_tenant("main", "x-tenant", "SAIT", clock.now())
        lanes.ensure(lanes.EVERYBODY, [LANE])
    say(clock, "one")
    first, second = make_relay("first"), make_relay("second")
    for relay in (first, second):
        for _ in range(6):  # who was there before is dead, and this one has been heard
            clock.advance(2)
            with transaction():
                processes.beat(relay.holder.split("/")[0], clock.now())
        with marks_refused():
            for _ in range(2):
                with pytest.raises(IntegrityError):
                    relay.turn()
    second.turn()
    assert not recovery.is_needed("main")
    assert set(sent(redis_client)) == {"one"}
    assert len(set(ids(redis_client))) == 1
    assert outbox.unsent() == []


@contextmanager
def marks_refused() -> Iterator[None]:
    """The books take no mark, as on a full disk."""
    refuse, allow = {
        "SqliteBooks": (
            "CREATE TRIGGER refused BEFORE UPDATE ON outbox "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END",
            "DROP TRIGGER refused",
        ),
        "PostgresBooks": (
            "ALTER TABLE outbox ADD CONSTRAINT refused CHECK (stream_id IS NULL)",
            "ALTER TABLE outbox DROP CONSTRAINT refused",
        ),
    }[type(proxy.obj).__name__]
    proxy.execute_sql(refuse)
    try:
        yield
    finally:
        proxy.execute_sql(allow)


def test_a_redis_that_has_forgotten_gets_it_again(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    say(clock, "one", "two")
    with running(make_relay()):
        wait_until(lambda: len(ids(redis_client)) == 2, 10, "sent")
        before = ids(redis_client)
    redis_client.flushall()
    clock.advance(10)
    with running(make_relay("second")):
        wait_until(lambda: ids(redis_client) == before, 10, "sent again")
    assert redis_client.get(COUNTER) == b"4"


def test_what_every_group_has_acknowledged_is_not_sent_again(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    with running(make_relay()) as relay:
        say(clock, "old")
        relay.hint.set()
        wait_until(lambda: sent(redis_client) == ["old"], 10, "sent")
        wait_until(lambda: outbox.unsent() == [], 10, "marked")
        for group in ("platform", "crm"):
            acknowledge_all(redis_client, clock, group)
        say(clock, "new")
        relay.hint.set()
        wait_until(lambda: len(sent(redis_client)) == 2, 10, "sent")
        wait_until(lambda: outbox.unsent() == [], 10, "marked")
    redis_client.flushall()
    clock.advance(10)
    with running(make_relay("second")):
        wait_until(lambda: sent(redis_client) == ["new"], 10, "sent again")


def test_what_one_group_has_not_acknowledged_is_sent_again(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    with running(make_relay()) as relay:
        say(clock, "old")
        relay.hint.set()
        wait_until(lambda: sent(redis_client) == ["old"], 10, "sent")
        wait_until(lambda: outbox.unsent() == [], 10, "marked")
        acknowledge_all(redis_client, clock, "platform")
    redis_client.flushall()
    clock.advance(10)
    with running(make_relay("second")):
        wait_until(lambda: sent(redis_client) == ["old"], 10, "sent again")


def test_one_process_at_a_time_relays(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    with running(make_relay("first")) as first:
        wait_until(lambda: redis_client.exists(STREAM) == 1, 10, "the first")
        with running(make_relay("second")) as second:
            say(clock, *(f"fact-{n}" for n in range(20)))
            first.hint.set()
            second.hint.set()
            wait_until(lambda: len(sent(redis_client)) == 20, 10, "sent")
    assert sent(redis_client) == [f"fact-{n}" for n in range(20)]


def test_a_relay_that_died_is_followed_by_another(
    redis_client: redis.Redis, make_relay: MakeRelay, clock: AdjustableClock
) -> None:
    with running(make_relay("first")) as first:
        wait_until(lambda: redis_client.exists(STREAM) == 1, 10, "the first")
        # It is frozen: it beats no more, and a minute later the other takes over.
        clock.advance(timedelta(minutes=1).total_seconds())
        for _ in range(3):
            beat("second", clock)
            clock.advance(2)
        with running(make_relay("second")):
            say(clock, "one")

            def is_sent_as_time_goes_on() -> bool:
                beat("second", clock)
                clock.advance(1)
                return sent(redis_client) == ["one"]

            wait_until(is_sent_as_time_goes_on, 10, "sent")
        assert first.holder == "first/relay"
