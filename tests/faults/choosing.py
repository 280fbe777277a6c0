"""Which scenarios: every single fault, then pairs that are known to meet.

A fault waits for a boundary. Until it strikes, a run with two faults goes like the run
with the first alone: so what that one met afterwards is where a second one can strike.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from tests.faults.plan import Fault, Place
from tests.faults.scenario import Point, Scenario, Shape, following, points
from tests.faults.scenario import singles as singles_of
from tests.faults.stages import Kind

#: One in so many is a batch of fifty.
ONE_IN = 10

SMALL, LARGE = (Shape.ONE, Shape.FEW), (Shape.FIFTY,)

#: No more than one in so many is a single fault.
SINGLES_ONE_IN = 3

#: What a run met after its only fault.
Met = Mapping[Scenario, Mapping[Place, int]]

#: A kind of pair: in which company, and which points one after the other.
_Option = tuple[Kind, Shape, Point, Point]


def singles(count: int, seed: int) -> list[Scenario]:
    """Each fault at each of its boundaries; a part of them where few are asked for."""
    chance = random.Random(seed)  # noqa: S311 must be repeatable
    found = []
    for shapes, share in _shares(count):
        some = [s for k, shape in product(Kind, shapes) for s in singles_of(k, shape)]
        chance.shuffle(some)
        found += some[: share // SINGLES_ONE_IN]
    chance.shuffle(found)
    return found


def pairs(met: Met, count: int, seed: int) -> list[Scenario]:
    """Every pair of points that can meet, again and again at other boundaries.

    Args:
        met: the singles that have struck.
        count: how many pairs.
        seed: which of the many choices; the same seed chooses the same ones.
    """
    chance = random.Random(seed)  # noqa: S311 must be repeatable
    bases = _bases(met)
    found = []
    for shapes, share in _shares(count):
        found += _different(share, _options(bases, shapes), bases, chance)
    chance.shuffle(found)
    return found


def _shares(count: int) -> Iterator[tuple[Sequence[Shape], int]]:
    fifties = -(-count // ONE_IN)
    yield SMALL, count - fifties
    yield LARGE, fifties


_Bases = Mapping[tuple[Kind, Shape, Point], Sequence[tuple[Fault, Mapping[Place, int]]]]


def _bases(met: Met) -> _Bases:
    """In an order that does not depend on who was ready first."""
    bases = defaultdict(list)
    for scenario in sorted(met, key=str):
        for fault in scenario.faults:
            key = scenario.kind, scenario.shape, (fault.place, fault.what)
            bases[key].append((fault, met[scenario]))
    return bases


def _options(bases: _Bases, shapes: Sequence[Shape]) -> list[_Option]:
    return [
        (kind, shape, first, second)
        for kind, shape in product(Kind, shapes)
        for first, second in product(points(kind), following(kind))
        if any(met.get(second[0]) for _, met in bases.get((kind, shape, first), ()))
    ]


def _different(
    count: int, options: list[_Option], bases: _Bases, chance: random.Random
) -> list[Scenario]:
    known: dict[Scenario, None] = {}
    while len(known) < count:
        before = len(known)
        chance.shuffle(options)
        known.update((_drawn(option, bases, chance), None) for option in options)
        if len(known) == before:
            raise ValueError(f"there are no more than {before} such pairs")
    return list(known)[:count]


def _drawn(option: _Option, bases: _Bases, chance: random.Random) -> Scenario:
    kind, shape, first, (place, what) = option
    able = [base for base in bases[kind, shape, first] if base[1].get(place)]
    fault, met = chance.choice(able)
    second = Fault(place, chance.randint(1, met[place]), what)
    return Scenario(kind, shape, (fault, second))
