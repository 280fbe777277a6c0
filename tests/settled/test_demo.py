"""``settled demo``: a season from end to end, and what it says of a difference."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from settled.cli import SOMETHING_WRONG
from settled.demo import show as showing
from settled.demo.figures import Figures
from tests.settled.command import settled, settled_process

MEMBERS = 20

DIFFERENCE = "MEM-2026-000001: total 1.00 in our books, 2.00 [/xero] in Xero"


def figures_that_differ(*_: Any, **__: Any) -> Figures:
    values: dict[str, Any] = dict.fromkeys((f.name for f in fields(Figures)), 0)
    lists = {"calls_by_purpose": {}, "calls_by_kind": {}, "differences": [DIFFERENCE]}
    return Figures(**{**values, **lists})


def test_a_small_season_agrees_with_itself(here: Path) -> None:
    ended = settled_process("demo", "--members", str(MEMBERS), "--json", "figures.json")
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert "Books, Xero's ledger and the platform's wishes agree." in ended.out
    figures = json.loads((here / "figures.json").read_text())
    assert figures["differences"] == []
    assert figures["members"] == MEMBERS
    assert figures["invoices"] == figures["emails"] > 0
    assert figures["invoices"] + figures["free_of_charge"] == MEMBERS
    found, created = figures["contacts_found"], figures["contacts_created"]
    assert found + created == figures["invoices"]
    assert figures["messages_rejected"] == 8
    assert figures["calls"] == sum(figures["calls_by_purpose"].values())
    assert figures["calls"] == sum(figures["calls_by_kind"].values())
    # Nothing of it stays behind.
    assert sorted(path.name for path in here.iterdir()) == ["figures.json"]


def test_a_season_that_differs_is_told_by_name_and_exit_code(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How differences are found stands in test_judge.py."""
    monkeypatch.setattr(showing, "_rehearse", figures_that_differ)
    ended = settled("demo", "--members", str(MEMBERS), "--json", "figures.json")
    assert ended.code == SOMETHING_WRONG
    assert f"differs: {DIFFERENCE}" in ended.out
    assert "agree" not in ended.out
    figures = json.loads((here / "figures.json").read_text())
    assert figures["differences"] == [DIFFERENCE]
