"""Many scenarios, on as many cores as there are, and what came of them."""

import logging
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path

import structlog

from tests.faults import choosing
from tests.faults.judge import judge
from tests.faults.lab import Lab, State, has_open_work
from tests.faults.plan import Endless, Place, Plan
from tests.faults.scenario import Scenario, Shape, sorts
from tests.faults.stages import Kind, Stage, reach
from tests.servers import running_redis
from tests.world import PRICES_CSV

#: Of a pair the second fault may meet nothing, though its base promised it.
SPARE = 20

#: Scenarios that one process gets at once.
CHUNK = 50


@dataclass(frozen=True, slots=True)
class Ended:
    """How one scenario ended.

    Args:
        struck: how many of its faults met their boundary.
        met: boundaries that were reached after the last of them.
        found: what is not as it must be.
        unknown_s: the longest time that an intent of it was unknown, simulated.
        looks: reads that looked for what became of intents, failed ones too.
        unknown: intents that were unknown at some time.
    """

    scenario: Scenario
    struck: int
    met: Mapping[Place, int]
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
            found = tuple(judge(self.lab, stage))
        unknown = self.lab.books.unknown_seconds()
        return Ended(
            scenario,
            len(plan.struck),
            plan.met,
            found,
            max(unknown, default=0.0),
            self.lab.looks,
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


#: Given scenarios, how each ended, in any order.
RunAll = Callable[[Sequence[Scenario]], Iterator[Ended]]


@contextmanager
def benches(processes: int) -> Iterator[RunAll]:
    """So many processes, each with a Redis of its own; one is this process itself."""
    if processes == 1:
        with opened_bench() as bench:
            yield lambda scenarios: map(bench.run, scenarios)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin) as pool:
        yield lambda scenarios: pool.imap_unordered(_run, scenarios, chunksize=CHUNK)


def run_chosen(count: int, seed: int, processes: int) -> Iterator[Ended]:
    """So many different scenarios: singles first, then pairs built upon them."""
    with benches(processes) as run:
        first = []
        for ended in run(choosing.singles(count, seed)):
            first.append(ended)
            yield ended
        met = {e.scenario: e.met for e in first if e.is_distinct}
        yield from run(choosing.pairs(met, count - len(met) + SPARE, seed))


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
