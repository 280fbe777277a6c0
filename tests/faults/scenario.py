"""The scenarios: what is about to happen, in which company, and what goes wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.plan import (
    CALL_FAULTS,
    COMMIT_FAULTS,
    REDIS_FAULTS,
    Fault,
    Place,
)
from tests.faults.stages import SORTS, Kind, Sort


class Shape(StrEnum):
    """The company that an element has in its batch."""

    ONE = "one"
    FEW = "few"
    FIFTY = "fifty"


SIZES = {Shape.ONE: 1, Shape.FEW: 4, Shape.FIFTY: 50}

#: No fewer than the commits and Redis commands that each kind has without faults.
BOUNDARIES = {
    Kind.CONTACTS: (42, 16),
    Kind.UPDATES: (32, 16),
    Kind.INVOICES: (32, 16),
    Kind.EMAILS: (22, 16),
    Kind.VOIDS: (36, 20),
    Kind.READS: (20, 16),
    Kind.TOKEN: (40, 16),
    Kind.LIFE: (54, 18),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way in which it may go wrong."""

    kind: Kind
    shape: Shape
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"{self.kind}/{self.shape}/" + "+".join(map(str, self.faults))

    @classmethod
    def read(cls, text: str) -> "Scenario":
        """What ``str`` wrote."""
        kind, shape, faults = text.split("/")
        return cls(
            Kind(kind),
            Shape(shape),
            tuple(_fault(part) for part in faults.split("+") if part),
        )


def _fault(text: str) -> Fault:
    place, number, what = text.split(".")
    return Fault(Place(place), int(number), what)


def sorts(kind: Kind, shape: Shape) -> list[Sort]:
    """The elements of a batch: one of each sort among plain ones."""
    company = [Sort.PLAIN] * SIZES[shape]
    if shape is not Shape.ONE:
        for place, sort in enumerate(SORTS[kind]):
            company[2 * place + 1] = sort
    return company


Point = tuple[Place, str]


def points(kind: Kind) -> list[Point]:
    """The boundaries of this kind, with everything that can happen there."""
    place = {Kind.READS: Place.LOOK, Kind.TOKEN: Place.TOKEN}.get(kind, Place.WRITE)
    return [
        *((place, what) for what in CALL_FAULTS),
        *((Place.COMMIT, what) for what in COMMIT_FAULTS),
        *((Place.REDIS, what) for what in REDIS_FAULTS),
    ]


def following(kind: Kind) -> list[Point]:
    """What can come behind a first fault: the same, and the look at what it left."""
    looks = [(Place.LOOK, what) for what in CALL_FAULTS]
    return points(kind) if kind is Kind.READS else [*points(kind), *looks]


def singles(kind: Kind, shape: Shape) -> Iterator[Scenario]:
    """No fault, and each fault at each of its boundaries."""
    yield Scenario(kind, shape, ())
    for place, what in points(kind):
        for number in range(1, _count(kind, place) + 1):
            yield Scenario(kind, shape, (Fault(place, number, what),))


def _count(kind: Kind, place: Place) -> int:
    commits, commands = BOUNDARIES[kind]
    return {Place.COMMIT: commits, Place.REDIS: commands}.get(place, 1)
