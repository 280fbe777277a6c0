"""A platform message in, a Xero invoice out, a payment back: the whole season.

The demo judges itself (books, ledger and wish list, field by field); here its figures
are compared with what was promised. The traffic is held against Xero's description, and
in full a fresh clone is set up, shown and tested as a newcomer would.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.platform import Season
from tests.figures.command import ROOT, Finished, bare_environment, python, run
from tests.figures.figure import Figure, at_least, at_most, below, exactly
from tests.figures.runner import Run

FULL_MEMBERS, SHORT_MEMBERS = 2_000, 100
SEED = 1

#: Longer than any of these takes on a busy machine; whatever hangs is named.
DEMO_WITHIN_S = 900
CONTRACT_WITHIN_S = 240
MAKE_WITHIN_S = 3_600

#: pytest's last line; `make test` has two, SQLite's and then PostgreSQL's.
_SUMMARY = re.compile(r"^=* ?\d+ \w+.* in [\d.]+s", re.MULTILINE)
_PASSED = re.compile(r"(\d+) passed")
_NOT_PASSED = re.compile(r"(\d+) (failed|errors?|skipped|xfailed|xpassed|deselected)")


def collect(asked: Run) -> Iterator[Figure]:
    yield from season(asked)
    yield from contract(asked)
    if asked.full:
        yield from fresh_clone(asked)


# -- the season ------------------------------------------------------------------------


def season(asked: Run) -> Iterator[Figure]:
    """The demo, published twice, with the sandbox's limits lifted."""
    members = FULL_MEMBERS if asked.full else SHORT_MEMBERS
    asked.say(f"settled demo: {members} members, published twice")
    file = asked.folder / "demo.json"
    # fmt: off
    demo = python(
        "settled", "demo", "--members", str(members), "--seed", str(SEED),
        "--limits", "lifted", "--twice", "--json", str(file),
        within_s=DEMO_WITHIN_S,
    )
    # fmt: on
    yield _ended_well("season: exit code", demo)
    wishes = Season(members, SEED).wishes
    wished = sum(wish["expect"] == "invoice" for wish in wishes)
    said = _read(file)
    if said is None:
        yield Figure("season: invoices", None, exactly(wished))
    else:
        yield from season_figures(said, wished)


def season_figures(said: dict[str, Any], wished: int) -> Iterator[Figure]:
    """What the demo said, against what the season wished for."""
    yield from _money(said, wished)
    yield from _calls(said)
    yield from _effort(said)
    yield from _again(said)


def _money(said: dict[str, Any], wished: int) -> Iterator[Figure]:
    raised, differences = said["invoices"], said["differences"]
    yield Figure("season: members", said["members"])
    yield Figure("season: invoices wished", wished)
    yield Figure("season: invoices", raised, exactly(wished))
    yield Figure("season: duplicates", max(raised - wished, 0), exactly(0))
    yield Figure("season: missing", max(wished - raised, 0), exactly(0))
    yield Figure(
        "season: books, ledger and wishes differ",
        len(differences),
        exactly(0),
        note="; ".join(differences[:3]),
    )
    yield Figure("season: e-mails", said["emails"], exactly(wished))
    yield Figure("season: paid", said["paid"], at_least(1))
    yield Figure("season: activated", said["activated"], at_least(said["paid"]))


def _calls(said: dict[str, Any]) -> Iterator[Figure]:
    yield Figure(
        "calls: raising, per invoice",
        said["raising_calls_per_invoice"],
        at_most(0.06),
        note="contacts and invoices",
    )
    yield Figure("calls: all, per invoice", said["calls_per_invoice"])
    yield Figure("calls: by purpose", said["calls_by_purpose"])
    yield Figure("calls: by kind", said["calls_by_kind"])


