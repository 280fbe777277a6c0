"""Nothing lost, nothing twice: faults at every boundary, and processes that die.

Scenarios run in one process each with a simulated clock; the judge asks Xero's ledger
and the platform's stream.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.mutations import MUTATIONS
from tests.faults.report import MOST_LOOKS, MOST_UNKNOWN_S
from tests.figures.command import Finished, python
from tests.figures.figure import Figure, at_least, at_most, exactly
from tests.figures.runner import Run

#: In one of eight a fault meets no boundary any more, and it is another scenario.
FULL_SCENARIOS, SHORT_SCENARIOS = 60_000, 400
DISTINCT, ONE_IN_FIFTIES = 50_000, 10
SEED = 1

#: Longer than it takes on a busy machine; whatever hangs is named.
SCENARIOS_WITHIN_S = 3_600
MUTATIONS_WITHIN_S = 600


def collect(asked: Run) -> Iterator[Figure]:
    yield from scenarios(asked)
    if asked.full:
        yield from mutations(asked)


def scenarios(asked: Run) -> Iterator[Figure]:
    """A fault at every I/O boundary, alone and in pairs."""
    count = FULL_SCENARIOS if asked.full else SHORT_SCENARIOS
    asked.say(f"{count} scenarios, seed {SEED}")
    file = asked.folder / "scenarios.json"
    done = python(
        "tests.faults",
        *("--seeds", str(count), "--seed", str(SEED), "--json", str(file)),
        within_s=SCENARIOS_WITHIN_S,
    )
    yield _ended_well("scenarios: exit code", done)
    if file.exists():
        yield from scenario_figures(json.loads(file.read_text()), full=asked.full)


def scenario_figures(said: dict[str, Any], *, full: bool) -> Iterator[Figure]:
    least = DISTINCT if full else 1
    distinct = said["distinct"]
    findings = "; ".join(said["findings"][:3])
    yield Figure("scenarios: run", said["scenarios"])
    yield Figure("scenarios: distinct, each fault struck", distinct, at_least(least))
    fifties = at_least(distinct // ONE_IN_FIFTIES) if full else None
    yield Figure("scenarios: batches of fifty", said["in_fifties"], fifties)
    yield Figure("scenarios: pairs of points", said["pairs_of_points"])
    yield Figure("scenarios: wrong", said["wrong"], exactly(0), note=findings)
    yield Figure("scenarios: intents that were unknown", said["intents_unknown"])
    yield Figure(
        "scenarios: longest unknown, simulated",
        said["longest_unknown_s"],
        at_most(MOST_UNKNOWN_S),
        "s",
    )
    yield Figure(
        "scenarios: reads for an unknown intent, most",
        said["most_looks_per_unknown"],
        at_most(MOST_LOOKS),
    )
    bound = at_most(1_200) if full else None
    yield Figure("scenarios: seconds", said["seconds"], bound, "s")


def mutations(asked: Run) -> Iterator[Figure]:
    """Mistakes made on purpose, each of which must be caught."""
    asked.say(f"{len(MUTATIONS)} mistakes made on purpose")
    done = python(
        *("pytest", "-q", str(Path("tests") / "faults" / "test_mutations.py")),
        within_s=MUTATIONS_WITHIN_S,
    )
    yield _ended_well("mutations: exit code", done)
    yield Figure("mutations: made", len(MUTATIONS), at_least(20))


def _ended_well(name: str, finished: Finished) -> Figure:
    note = finished.end if finished.code else ""
    return Figure(name, finished.code, exactly(0), note=note)
