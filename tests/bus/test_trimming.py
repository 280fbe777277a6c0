"""The stream is kept short, and never at the cost of a reader."""

from typing import Any

import pytest
import redis

from bus.trimming import Trimmer
from core.db import positions
from sandbox import AdjustableClock

STREAM = "settled:out"
GROUPS = ("platform", "crm")


@pytest.fixture
def trimmer(books: None, redis_client: redis.Redis, clock: AdjustableClock) -> Trimmer:
    return Trimmer(redis_client, STREAM, GROUPS, clock)


def add(client: redis.Redis, count: int) -> list[bytes]:
    """Entries of one stream, of which some share a millisecond."""
    return [
        client.xadd(STREAM, {"event": "{}"}, id=f"{1_000 + n // 3}-{n % 3}")  # type: ignore[misc]
        for n in range(count)
    ]


def make_groups(client: redis.Redis, *groups: str) -> None:
    for group in groups:
        client.xgroup_create(STREAM, group, id="0", mkstream=True)


def read(client: redis.Redis, group: str, count: int, *, skip: int = 0) -> None:
    """Read so many entries and acknowledge them, but for the first few."""
    answer: Any = client.xreadgroup(group, "reader", {STREAM: ">"}, count=count)
    if isinstance(answer, dict):
        found = [entry for batch in answer[STREAM.encode()] for entry in batch]
    else:
        found = answer[0][1]
    if found[skip:]:
        client.xack(STREAM, group, *(entry for entry, _ in found[skip:]))


def left(client: redis.Redis) -> list[bytes]:
    entries: Any = client.xrange(STREAM)
    return [entry for entry, _ in entries]


def test_what_all_have_acknowledged_goes(
    redis_client: redis.Redis, trimmer: Trimmer
) -> None:
    make_groups(redis_client, *GROUPS)
    entries = add(redis_client, 10)
    read(redis_client, "platform", 8)
    read(redis_client, "crm", 5)
    trimmer.trim()
    assert left(redis_client) == entries[5:]


def test_what_somebody_holds_unacknowledged_stays(
    redis_client: redis.Redis, trimmer: Trimmer
) -> None:
    make_groups(redis_client, *GROUPS)
    entries = add(redis_client, 10)
    read(redis_client, "platform", 10, skip=1)
    read(redis_client, "crm", 10)
    trimmer.trim()
    assert left(redis_client) == entries


@pytest.mark.parametrize("held", range(7))
def test_never_above_the_oldest_unacknowledged(
    redis_client: redis.Redis, trimmer: Trimmer, held: int
) -> None:
    make_groups(redis_client, *GROUPS)
    entries = add(redis_client, 7)
    read(redis_client, "platform", 7)
    if held:
        read(redis_client, "crm", held)
    read(redis_client, "crm", 1, skip=1)
    trimmer.trim()
    assert left(redis_client) == entries[held:]


def test_a_group_that_reads_nothing_keeps_everything(
    redis_client: redis.Redis, trimmer: Trimmer
) -> None:
    make_groups(redis_client, *GROUPS)
    entries = add(redis_client, 4)
    read(redis_client, "platform", 4)
    trimmer.trim()
    assert left(redis_client) == entries


def test_while_a_group_is_missing_nothing_is_trimmed(
    redis_client: redis.Redis, trimmer: Trimmer
) -> None:
    make_groups(redis_client, "platform")
    entries = add(redis_client, 4)
    read(redis_client, "platform", 4)
    assert trimmer.trim() is None
    assert left(redis_client) == entries


def test_a_group_that_was_not_declared_holds_up_nobody(
    redis_client: redis.Redis, trimmer: Trimmer
) -> None:
    make_groups(redis_client, *GROUPS, "curious")
    add(redis_client, 4)
    for group in GROUPS:
        read(redis_client, group, 4)
    trimmer.trim()
    assert left(redis_client) == []


def test_without_a_stream_there_is_nothing_to_do(trimmer: Trimmer) -> None:
    assert trimmer.trim() is None


def test_how_far_each_group_is_is_noted(
    redis_client: redis.Redis, trimmer: Trimmer
) -> None:
    make_groups(redis_client, *GROUPS)
    add(redis_client, 6)
    read(redis_client, "platform", 6)
    read(redis_client, "crm", 2)
    trimmer.trim()
    assert positions.acknowledged(["platform"]) == (1_001, 2)
    assert positions.acknowledged(GROUPS) == (1_000, 1)
