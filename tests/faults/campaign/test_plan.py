"""The plan: all of it is decided by the seed, before anything starts."""

from collections import Counter

from tests.faults.campaign.plan import LASTS_S, Kind, plan

COUNTS = {Kind.KILL: 40, Kind.REDIS: 10, Kind.STOP: 5}


def test_the_same_seed_gives_the_same_faults() -> None:
    assert plan(7, COUNTS, 60) == plan(7, COUNTS, 60)
    assert plan(7, COUNTS, 60) != plan(8, COUNTS, 60)


def test_each_kind_falls_as_often_as_was_asked_and_all_the_time() -> None:
    faults = plan(7, COUNTS, 60)
    assert Counter(fault.kind for fault in faults) == COUNTS
    moments = [fault.at_s for fault in faults]
    assert moments == sorted(moments)
    kills = [fault.at_s for fault in faults if fault.kind is Kind.KILL]
    assert all(n * 1.5 <= at_s < (n + 1) * 1.5 for n, at_s in enumerate(kills))


def test_a_frozen_worker_is_frozen_for_longer_than_its_lease() -> None:
    lasting = [f.lasts_s for f in plan(7, COUNTS, 60) if f.kind is Kind.STOP]
    shortest, longest = LASTS_S[Kind.STOP]
    assert shortest > 5
    assert all(shortest <= lasts_s <= longest for lasts_s in lasting)
