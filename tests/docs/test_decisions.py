import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, headings, page, section

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PARTS = ["Context", "Decision", "Consequences", "Alternatives", "References"]


def test_numbers_are_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: str(path.stem))
def test_a_decision_has_its_parts(path: Path) -> None:
    text = page(f"docs/decisions/{path.name}")
    (title,) = headings(text, 1)
    assert title.startswith(f"{path.name[:4]}: ")
    assert headings(text, 2) == PARTS
    decision = section(text, "Decision").strip()
    assert decision.endswith(".")
    assert len(re.findall(r"\.(\s|$)", decision)) == 1, "a decision is one sentence"


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: str(path.stem))
def test_code_that_is_referred_to_is_there(path: Path) -> None:
    text = page(f"docs/decisions/{path.name}")
    for name in re.findall(r"`((?:core|bus|plugins|settled|sandbox)/[^`]*)`", text):
        assert (ROOT / name).exists(), name
