"""One daemon, its Xero and its platform in one thread, on a clock that only moves when
nobody has anything to do.

The parts are the daemon's own, and so are Redis and the sandbox. Instead of threads
there is a round: every part has its turn, then time moves to whatever is due next. A
crash ends the process in the middle of anything; another one takes its place.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import redis
from cryptography.fernet import Fernet
from peewee import InterfaceError, OperationalError

from bus.intake import Intake
from bus.quota import RedisQuotaCounter
from bus.relay import LANE, Relay
from core import mirror, reference_data
from core.accepting import Door as MessageDoor
from core.calls import Admit, Slot
from core.contact_reading import ContactReadsLane
from core.contact_update_writes import UpdateContacts
from core.contact_writes import CreateContacts
from core.day_shares import TenantPolicies
from core.db import lanes, processes, reference
from core.db.database import migrate, transaction
from core.db.fields import MomentField
from core.db.proxy import proxy
from core.email_writes import EmailInvoices
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
from core.settings import Settings, settings_from
from core.settling import Settler
from core.sweeping import SweepLane
from core.void_writes import VoidInvoices
from core.waking import LaneName
from core.workflow_settings import WorkflowTables
from core.write_kind import WriteKind
from core.writing import write_lanes
from core.xero.door import XeroDoor
from core.xero.oauth import XeroOAuth
from core.xero.sealing import Seal
from core.xero.tokens import Tokens
from sandbox import App, Limits, Organisation
from sandbox.browser import consent_redirect
from sandbox.xero import snapshot
from sandbox.xero.books import Books
from sandbox.xero.door import Door as SandboxDoor
from sandbox.xero.service import XeroService
from settled.maintenance import read_price_file
from tests.faults.books import FaultyBooks
from tests.faults.plan import Crash, Endless, Life, Plan
from tests.faults.redis_client import FaultyRedis
from tests.faults.wire import ApiPool, TokenTransport, Way

#: A Friday, ten in the morning in Johannesburg.
STARTED_AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

ADDRESS = "http://xero.test"
CALLBACK = "http://localhost:9000/oauth/callback"
STREAM_IN, STREAM_OUT = "settled:in", "settled:out"

LIFTED = Limits(minute=None, day=None, app_minute=None, emails_per_day=None)
OWN_LIFTED = {"minute": 0, "day": 0, "app_minute": 0, "emails_per_day": 0}

#: A process that is silent for so long is dead to the others.
DEAD_AFTER = timedelta(seconds=5.1)

#: Nothing that can be due takes so many rounds; something turns in a circle.
MOST_ROUNDS = 400


class LabClock:
    """Moves when it is told, and when somebody waits."""

    def __init__(self) -> None:
        self.moment = STARTED_AT

    def now(self) -> datetime:
        return self.moment

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.moment += timedelta(seconds=timeout_s)
        return event.is_set()


class Turns:
    """Who is to be woken: implements ``core.waking.Waker`` without a queue outside."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab
        self._waiting: deque[Callable[[Process], None]] = deque()

    def lane(self, tenant: str, lane: LaneName) -> None:
        with transaction():
            is_ours = lanes.claim_wake(tenant, lane, self._lab.clock.now())
        if is_ours and lane in self._lab.allowed:
            self._waiting.append(lambda process: process.runner.run(tenant, lane))

    def messages(self, inbox_ids: Sequence[int]) -> None:
        if inbox_ids:
            self._waiting.append(lambda process: process.handler.handle(inbox_ids))

    def relay(self) -> None:
        """The relay has its turn in each round."""

    def next(self) -> Callable[["Process"], None] | None:
        return self._waiting.popleft() if self._waiting else None


