"""Collects a topic's figures, holds them to their bounds, and names what fails."""

import importlib
import json
import os
import pkgutil
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.figures import topics
from tests.figures.figure import Figure


@dataclass(frozen=True, slots=True)
class Run:
    """How a topic is to be measured.

    Args:
        full: the whole; else what fits into a minute and needs no network.
        folder: for what is made on the way; gone afterwards.
        say: tells a person what is going on.
        kept: the file of the figures, beside which more may be kept; None: nothing is.
    """

    full: bool
    folder: Path
    say: Callable[[str], None]
    kept: Path | None = None


#: Units of what depends on the machine.
TIMED = frozenset({"s", "ms", "MB"})

#: Given the run, the figures in the order in which they are shown.
Collect = Callable[[Run], Iterable[Figure]]


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    about: str
    collect: Collect


@dataclass(frozen=True, slots=True)
class Result:
    """A topic, measured."""

    topic: str
    full: bool
    seconds: float
    figures: Sequence[Figure]

    @property
    def falls_short(self) -> list[str]:
        """The names of the figures outside their bounds."""
        return [figure.name for figure in self.figures if figure.falls_short]

    def as_dict(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "full": self.full,
            "seconds": self.seconds,
            "machine": {
                "cores": os.cpu_count(),
                "system": platform.system(),
                "python": platform.python_version(),
            },
            "figures": [figure.as_dict() for figure in self.figures],
            "falls_short": self.falls_short,
        }


def all_topics() -> dict[str, Topic]:
    """Every module of `topics`, by its name with hyphens."""
    found = {}
    for module in pkgutil.iter_modules(topics.__path__):
        loaded = importlib.import_module(f"{topics.__name__}.{module.name}")
        name = module.name.replace("_", "-")
        about = (loaded.__doc__ or "").partition("\n")[0]
        found[name] = Topic(name, about, loaded.collect)
    return found


def measure(
    topic: Topic, console: Console, *, full: bool, kept: Path | None = None
) -> Result:
    """All figures of a topic."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="settled-figures-") as folder:
        run = Run(full, Path(folder), lambda text: _say(console, text), kept)
        figures = list(topic.collect(run))
    seconds = round(time.monotonic() - began, 1)
    return Result(topic.name, full, seconds, figures)


def show(result: Result, console: Console) -> None:
    """The table, and what falls short, by name."""
    table = Table(box=None)
    for heading in ("", "figure", "value", "bound", "note"):
        table.add_column(heading, overflow="fold")
    for figure in result.figures:
        table.add_row(
            _mark(figure),
            figure.name,
            f"{_written(figure.value)} {figure.unit}".strip(),
            "" if figure.bound is None else str(figure.bound),
            figure.note,
        )
    console.print(table)
    console.print(f"{result.topic}: measured in {result.seconds} s")
    for name in result.falls_short:
        console.print(f"[red]falls short[/]: {name}")


def show_timed(results: Sequence[Result], console: Console) -> None:
    """One table of all topics: what took time or memory; and what falls short."""
    table = Table(box=None)
    for heading in ("", "topic", "figure", "value", "bound"):
        table.add_column(heading, overflow="fold")
    for result in results:
        for figure in result.figures:
            if figure.unit in TIMED or figure.falls_short:
                value = f"{_written(figure.value)} {figure.unit}".strip()
                bound = "" if figure.bound is None else str(figure.bound)
                table.add_row(_mark(figure), result.topic, figure.name, value, bound)
    console.print(table)


def write(result: Result, file: Path) -> None:
    text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


def _say(console: Console, text: str) -> None:
    console.print(text, style="dim", markup=False, highlight=False)


def _mark(figure: Figure) -> str:
    if figure.bound is None:
        return ""
    return "[red]short[/]" if figure.falls_short else "[green]ok[/]"


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return "not measured" if value is None else str(value)
