"""What every command shares: exit codes, the option --config, printing."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

SOMETHING_WRONG, USAGE, UNUSABLE, UNREACHABLE = 1, 2, 3, 4

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file; else SETTLED_CONFIG, else settled.toml if it is here.",
)


def show(what: Table | str) -> None:
    """As it is: a name of Xero's may hold brackets, which mean nothing."""
    Console(markup=False, emoji=False, highlight=False).print(what)


def progress() -> Progress:
    """Bars on a terminal; a file of logs is no place for what moves."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