class Process:
    """What one process of the daemon consists of."""

    def __init__(self, lab: "Lab", name: str) -> None:
        settings, clock, metrics = lab.settings, lab.clock, lab.metrics
        self.name = name
        self.turns = Turns(lab)
        stopping = threading.Event()
        oauth = XeroOAuth(settings.xero, TokenTransport(lab.way))
        self.tokens = Tokens(settings, oauth, lab.seal, clock, name)
        self.counter = counter = RedisQuotaCounter(
            lab.redis, clock=clock, history=reference, holder=name
        )
        policies = TenantPolicies(settings, counter, clock)
        door = XeroDoor(
            settings.xero,
            policies,
            counter,
            self.tokens,
            clock,
            metrics,
            at_once=settings.quota.concurrent,
        )
        door.pool = ApiPool(lab.way)
        settler = Settler(lab.registry, self.turns, clock, metrics)
        planner = Planner(settings, lab.registry, lab.tables, clock)
        self.handler = Handler(
            settings,
            lab.registry,
            lab.tables,
            settler,
            PlanAnswering(settings, planner, counter, clock),
            self.turns,
            clock,
            metrics,
        )
        writes: tuple[WriteKind, ...] = (
            CreateContacts(settings, self.turns, clock),
            UpdateContacts(settings, self.turns, clock),
            RaiseInvoices(settings, lab.tables, self.turns, clock),
            EmailInvoices(settings, self.turns, clock),
            VoidInvoices(settler, clock),
        )
        accepting = MessageDoor(settings, lab.registry, clock, metrics)
        works: dict[LaneName, LaneWork] = {
            LaneName.REFERENCE: ReferenceLane(settings, door, clock),
            LaneName.MIRROR: MirrorLane(settings, door, clock),
            LaneName.CONTACT_READS: ContactReadsLane(settings, door, self.turns, clock),
            LaneName.READS: ReadsLane(door, settler, clock),
            LaneName.SWEEP: SweepLane(settings, door, settler, clock),
            LaneName.SEASON: SeasonLane(accepting, self.turns, clock),
            **write_lanes([lab.counted(kind) for kind in writes], door, clock, name),
        }
        self.runner = LaneRunner(works, self.turns, clock, name, stopping)
        # One for all: a new one would measure at once, a third of a scenario's time.
        forecasting = Forecasting(settings, counter, policies, clock, metrics)
        lab.invariants = lab.invariants or Invariants(
            ["platform"], self.runner, forecasting, clock, metrics
        )
        self.pump = Pump(
            self.runner, self.turns, counter, lab.invariants, clock, gone=list
        )
        # One consumer for all: by its own clock Redis lets another take over.
        self.intake = Intake(lab.redis, STREAM_IN, "lab", accepting, self.turns, clock)
        self.relay = Relay(lab.redis, STREAM_OUT, ["platform"], name, clock, metrics)
        self.has_begun = False


@dataclass(frozen=True, slots=True)
class State:
    """All that the lab can go back to."""

    moment: datetime
    books: bytes
    xero: bytes
    redis: Mapping[bytes, bytes]
    is_mailed: bool = True


