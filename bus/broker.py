"""Dramatiq: wake-up calls and no more.

Its retries, delays and recovery lose or strand messages when Redis is away
(facts/engine.md, section 1.3), so none of them is used: a lost call is made up for by
the pump, a doubled one finds nothing to do.
"""

import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Retries, ShutdownNotifications

from core.clock import Clock
from core.db import inbox, lanes
from core.db.database import transaction
from core.lane_running import LaneRunner
from core.waking import LaneName

log = structlog.get_logger()

NAMESPACE = "settled:work"

#: Dead workers' messages are looked for with every command; it costs nothing
#: (facts/engine.md, section 1.2). Half a minute: a stall must not look like a death.
MAINTENANCE_ALWAYS = 1_000_000
HEARTBEAT_TIMEOUT_MS = 30_000

#: How soon an idle worker sees a wake-up call; at the default of 1,000 ms a payment
#: would wait 300 ms for nothing (facts/engine.md, section 4.2).
POLL_MS = 50

#: Messages that a worker fetches ahead: at twice the threads it would mostly sleep.
PREFETCH = 64

#: Lower runs first: Xero work before new messages, or a crowd would starve payments.
LANES_FIRST, MESSAGES_LATER = 0, 10


#: Dramatiq's main process waits so long for each of its processes to say that it is
#: ready, and sees only afterwards that one has died: with its default of 30 s nobody
#: would be there for half a minute. It waits for no other reason, since we ask it for
#: no processes besides.
BOOT_WITHIN_MS = 2_000

#: Messages handled by one call: few enough that a slow rule holds up few others.
TOGETHER = 10


class Pace(dramatiq.Middleware):
    """How eagerly workers fetch, whoever starts them."""

    def before_worker_boot(
        self, broker: dramatiq.Broker, worker: dramatiq.Worker
    ) -> None:
        worker.worker_timeout = POLL_MS
        worker.queue_prefetch = PREFETCH


class LastSteps(dramatiq.Middleware):
    """What is to be done when dramatiq's own process ends its worker."""

    def __init__(
        self, stopping: Callable[[], None], stopped: Callable[[], None]
    ) -> None:
        self.stopping = stopping
        self.stopped = stopped

    def before_worker_shutdown(
        self, broker: dramatiq.Broker, worker: dramatiq.Worker
    ) -> None:
        self.stopping()

    def after_worker_shutdown(
        self, broker: dramatiq.Broker, worker: dramatiq.Worker
    ) -> None:
        self.stopped()


def make_broker(client: redis.Redis) -> RedisBroker:
    return RedisBroker(  # type: ignore[no-untyped-call]
        client=client,
        namespace=NAMESPACE,
        middleware=[
            ShutdownNotifications(),
            CurrentMessage(),
            Retries(max_retries=0),
            Pace(),
        ],
        maintenance_chance=MAINTENANCE_ALWAYS,
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
    )


def start_worker(broker: RedisBroker, threads: int) -> dramatiq.Worker:
    """Worker threads in this process; ``stop`` lets what is in hand finish."""
    worker = dramatiq.Worker(broker, worker_threads=threads)
    worker.start()
    return worker


def serve(
    broker: RedisBroker, stopping: Callable[[], None], stopped: Callable[[], None]
) -> None:
    """Let dramatiq's own process run the workers of this broker.

    ``stopping`` is called when nothing more is to be begun, ``stopped`` when what was
    in hand is finished.
    """
    broker.add_middleware(LastSteps(stopping, stopped))
    dramatiq.set_broker(broker)


def run_workers(boot: str, processes: int, threads: int, stop_within_ms: int) -> None:
    """Become dramatiq's command; it ends the interpreter with its own exit code.

    ``boot`` is ``module:function``, called in each process; it is to call ``serve``.
    """
    # fmt: off
    sys.argv = [
        "dramatiq", boot, "--path", "--skip-logging",
        "--processes", str(processes), "--threads", str(threads),
        "--worker-shutdown-timeout", str(stop_within_ms),
        "--worker-fork-timeout", str(BOOT_WITHIN_MS),
    ]
    # fmt: on
    # As `python -m dramatiq`, the one door that dramatiq documents.
    runpy.run_module("dramatiq", run_name="__main__", alter_sys=True)


class Actors:
    """The two actors, declared on one broker. Their arguments are ids."""

    def __init__(
        self,
        broker: RedisBroker,
        runner: Callable[[], LaneRunner],
        handle: Callable[[Sequence[int]], None],
    ) -> None:
        @dramatiq.actor(
            broker=broker, queue_name="lanes", priority=LANES_FIRST, max_retries=0
        )
        def run_lane(tenant: str, lane: str) -> None:
            runner().run(tenant, LaneName(lane))

        @dramatiq.actor(
            broker=broker, queue_name="messages", priority=MESSAGES_LATER, max_retries=0
        )
        def handle_messages(inbox_ids: list[int]) -> None:
            handle(inbox_ids)

        self.run_lane = run_lane
        self.handle_messages = handle_messages


class DramatiqWaker:
    """Implements ``core.waking.Waker``. What can't be sent is left to the pump."""

    def __init__(self, clock: Clock, relay_hint: Callable[[], None]) -> None:
        self.clock = clock
        self.relay = relay_hint
        self.actors: Actors | None = None

    def lane(self, tenant: str, lane: LaneName) -> None:
        with transaction():
            is_ours = lanes.claim_wake(tenant, lane, self.clock.now())
        actors = self.actors
        if not is_ours or actors is None:
            return
        if not self._is_sent(partial(actors.run_lane.send, tenant, lane.value)):
            with transaction():
                lanes.forget_wake(tenant, lane)

    def messages(self, inbox_ids: Sequence[int]) -> None:
        actors = self.actors
        if actors is None:
            return
        for start in range(0, len(inbox_ids), TOGETHER):
            some = list(inbox_ids[start : start + TOGETHER])
            if not self._is_sent(partial(actors.handle_messages.send, some)):
                with transaction():
                    inbox.forget_wakes_of(some)

    def _is_sent(self, send: Callable[[], object]) -> bool:
        """Where it is not, nobody was told: whoever looks next may tell anew."""
        try:
            send()
        except (redis.RedisError, dramatiq.errors.BrokerConnectionError) as error:
            log.warning("wake.not_sent", kind=type(error).__name__)
            return False
        return True
