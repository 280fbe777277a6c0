"""Every part, made and wired in one place; nothing here runs yet."""

import contextlib
import threading
from collections.abc import Callable, Mapping

from bus.broker import Actors, DramatiqWaker, make_broker
from bus.connection import Client, blocking_client, command_client
from bus.intake import Intake
from bus.quota import RedisQuotaCounter
from bus.relay import Relay
from bus.trimming import Trimmer
from core.accepting import Door as MessageDoor
from core.clock import Clock, SystemClock
from core.contact_reading import ContactReadsLane
from core.contact_update_writes import UpdateContacts
from core.contact_writes import CreateContacts
from core.day_shares import TenantPolicies
from core.db import reference
from core.email_writes import EmailInvoices
from core.errors import SettingsInvalid
from core.forecasting import Forecasting
from core.handling import Handler
from core.invariants import Invariants
from core.invoice_writes import RaiseInvoices
from core.lane_running import LaneRunner, LaneWork
from core.metrics import Metrics
from core.mirror import MirrorLane
from core.pump import Pump
from core.reading import ReadsLane
from core.reference_data import ReferenceLane
from core.registry import Registry
from core.seasons.lane import SeasonLane
from core.seasons.planning import Planner
from core.seasons.requests import PlanAnswering
from core.settings import Settings
from core.settling import Settler
from core.sweeping import SweepLane
from core.void_writes import VoidInvoices
from core.waking import LaneName
from core.webhook_receiving import WebhookReceiver
from core.workflow_settings import WorkflowTables
from core.writing import write_lanes
from core.xero.door import XeroDoor
from core.xero.oauth import XeroOAuth
from core.xero.tokens import Tokens
from settled.beating import Heart
from settled.presence import Presence
from settled.stores import Stores


class Parts:
    """What a daemon is made of, whatever of it runs in this process.

    Args:
        process: how this process is called where it holds something.
        clock: a rehearsal's; None: the machine's.
        registry: the plugins; None: those that are installed.
    """

    def __init__(
        self,
        settings: Settings,
        process: str,
        *,
        clock: Clock | None = None,
        registry: Registry | None = None,
    ) -> None:
        if clock is not None and settings.xero.is_live:
            raise SettingsInvalid(
                "xero.api_url", "a rehearsal's clock at the real Xero"
            )
        self.settings = settings
        self.process = process
        self.clock: Clock = clock or SystemClock()
        self.rehearsal_clock = clock
        self.registry = registry or Registry.installed()
        self.tables = WorkflowTables(settings, self.registry)
        self.metrics = Metrics()
        self.stores = Stores(settings)
        self.presence = Presence(settings.data_folder / "processes", process)
        self.heart = Heart(process, self.clock)
        self.stopping = threading.Event()
        self.closing = contextlib.ExitStack()
        self.closing.callback(self.stores.close)

    def run_thread(
        self,
        name: str,
        run: Callable[[threading.Event], None],
        stopping: threading.Event,
    ) -> None:
        """Until everything is closed, which tells it by this event."""
        thread = threading.Thread(target=run, args=(stopping,), name=name)
        thread.start()
        self.closing.callback(thread.join)
        self.closing.callback(stopping.set)

    def live(self, stopping: threading.Event) -> None:
        """Others know of us until this event, and how we end."""
        self.presence.begin()
        self.closing.callback(self.presence.end)
        self.heart.beat()
        self.closing.callback(self.heart.stop)
        self.run_thread("beat", self.heart.run, stopping)

    def make(self, *, is_guest: bool = False) -> None:
        """Once the books are open.

        Args:
            is_guest: of a command that runs beside a daemon.
        """
        settings, clock, metrics = self.settings, self.clock, self.metrics
        self.redis_url = self.stores.redis_url(is_guest=is_guest)
        self.client = client = self._client()
        self.waker = DramatiqWaker(clock, lambda: self.relay.hint.set())
        self.oauth = XeroOAuth(settings.xero)
        self.closing.callback(self.oauth.close)
        self.tokens = Tokens(
            settings, self.oauth, self.stores.seal(), clock, self.process
        )
        self.counter = counter = RedisQuotaCounter(
            client,
            clock=self.rehearsal_clock,
            history=reference,
            holder=self.process,
        )
        self.policies = TenantPolicies(settings, counter, clock)
        self.door = XeroDoor(
            settings.xero,
            self.policies,
            counter,
            self.tokens,
            clock,
            metrics,
            at_once=settings.quota.concurrent,
        )
        self.closing.callback(self.door.close)
        planner = Planner(settings, self.registry, self.tables, clock)
        self.settler = Settler(self.registry, self.waker, clock, metrics)
        self.handler = Handler(
            settings,
            self.registry,
            self.tables,
            self.settler,
            PlanAnswering(settings, planner, counter, clock),
            self.waker,
            clock,
            metrics,
        )
        self.accepting = MessageDoor(settings, self.registry, clock, metrics)
        self.runner = LaneRunner(
            self._lanes(), self.waker, clock, self.process, self.stopping
        )
        self.forecasting = Forecasting(settings, counter, self.policies, clock, metrics)
        invariants = Invariants(
            settings.bus.groups, self.runner, self.forecasting, clock, metrics
        )
        self.pump = Pump(
            self.runner, self.waker, counter, invariants, clock, self.presence.gone
        )
        self.receiver = WebhookReceiver(self.waker, clock, metrics)
        self._make_bus()

    def _make_bus(self) -> None:
        bus, clock = self.settings.bus, self.clock
        blocking = blocking_client(self.redis_url)
        self.intake = Intake(
            blocking, bus.stream_in, self.process, self.accepting, self.waker, clock
        )
        self.relay = Relay(
            self._client(),
            bus.stream_out,
            bus.groups,
            self.process,
            clock,
            self.metrics,
        )
        self.trimmer = Trimmer(self._client(), bus.stream_out, bus.groups, clock)
        self.broker = make_broker(self._client())
        self.closing.callback(self.broker.close)
        self.waker.actors = Actors(
            self.broker, lambda: self.runner, self.handler.handle
        )

    def _lanes(self) -> Mapping[LaneName, LaneWork]:
        settings, door, clock = self.settings, self.door, self.clock
        writes = (
            CreateContacts(settings, self.waker, clock),
            UpdateContacts(settings, self.waker, clock),
            RaiseInvoices(settings, self.tables, self.waker, clock),
            EmailInvoices(settings, self.waker, clock),
            VoidInvoices(self.settler, clock),
        )
        return {
            LaneName.REFERENCE: ReferenceLane(settings, door, clock),
            LaneName.MIRROR: MirrorLane(settings, door, clock),
            LaneName.CONTACT_READS: ContactReadsLane(settings, door, self.waker, clock),
            LaneName.READS: ReadsLane(door, self.settler, clock),
            LaneName.SWEEP: SweepLane(settings, door, self.settler, clock),
            LaneName.SEASON: SeasonLane(self.accepting, self.waker, clock),
            **write_lanes(writes, door, clock, self.process),
        }

    def _client(self) -> Client:
        client = command_client(self.redis_url)
        self.closing.callback(client.close)
        return client
