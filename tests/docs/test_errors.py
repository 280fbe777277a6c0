import ast
from collections.abc import Iterator
from enum import StrEnum

import pytest

from core.db.inbox import InboxState
from core.db.intents import IntentState
from core.db.invoices import InvoiceState
from core.db.writes import WriteState
from core.waking import LaneName
from settled import cli
from tests.docs.pages import ROOT, bare, headings, page, rows, section

TEXT = page("docs/errors.md")


def kinds_in_the_code() -> Iterator[str]:
    """The first argument of each ``open_problem(…)``."""
    for package in ("core", "bus", "plugins", "settled"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                called = getattr(node.func, "attr", getattr(node.func, "id", None))
                if called == "open_problem":
                    kind = node.args[0]
                    assert isinstance(kind, ast.Constant), f"{path}: not a literal"
                    yield str(kind.value)


def test_every_kind_of_problem_has_a_heading() -> None:
    documented = headings(section(TEXT, "Kinds of problem"), 3)
    assert sorted(documented) == sorted(set(kinds_in_the_code()))


def test_every_kind_says_what_to_do() -> None:
    for kind in headings(section(TEXT, "Kinds of problem"), 3):
        assert "**Do" in section(TEXT, f"`{kind}`"), kind


def test_every_lane_is_listed() -> None:
    table = [row[0] for row in rows(section(TEXT, "Lanes")) if len(row) == 4]
    listed = [bare(name) for cell in table for name in cell.split(", ")]
    assert sorted(listed) == sorted(LaneName)


@pytest.mark.parametrize(
    ("table", "states"),
    [
        ("inbox", InboxState),
        ("invoice", InvoiceState),
        ("write", WriteState),
        ("intent", IntentState),
    ],
)
def test_every_state_is_listed(table: str, states: type[StrEnum]) -> None:
    found = rows(section(TEXT, "States"))
    cell = next(row[1] for row in found if row[0].startswith(f"`{table}`"))
    listed = {part.split("`")[1] for part in cell.split(" · ")}
    assert listed == set(states)


def test_every_exit_code_is_listed() -> None:
    listed = {int(row[0]) for row in rows(section(TEXT, "Exit codes"))}
    named = {cli.SOMETHING_WRONG, cli.USAGE, cli.UNUSABLE, cli.UNREACHABLE}
    assert listed == {0, 130, *named}
