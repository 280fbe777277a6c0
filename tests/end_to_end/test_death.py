"""A process that died: what it held is free as soon as somebody may know it."""

from datetime import datetime

from bus.quota import RedisQuotaCounter
from core.db import lanes, processes, reference
from core.db.database import transaction
from core.db.intents import IntentState
from core.db.models import Intent, Lane, Process
from core.quota import Admitted, Limits, Purpose, QuotaPolicy, Wait
from core.waking import LaneName
from tests.core.db.rows import intent
from tests.world import World

DEAD = "worker@this-host-4711-abcdef"
ELSEWHERE = "worker@other-host-4712-abcdef"

ONE_AT_ONCE = QuotaPolicy(Limits(minute=None, day=None, concurrent=1, app_minute=None))


def beats(world: World, process: str) -> None:
    with transaction():
        processes.beat(process, world.clock.now())


def begins_and_takes_a_lane(world: World) -> None:
    """It says that it lives, a moment ago."""
    beats(world, DEAD)
    with transaction():
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


def test_a_frozen_process_keeps_others_from_its_lanes_for_a_moment(
    world: World,
) -> None:
    """Its call stays its own until it is presumed dead."""
    world.quiet()
    beats(world, ELSEWHERE)
    call = intent(holder=f"{ELSEWHERE}/1", held_at=world.clock.now())
    with transaction():
        held = Lane.update(holder=f"{ELSEWHERE}/1", woken_at=None)
        held.where(Lane.name == LaneName.VOIDS).execute()
    frozen_at = world.clock.now()
    world.advance_until(
        lambda: lanes.get("main", LaneName.VOIDS).holder is None, "it is free"
    )
    assert world.clock.now() - frozen_at < processes.SILENT_AFTER
    assert Intent.get_by_id(call.id).state == IntentState.OPEN
    assert Process.select().where(Process.name == ELSEWHERE).exists()


def was_heard(process: str, since: datetime) -> bool:
    said = (Process.name == process) & (Process.beat_at >= since)
    return bool(Process.select().where(said).exists())


def let_the_pump_look(world: World) -> None:
    """Whoever is gone it forgets first; by the second time it has done all the rest."""
    mark = world.settings.data_folder / "processes" / "nobody"
    for _ in range(2):
        mark.touch()
        world.wait(lambda: not mark.exists(), "a look")


def test_after_an_outage_nobody_is_buried_who_comes_back(world: World) -> None:
    """All that is in the books has been silent for ten seconds."""
    world.quiet()
    beats(world, ELSEWHERE)
    call = intent(holder=f"{ELSEWHERE}/1", held_at=world.clock.now())
    world.jump(10)
    back_at = world.clock.now()
    world.wait(lambda: was_heard(world.daemon.process, back_at), "a beat of ours")
    let_the_pump_look(world)
    beats(world, ELSEWHERE)
    let_the_pump_look(world)
    assert Intent.get_by_id(call.id).state == IntentState.OPEN
    # It ends after all.
    world.advance_until(lambda: not was_heard(ELSEWHERE, back_at), "it is buried")
    assert Intent.get_by_id(call.id).state != IntentState.OPEN


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
