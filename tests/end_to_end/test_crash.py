"""A process that ends anywhere between claim and record leaves nothing half done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from core.calls import Slot, XeroAnswer, XeroRequest
from core.db import lanes, processes, recovery
from core.db.database import transaction
from core.db.intents import IntentState
from core.db.models import Intent
from core.errors import XeroWait
from core.quota import Purpose
from core.waking import LaneName
from core.writing import WriteLane
from core.xero.door import XeroDoor
from tests.messages import Data, renewal_due
from tests.world import World

OTHER = "another"


class Killed(BaseException):
    """The process has ended here."""


def dies() -> None:
    raise Killed


@dataclass(frozen=True)
class OddSlot:
    """A place for a call in which something happens on the way.

    Args:
        moment: ``check``, before the last check; ``socket``, after it; ``record``,
            after Xero's answer has come.
    """

    slot: Slot
    moment: str
    happens: Callable[[], None]

    def send(
        self, request: XeroRequest, last_check: Callable[[], None] | None = None
    ) -> XeroAnswer:
        def check() -> None:
            if self.moment == "check":
                self.happens()
            if last_check is not None:
                last_check()
            if self.moment == "socket":
                self.happens()

        answer = self.slot.send(request, check)
        if self.moment == "record":
            self.happens()
        return answer


@dataclass(frozen=True)
class OddDoor:
    door: XeroDoor
    moment: str
    happens: Callable[[], None]

    @contextmanager
    def admit(self, tenant: str, purpose: Purpose) -> Iterator[Slot]:
        with self.door.admit(tenant, purpose) as slot:
            yield OddSlot(slot, self.moment, self.happens)


@contextmanager
def lane_to_ourselves(world: World) -> Iterator[None]:
    """Meanwhile the daemon leaves this lane alone."""
    holder = f"{world.daemon.process}/test"
    with transaction():
        assert lanes.take("main", LaneName.INVOICES, holder, world.clock.now())
    try:
        yield
    finally:
        with transaction():
            lanes.leave("main", LaneName.INVOICES, holder)


def lane_of(
    world: World, process: str, moment: str, happens: Callable[[], None]
) -> WriteLane:
    """The invoices lane as a process has it to which something happens."""
    lane = world.daemon.runner.works[LaneName.INVOICES]
    assert isinstance(lane, WriteLane)
    door = OddDoor(world.daemon.door, moment, happens)
    return WriteLane(lane.kind, door, world.clock, process)


def other_process(world: World, moment: str, happens: Callable[[], None]) -> WriteLane:
    """The invoices lane of a process that is taken for dead from this moment on.

    Not before: its intent would be taken from it, and it would not get so far.
    """

    def falls_silent() -> None:
        with transaction():
            processes.leave(OTHER)
        happens()

    with transaction():
        processes.beat(OTHER, world.clock.now() + timedelta(hours=1))
    return lane_of(world, OTHER, moment, falls_silent)


def ready(world: World) -> Data:
    """A renewal whose invoice is due to be raised."""
    asked = renewal_due()
    world.publish(asked)
    lane = world.daemon.runner
    world.wait(lambda: lane.is_due("main", LaneName.INVOICES), "an invoice to raise")
    return asked


def in_xero(world: World, asked: Data) -> int:
    reference = f"membership:{asked['subject']}"
    return sum(i["Reference"] == reference for i in world.invoices)


@pytest.mark.parametrize("moment", ["check", "socket", "record"])
def test_what_a_dead_process_began_is_ended_by_another(
    world: World, moment: str
) -> None:
    puts = len(world.exchanges("PUT", "/Invoices"))
    with lane_to_ourselves(world):
        asked = ready(world)
        with pytest.raises(Killed):
            other_process(world, moment, dies).step("main")
    world.hear("invoice.emailed", asked["subject"])
    world.quiet()
    assert in_xero(world, asked) == 1
    sent = world.exchanges("PUT", "/Invoices")[puts:]
    assert len(sent) == (2 if moment == "record" else 1)
    assert len({exchange.body for exchange in sent}) == 1
    assert len({exchange.key for exchange in sent}) == 1


@pytest.mark.parametrize("moment", ["check", "socket", "record"])
def test_a_frozen_process_that_awakes_does_nothing_twice(
    world: World, moment: str
) -> None:
    frozen, thawed = threading.Event(), threading.Event()

    def freezes() -> None:
        frozen.set()
        thawed.wait()

    lane = other_process(world, moment, freezes)
    with lane_to_ourselves(world):
        asked = ready(world)
        # A daemon: should the test fail before the thaw, pytest can end.
        thread = threading.Thread(target=lane.step, args=("main",), daemon=True)
        thread.start()
        world.wait(frozen.is_set, "it freezes")
    world.hear("invoice.raised", asked["subject"])
    thawed.set()
    thread.join()
    world.hear("invoice.emailed", asked["subject"])
    world.quiet()
    assert in_xero(world, asked) == 1
    assert len(world.told("invoice.raised", asked["subject"])) == 1
    open_ones = [IntentState.OPEN, IntentState.UNKNOWN]
    assert not Intent.select().where(Intent.state.in_(open_ones)).exists()


def test_a_recovery_that_begins_before_the_last_check_lets_nothing_out(
    world: World,
) -> None:
    def is_held() -> None:
        with transaction():
            recovery.require("main", "a test", world.clock.now())

    with lane_to_ourselves(world):
        asked = ready(world)
        with pytest.raises(XeroWait):
            lane_of(world, world.daemon.process, "check", is_held).step("main")
        assert in_xero(world, asked) == 0
        with transaction():
            recovery.done("main", world.clock.now())
    world.hear("invoice.emailed", asked["subject"])
    assert in_xero(world, asked) == 1


def test_a_bug_after_the_call_does_not_leave_the_intent_open(world: World) -> None:
    def fails() -> None:
        raise RuntimeError("a bug")

    with lane_to_ourselves(world):
        asked = ready(world)
        with pytest.raises(RuntimeError):
            lane_of(world, world.daemon.process, "record", fails).step("main")
    assert world.has_unknown("invoices")
    world.advance(3)
    world.hear("invoice.emailed", asked["subject"])
    assert in_xero(world, asked) == 1
