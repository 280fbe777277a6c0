import re
from collections.abc import Iterator

import click
import pytest

from core.settings import SCOPES
from settled import cli
from tests.docs.pages import PAGES, ROOT, bare, page, rows, section, without_code

README = page("README.md")


def commands(group: click.Group, path: str = "settled") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def test_every_command_is_listed() -> None:
    listed = {
        bare(name)
        for row in rows(section(README, "Commands"))
        for name in row[0].split(", ")
    }
    assert listed == set(commands(cli.cli))


def test_exit_codes_are_listed() -> None:
    codes = re.findall(
        r"(\d+) [a-zA-Z]", section(README, "Commands").split("Exit codes")[1]
    )
    known = {cli.SOMETHING_WRONG, cli.USAGE, cli.UNUSABLE, cli.UNREACHABLE}
    assert {int(code) for code in codes} == {0, 130, *known}


def test_every_folder_is_listed_and_there() -> None:
    listed = {
        bare(row[0]).rstrip("/") for row in rows(section(README, "Where things live"))
    }
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= listed
    assert all((ROOT / name).is_dir() for name in listed)


def test_scopes_are_those_that_are_asked_for() -> None:
    assert f"`{' '.join(SCOPES)}`" in README


def test_make_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for name in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)`", page(name))) <= targets, name


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page(name))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text()), target


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_are_there(name: str) -> None:
    text = page(name)
    pattern = r"`((?:core|bus|plugins|settled|sandbox|deploy|docs)/[\w./-]+\.\w+)`"
    for path in re.findall(pattern, text):
        assert (ROOT / path).exists(), path
