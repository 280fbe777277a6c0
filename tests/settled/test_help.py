"""Every command says what it does and what can be asked of it."""

from collections.abc import Iterator

import click
import pytest

from settled.cli import cli
from tests.settled.command import settled, settled_process

COMMANDS = {
    "accounts",
    "check",
    "connect",
    "demo",
    "migrate",
    "plugins",
    "prices",
    "problems",
    "run",
    "sandbox",
}


def leaves(
    group: click.Group, before: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*before, name))


ALL = sorted(leaves(cli))


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


def test_the_command_lists_its_commands() -> None:
    said = settled_process("--help")
    assert (said.code, said.err) == (0, "")
    listed = said.out.partition("Commands:")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.strip()} >= COMMANDS


def test_no_command_is_missing_here() -> None:
    assert {path[0] for path in ALL} >= COMMANDS


@pytest.mark.parametrize("path", ALL, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_each_command_has_help(path: tuple[str, ...], option: str) -> None:
    if path == ("sandbox",):
        option = "--help"  # the sandbox's own words, and its own options
    said = settled(*path, option)
    assert (said.code, said.err) == (0, "")
    assert f"Usage: settled {' '.join(path)}" in said.out


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_commands_help_names_its_options(path: tuple[str, ...]) -> None:
    said = settled(*path, "--help").out
    for parameter in command_at(path).params:
        if isinstance(parameter, click.Option):
            assert max(parameter.opts, key=len) in said
            assert parameter.help, f"{parameter.name} explains itself"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_command_is_described_by_a_sentence(path: tuple[str, ...]) -> None:
    described = command_at(path).help or ""
    assert len(described.split()) > 2
    assert described.splitlines()[0].endswith((".", ":"))


def test_the_sandboxs_help_is_the_sandboxs_own() -> None:
    said = settled("sandbox", "serve", "--help")
    assert said.code == 0
    assert "--redirect-uri" in said.out


def test_the_version_is_told() -> None:
    said = settled("--version")
    assert said.code == 0
    assert said.out.startswith("settled, version ")
