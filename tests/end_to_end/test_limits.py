"""Xero's limits: never reached, and what has to wait is done later."""

from datetime import timedelta

import httpx

from sandbox import Limits
from tests.end_to_end.conftest import MakeWorld
from tests.messages import member, member_updated, renewal_due
from tests.world import World


def test_a_rush_stays_below_sixty_calls_a_minute(make_world: MakeWorld) -> None:
    world = make_world(limits=Limits(), tables={"quota": {"minute": 60, "day": 5_000}})
    some = [renewal_due() for _ in range(60)]
    world.publish(*some)
    for asked in some:
        world.hear_answer(asked, "message.accepted")
    for _ in range(8):
        world.quiet()
        world.jump(timedelta(seconds=31))
    for asked in some:
        world.hear_answer(asked, "invoice.emailed")
    calls = world.ledger["calls"]
    assert calls["limited"] == {"minute": 0, "day": 0, "concurrent": 0, "appminute": 0}
    assert 40 < calls["peak_per_minute"] <= 60
    assert calls["peak_concurrent"] <= 5


def test_payments_get_through_while_a_season_waits(make_world: MakeWorld) -> None:
    world = make_world(limits=Limits(), tables={"quota": {"minute": 60, "day": 5_000}})
    paid = renewal_due()
    number = world.invoiced(paid)
    crowd = [renewal_due() for _ in range(60)]
    world.publish(*crowd)
    for asked in crowd:
        world.hear_answer(asked, "message.accepted")
    world.quiet()
    world.jump(3)
    world.pay(number)
    world.hear("membership.renew", paid["subject"])
    assert len(world.told("invoice.emailed")) < 60


def test_more_emails_than_a_day_has_go_out_the_next_day(make_world: MakeWorld) -> None:
    world = make_world(tables={"quota": {"emails_per_day": 2}})
    some = [renewal_due() for _ in range(3)]
    world.publish(*some)
    for asked in some:
        world.hear_answer(asked, "invoice.raised")
    world.quiet()
    assert len(world.told("invoice.emailed")) == 2
    for _ in range(25):
        world.advance(timedelta(hours=1))
    world.hear_all(3, "invoice.emailed")
    assert len(world.ledger["emails"]) == 3


def test_an_update_that_waits_for_a_day_is_seen_to_be_unanswered(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    who = member()
    world.invoiced(renewal_due(who))
    world.advance(timedelta(minutes=2))
    world.xero.control.fault(
        "429_day", method="POST", path="/Contacts", retry_after_s=20 * 3600
    )
    asked = member_updated(
        {**who, "email": "new@example.co.za"}, time=world.clock.now().isoformat()
    )
    world.publish(asked)
    world.hear_answer(asked, "message.accepted")
    for _ in range(5):
        world.advance(timedelta(hours=1))
    world.wait(lambda: unanswered_s(world) > 4 * 3600, "the measure of it")
    for _ in range(16):
        world.advance(timedelta(hours=1))
    world.hear_answer(asked, "message.done")
    world.advance(timedelta(minutes=2))
    world.wait(lambda: unanswered_s(world) == 0, "nothing unanswered")


def unanswered_s(world: World) -> float:
    """As the metrics say."""
    text = httpx.get(f"{world.daemon.internal.url}/metrics").text
    name = "settled_message_unanswered_seconds "
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))
