"""A season at full pace on a real clock, with people who pay meanwhile.

A process of its own; prints what it measured as one line of JSON.
"""

import argparse
import json
import logging
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import structlog

from core.db.models import Payment
from core.seasons.bill import bill
from core.seasons.carrying_out import Seasons
from core.seasons.pacing import pace_of
from core.seasons.planning import Planner, blocks
from sandbox import Limits
from tests.messages import renewal_due
from tests.servers import running_redis
from tests.world import World

#: Between two payments.
PAYMENT_EVERY_S = 5.0

#: More than ten minutes can send out.
MEMBERS = 1_000

QUIET = structlog.make_filtering_bound_logger(logging.CRITICAL)
TABLES = {"quota": {"minute": 60, "day": 5_000, "emails_per_day": 1_000}}


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    url = f"sqlite:///{folder / 'books.db'}"
    with (
        running_redis() as redis,
        World(folder, url, redis.url, limits=Limits(), tables=TABLES) as world,
    ):
        _start(world)
        before = world.ledger["calls"]["total"]
        paid_at = _pay_until(world, time.monotonic() + seconds)
        calls = world.ledger["calls"]
        made = calls["total"] - before
        world.wait(lambda: Payment.select().count() >= len(paid_at), "all are seen")
        waits = [
            (row.seen_at - paid_at[row.payment_id]).total_seconds()
            for row in Payment.select()
        ]
        return {
            "limited": sum(calls["limited"].values()),
            "per_minute": round(made / seconds * 60, 1),
            "most_in_a_minute": calls["peak_per_minute"],
            "most_at_once": calls["peak_concurrent"],
            "payments": len(paid_at),
            "payment_wait_s": round(max(waits, default=0.0), 2),
        }


def _start(world: World) -> None:
    daemon = world.daemon
    planner = Planner(world.settings, daemon.registry, daemon.tables, world.clock)
    bodies = [json.dumps(renewal_due()).encode() for _ in range(MEMBERS)]
    plan = planner.plan("main", bodies)
    left = daemon.counter.remaining("main", world.settings.quota.policy())
    pace = pace_of(world.settings, "main", left, 0, world.clock.now())
    cost = bill(blocks(plan.sent), pace)
    Seasons("main", world.clock).start("real", plan, cost, bodies, "figures", 0)


def _pay_until(world: World, ends: float) -> dict[str, Any]:
    """One after the other, each an invoice that was e-mailed; when each was made."""
    never, paid, made = threading.Event(), set[str](), {}
    while time.monotonic() < ends:
        never.wait(PAYMENT_EVERY_S)
        mailed = [told["data"]["invoice"]["number"] for told in _mailed(world)]
        number = next((each for each in mailed if each not in paid), None)
        if number is not None:
            paid.add(number)
            payment = world.xero.control.pay(number)
            made[payment["payment_id"]] = world.clock.now()
    return made


def _mailed(world: World) -> list[Any]:
    return world.told("invoice.emailed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    structlog.configure(wrapper_class=QUIET)
    with tempfile.TemporaryDirectory() as made_folder:
        said = measure(Path(made_folder), parser.parse_args().seconds)
    print(json.dumps(said))  # noqa: T201
