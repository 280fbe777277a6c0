"""`python -m tests.figures TOPIC [--full] [--json FILE]`: what is promised, measured.

Without a topic, lists them; `bench` measures all and shows what takes time or memory.
Exits with 1 when a figure falls short, and names it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.figures.runner import all_topics, measure, show, show_timed, write

#: In the place of a topic: what takes time or memory, of all of them.
BENCH = "bench"

_WIDTH = 140


def main(arguments: Sequence[str]) -> int:
    topics, console = all_topics(), _console()
    parser = argparse.ArgumentParser(prog="python -m tests.figures")
    parser.add_argument("topic", nargs="?", choices=sorted([*topics, BENCH]))
    parser.add_argument("--full", action="store_true", help="the whole, as promised")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write them here too")
    asked = parser.parse_args(arguments)
    if asked.topic is None:
        for topic in topics.values():
            console.print(f"{topic.name:<12} {topic.about}")
        return 0
    if asked.topic == BENCH:
        found = [measure(t, console, full=asked.full) for t in topics.values()]
        show_timed(found, console)
        return 1 if any(result.falls_short for result in found) else 0
    topic = topics[asked.topic]
    result = measure(topic, console, full=asked.full, kept=asked.json)
    show(result, console)
    if asked.json is not None:
        write(result, asked.json)
    return 1 if result.falls_short else 0


def _console() -> Console:
    """As wide as the terminal; in a file, wide enough for the notes."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
