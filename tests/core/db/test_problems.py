"""One open problem per cause, however often it is seen."""

from datetime import timedelta

from core.db import problems
from core.db.database import transaction
from core.db.models import Problem
from tests.core.db.crowd import together
from tests.core.db.rows import NOW

LATER = NOW + timedelta(hours=1)


def see(cause: str = "contact:1", title: str = "two contacts", **detail: int) -> None:
    with transaction():
        problems.open_problem("contact", cause, title, NOW, detail=detail)


def test_a_problem_is_open_until_it_is_closed(books: None) -> None:
    see(candidates=2)
    (problem,) = problems.open_problems()
    assert (problem.kind, problem.cause, problem.seen) == ("contact", "contact:1", 1)
    assert (problem.opened_at, problem.detail) == (NOW, {"candidates": 2})
    problems.close_problem("contact:1", LATER)
    assert problems.open_problems() == []
    assert Problem.get_by_id(problem.id).closed_at == LATER


def test_a_cause_seen_again_is_counted_and_told_in_its_newest_words(
    books: None,
) -> None:
    see(candidates=2)
    see(title="three contacts", candidates=3)
    (problem,) = problems.open_problems()
    assert (problem.seen, problem.title) == (2, "three contacts")
    assert problem.detail == {"candidates": 3}


def test_two_causes_are_two_problems(books: None) -> None:
    see("contact:1")
    see("contact:2")
    assert [p.cause for p in problems.open_problems()] == ["contact:1", "contact:2"]
    problems.close_problem("contact:1", NOW)
    assert [p.cause for p in problems.open_problems()] == ["contact:2"]


def test_a_cause_that_comes_back_after_it_was_closed_is_a_new_problem(
    books: None,
) -> None:
    see()
    problems.close_problem("contact:1", NOW)
    see()
    see()
    (problem,) = problems.open_problems()
    assert problem.seen == 2
    assert Problem.select().count() == 2


def test_many_that_see_a_cause_at_once_open_one_problem(books: None) -> None:
    together(8, lambda _: see())
    assert len(problems.open_problems()) == 1


def test_closing_what_is_not_open_does_nothing(books: None) -> None:
    see()
    problems.close_problem("contact:1", NOW)
    problems.close_problem("contact:1", LATER)
    problems.close_problem("never seen", LATER)
    assert Problem.get().closed_at == NOW


def test_problems_are_found_by_kind(books: None) -> None:
    see()
    with transaction():
        problems.open_problem("lock", "lock:2026", "locked", NOW)
    assert [p.cause for p in problems.open_problems("lock")] == ["lock:2026"]
