"""``python -m tests.faults.campaign``: run one, and print what it has shown."""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from tests.faults.campaign.campaign import Campaign, Scale
from tests.faults.campaign.plan import Kind
from tests.faults.campaign.report import figures, write
from tests.figures.runner import Result, show

#: As the suite runs it; about a minute.
SHORT = {
    Kind.KILL: 20,
    Kind.REDIS: 3,
    Kind.POSTGRES: 2,
    Kind.STOP: 2,
    Kind.CLOCK: 1,
    Kind.THRICE: 1,
}
SHORT_MINUTES = 0.8

#: Members at least, and for each minute more than can be invoiced in it under fire.
MEMBERS, MEMBERS_A_MINUTE = 500, 500


def main(arguments: Sequence[str]) -> int:
    """Run a campaign; the exit code is 1 when a figure falls short."""
    asked = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    console = Console(width=150)
    began = time.monotonic()
    console.print(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="settled-campaign-", dir="/tmp") as folder:
        campaign = Campaign(
            Path(folder),
            asked.seed,
            scale(asked),
            lambda text: console.print(f"{time.monotonic() - began:7.1f}  {text}"),
        )
        result = campaign.run()
    if asked.json is not None:
        write(result, asked.json)
    shown = Result("campaign", True, result.seconds, list(figures(result)))
    show(shown, console)
    console.print(f"seed {asked.seed}")
    return 1 if shown.falls_short else 0


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Whoever ends it early finds everything ended and tidied up too."""
    sys.exit(128 + number)


def scale(asked: argparse.Namespace) -> Scale:
    counts = {kind: getattr(asked, kind.value) for kind in Kind}
    return Scale(
        counts=counts,
        length_s=asked.minutes * 60,
        members=max(asked.most_open, MEMBERS + int(MEMBERS_A_MINUTE * asked.minutes)),
        most_open=asked.most_open,
        drain_s=asked.drain_s,
        database="sqlite" if asked.sqlite else "postgres",
        workers=asked.workers,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("--seed", type=int, default=1)
    names = {Kind.KILL: "kills", Kind.STOP: "stops"}
    for kind in Kind:
        name = names.get(kind, kind.value.replace("_", "-"))
        parser.add_argument(
            f"--{name}", type=int, default=SHORT.get(kind, 0), dest=kind.value
        )
    parser.add_argument("--minutes", type=float, default=SHORT_MINUTES)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--most-open", type=int, default=60)
    parser.add_argument("--drain-s", type=float, default=600)
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all of it here"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
