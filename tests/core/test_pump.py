"""The pump, where the books fail it."""

from collections.abc import Sequence

import pytest
from peewee import OperationalError

from core.db import lanes, processes
from core.db.database import transaction
from core.waking import LaneName
from tests.faults.plan import Fault, Place, Plan
from tests.faults.running import opened_bench

DEAD = "worker@here-1-abc"


def test_a_death_that_the_books_did_not_hear_of_is_told_again() -> None:
    """The kernel tells of it once; nobody need wait until the dead has been silent."""
    told = [DEAD]

    def gone() -> Sequence[str]:
        return [told.pop()] if told else []

    with opened_bench() as bench:
        lab = bench.lab
        lab.go_back(bench.beginning, Plan())
        now = lab.clock.now()
        with transaction():
            processes.beat(DEAD, now)
            assert lanes.take("main", LaneName.VOIDS, f"{DEAD}/1", now)
        pump = lab.process.pump
        pump.gone = gone
        lab.life.plan = Plan([Fault(Place.COMMIT, 1, "locked")])
        with pytest.raises(OperationalError):
            pump.tick()
        pump.tick()
        assert lanes.get("main", LaneName.VOIDS).holder is None
