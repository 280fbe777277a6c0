"""A process lives as long as it says so."""

from datetime import timedelta

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


def test_the_silent_are_buried_once_and_nobody_else(books: None) -> None:
    processes.beat("silent", NOW - seconds(5))
    processes.beat("slow", NOW - seconds(4.9))
    assert processes.bury_silent(NOW) == ["silent"]
    assert processes.bury_silent(NOW) == []
    assert [row.name for row in Process.select()] == ["slow"]


def test_who_was_only_slow_comes_back_by_itself(books: None) -> None:
    processes.beat("slow", NOW)
    processes.bury_silent(NOW + seconds(6))
    processes.beat("slow", NOW + seconds(6))
    assert processes.living(NOW + seconds(6)) == {"slow"}
