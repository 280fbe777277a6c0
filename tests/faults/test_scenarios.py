"""A short, fixed set of scenarios; ``make faults`` runs fifty thousand."""

from collections.abc import Mapping, Sequence

import pytest

from tests.faults.choosing import pairs, singles
from tests.faults.plan import CALL_FAULTS, Place
from tests.faults.report import MOST_LOOKS, MOST_UNKNOWN_S, Report
from tests.faults.running import opened_bench, run_chosen
from tests.faults.scenario import BOUNDARIES, Scenario, Shape
from tests.faults.stages import Kind

SCENARIOS, SEED = 300, 1


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_doubled() -> None:
    report = Report()
    for ended in run_chosen(SCENARIOS, SEED, processes=1):
        report.add(ended)
    print(f"seed {SEED}")  # noqa: T201 of a failure it must be known
    assert report.findings == []
    assert report.distinct >= SCENARIOS
    assert report.unknown > 0
    assert report.longest_unknown_s <= MOST_UNKNOWN_S
    assert report.most_looks <= MOST_LOOKS


def test_a_seed_chooses_the_same_scenarios_and_another_seed_others() -> None:
    some = singles(500, 1)
    assert some == singles(500, 1)
    assert some != singles(500, 2)
    met = as_if_run(some)
    assert pairs(met, 500, 1) == pairs(dict(reversed(met.items())), 500, 1)
    assert pairs(met, 500, 1) != pairs(met, 500, 2)


def test_no_scenario_is_chosen_twice_and_a_tenth_are_fifties() -> None:
    some = pairs(as_if_run(singles(2_000, 3)), 2_000, 3)
    assert len(set(some)) == 2_000
    assert sum(s.shape is Shape.FIFTY for s in some) == 200


def test_a_second_fault_waits_where_the_first_was_followed_by_a_boundary() -> None:
    first = Scenario.read("emails/one/write.1.reset_after")
    fifties = Scenario.read("emails/fifty/write.1.reset_after")
    some = pairs({first: {Place.REDIS: 2}, fifties: {Place.REDIS: 1}}, 9, 1)
    seconds = {scenario.faults[1] for scenario in some}
    assert {fault.place for fault in seconds} == {Place.REDIS}
    assert {fault.number for fault in seconds} == {1, 2}


def test_more_pairs_than_there_are_is_an_error() -> None:
    first = Scenario.read("emails/one/write.1.reset_after")
    with pytest.raises(ValueError, match="no more than 4"):
        pairs({first: {Place.REDIS: 1}}, 9, 1)


def as_if_run(some: Sequence[Scenario]) -> dict[Scenario, Mapping[Place, int]]:
    """As if each had struck, and had met some boundaries afterwards."""
    return {scenario: {Place.COMMIT: 5, Place.LOOK: 1} for scenario in some}


def test_a_scenario_is_read_as_it_was_written() -> None:
    some = singles(200, 4)
    for scenario in some + pairs(as_if_run(some), 200, 4):
        assert Scenario.read(str(scenario)) == scenario


def test_a_fault_beyond_the_last_boundary_strikes_nothing() -> None:
    with opened_bench() as bench:
        far = Scenario.read("emails/one/commit.999.crash_before")
        assert not bench.run(far).is_distinct


def test_books_that_are_away_for_a_moment_leave_nothing_unknown() -> None:
    """Xero has answered: what it said is written down as soon as the books are back.

    Before the call nothing is lost either: what was not sent is known to be so.
    """
    with opened_bench() as bench:
        for kind in Kind:
            commits, _ = bench.boundaries(kind)
            for number in range(1, commits + 1):
                text = f"{kind}/one/commit.{number}.locked"
                ended = bench.run(Scenario.read(text))
                assert (ended.found, ended.unknown_s) == ((), 0), text


def test_no_kind_has_more_boundaries_than_the_table_says() -> None:
    """Beyond the table they would be left untested."""
    with opened_bench() as bench:
        for kind in Kind:
            for met, said in zip(bench.boundaries(kind), BOUNDARIES[kind], strict=True):
                assert 0 < met <= said, kind


def test_each_call_fault_is_known_to_the_wire() -> None:
    with opened_bench() as bench:
        for what in CALL_FAULTS:
            scenario = Scenario.read(f"invoices/one/write.1.{what}")
            plain = bench.run(Scenario.read("invoices/one/"))
            struck = bench.run(scenario)
            assert struck.is_distinct, what
            assert plain.found == struck.found == ()
