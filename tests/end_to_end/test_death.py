"""A process that died on this host: what it held is free as soon as somebody looks."""

from bus.quota import RedisQuotaCounter
from core.db import lanes, processes, reference
from core.db.database import transaction
from core.db.models import Lane, Process
from core.quota import Admitted, Limits, Purpose, QuotaPolicy, Wait
from core.waking import LaneName
from tests.world import World

DEAD = "worker@this-host-4711-abcdef"

ONE_AT_ONCE = QuotaPolicy(Limits(minute=None, day=None, concurrent=1, app_minute=None))


def begins_and_takes_a_lane(world: World) -> None:
    """It says that it lives, a moment ago."""
    with transaction():
        processes.beat(DEAD, world.clock.now())
        Lane.update(holder=f"{DEAD}/1").where(Lane.name == LaneName.VOIDS).execute()


def dies(world: World) -> None:
    """Its lock is nobody's any more."""
    (world.settings.data_folder / "processes" / DEAD).touch()


def test_its_lanes_are_free_before_it_has_been_silent_for_long(world: World) -> None:
    world.quiet()
    begins_and_takes_a_lane(world)
    dies(world)
    died_at = world.clock.now()
    world.wait(lambda: lanes.get("main", LaneName.VOIDS).holder is None, "it is free")
    assert world.clock.now() - died_at < processes.SILENT_AFTER
    assert not Process.select().where(Process.name == DEAD).exists()


def test_its_calls_give_their_places_back(world: World) -> None:
    world.quiet()
    begins_and_takes_a_lane(world)
    dead, other = (
        RedisQuotaCounter(world.daemon.client, world.clock, reference, holder)
        for holder in (DEAD, None)
    )

    def admit(counter: RedisQuotaCounter) -> Admitted | Wait:
        return counter.admit("main", Purpose.PAYMENTS, ONE_AT_ONCE)

    assert isinstance(admit(dead), Admitted)
    assert admit(other) == Wait(0.05, "concurrent")
    dies(world)
    got: list[Admitted] = []

    def is_admitted() -> bool:
        got.extend(found for found in [admit(other)] if isinstance(found, Admitted))
        return bool(got)

    world.wait(is_admitted, "its place")
    other.withdraw(got[0])
