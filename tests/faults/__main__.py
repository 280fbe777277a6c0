"""``python -m tests.faults``: scenarios in one process each, or one of them again."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.faults.report import Report
from tests.faults.running import Ended, benches, run_chosen
from tests.faults.scenario import Scenario

console = Console()


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    began = time.monotonic()
    report = Report()
    for ended in track(_ended(asked), "scenarios", asked.seeds, console=console):
        report.add(ended)
    figures = {
        "seed": asked.seed,
        "seconds": round(time.monotonic() - began, 1),
        **report.as_data(),
    }
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    _show(report, figures)
    return 1 if report.findings else 0


def _ended(asked: argparse.Namespace) -> Iterator[Ended]:
    if not asked.only:
        yield from run_chosen(asked.seeds, asked.seed, asked.processes)
        return
    with benches(1) as run:
        yield from run([Scenario.read(text) for text in asked.only])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=2_000, help="how many different ones"
    )
    parser.add_argument("--seed", type=int, default=1, help="which of the choices")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--only", nargs="+", default=[], help="these, as a finding names them"
    )
    return parser


def _show(report: Report, figures: dict[str, object]) -> None:
    head, *rows = report.table()
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for name in ("seed", "seconds", "scenarios", "distinct", "in_fifties", "wrong"):
        console.print(f"{name}: {figures[name]}")
    for finding in report.findings:
        console.print(finding, style="red", markup=False)


if __name__ == "__main__":
    sys.exit(main())
