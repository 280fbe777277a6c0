"""The figures of a campaign, each with the bound that it must keep."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults.campaign.campaign import Result
from tests.faults.campaign.judge import Wrong
from tests.faults.campaign.plan import Kind
from tests.figures.figure import Figure, at_least, at_most, exactly

#: Other work flows again within so many seconds.
FLOW_WITHIN_S = 5

#: With Redis' memory the counter of Xero's limits is gone: no call is made until those
#: of before can't count any more, a minute after the last of them must have ended.
RESTS_S = {Kind.REDIS_FLUSH: 190}

#: What was stranded is settled so soon after the life of its key allows it.
SETTLED_WITHIN_S = 30

#: How many findings are shown; the JSON has all.
_SHOWN = 3


def figures(result: Result) -> Iterator[Figure]:
    for kind, count in result.scale.counts.items():
        if count:
            yield Figure(f"faults: {kind}", result.blows[kind], at_least(count))
    yield Figure("workflows", result.workflows, note=_listed(result.fates))
    yield from _verdict(result)
    yield from _flow(result)
    yield from _stranded(result)
    yield Figure("problems for a person", *_none_of(result.problems))
    stray = [f"{e.name} ended with {e.code}: {e.last_words}" for e in result.stray]
    yield Figure("processes that ended by themselves", len(stray), note=_some(stray))
    yield Figure("messages told again", result.repeats)
    yield Figure("messages sent again by the platform", result.resent)
    yield Figure("drain", result.drain_seconds, unit="s")


def as_dict(result: Result) -> dict[str, Any]:
    """Everything that a person may want to look into afterwards."""
    return {
        "seed": result.seed,
        "seconds": result.seconds,
        "figures": [figure.as_dict() for figure in figures(result)],
        "falls_short": [f.name for f in figures(result) if f.falls_short],
        "findings": [str(finding) for finding in result.findings],
        "unfinished": list(result.unfinished),
        "problems": list(result.problems),
        "stray": [f"{e.name} {e.code}: {e.last_words}" for e in result.stray],
        "gaps": [
            [blow.kind, blow.who, blow.at.isoformat(), gap] for blow, gap in result.gaps
        ],
        "strands": [
            [s.intent, s.kind, s.stranded_at.isoformat(), s.late_s, s.reason]
            for s in result.strands
        ],
    }


def write(result: Result, file: Path) -> None:
    file.write_text(json.dumps(as_dict(result), indent=2, ensure_ascii=False) + "\n")


def _verdict(result: Result) -> Iterator[Figure]:
    for wrong, name in {
        Wrong.DOUBLE: "duplicates",
        Wrong.LOSS: "losses",
        Wrong.ORPHAN: "orphans",
        Wrong.DIFFERENCE: "differences",
        Wrong.ORDER: "told out of order",
    }.items():
        found = [f.text for f in result.findings if f.wrong is wrong]
        yield Figure(name, *_none_of(found))
    yield Figure("unfinished", *_none_of(result.unfinished))


def _flow(result: Result) -> Iterator[Figure]:
    for kind in Kind:
        gaps = [gap for blow, gap in result.gaps if blow.kind is kind]
        known = sorted(gap for gap in gaps if gap is not None)
        if not gaps:
            continue
        within_s = FLOW_WITHIN_S + RESTS_S.get(kind, 0)
        late = sum(gap is None or gap > within_s for gap in gaps)
        note = f"p50 {_at(known, 0.5)}, p95 {_at(known, 0.95)}, max {_at(known, 1)} s"
        name = f"{kind}: other work flows later than {within_s} s"
        yield Figure(name, late, exactly(0), note=f"of {len(gaps)}; {note}")


def _stranded(result: Result) -> Iterator[Figure]:
    kills = [blow for blow, _ in result.gaps if blow.kind is Kind.KILL]
    most = max(
        (n for b in kills for n in Counter(s.kind for s in b.strands).values()),
        default=0,
    )
    kinds = Counter(strand.kind for strand in result.strands)
    yield Figure(
        "batches that a kill strands, for each lane",
        most,
        at_most(1),
        note=_listed(kinds),
    )
    unsettled = [s for s in result.strands if s.late_s is None]
    yield Figure("stranded and not settled", len(unsettled), exactly(0))
    late = sorted(s.late_s for s in result.strands if s.late_s is not None)
    yield Figure(
        "stranded: settled after it could be, at most",
        late[-1] if late else 0.0,
        at_most(SETTLED_WITHIN_S),
        "s",
        note=f"of {len(late)}; p50 {_at(late, 0.5)}, p95 {_at(late, 0.95)} s",
    )


def _none_of(found: Sequence[str]) -> tuple[Any, ...]:
    return len(found), exactly(0), "", _some(found)


def _some(found: Sequence[str]) -> str:
    return " / ".join(text[:300] for text in found[:_SHOWN])


def _listed(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _at(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    return round(values[min(int(len(values) * share), len(values) - 1)], 2)
