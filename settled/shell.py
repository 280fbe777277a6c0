"""What every command shares: exit codes, the option --config, printing."""

from pathlib import Path

import click
from rich.console import Console
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
