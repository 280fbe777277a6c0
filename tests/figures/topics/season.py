"""A season inside Xero's limits: planned, sent out as planned, and never a 429."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.figures.command import python
from tests.figures.figure import Figure, at_least, at_most, exactly
from tests.figures.runner import Run

#: Members who renew, and payments a day meanwhile.
FULL, SHORT = 10_000, 700
PAYMENTS_A_DAY = 300

#: Longer than it takes on a busy machine.
WITHIN_S = 3_600

#: A day is what the plan promises, and a day is what it may lose against the best.
DAYS_LATE = 1.0

PLAN_S = 60
PLANNED_CALLS_OFF = 0.02
PAYMENT_WAIT_S = 5.0
EMAILS_A_DAY = 1_000
KNOWN_CALLS, NEW_CALLS = 0.025, 0.045

#: Real time, and how many calls of each minute it then uses.
REAL_S_FULL, REAL_S_SHORT = 600, 0
SATURATED = 40


def collect(asked: Run) -> Iterator[Figure]:
    yield from limited(asked)
    yield from cheap(asked)
    yield from shared(asked)
    yield from real(asked)


# -- a season on the Starter tier ------------------------------------------------------


def limited(asked: Run) -> Iterator[Figure]:
    """Simulated days, with Xero's limits and people who pay."""
    members = FULL if asked.full else SHORT
    asked.say(f"{members} renewals at 1,000 calls a day, {PAYMENTS_A_DAY} payments")
    said, failed = _run("--members", str(members), "--payments", str(PAYMENTS_A_DAY))
    yield failed
    if said is None:
        return
    yield Figure("season: invoices", said["invoices"], exactly(members))
    yield Figure("season: e-mails", said["emails"], exactly(members))
    yield Figure("season: raised twice", said["raised_twice"], exactly(0))
    yield Figure("plan: seconds", said["plan_s"], at_most(PLAN_S), "s")
    yield Figure("plan: calls to Xero", said["plan_writes"], exactly(0))
    yield Figure("season: planned days", _round(said["planned_days"]))
    yield Figure("season: days at best", _round(said["days_at_best"]))
    yield Figure("season: days", _round(said["days"]))
    late = said["days"] - said["planned_days"]
    yield Figure("season: days after the plan", _round(late), at_most(DAYS_LATE))
    late = said["days"] - said["days_at_best"]
    yield Figure("season: days after the best", _round(late), at_most(DAYS_LATE))
    yield Figure("season: 429s", said["limited"], exactly(0))
    off = abs(said["calls"] - said["planned_calls"]) / said["planned_calls"]
    yield Figure("season: calls planned", said["planned_calls"])
    yield Figure("season: calls made", said["calls"])
    yield Figure("season: off the plan", _round(off), at_most(PLANNED_CALLS_OFF))
    differ = said["counted"] - said["xero_counted"]
    yield Figure("season: our count less Xero's", differ, exactly(0))
    most = said["most_emails_in_a_day"]
    yield Figure("season: e-mails in 24 hours", most, at_most(EMAILS_A_DAY))
    yield Figure("season: payments", said["payments"])
    unseen = said["payments"] - said["payments_seen"]
    yield Figure("season: payments not seen", unseen, exactly(0))
    wait = said["payment_wait_s"]
    yield Figure(
        "season: longest wait of a payment", wait, at_most(PAYMENT_WAIT_S), "s"
    )
    yield Figure("season: calls by purpose", said["by_purpose"])


# -- calls -----------------------------------------------------------------------------


def cheap(asked: Run) -> Iterator[Figure]:
    """What an invoice costs, with contacts that are known and with new ones."""
    members = FULL if asked.full else SHORT
    for name, more, bound in (
        ("known contacts", (), KNOWN_CALLS),
        ("new contacts", ("--unknown",), NEW_CALLS),
    ):
        asked.say(f"{members} renewals without limits, {name}")
        options = ("--lifted", "--payments", "0", *more)
        said, failed = _run("--members", str(members), *options)
        yield failed
        if said is not None:
            each = round(said["calls_without_emails"] / said["invoices"], 4)
            yield Figure(f"calls per invoice, {name}", each, at_most(bound))


def _run(*options: str) -> tuple[Mapping[str, Any] | None, Figure]:
    done = python("tests.figures.season_run", *options, within_s=WITHIN_S)
    note = "" if done.code == 0 else done.end
    ended = Figure("season: exit code", done.code, exactly(0), note=note)
    said = json.loads(done.output.splitlines()[-1]) if done.code == 0 else None
    return said, ended


def _round(value: float) -> float:
    return round(value, 3)


# -- one ledger for all ----------------------------------------------------------------


def shared(asked: Run) -> Iterator[Figure]:
    """Four processes on one counter, in real time."""
    admissions = 10_000 if asked.full else 2_000
    asked.say(f"{admissions} admissions by four processes")
    done = python(
        "tests.figures.shared_quota", "--admissions", str(admissions), within_s=600
    )
    note = "" if done.code == 0 else done.end
    yield Figure("quota: exit code", done.code, exactly(0), note=note)
    if done.code == 0:
        said = json.loads(done.output.splitlines()[-1])
        yield Figure("quota: admissions", said["admissions"], at_least(admissions))
        yield Figure("quota: most at once", said["most_at_once"], at_most(5))
        yield Figure("quota: most in a minute", said["most_in_a_minute"], at_most(60))
        yield Figure("quota: admission, p50", said["p50_ms"], unit="ms")
        yield Figure("quota: admission, p99", said["p99_ms"], at_most(1.0), "ms")


# -- in real time ----------------------------------------------------------------------


def real(asked: Run) -> Iterator[Figure]:
    """Saturated for ten minutes of a real clock: the simulated season is no dream."""
    if not asked.full:
        return
    asked.say(f"{REAL_S_FULL} s at saturation")
    done = python(
        "tests.figures.season_real", "--seconds", str(REAL_S_FULL), within_s=WITHIN_S
    )
    note = "" if done.code == 0 else done.end
    yield Figure("real: exit code", done.code, exactly(0), note=note)
    if done.code == 0:
        said = json.loads(done.output.splitlines()[-1])
        yield Figure("real: 429s", said["limited"], exactly(0))
        yield Figure("real: calls a minute", said["per_minute"], at_least(SATURATED))
        yield Figure("real: most in a minute", said["most_in_a_minute"], at_most(60))
        yield Figure("real: most at once", said["most_at_once"], at_most(5))
        yield Figure("real: payments", said["payments"], at_least(1))
        wait = said["payment_wait_s"]
        yield Figure(
            "real: longest wait of a payment", wait, at_most(PAYMENT_WAIT_S), "s"
        )