class Lab:
    """The whole, kept for many scenarios."""

    def __init__(
        self,
        redis_socket: str,
        folder: Path,
        tenant: Mapping[str, Any] | None = None,
        limits: Limits = LIFTED,
        quota: Mapping[str, Any] = OWN_LIFTED,
        is_mailed: bool = True,
    ) -> None:
        self.life = Life()
        self.clock = LabClock()
        self.service = XeroService(
            self.clock, App(redirect_uris=[CALLBACK]), [Organisation()], limits
        )
        self.way = Way(
            SandboxDoor(self.service, lambda: ADDRESS),
            self.life,
            self.pass_time,
            self._freeze,
        )
        self.redis = FaultyRedis(unix_socket_path=redis_socket)
        self.redis.life = self.life
        self.redis.flushall()
        self.registry = Registry.installed()
        values = {**_settings(self.service.app, folder), "quota": quota}
        self.settings = settings_from({**values, "tenants": {"main": tenant or {}}})
        self._tables = {
            is_mailed: _tables(self.settings, self.registry, is_mailed)
            for is_mailed in (True, False)
        }
        self.is_mailed = is_mailed
        #: Lanes that may run; a wake of any other is lost, as a hint may be.
        self.allowed = frozenset(LaneName)
        self.metrics = Metrics()
        self.invariants: Invariants | None = None
        self.seal = Seal([Fernet.generate_key().decode()])
        proxy.initialize(FaultyBooks(self.life))
        self._names = itertools.count(1)
        #: Reads that looked for what became of intents, failed ones too.
        self.looks = 0
        self._set_up(folder)

    @property
    def books(self) -> FaultyBooks:
        books: FaultyBooks = proxy.obj
        return books

    @property
    def tables(self) -> WorkflowTables:
        return self._tables[self.is_mailed]

    @property
    def xero(self) -> Books:
        return self.service.only_books

    # -- state -------------------------------------------------------------------------

    def state(self) -> State:
        keys: Any = self.redis.keys()
        kept: Any = {key: self.redis.dump(key) for key in keys}
        return State(
            self.clock.moment,
            self.books.state(),
            snapshot.take(self.service),
            kept,
            self.is_mailed,
        )

    def go_back(self, state: State, plan: Plan) -> None:
        """To an earlier state, with a new process and these faults ahead."""
        self.allowed = frozenset(LaneName)
        self.disarm()
        self.clock.moment = state.moment
        self.is_mailed = state.is_mailed
        self.books.go_back(state.books)
        snapshot.restore(self.service, state.xero)
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.flushall()
            for key, value in state.redis.items():
                pipeline.restore(key, 0, value)
            pipeline.execute()
        self.way.calls.clear()
        self.way.stood_still = timedelta()
        self.looks = 0
        self._start()
        self.life.plan = plan

    def disarm(self) -> None:
        """Nothing goes wrong any more."""
        self.life.has_ended, self.life.plan = False, Plan()

    # -- running -----------------------------------------------------------------------

    def run_until(self, reached: Callable[[], bool]) -> None:
        """Round after round; time moves to whatever is due next.

        Raises:
            Endless: it turns in a circle.
        """
        for _ in range(MOST_ROUNDS):
            has_worked = self.round()
            if not has_worked and reached():
                return
            if not has_worked:
                self.move_on()
        raise Endless(f"{MOST_ROUNDS} rounds, and no end")

    def work(self) -> None:
        """Until nobody has anything to do at this moment; no time passes."""
        for _ in range(MOST_ROUNDS):
            if not self.round():
                return
        raise Endless(f"{MOST_ROUNDS} rounds, and no end")

    def round(self) -> bool:
        """Each part has its turn; whether there was anything to do."""
        try:
            return self._turns_of(self.process)
        except Crash:
            self.life.has_ended = False
            self._start()
            return True

    def _turns_of(self, process: Process) -> bool:
        sent = len(self.way.calls)
        worked = [
            self._guarded(lambda: _beat(process.name, self.clock.now())),
            self._guarded(lambda: self._take(process)),
            self._guarded(lambda: process.pump.tick() and False),
        ]
        while (turn := process.turns.next()) is not None:
            worked.append(True)
            self._guarded(lambda: turn(process))
        worked.append(self._guarded(process.relay.turn))
        return any(worked) or len(self.way.calls) > sent

    def _guarded(self, turn: Callable[[], Any]) -> bool:
        """As the daemon's threads and Dramatiq do: an error ends a turn and no more.

        Returns:
            Whether there was anything to do, or it has failed and is tried again.
        """
        try:
            return bool(turn())
        except (redis.RedisError, OperationalError, InterfaceError):
            self.process.has_begun = False
            self.pass_time(timedelta(seconds=1))
        return True

    def _take(self, process: Process) -> bool:
        if not process.has_begun:
            process.intake.begin()
            process.has_begun = True
        waiting = bool(self.redis.xlen(STREAM_IN))
        if waiting:
            process.intake.take(None)
        return waiting

    def move_on(self, at_most: datetime | None = None) -> None:
        """Nobody has anything to do: to the next moment at which somebody has."""
        now = self.clock.now()
        ahead = _next_moment(now) or now + timedelta(seconds=1)
        self.pass_time((ahead if at_most is None else min(ahead, at_most)) - now)

    def _start(self) -> None:
        """A new process, heard for so long that its predecessor is dead to it.

        Nothing goes wrong meanwhile: that would be another one that has to start.
        """
        name = f"lab-{next(self._names)}"
        plan, self.life.plan = self.life.plan, Plan()
        _beat(name, self.clock.now())
        self.life.plan = plan
        self.process = Process(self, name)
        self.pass_time(DEAD_AFTER)

    def pass_time(self, time: timedelta) -> None:
        """Meanwhile the process that runs says that it lives, whatever it waits for."""
        self.clock.moment += time
        self.books.heard_until(self.process.name, _stored(self.clock.moment))

    def _freeze(self, time: timedelta) -> timedelta:
        """The process stands still; another one takes its work over meanwhile."""
        began = self.clock.now()
        frozen = self.process
        self._start()
        ends_at = self.clock.now() + time
        while self.clock.now() < ends_at:
            if not self.round():
                self.move_on(at_most=ends_at)
        self.process = frozen
        return self.clock.now() - began

    @contextmanager
    def _looking(self, admit: Admit) -> Iterator[Slot]:
        with admit() as slot:
            self.looks += 1
            yield slot

    def counted(self, kind: WriteKind) -> WriteKind:
        """Its reads for what became of an intent are counted."""
        look_up: Callable[..., Any] = kind.look_up

        def counting(admit: Admit, *asked: Any) -> Any:
            return look_up(lambda: self._looking(admit), *asked)

        setattr(kind, "look_up", counting)  # noqa: B010 a method of its class otherwise
        return kind

    def begin(self) -> State:
        """Xero has been read for the first time; nothing else has happened."""
        self.run_until(
            lambda: reference_data.is_known("main") and mirror.is_loaded("main")
        )
        return self.state()

    # -- setting up --------------------------------------------------------------------

    def _set_up(self, folder: Path) -> None:
        """Prices, a consent, and the first reads of Xero."""
        migrate()
        self.books.watch_intents(lambda: _stored(self.clock.now()))
        with transaction():
            lanes.ensure(lanes.EVERYBODY, [LANE])
        file = folder / "prices.csv"
        prices = read_price_file(file, set(self.registry.workflows))
        with transaction():
            reference.put_prices("membership", [p for _, p in prices], STARTED_AT)
        self._start()
        transport = TokenTransport(self.way)
        back = consent_redirect(
            self.process.tokens.begin_consent(), transport=transport
        )
        self.process.tokens.finish_consent(dict(parse_qsl(urlsplit(back).query)))


