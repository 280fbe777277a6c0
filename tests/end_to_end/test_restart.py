"""Stopped and started again, and with a Redis that has forgotten everything."""

import gc
import os
import threading
from typing import Any

import redis

from bus.quota import QUIET_S
from tests.end_to_end.conftest import MakeWorld
from tests.messages import renewal_due
from tests.world import STREAM_IN, STREAM_OUT, World, threads_of_ours

#: A quota counter that finds itself empty waits until no call of before can count.
QUOTA_IS_QUIET = QUIET_S + 1


def entries(world: World) -> list[str]:
    """The ids of the messages that the stream holds now."""
    raw: Any = world.redis.xrange(STREAM_OUT)
    return [world.parsed(fields["event"])["id"] for _, fields in raw]


def heard(world: World) -> set[str]:
    return {received.message_id for received in world.platform.received}


def test_what_was_not_done_is_left_for_the_next_start(make_world: MakeWorld) -> None:
    world = make_world()
    world.xero.control.fault(
        "429_minute", method="PUT", path="/Invoices", retry_after_s=30
    )
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Invoices"), "the refusal")
    world.quiet()
    world.stop_daemon()
    late = renewal_due()
    world.publish(late)
    world.start_daemon()
    world.advance(31)
    for one in (asked, late):
        world.hear_answer(one, "invoice.emailed")
    world.quiet()
    assert len(world.invoices) == 2


def test_what_is_in_hand_is_finished_before_the_end(make_world: MakeWorld) -> None:
    world = make_world()
    world.xero.control.fault("slow", method="PUT", path="/Invoices", delay_s=30)
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.is_under_way("PUT", "/Invoices"), "the call")
    stopping = threading.Thread(target=world.stop_daemon)
    stopping.start()
    world.wait(world.daemon.stopping.is_set, "the beginning of the end")
    world.jump(30)
    stopping.join()
    told = world.hear_answer(asked, "invoice.raised")
    assert told["data"]["invoice"]["number"] == "MEM-2026-000001"
    world.start_daemon()
    world.hear_answer(asked, "invoice.emailed")
    assert world.calls("PUT /Invoices") == 1


def test_nothing_of_a_daemon_is_left_when_it_has_stopped(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.invoiced(renewal_due())
    world.quiet()
    world.stop_daemon()
    files, threads = open_files(), threads_of_ours()
    world.start_daemon()
    world.invoiced(renewal_due())
    world.quiet()
    world.stop_daemon()
    gc.collect()
    assert threads_of_ours() == threads
    assert open_files() <= files


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 only their number counts


def test_what_redis_has_lost_is_published_again(make_world: MakeWorld) -> None:
    """A second reader, who has not read anything so far, misses nothing."""
    world = make_world(tables={"bus": {"groups": ["platform", "crm"]}})
    first = renewal_due()
    world.invoiced(first)
    world.quiet()
    before = entries(world)
    world.redis.flushall()
    second = renewal_due()
    world.publish(second)
    world.hear_answer(second, "message.accepted")
    world.jump(QUOTA_IS_QUIET)
    world.hear_answer(second, "invoice.emailed")
    world.quiet()
    assert before == [i for i in entries(world) if i in before][: len(before)]
    assert set(entries(world)) == heard(world)
    assert len(world.platform.actions) == 0
    assert len(world.invoices) == 2


def test_the_loss_is_noticed_though_nothing_more_is_sent(
    make_world: MakeWorld,
) -> None:
    world = make_world(tables={"bus": {"groups": ["platform", "crm"]}})
    world.invoiced(renewal_due())
    world.quiet()
    before = set(entries(world))
    world.redis.flushall()
    world.advance_until(lambda: set(entries(world)) == before, "published again")
    groups: Any = world.redis.xinfo_groups(STREAM_OUT)
    assert {group["name"] for group in groups} == {"platform", "crm"}


def test_what_was_acknowledged_is_not_published_again(make_world: MakeWorld) -> None:
    world = make_world()
    asked = renewal_due()
    world.invoiced(asked)
    world.quiet()
    world.advance(4)
    world.wait(lambda: world.redis.xlen(STREAM_OUT) == 0, "trimmed")
    world.redis.flushall()
    free = renewal_due(category="honorary")
    world.publish(free)
    world.hear_answer(free, "membership.renew")
    world.quiet()
    known = [r for r in world.platform.received if r.in_reply_to == asked["id"]]
    assert [received.times for received in known] == [1, 1, 1]


def test_what_was_not_accepted_is_sent_again_by_the_platform(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.quiet()
    world.stop_daemon()
    asked = renewal_due()
    world.publish(asked)
    assert world.redis.xlen(STREAM_IN) == 1
    world.redis.flushall()
    world.start_daemon()
    world.jump(61)
    world.hear_answer(asked, "message.accepted")
    world.jump(QUOTA_IS_QUIET)
    world.hear_answer(asked, "invoice.emailed")
    assert world.answers(asked["id"])[0] == "message.accepted"


def test_lost_wakes_are_made_up_for(make_world: MakeWorld) -> None:
    """The queue is a hint: whoever was told to look, and forgot, is told again."""
    world = make_world()
    stopping = threading.Event()

    def empty_the_queue() -> None:
        with redis.Redis.from_url(world.redis_url) as client:
            while not stopping.wait(0.001):
                for key in client.scan_iter("settled:work:*"):
                    client.delete(key)

    thread = threading.Thread(target=empty_the_queue)
    thread.start()
    some = [renewal_due() for _ in range(5)]
    world.publish(*some)
    for asked in some:
        world.hear_answer(asked, "message.accepted")
    stopping.set()
    thread.join()
    world.advance_until(
        lambda: len(world.told("invoice.emailed")) == 5, "all of them e-mailed"
    )
    assert len(world.invoices) == 5
