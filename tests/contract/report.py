"""What checking a run of exchanges came to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.contract.checker import findings, is_sign_in
from tests.contract.deviations import DEVIATIONS, Deviation
from tests.contract.exchange import Exchange


@dataclass(slots=True)
class Report:
    """How many exchanges were checked, and what was found.

    Args:
        sign_in: exchanges of OAuth itself, which no description describes.
        tolerated: how often each listed deviation occurred.
        unlisted: findings that nothing allows, with the number of the exchange.
    """

    checked: int = 0
    sign_in: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    tolerated: Counter[Deviation] = field(default_factory=Counter)
    unlisted: list[str] = field(default_factory=list)

    @property
    def unused(self) -> list[Deviation]:
        """Listed deviations that never occurred."""
        return [d for d in DEVIATIONS if not self.tolerated[d]]

    def as_dict(self) -> dict[str, Any]:
        """For figures: with the fact that justifies each deviation."""
        return {
            "exchanges_checked": self.checked,
            "sign_in_exchanges": self.sign_in,
            "operations": dict(sorted(self.operations.items())),
            "deviations": [
                {"what": d.name, "fact": d.fact, "times": self.tolerated[d]}
                for d in DEVIATIONS
            ],
            "unlisted": self.unlisted,
        }


def check(exchanges: Iterable[Exchange]) -> Report:
    """Hold exchanges against the description."""
    report = Report()
    for exchange in exchanges:
        if is_sign_in(exchange):
            report.sign_in += 1
        else:
            _check(exchange, report)
    return report


def _check(exchange: Exchange, report: Report) -> None:
    report.checked += 1
    report.operations[f"{exchange.method} {_template(exchange.path)}"] += 1
    for finding in findings(exchange):
        known = next((d for d in DEVIATIONS if d.covers(finding, exchange)), None)
        if known is None:
            report.unlisted.append(f"exchange {exchange.number}: {finding}")
        else:
            report.tolerated[known] += 1


def _template(path: str) -> str:
    """An address without its ids."""
    parts = path.removeprefix("/api.xro/2.0").split("/")
    return "/".join("{id}" if part.count("-") == 4 else part for part in parts)
