"""Many scenarios, on as many cores as there are, and what came of them."""

import logging
import multiprocessing
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from multiprocessing.util import Finalize
from pathlib import Path

import structlog

from tests.faults.judge import judge
from tests.faults.lab import Lab, State, has_open_work
from tests.faults.plan import Endless, Place, Plan
from tests.faults.scenario import Scenario, Shape, pairs, singles, sorts
from tests.faults.stages import Kind, Stage, reach
from tests.servers import running_redis
from tests.world import PRICES_CSV

#: Scenarios that one process gets at once.
CHUNK = 50

#: At least one in so many is a batch of fifty.
ONE_IN = 10

SMALL = (Shape.ONE, Shape.FEW)


@dataclass(frozen=True, slots=True)
class Ended:
    """How one scenario ended.

    Args:
        struck: how many of its faults met their boundary.
        found: what is not as it must be.
        unknown_s: the longest time that an intent of it was unknown, simulated.
        looks: reads that looked for what became of intents.
        unknown: intents that were unknown at some time.
    """

    scenario: Scenario
    struck: int
    found: tuple[str, ...] = ()
    unknown_s: float = 0.0
    looks: int = 0
    unknown: int = 0

    @property
    def is_distinct(self) -> bool:
        """Whether it went as it says: a fault that met nothing is another scenario."""
        return self.struck == len(self.scenario.faults)


@dataclass
class Bench:
    """A lab with the stages that it has reached so far."""

    lab: Lab
    beginning: State
    stages: dict[tuple[Kind, Shape], Stage] = field(default_factory=dict)

    def run(self, scenario: Scenario) -> Ended:
        stage = self._stage(scenario.kind, scenario.shape)
        plan = Plan(scenario.faults)
        self.lab.go_back(stage.state, plan)
        found: tuple[str, ...]
        try:
            self.lab.run_until(lambda: not has_open_work())
        except (Exception, Endless) as error:  # noqa: BLE001 whatever it is, a finding
            found = (f"{type(error).__name__}: {error}",)
        else:
            self.lab.disarm()
            found = tuple(judge(self.lab, stage, scenario))
        unknown = self.lab.books.unknown_seconds()
        return Ended(
            scenario,
            len(plan.struck),
            found,
            max(unknown, default=0.0),
            self.lab.way.looks(),
            len(unknown),
        )

    def boundaries(self, kind: Kind) -> tuple[int, int]:
        """How many commits and Redis commands one element needs without faults."""
        plan = Plan()
        self.lab.go_back(self._stage(kind, Shape.ONE).state, plan)
        self.lab.run_until(lambda: not has_open_work())
        return plan.met[Place.COMMIT], plan.met[Place.REDIS]

    def _stage(self, kind: Kind, shape: Shape) -> Stage:
        key = kind, shape
        if key not in self.stages:
            self.stages[key] = reach(self.lab, self.beginning, kind, sorts(kind, shape))
        return self.stages[key]


# -- many at once ----------------------------------------------------------------------

_bench: Bench


def run_all(scenarios: Sequence[Scenario], processes: int) -> Iterator[Ended]:
    """In any order, as they end; each process has a Redis of its own."""
    if processes == 1:
        with opened_bench() as bench:
            yield from map(bench.run, scenarios)
        return
    # Kinds and shapes mixed: each process reaches each stage, and none is last alone.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin) as pool:
        yield from pool.imap_unordered(_run, scenarios, chunksize=CHUNK)


@contextmanager
def opened_bench() -> Iterator[Bench]:
    with running_redis() as redis, tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices.csv"
        prices.write_text(PRICES_CSV, encoding="utf-8")
        quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
        structlog.configure(wrapper_class=quiet)
        lab = Lab(str(redis.socket), Path(folder))
        yield Bench(lab, lab.begin())


def _begin() -> None:
    """In a new process: a bench that lasts as long as the process does."""
    global _bench
    opening = opened_bench()
    _bench = opening.__enter__()
    Finalize(None, opening.__exit__, args=(None, None, None), exitpriority=10)


def _run(scenario: Scenario) -> Ended:
    return _bench.run(scenario)


# -- which -----------------------------------------------------------------------------


def chosen(seeds: int, seed: int) -> list[Scenario]:
    """So many different scenarios, some of them in fifties.

    Args:
        seeds: how many.
        seed: which of the many choices; the same seed chooses the same ones.
    """
    chance = random.Random(seed)  # noqa: S311 must be repeatable
    fifties = -(-seeds // ONE_IN)
    some = [
        *_different(seeds - fifties, SMALL, chance),
        *_different(fifties, (Shape.FIFTY,), chance),
    ]
    chance.shuffle(some)
    return some


def _different(
    count: int, shapes: Sequence[Shape], chance: random.Random
) -> list[Scenario]:
    """Single faults first, then every pair of points, again and again elsewhere."""
    company = list(product(Kind, shapes))
    found = [s for kind, shape in company for s in singles(kind, shape)]
    chance.shuffle(found)
    known = dict.fromkeys(found)
    while len(known) < count:
        more = [s for kind, shape in company for s in pairs(kind, shape, chance)]
        chance.shuffle(more)
        known.update(dict.fromkeys(more))
    return list(known)[:count]