def _effort(said: dict[str, Any]) -> Iterator[Figure]:
    yield Figure("payment to action: p50", said["payment_to_action_p50_s"], unit="s")
    yield Figure(
        "payment to action: p95", said["payment_to_action_p95_s"], below(2.0), "s"
    )
    yield Figure(
        "payment to action: longest", said["payment_to_action_max_s"], None, "s"
    )
    yield Figure("peak memory", said["peak_memory_mb"], below(250), "MB")
    yield Figure("season: seconds", said["seconds"], unit="s")


def _again(said: dict[str, Any]) -> Iterator[Figure]:
    yield Figure("again: messages", said["published_again"], at_least(1))
    more = said["invoices_raised_again"]
    yield Figure("again: more invoices", more, exactly(0))
    answered = said["answered_again"]
    yield Figure("again: answered", answered, exactly(said["published_again"]))


# -- the contract ----------------------------------------------------------------------


def contract(asked: Run) -> Iterator[Figure]:
    """Traffic against Xero's description."""
    asked.say("traffic against Xero's description")
    file = asked.folder / "contract.json"
    checked = python("tests.contract", str(file), within_s=CONTRACT_WITHIN_S)
    yield _ended_well("contract: exit code", checked)
    said = _read(file)
    if said is None:
        yield Figure("contract: exchanges", None, at_least(1))
    else:
        yield from contract_figures(said)


def contract_figures(said: dict[str, Any]) -> Iterator[Figure]:
    yield Figure("contract: exchanges", said["exchanges_checked"], at_least(1))
    unlisted = said["unlisted"]
    note = "; ".join(unlisted[:3])
    yield Figure("contract: unlisted deviations", len(unlisted), exactly(0), note=note)
    yield Figure("contract: operations", said["operations"])
    for deviation in said["deviations"]:
        yield Figure(
            f"deviation: {deviation['what']}",
            deviation["times"],
            at_least(1),
            note=deviation["fact"],
        )


# -- a fresh clone ---------------------------------------------------------------------


def fresh_clone(asked: Run) -> Iterator[Figure]:
    """As a newcomer: nothing of ours, no Redis, an empty home."""
    clone, home = asked.folder / "clone", asked.folder / "home"
    home.mkdir()
    asked.say("a fresh clone of what is committed")
    cloned = run(
        ["git", "clone", "--quiet", str(ROOT), str(clone)], within_s=MAKE_WITHIN_S
    )
    yield _ended_well("clone: exit code", cloned)
    if cloned.code == 0:
        yield from _made(asked, clone, home)


def _made(asked: Run, clone: Path, home: Path) -> Iterator[Figure]:
    is_set_up = True
    for target in ("setup", "demo", "test"):
        if not is_set_up:
            yield Figure(f"make {target}: exit code", None, exactly(0))
            continue
        asked.say(f"make {target}")
        done = run(
            ["make", target],
            cwd=clone,
            environment=bare_environment(home),
            within_s=MAKE_WITHIN_S,
        )
        is_set_up = target != "setup" or done.code == 0
        yield _ended_well(f"make {target}: exit code", done)
        bound = at_most(180) if target == "demo" else None
        yield Figure(f"make {target}: seconds", done.seconds, bound, "s")
        if target == "test":
            yield from suite_figures(done.output)


def suite_figures(output: str) -> Iterator[Figure]:
    """How many tests passed on each database, by pytest's last lines."""
    summaries = _SUMMARY.findall(output)
    for number, database in enumerate(("SQLite", "PostgreSQL")):
        summary = summaries[number] if number < len(summaries) else ""
        passed = _PASSED.search(summary)
        count = None if passed is None else int(passed[1])
        others = sum(int(n) for n, _ in _NOT_PASSED.findall(summary))
        note = summary.strip("= ")
        yield Figure(f"tests on {database}: passed", count, at_least(1), note=note)
        yield Figure(f"tests on {database}: not passed", others, exactly(0))


def _read(file: Path) -> Any:
    """What a program wrote; None if it didn't."""
    return json.loads(file.read_text()) if file.exists() else None


def _ended_well(name: str, finished: Finished) -> Figure:
    note = finished.end if finished.code else ""
    return Figure(name, finished.code, exactly(0), note=note)
