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


def test_the_long_dead_are_forgotten_and_nobody_else(books: None) -> None:
    processes.beat("long ago", NOW - timedelta(days=1, seconds=1))
    processes.beat("today", NOW - timedelta(hours=23))
    processes.forget_silent(NOW)
    assert [row.name for row in Process.select()] == ["today"]
