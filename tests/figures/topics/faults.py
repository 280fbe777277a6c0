"""Nothing lost, nothing twice: faults at every boundary, and processes that die.

Scenarios run in one process each with a simulated clock; campaigns kill real processes
and servers. Both judges ask Xero's ledger and the platform's stream.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.campaign.campaign import Campaign, Result, Scale
from tests.faults.campaign.plan import Kind
from tests.faults.campaign.report import figures, write
from tests.faults.choosing import ONE_IN
from tests.faults.mutations import MUTATIONS
from tests.faults.report import MOST_LOOKS, MOST_UNKNOWN_S
from tests.figures.command import Finished, python
from tests.figures.figure import Figure, at_least, at_most, exactly
from tests.figures.runner import Run

FULL_SCENARIOS, SHORT_SCENARIOS = 50_000, 400
SEED = 1

#: Longer than it takes on a busy machine; whatever hangs is named.
SCENARIOS_WITHIN_S = 3_600
MUTATIONS_WITHIN_S = 600

#: So many workflows are under way when Redis forgets.
UNDER_WAY = 1_000

SHORT_CAMPAIGNS = {
    # Without Redis' restarts: what it did not take is sent again after a minute.
    "short": Scale(
        counts={Kind.KILL: 4, Kind.KILL_OTHER: 1, Kind.POSTGRES: 1},
        length_s=8,
        members=300,
        most_open=20,
        drain_s=60,
    ),
}

_REDIS_FORGETS = Scale(
    counts={}, length_s=20, members=4_000, most_open=1_200, drain_s=600, workers=3
)
FULL_CAMPAIGNS = {
    "killed": Scale(
        counts={
            Kind.KILL: 1_000,
            Kind.KILL_OTHER: 60,
            Kind.STOP: 50,
            Kind.REDIS: 200,
            Kind.POSTGRES: 50,
            Kind.CLOCK: 5,
            Kind.THRICE: 10,
        },
        length_s=33 * 60,
        members=60_000,
        most_open=60,
        drain_s=600,
        workers=3,
    ),
    "flushed": replace(
        _REDIS_FORGETS, counts={Kind.REDIS_FLUSH: 1}, after_open=UNDER_WAY
    ),
    "older": replace(
        _REDIS_FORGETS, counts={Kind.REDIS_OLDER: 1}, after_open=UNDER_WAY
    ),
    "sqlite": Scale(
        counts={
            Kind.KILL: 20,
            Kind.KILL_OTHER: 4,
            Kind.STOP: 2,
            Kind.REDIS: 3,
            Kind.XERO_GONE: 1,
            Kind.CLOCK: 1,
            Kind.THRICE: 1,
            Kind.SQLITE_LOCK: 2,
            Kind.DISK_FULL: 2,
        },
        length_s=4 * 60,
        members=10_000,
        most_open=60,
        drain_s=600,
        database="sqlite",
    ),
}


def collect(asked: Run) -> Iterator[Figure]:
    yield from scenarios(asked)
    if asked.full:
        yield from mutations(asked)
    for name, scale in (FULL_CAMPAIGNS if asked.full else SHORT_CAMPAIGNS).items():
        yield from campaign(asked, name, scale)


# -- one process -----------------------------------------------------------------------


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
    if asked.full:
        asked.say(done.output)  # what is covered
    yield _ended_well("scenarios: exit code", done)
    if file.exists():
        yield from scenario_figures(json.loads(file.read_text()), full=asked.full)


def scenario_figures(said: dict[str, Any], *, full: bool) -> Iterator[Figure]:
    least = FULL_SCENARIOS if full else SHORT_SCENARIOS
    distinct = said["distinct"]
    findings = "; ".join(said["findings"][:3])
    yield Figure("scenarios: run", said["scenarios"])
    yield Figure("scenarios: distinct, each fault struck", distinct, at_least(least))
    fifties = at_least(distinct // ONE_IN) if full else None
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


# -- many processes --------------------------------------------------------------------


def campaign(asked: Run, name: str, scale: Scale) -> Iterator[Figure]:
    """Real processes, and servers, that end at random moments."""
    asked.say(f"campaign {name!r}, seed {SEED}, {scale.length_s:.0f} s of faults")
    folder = asked.folder / name
    folder.mkdir()
    result = Campaign(folder, SEED, scale, asked.say).run()
    if asked.kept is not None:
        write(result, asked.kept.with_suffix(f".{name}.json"))
    for figure in campaign_figures(result):
        yield replace(figure, name=f"{name}: {figure.name}")


def campaign_figures(result: Result) -> Iterator[Figure]:
    yield from figures(result)
    if result.scale.after_open:
        fewest = min(blow.under_way for blow, _ in result.gaps)
        least = at_least(UNDER_WAY)
        yield Figure("under way when it fell", fewest, least, "workflows")


def _ended_well(name: str, finished: Finished) -> Figure:
    note = finished.end if finished.code else ""
    return Figure(name, finished.code, exactly(0), note=note)
