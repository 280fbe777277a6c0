"""A process lives as long as it says so."""

from datetime import timedelta

import pytest

from core.db import processes
from core.db.models import Process
from tests.core.db.rows import NOW


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_a_process_is_presumed_dead_after_five_silent_seconds(books: None) -> None:
    processes.beat("here", NOW)
    assert processes.living(NOW + seconds(4.9)) == {"here"}
    assert processes.living(NOW + seconds(5)) == set()


def test_each_beat_counts_from_anew(books: None) -> None:
    processes.beat("here", NOW)
    processes.beat("here", NOW + seconds(4))
    assert processes.living(NOW + seconds(8)) == {"here"}
    assert Process.select().count() == 1


def test_who_ends_in_good_order_is_forgotten_at_once(books: None) -> None:
    processes.beat("here", NOW)
    processes.beat("there", NOW)
    processes.leave("here")
    assert processes.living(NOW) == {"there"}


def beats(name: str, *after_s: float) -> None:
    for after in after_s:
        processes.beat(name, NOW + seconds(after))


def test_the_silent_are_buried_once_and_nobody_else(books: None) -> None:
    beats("silent", 0)
    beats("slow", 0.1)
    beats("here", 0, 1, 2, 3, 4, 5)
    now = NOW + seconds(5)
    assert processes.presumed_alive("here", now) == {"here", "slow"}
    assert processes.bury_silent("here", now) == ["silent"]
    assert processes.bury_silent("here", now) == []
    assert {row.name for row in Process.select()} == {"here", "slow"}


def test_who_was_only_slow_comes_back_by_itself(books: None) -> None:
    beats("slow", 0)
    beats("here", 0, 2, 4, 6)
    assert processes.bury_silent("here", NOW + seconds(6)) == ["slow"]
    beats("slow", 6)
    assert processes.living(NOW + seconds(6)) == {"here", "slow"}


@pytest.mark.parametrize("heard", [(0, 10), (0, 4, 8), (10,), ()])
def test_who_was_not_heard_itself_presumes_nobody_dead(
    books: None, heard: tuple[float, ...]
) -> None:
    beats("other", 0)
    beats("here", *heard)
    now = NOW + seconds(10)
    assert processes.presumed_alive("here", now) == {"here", "other"}
    assert processes.bury_silent("here", now) == []


def test_when_it_was_heard_again_for_long_enough_it_does(books: None) -> None:
    beats("other", 0)
    beats("here", 0, 10, 12, 14, 15)
    just_before, then = NOW + seconds(14.9), NOW + seconds(15)
    assert processes.presumed_alive("here", just_before) == {"here", "other"}
    assert processes.presumed_alive("here", then) == {"here"}
    assert processes.bury_silent("here", then) == ["other"]


def test_after_an_outage_those_who_come_back_in_time_are_never_buried(
    books: None,
) -> None:
    beats("one", 0, 10, 11, 12, 13, 14, 15, 16)
    beats("other", 0.5, 10.9, 11.9, 12.9, 13.9, 14.9, 15.9)
    for after in (10, 11, 15, 16):
        assert processes.bury_silent("one", NOW + seconds(after)) == []
