"""The figures of a run, and the table of what it has covered."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.plan import Fault
from tests.faults.running import Ended
from tests.faults.scenario import Scenario, Shape

#: Reads that an unknown intent may cost, and how long it may stay unknown.
MOST_LOOKS, MOST_UNKNOWN_S = 2, 600.0

#: How many findings are kept in words.
KEPT = 50


@dataclass
class Report:
    """Counts what ended."""

    scenarios: int = 0
    distinct: int = 0
    in_fifties: int = 0
    unknown: int = 0
    longest_unknown_s: float = 0.0
    most_looks: float = 0.0
    wrong: int = 0
    findings: list[str] = field(default_factory=list)
    covered: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)

    def add(self, ended: Ended) -> None:
        self.scenarios += 1
        for found in ended.found:
            self._find(ended, found)
        self.wrong += bool(ended.found)
        self._measure(ended)
        if ended.is_distinct:
            self._cover(ended.scenario)

    def _measure(self, ended: Ended) -> None:
        self.unknown += ended.unknown
        self.longest_unknown_s = max(self.longest_unknown_s, ended.unknown_s)
        if ended.unknown:
            self.most_looks = max(self.most_looks, ended.looks / ended.unknown)
        if ended.unknown_s > MOST_UNKNOWN_S:
            self._find(ended, f"unknown for {ended.unknown_s:.0f} s")

    def _cover(self, scenario: Scenario) -> None:
        self.distinct += 1
        self.in_fifties += scenario.shape is Shape.FIFTY
        for fault in scenario.faults:
            key = str(scenario.kind), str(scenario.shape), _name(fault)
            self.covered[key] += 1
        if len(scenario.faults) == 2:
            first, second = scenario.faults
            self.pairs.add((_name(first), _name(second)))

    def as_data(self) -> dict[str, Any]:
        return {
            "scenarios": self.scenarios,
            "distinct": self.distinct,
            "in_fifties": self.in_fifties,
            "pairs_of_points": len(self.pairs),
            "wrong": self.wrong,
            "intents_unknown": self.unknown,
            "longest_unknown_s": round(self.longest_unknown_s, 1),
            "most_looks_per_unknown": round(self.most_looks, 2),
            "findings": self.findings,
            "covered": [
                {"kind": kind, "shape": shape, "point": point, "scenarios": count}
                for (kind, shape, point), count in sorted(self.covered.items())
            ],
        }

    def table(self) -> Iterable[tuple[str, ...]]:
        """What went wrong by what was about to happen: how many scenarios had it."""
        by_kind: Counter[tuple[str, str]] = Counter()
        for (kind, _, point), count in self.covered.items():
            by_kind[point, kind] += count
        kinds = sorted({kind for _, kind in by_kind})
        yield ("", *kinds)
        for point in sorted({point for point, _ in by_kind}):
            yield (point, *(str(by_kind[point, kind] or "") for kind in kinds))

    def _find(self, ended: Ended, found: str) -> None:
        if len(self.findings) < KEPT:
            self.findings.append(f"{ended.scenario}: {found}")


def _name(fault: Fault) -> str:
    """A point, whichever of several boundaries of its kind it was."""
    return f"{fault.place} {fault.what}"
