"""A lane is woken once, run by one holder, and outlives whoever dies in it."""

from datetime import timedelta

import pytest

from core.db import lanes, processes
from core.db.database import transaction
from core.db.models import Lane
from tests.core.db.crowd import together
from tests.core.db.rows import NOW

LANE = ("main", "invoices")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.fixture(autouse=True)
def _a_lane(books: None) -> None:
    lanes.ensure("main", ["invoices", "emails"])
    lanes.ensure("other", ["invoices"])
    processes.beat("here", NOW)
    processes.beat("there", NOW)


def test_a_lane_is_made_once() -> None:
    lanes.take(*LANE, "here/1", NOW)
    lanes.ensure("main", ["invoices", "reads"])
    assert Lane.select().where(Lane.tenant == "main").count() == 3
    assert lanes.get(*LANE).holder == "here/1"


# -- waking ----------------------------------------------------------------------------


def test_a_lane_is_woken_once_in_ten_seconds() -> None:
    woken = [
        lanes.claim_wake(*LANE, NOW + seconds(after)) for after in (0, 1, 9.9, 10, 11)
    ]
    assert woken == [True, False, False, True, False]


def test_only_one_of_many_wakes_it() -> None:
    def wake(_: int) -> bool:
        with transaction():
            return lanes.claim_wake(*LANE, NOW)

    assert together(8, wake).count(True) == 1


def test_a_lane_that_runs_is_not_woken() -> None:
    lanes.take(*LANE, "here/1", NOW)
    assert not lanes.claim_wake(*LANE, NOW + seconds(60))


def test_a_lane_that_was_left_can_be_woken_at_once() -> None:
    lanes.claim_wake(*LANE, NOW)
    lanes.take(*LANE, "here/1", NOW)
    lanes.leave(*LANE, "here/1")
    assert lanes.claim_wake(*LANE, NOW)


def test_a_parked_lane_is_woken_when_its_time_has_come() -> None:
    lanes.park(*LANE, NOW + seconds(30), "429: minute")
    assert not lanes.claim_wake(*LANE, NOW + seconds(29))
    assert lanes.get(*LANE).reason == "429: minute"
    assert lanes.claim_wake(*LANE, NOW + seconds(30))


def test_waking_one_lane_wakes_no_other() -> None:
    lanes.claim_wake(*LANE, NOW)
    assert lanes.claim_wake("main", "emails", NOW)
    assert lanes.claim_wake("other", "invoices", NOW)


def test_a_lane_that_does_not_exist_yet_is_not_woken() -> None:
    assert not lanes.claim_wake("main", "voids", NOW)


# -- running ---------------------------------------------------------------------------


def test_a_free_lane_is_taken() -> None:
    assert lanes.take(*LANE, "here/1", NOW)
    assert lanes.get(*LANE).holder == "here/1"


def test_nobody_takes_what_the_living_hold() -> None:
    lanes.take(*LANE, "here/1", NOW)
    assert not lanes.take(*LANE, "there/2", NOW)
    assert lanes.get(*LANE).holder == "here/1"


def test_not_even_another_thread_of_the_same_process() -> None:
    lanes.take(*LANE, "here/1", NOW)
    assert not lanes.take(*LANE, "here/2", NOW)


def test_only_one_of_many_takes_it() -> None:
    def take(number: int) -> bool:
        with transaction():
            return lanes.take(*LANE, f"here/{number}", NOW)

    taken = together(8, take)
    assert taken.count(True) == 1
    assert lanes.get(*LANE).holder == f"here/{taken.index(True)}"


def test_the_lane_of_the_dead_is_taken_over() -> None:
    lanes.take(*LANE, "here/1", NOW)
    for after in (2, 4, 6):
        processes.beat("there", NOW + seconds(after))
    assert lanes.take(*LANE, "there/2", NOW + seconds(6))
    assert lanes.get(*LANE).holder == "there/2"


def test_who_was_silent_itself_takes_nothing_over() -> None:
    lanes.take(*LANE, "here/1", NOW)
    later = NOW + seconds(6)
    processes.beat("there", later)
    assert not lanes.take(*LANE, "there/2", later)


def test_only_one_of_many_inherits_from_the_dead() -> None:
    lanes.take(*LANE, "gone/1", NOW)

    def take(number: int) -> bool:
        with transaction():
            return lanes.take(*LANE, f"here/{number}", NOW)

    assert together(8, take).count(True) == 1


def test_whoever_left_in_good_order_left_its_lanes_too() -> None:
    lanes.take(*LANE, "here/1", NOW)
    processes.leave("here")
    assert lanes.take(*LANE, "there/2", NOW)


def test_taking_ends_the_wait_and_forgets_who_was_told() -> None:
    lanes.claim_wake(*LANE, NOW)
    lanes.park(*LANE, NOW + seconds(30), "429: minute")
    lanes.take(*LANE, "here/1", NOW + seconds(31))
    row = lanes.get(*LANE)
    assert (row.woken_at, row.parked_until, row.reason) == (None, None, "")


def test_the_dead_that_come_back_do_not_take_it_from_their_heir() -> None:
    lanes.take(*LANE, "gone/1", NOW)
    lanes.take(*LANE, "there/2", NOW)
    lanes.leave(*LANE, "gone/1")
    assert lanes.get(*LANE).holder == "there/2"


def test_leaving_frees_this_lane_alone() -> None:
    lanes.take(*LANE, "here/1", NOW)
    lanes.take("main", "emails", "here/1", NOW)
    lanes.leave(*LANE, "here/1")
    assert lanes.get(*LANE).holder is None
    assert lanes.get("main", "emails").holder == "here/1"


# -- when ------------------------------------------------------------------------------


def test_of_two_moments_asked_for_the_earlier_counts() -> None:
    for wait_s in (60, 30, 90):
        lanes.ask(*LANE, NOW + seconds(wait_s), NOW)
    assert lanes.due_at(*LANE) == NOW + seconds(30)


def test_a_lane_that_has_run_is_due_when_it_says_so() -> None:
    lanes.ask(*LANE, NOW, NOW)
    lanes.schedule(*LANE, NOW + seconds(900), ran_from=NOW)
    assert lanes.due_at(*LANE) == NOW + seconds(900)
    assert lanes.due_at("other", "invoices") is None


def test_what_is_asked_for_while_a_lane_runs_is_not_forgotten_when_it_ends() -> None:
    lanes.ask(*LANE, NOW, NOW)
    lanes.take(*LANE, "here/1", NOW)
    lanes.ask(*LANE, NOW + seconds(61), NOW + seconds(1))
    lanes.schedule(*LANE, NOW + seconds(900), ran_from=NOW)
    assert lanes.due_at(*LANE) == NOW + seconds(61)
