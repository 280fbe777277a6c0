"""Xero's limits: never reached, and what has to wait is done later."""

from datetime import timedelta

from sandbox import Limits
from tests.end_to_end.conftest import MakeWorld
from tests.messages import renewal_due


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
