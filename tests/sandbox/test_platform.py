import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from sandbox import SimulatedClock
from sandbox.platform import BadMessage, Platform
from tests.sandbox.conftest import START


def out(id_: str, type_: str, subject: str = "renewal-1", **more: Any) -> bytes:
    message = {"id": id_, "type": type_, "subject": subject} | more
    return json.dumps(message).encode()


def message(id_: str = "m1", subject: str = "renewal-1") -> dict[str, Any]:
    return {"id": id_, "type": "membership.renewal_due", "subject": subject}


@pytest.fixture
def send(redis_client: redis.Redis) -> Callable[[bytes], None]:
    """Speak as the daemon does: the group exists, then messages go out."""
    redis_client.xgroup_create("settled:out", "platform", "0", mkstream=True)

    def send(raw: bytes) -> None:
        redis_client.xadd("settled:out", {"event": raw})

    return send


@pytest.fixture
def platform(redis_url: str, clock: SimulatedClock) -> Iterator[Platform]:
    with Platform(redis_url, clock=clock) as running:
        yield running


def entries(client: redis.Redis) -> Any:
    return client.xrange("settled:in")


def pending(client: redis.Redis) -> int:
    summary: Any = client.xpending("settled:out", "platform")
    count: int = summary["pending"]
    return count


def published(client: redis.Redis) -> list[str]:
    return [json.loads(fields[b"event"])["id"] for _, fields in entries(client)]


def wait(condition: Callable[[], bool], platform: Platform) -> None:
    assert platform.wait_until(lambda _: condition(), 10)


def test_publishing_writes_cloud_events(
    platform: Platform, redis_client: redis.Redis
) -> None:
    platform.publish([message("m1"), message("m2")])
    assert published(redis_client) == ["m1", "m2"]
    assert platform.unanswered == ["m1", "m2"]


def test_bad_messages_are_published_as_they_are(
    platform: Platform, redis_client: redis.Redis
) -> None:
    platform.publish([BadMessage(b"not json", "not JSON")])
    ((_, fields),) = entries(redis_client)
    assert fields == {b"event": b"not json"}
    assert platform.unanswered == []


def test_orders_are_acted_on_and_acknowledged(
    send: Callable[[bytes], None], platform: Platform, redis_client: redis.Redis
) -> None:
    send(out("a1", "membership.renew"))
    wait(lambda: platform.standing == {"renewal-1": "renewed"}, platform)
    assert [a["id"] for a in platform.actions] == ["a1"]
    wait(
        lambda: pending(redis_client) == 0,
        platform,
    )


def test_an_order_that_comes_twice_is_acted_on_once(
    send: Callable[[bytes], None], platform: Platform
) -> None:
    send(out("a1", "membership.renew"))
    send(out("a1", "membership.renew"))
    wait(lambda: platform.repeats == 1, platform)
    assert len(platform.actions) == 1


def test_news_is_no_order(send: Callable[[bytes], None], platform: Platform) -> None:
    send(out("n1", "invoice.raised"))
    wait(lambda: len(platform.received) == 1, platform)
    assert platform.actions == []


def test_answers_are_found_by_the_message(
    send: Callable[[bytes], None], platform: Platform
) -> None:
    platform.publish([message("m1")])
    send(out("o1", "message.accepted", inreplyto="m1"))
    send(out("o2", "message.accepted", inreplyto="other"))
    send(out("o3", "invoice.raised", inreplyto="m1"))
    wait(lambda: len(platform.received) == 3, platform)
    assert [a["id"] for a in platform.answers("m1")] == ["o1", "o3"]
    assert platform.unanswered == []


def test_arrivals_carry_the_clocks_time(
    send: Callable[[bytes], None], platform: Platform, clock: SimulatedClock
) -> None:
    clock.advance(60)
    send(out("n1", "invoice.paid"))
    wait(lambda: len(platform.received) == 1, platform)
    arrived = platform.first_arrival("invoice.paid", "renewal-1")
    assert arrived == clock.now()
    assert platform.first_arrival("invoice.paid", "other") is None


@pytest.mark.parametrize("answer", ["message.accepted", "message.rejected"])
def test_what_is_not_answered_is_sent_again_after_a_minute(
    send: Callable[[bytes], None],
    platform: Platform,
    redis_client: redis.Redis,
    clock: SimulatedClock,
    answer: str,
) -> None:
    platform.publish([message("m1"), message("m2")])
    send(out("o1", answer, inreplyto="m1"))
    wait(lambda: platform.unanswered == ["m2"], platform)
    clock.advance(59)
    assert published(redis_client) == ["m1", "m2"]
    clock.advance(1)
    wait(lambda: platform.resent == 1, platform)
    wait(lambda: published(redis_client) == ["m1", "m2", "m2"], platform)


def test_it_is_sent_again_until_it_is_answered(
    platform: Platform, redis_client: redis.Redis, clock: SimulatedClock
) -> None:
    platform.publish([message("m1")])
    for times in (1, 2):
        clock.advance(60)
        wait(lambda n=times: platform.resent == n, platform)  # type: ignore[misc]
    wait(lambda: published(redis_client) == ["m1"] * 3, platform)


def test_the_group_may_come_later(
    platform: Platform, redis_client: redis.Redis
) -> None:
    redis_client.xadd("settled:out", {"event": out("a1", "membership.activate")})
    assert not platform.wait_until(lambda p: bool(p.received), 0.3)
    redis_client.xgroup_create("settled:out", "platform", "0")
    wait(lambda: platform.standing == {"renewal-1": "activated"}, platform)


def test_a_lost_group_is_waited_for(
    send: Callable[[bytes], None], platform: Platform, redis_client: redis.Redis
) -> None:
    send(out("a1", "membership.renew"))
    wait(lambda: len(platform.received) == 1, platform)
    redis_client.flushall()
    redis_client.xgroup_create("settled:out", "platform", "0", mkstream=True)
    send(out("a2", "membership.suspend"))
    wait(lambda: platform.standing == {"renewal-1": "suspended"}, platform)


def test_what_was_given_and_not_acknowledged_is_read_again(
    send: Callable[[bytes], None], redis_url: str, redis_client: redis.Redis
) -> None:
    send(out("a1", "membership.renew"))
    redis_client.xreadgroup("platform", "platform-1", {"settled:out": ">"})
    with Platform(redis_url) as platform:
        wait(lambda: len(platform.actions) == 1, platform)
        wait(
            lambda: pending(redis_client) == 0,
            platform,
        )


def test_without_redis_what_is_published_is_kept(clock: SimulatedClock) -> None:
    with Platform("redis://127.0.0.1:9", clock=clock) as platform:
        platform.publish([message("m1")])
        assert platform.send_errors == 1
        assert platform.unanswered == ["m1"]


def test_waiting_in_vain_says_so(platform: Platform) -> None:
    assert platform.wait_until(lambda _: False, 0.05) is False


def test_the_clock_stands_still_at_the_start(clock: SimulatedClock) -> None:
    assert clock.now() == START
