"""A figure, and the bound that it must keep."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_KEEPS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "≤": operator.le,
    "<": operator.lt,
    "≥": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure must keep: a sign and a limit."""

    sign: str
    limit: float

    def keeps(self, value: object) -> bool:
        """Whether a value is within; what is no number never is."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return _KEEPS[self.sign](value, self.limit)

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


def exactly(limit: float) -> Bound:
    return Bound("=", limit)


def at_most(limit: float) -> Bound:
    return Bound("≤", limit)


def below(limit: float) -> Bound:
    return Bound("<", limit)


def at_least(limit: float) -> Bound:
    return Bound("≥", limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    Args:
        value: a number where there is a bound; None: it could not be measured.
        bound: None for what is shown and not judged.
        note: why, or what was found, where a number alone would not say.
    """

    name: str
    value: Any
    bound: Bound | None = None
    unit: str = ""
    note: str = ""

    @property
    def falls_short(self) -> bool:
        return self.bound is not None and not self.bound.keeps(self.value)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "bound": None if self.bound is None else str(self.bound),
            "falls_short": self.falls_short,
            "note": self.note,
        }