def _beat(name: str, now: datetime) -> None:
    with transaction():
        processes.beat(name, now)


#: Whatever is due after a moment. A lane or a message of which somebody was told lately
#: is told of again after ten seconds.
_NEXT = """
SELECT min(moment) FROM (
    SELECT min(due_at) AS moment FROM write WHERE state = 'due' AND due_at > ?1
    UNION ALL SELECT min(due_at) FROM intent WHERE state = 'unknown' AND due_at > ?1
    UNION ALL SELECT min(held_at) + 190000000 FROM intent
        WHERE state = 'open' AND held_at + 190000000 > ?1
    UNION ALL SELECT min(due_at) FROM inbox WHERE state = 'accepted' AND due_at > ?1
    UNION ALL SELECT min(woken_at) + 10000000 FROM inbox
        WHERE state = 'accepted' AND woken_at + 10000000 > ?1
    UNION ALL SELECT min(due_at) FROM invoice_read WHERE due_at > ?1
    UNION ALL SELECT min(due_at) FROM contact_read WHERE due_at > ?1
    UNION ALL SELECT min(woken_at) + 10000000 FROM lane WHERE woken_at + 10000000 > ?1
    UNION ALL SELECT min(parked_until) FROM lane WHERE parked_until > ?1
    UNION ALL SELECT min(due_at) FROM lane WHERE due_at > ?1
)
"""

_OPEN_WORK = """
SELECT EXISTS (SELECT 1 FROM write WHERE state IN ('due', 'claimed'))
    OR EXISTS (SELECT 1 FROM intent WHERE state IN ('open', 'unknown'))
    OR EXISTS (SELECT 1 FROM inbox WHERE state = 'accepted')
    OR EXISTS (SELECT 1 FROM outbox WHERE stream_id IS NULL)
    OR EXISTS (SELECT 1 FROM invoice_read)
    OR EXISTS (SELECT 1 FROM contact_read)
"""


def has_open_work() -> bool:
    """Whether anything is under way, or will be due without being asked for again."""
    (found,) = proxy.execute_sql(_OPEN_WORK).fetchone()
    return bool(found)


def _next_moment(now: datetime) -> datetime | None:
    (found,) = proxy.execute_sql(_NEXT, (_stored(now),)).fetchone()
    return MomentField().python_value(found)


def _stored(moment: datetime) -> int | None:
    return MomentField().db_value(moment)


def _settings(app: App, folder: Path) -> Mapping[str, Any]:
    return {
        "data_folder": folder,
        "xero": {
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "redirect_uri": CALLBACK,
            "authorize_url": f"{ADDRESS}/identity/connect/authorize",
            "token_url": f"{ADDRESS}/connect/token",
            "connections_url": f"{ADDRESS}/connections",
            "api_url": f"{ADDRESS}/api.xro/2.0",
        },
    }


def _tables(settings: Settings, registry: Registry, is_mailed: bool) -> WorkflowTables:
    plugins = {"membership": {"email": is_mailed}}
    return WorkflowTables(settings.model_copy(update={"plugins": plugins}), registry)
