"""The runner's logic, without running the demo."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.figures.__main__ import main
from tests.figures.command import Finished, bare_environment, python
from tests.figures.figure import Figure, at_least, at_most, below, exactly
from tests.figures.runner import Result, Topic, all_topics, measure, show, write
from tests.figures.topics.main_job import (
    contract_figures,
    season_figures,
    suite_figures,
)

WISHED = 57


def said(**changes: Any) -> dict[str, Any]:
    """What a good demo says."""
    return {
        "members": 60,
        "invoices": WISHED,
        "differences": [],
        "emails": WISHED,
        "paid": 52,
        "activated": 55,
        "raising_calls_per_invoice": 0.0526,
        "calls_per_invoice": 1.1,
        "calls_by_purpose": {"bulk": 60},
        "calls_by_kind": {"write_emails": 57},
        "payment_to_action_p50_s": 0.1,
        "payment_to_action_p95_s": 0.2,
        "payment_to_action_max_s": 0.3,
        "peak_memory_mb": 102.6,
        "seconds": 8.2,
        "published_again": 58,
        "answered_again": 58,
        "invoices_raised_again": 0,
    } | changes


def short(figures: list[Figure]) -> list[str]:
    return Result("main-job", False, 1.0, figures).falls_short


def test_a_good_season_keeps_every_bound() -> None:
    assert short(list(season_figures(said(), WISHED))) == []


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"raising_calls_per_invoice": 0.0601}, ["calls: raising, per invoice"]),
        ({"payment_to_action_p95_s": 2.0}, ["payment to action: p95"]),
        ({"payment_to_action_p95_s": None}, ["payment to action: p95"]),
        ({"peak_memory_mb": 250.1}, ["peak memory"]),
        ({"peak_memory_mb": None}, ["peak memory"]),
        ({"differences": ["x"]}, ["season: books, ledger and wishes differ"]),
        ({"answered_again": 57}, ["again: answered"]),
        ({"invoices": WISHED + 1}, ["season: invoices", "season: duplicates"]),
        ({"invoices_raised_again": 1}, ["again: more invoices"]),
        ({"invoices": WISHED - 1}, ["season: invoices", "season: missing"]),
        ({"emails": WISHED - 1}, ["season: e-mails"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_figure_outside_its_bound_is_named(
    changes: dict[str, Any], names: list[str]
) -> None:
    assert short(list(season_figures(said(**changes), WISHED))) == names


def test_a_deviation_without_a_fact_is_named() -> None:
    report = {
        "exchanges_checked": 10,
        "operations": {},
        "unlisted": ["exchange 3: a colour"],
        "deviations": [{"what": "a day", "fact": "section 10", "times": 0}],
    }
    names = short(list(contract_figures(report)))
    assert names == ["contract: unlisted deviations", "deviation: a day"]


GOOD = "==== 412 passed in 93.10s (0:01:33) ===="


@pytest.mark.parametrize(
    ("sqlite", "postgres", "names"),
    [
        (GOOD, GOOD, []),
        (GOOD, "", ["tests on PostgreSQL: passed"]),
        (
            GOOD,
            "== 1 failed, 411 passed in 3.1s ==",
            ["tests on PostgreSQL: not passed"],
        ),
        ("== 411 passed, 1 skipped in 3.1s ==", GOOD, ["tests on SQLite: not passed"]),
        ("", "", ["tests on SQLite: passed", "tests on PostgreSQL: passed"]),
    ],
    ids=["good", "one-only", "failed", "skipped", "silent"],
)
def test_the_suite_must_pass_whole_on_both(
    sqlite: str, postgres: str, names: list[str]
) -> None:
    output = f"pytest\n..s.. [100%]\n{sqlite}\npytest\n.....\n{postgres}\n"
    assert short(list(suite_figures(output))) == names


def test_bounds() -> None:
    assert at_most(5).keeps(5)
    assert not at_most(5).keeps(5.1)
    assert not below(5).keeps(5)
    assert at_least(5).keeps(5)
    assert exactly(0).keeps(0)
    assert not exactly(0).keeps(None)
    assert not exactly(1).keeps(True)


def test_what_falls_short_is_shown_and_written(tmp_path: Path) -> None:
    def collect(run: Any) -> list[Figure]:
        return [
            Figure("speed", 9, at_most(5), "s"),
            Figure("kinds", {"reads": 3}, note="shown"),
        ]

    console = Console(record=True, width=120)
    result = measure(Topic("trial", "a trial", collect), console, full=False)
    show(result, console)
    text = console.export_text()
    assert "falls short: speed" in text
    assert "reads 3" in text
    write(result, tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["falls_short"] == ["speed"]
    assert written["figures"][0]["bound"] == "≤ 5"


def test_without_a_topic_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "main-job" in capsys.readouterr().out
    assert set(all_topics()) >= {"main-job"}


def test_a_program_that_hangs_is_ended() -> None:
    finished = python("http.server", "--bind", "127.0.0.1", "0", within_s=0.5)
    assert finished.code == -1


def test_the_last_lines_of_a_failed_program_are_kept() -> None:
    assert Finished(1, 0.1, "\n".join("abcdefghijklmnop")).end.startswith("e")


def test_a_fresh_machine_knows_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    environment = bare_environment(tmp_path)
    assert set(environment) >= {"HOME", "PATH", "PIP_NO_CACHE_DIR"}
    assert "REDIS_URL" not in environment
    assert environment["HOME"] == str(tmp_path)
