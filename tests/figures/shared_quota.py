"""Four processes that call as often as one counter lets them, in real time.

A process of its own; prints what it measured as one line of JSON. The minute is a
hundredth of Xero's, so that ten thousand admissions take minutes and not hours; the
rule is the same script with the same limits.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import redis

from bus import quota as bus_quota
from bus.quota import RedisQuotaCounter
from core.quota import Admitted, Limits, Purpose, QuotaPolicy, Remaining, Wait
from tests.servers import running_redis

TENANT = "shared"
PROCESSES, THREADS = 4, 2

#: A minute of this measurement, and how long a call may last in it.
WINDOW_S, LEASE_S = 0.6, 1.3

#: Admissions that are timed, of another tenant.
OTHER, COSTED = "timed", 3_000
UNLIMITED = QuotaPolicy(Limits(minute=10**6, day=10**6, concurrent=5))

POLICY = QuotaPolicy(Limits(minute=60, day=None, concurrent=5, app_minute=None))


class NoHistory:
    def last_call_at(self, tenant: str) -> None:
        return None


#: When a call was admitted and when it was over.
Call = tuple[float, float]


def call(url: str, times: int, results: "multiprocessing.Queue[list[Call]]") -> None:
    """One process, with more callers than Xero allows calls at once."""
    with (
        patch.object(bus_quota, "WINDOW_S", WINDOW_S),
        patch.object(bus_quota, "CALL_LEASE_S", LEASE_S),
        redis.Redis(unix_socket_path=url) as client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        counter = RedisQuotaCounter(client, None, NoHistory())
        each = [-(-times // THREADS)] * THREADS
        made = threads.map(lambda count: _call(counter, count), each)
        results.put([one for some in made for one in some])


def _call(counter: RedisQuotaCounter, times: int) -> list[Call]:
    """Each call lasts a few milliseconds."""
    made: list[Call] = []
    while len(made) < times:
        outcome = counter.admit(TENANT, Purpose.PAYMENTS, POLICY)
        if isinstance(outcome, Wait):
            time.sleep(min(outcome.wait_s, 0.005))  # noqa: TID251 real time
            continue
        made.append(_made(counter, outcome))
    return made


def _made(counter: RedisQuotaCounter, place: Admitted) -> Call:
    # One clock for all processes of a machine.
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    time.sleep(0.002)  # noqa: TID251 the call
    ended = time.clock_gettime(time.CLOCK_MONOTONIC)
    counter.complete(place, Remaining(minute=60))
    return began, ended


def _costs(url: str) -> list[float]:
    """Seconds of each admission, where nobody else wants the processor."""
    took = []
    with redis.Redis(unix_socket_path=url) as client:
        counter = RedisQuotaCounter(client, None, NoHistory())
        for _ in range(COSTED):
            began = time.perf_counter()
            place = counter.admit(OTHER, Purpose.PAYMENTS, UNLIMITED)
            took.append(time.perf_counter() - began)
            if isinstance(place, Admitted):
                counter.complete(place, Remaining(minute=10**6))
    return took


def measure(admissions: int) -> dict[str, float]:
    spawn = multiprocessing.get_context("spawn")
    with running_redis() as server:
        results: multiprocessing.Queue[list[Call]] = spawn.Queue()
        each = -(-admissions // PROCESSES)
        callers = [
            spawn.Process(target=call, args=(str(server.socket), each, results))
            for _ in range(PROCESSES)
        ]
        for caller in callers:
            caller.start()
        made = [one for _ in callers for one in results.get(timeout=600)]
        for caller in callers:
            caller.join()
        costs = statistics.quantiles(_costs(str(server.socket)), n=100)
    return {
        "admissions": len(made),
        "most_at_once": _most_at_once(made),
        "most_in_a_minute": _most_within(sorted(began for began, _ in made)),
        "p50_ms": round(costs[49] * 1000, 3),
        "p99_ms": round(costs[98] * 1000, 3),
    }


def _most_at_once(made: Sequence[Call]) -> int:
    moments = sorted(
        [(began, 1) for began, _ in made] + [(ended, -1) for _, ended in made]
    )
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


def _most_within(moments: Sequence[float]) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--admissions", type=int, default=10_000)
    print(json.dumps(measure(parser.parse_args().admissions)))  # noqa: T201
