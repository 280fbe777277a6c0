"""The composition root: every part made, wired and started in one place."""

import contextlib
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType

import structlog

from bus.broker import Actors, DramatiqWaker, make_broker, start_worker
from bus.connection import Client, blocking_client, command_client
from bus.intake import Intake
from bus.quota import RedisQuotaCounter
from bus.relay import Relay
from bus.trimming import Trimmer
from core.accepting import Door as MessageDoor
from core.clock import Clock, SystemClock
from core.contact_writes import CreateContacts
from core.db import processes, reference
from core.db.database import transaction
from core.email_writes import EmailInvoices
from core.errors import SettingsInvalid
from core.handling import Handler
from core.invoice_writes import RaiseInvoices
from core.lane_running import LaneRunner, LaneWork
from core.metrics import Metrics
from core.mirror import MirrorLane
from core.pump import Pump
from core.reading import ReadsLane
from core.reference_data import ReferenceLane
from core.registry import Registry
from core.settings import Settings
from core.settling import Settler
from core.sweeping import SweepLane
from core.void_writes import VoidInvoices
from core.waking import LaneName
from core.web.server import HttpServer
from core.webhook_receiving import WebhookReceiver
from core.workflow_settings import WorkflowTables
from core.writing import WriteLane
from core.xero.door import XeroDoor
from core.xero.oauth import XeroOAuth
from core.xero.tokens import Tokens
from settled.stores import Stores
from settled.web import internal_listener, public_listener

log = structlog.get_logger()

BEAT_EVERY_S = 1.0

#: Calls in hand are let finish for so long: longer than Xero's read timeout.
STOP_WITHIN_MS = 70_000


class Daemon:
    """Everything in one process. Use as a context manager."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        registry: Registry | None = None,
    ) -> None:
        if clock is not None and settings.xero.is_live:
            raise SettingsInvalid(
                "xero.api_url", "a rehearsal's clock at the real Xero"
            )
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.rehearsal_clock = clock
        self.registry = registry or Registry.installed()
        self.tables = WorkflowTables(settings, self.registry)
        self.metrics = Metrics()
        self.process = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.stores = Stores(settings)
        self.stopping = threading.Event()
        self._late = threading.Event()
        self._threads: list[threading.Thread] = []
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> "Daemon":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def addresses(self) -> dict[str, str]:
        """Where everything is, for people and for programs that started us."""
        web = self.settings.web
        return {
            "public": f"http://{web.public_host}:{self.public.port}",
            "internal": f"http://{web.internal_host}:{self.internal.port}",
            "redis": "as configured" if self.settings.redis_url else self.redis_url,
        }

    def stop(self) -> None:
        """Take nothing new, finish what is in hand, send what is committed."""
        self.stopping.set()
        self._closing.close()

    def _start(self) -> None:
        self._closing.callback(self.stores.close)
        self.stores.open_books()
        self.redis_url = self.stores.redis_url()
        self._make_parts()
        with transaction():
            processes.beat(self.process, self.clock.now())
            processes.forget_silent(self.clock.now())
        self._closing.callback(self._leave)
        # These two stop last: what is in hand is still sent, and we are not yet dead.
        self._run_thread("beat", self._beat, self._late)
        self._run_thread("relay", self.relay.run, self._late)
        self._start_worker()
        self._run_thread("pump", self._pump, self.stopping)
        self._run_thread("trimmer", self.trimmer.run, self.stopping)
        self._run_thread("intake", self.intake.run, self.stopping)
        self.internal = self._listen(internal_listener(self))
        self.public = self._listen(public_listener(self))
        log.info("daemon.started", process=self.process)

    def _make_parts(self) -> None:
        settings, clock, metrics = self.settings, self.clock, self.metrics
        self.client = client = self._client()
        self.waker = DramatiqWaker(clock, lambda: self.relay.hint.set())
        self.oauth = XeroOAuth(settings.xero)
        self._closing.callback(self.oauth.close)
        self.tokens = Tokens(
            settings, self.oauth, self.stores.seal(), clock, self.process
        )
        counter = RedisQuotaCounter(
            client, clock=self.rehearsal_clock, history=reference
        )
        policy = settings.quota.policy()
        self.door = XeroDoor(
            settings.xero, policy, counter, self.tokens, clock, metrics
        )
        self._closing.callback(self.door.close)
        self.settler = Settler(self.registry, self.waker, clock, metrics)
        self.handler = Handler(
            settings,
            self.registry,
            self.tables,
            self.settler,
            self.waker,
            clock,
            metrics,
        )
        self.runner = LaneRunner(
            self._lanes(), self.waker, clock, self.process, self.stopping
        )
        self.pump = Pump(self.runner, self.waker, clock, metrics)
        self.receiver = WebhookReceiver(self.waker, clock, metrics)
        bus = settings.bus
        door = MessageDoor(settings, self.registry, clock, metrics)
        blocking = blocking_client(self.redis_url)
        self.intake = Intake(
            blocking, bus.stream_in, self.process, door, self.waker, clock
        )
        self.relay = Relay(
            self._client(), bus.stream_out, bus.groups, self.process, clock, metrics
        )
        self.trimmer = Trimmer(self._client(), bus.stream_out, bus.groups, clock)

    def _lanes(self) -> Mapping[LaneName, LaneWork]:
        settings, door, clock = self.settings, self.door, self.clock
        writes = (
            CreateContacts(settings, self.waker, clock),
            RaiseInvoices(settings, self.tables, self.waker, clock),
            EmailInvoices(settings, self.waker, clock),
            VoidInvoices(self.settler, clock),
        )
        return {
            LaneName.REFERENCE: ReferenceLane(settings, door, clock),
            LaneName.MIRROR: MirrorLane(settings, door, clock),
            LaneName.READS: ReadsLane(door, self.settler, clock),
            LaneName.SWEEP: SweepLane(settings, door, self.settler, clock),
            **{
                LaneName(kind.name): WriteLane(kind, door, clock, self.process)
                for kind in writes
            },
        }

    def _client(self) -> Client:
        client = command_client(self.redis_url)
        self._closing.callback(client.close)
        return client

    def _start_worker(self) -> None:
        broker = make_broker(self._client())
        self.waker.actors = Actors(broker, lambda: self.runner, self.handler.handle)
        worker = start_worker(broker, self.settings.worker_threads)
        self._closing.callback(broker.close)
        self._closing.callback(worker.stop, timeout=STOP_WITHIN_MS)

    def _beat(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                with transaction():
                    processes.beat(self.process, self.clock.now())
            except Exception:
                log.exception("beat.failed")
            self.clock.wait(stopping, BEAT_EVERY_S)

    def _pump(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                pause_s = self.pump.tick()
            except Exception:
                log.exception("pump.failed")
                pause_s = 1.0
            self.clock.wait(stopping, pause_s)

    def _leave(self) -> None:
        with transaction():
            processes.leave(self.process)

    def _run_thread(
        self,
        name: str,
        run: Callable[[threading.Event], None],
        stopping: threading.Event,
    ) -> None:
        thread = threading.Thread(target=run, args=(stopping,), name=name)
        thread.start()
        self._closing.callback(thread.join)
        self._closing.callback(stopping.set)

    def _listen(self, server: HttpServer) -> HttpServer:
        server.start()
        self._closing.callback(server.stop)
        return server
