"""What the commands about seasons do with the books, for one tenant."""

import csv
import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import structlog
from rich.progress import Progress

from bus.connection import REDIS_AWAY, command_client
from bus.quota import RedisQuotaCounter
from core import mirror, reference_data
from core.clock import Clock, SystemClock
from core.day_shares import TenantPolicies
from core.db import recovery, reference, seasons, switches
from core.db.database import transaction
from core.db.models import Season
from core.email_writes import EMAILS_PAUSED
from core.errors import NotConnected, SettingsInvalid
from core.forecasting import Forecast, Forecasting
from core.metrics import Metrics
from core.quota import Left
from core.registry import Registry
from core.seasons.bill import Bill, Pace, bill
from core.seasons.carrying_out import SeasonRefused, Seasons, Undone
from core.seasons.pacing import pace_of
from core.seasons.planning import Plan, Planned, Planner, blocks
from core.settings import Settings
from core.workflow_settings import WorkflowTables
from settled.maintenance import tenant_of
from settled.stores import Stores

log = structlog.get_logger()

DoneT = TypeVar("DoneT")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A plan with its bill.

    Args:
        awaited_per_day: calls for payments and for whoever waits that it expects.
    """

    plan: Plan
    bill: Bill
    awaited_per_day: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a season has come, against its plan."""

    season: Season
    items: Mapping[str, int]
    invoices: Mapping[str, int]
    emailed: int
    calls: Mapping[str, int]
    ends_at: datetime | None


class SeasonDesk:
    """Seasons of one tenant. Every method opens the books for itself.

    Args:
        tenant: None: the only one.
        clock: a rehearsal's; None: the machine's.
    """

    def __init__(
        self, settings: Settings, tenant: str | None = None, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.tenant = tenant_of(settings, tenant)
        self.clock = clock or SystemClock()
        self.rehearsal_clock = clock

    @contextmanager
    def _books(self) -> Iterator[Stores]:
        stores = Stores(self.settings)
        try:
            stores.open_books()
            yield stores
        finally:
            stores.close()

    # -- planning ----------------------------------------------------------------------

    def plan(
        self, bodies: Sequence[bytes], awaited_per_day: int, bar: Progress
    ) -> Estimate:
        """The dry run.

        Raises:
            SettingsInvalid: nothing has been read from Xero yet.
            NeverEnds: the limits leave a season nothing.
        """
        with self._books() as stores:
            return self._plan(stores, bodies, awaited_per_day, bar)

    def _plan(
        self,
        stores: Stores,
        bodies: Sequence[bytes],
        awaited_per_day: int,
        bar: Progress,
    ) -> Estimate:
        self._require_ready()
        registry = Registry.installed()
        tables = WorkflowTables(self.settings, registry)
        planner = Planner(self.settings, registry, tables, self.clock)
        shown = _shown(bar, "planning", len(bodies))
        plan = planner.plan(self.tenant, bodies, lambda done: shown(done, len(bodies)))
        pace = self._pace(stores, awaited_per_day)
        return Estimate(
            plan, bill(blocks(plan.sent), pace), awaited_per_day, self.clock.now()
        )

    def _pace(self, stores: Stores, awaited_per_day: int) -> Pace:
        left = self._left(stores)
        now = self.clock.now()
        return pace_of(self.settings, self.tenant, left, awaited_per_day, now)

    def _left(self, stores: Stores) -> Left:
        """Of today, as far as the counter can be asked."""
        try:
            with self._counter(stores) as counter:
                return counter.remaining(self.tenant, self.settings.quota.policy())
        except REDIS_AWAY as error:
            log.warning("quota.not_known", reason=str(error))
            return Left()

    @contextmanager
    def _counter(self, stores: Stores) -> Iterator[RedisQuotaCounter]:
        client = command_client(stores.redis_url(is_guest=True))
        try:
            yield RedisQuotaCounter(client, self.rehearsal_clock, reference)
        finally:
            client.close()

    def _require_ready(self) -> None:
        """What messages are judged against must be there."""
        if reference.xero_tenant_id(self.tenant) is None:
            raise NotConnected(
                f"{self.tenant} is not connected to Xero; run `settled connect`"
            )
        if recovery.is_needed(self.tenant):
            raise SettingsInvalid(
                f"tenants.{self.tenant}",
                "its books are to be recovered: `settled recover`",
            )
        if not reference_data.is_known(self.tenant) or not mirror.is_loaded(
            self.tenant
        ):
            raise SettingsInvalid(
                f"tenants.{self.tenant}",
                "nothing has been read from Xero yet; `settled run` does that",
            )

    # -- carrying out ------------------------------------------------------------------

    def run(
        self,
        name: str,
        bodies: Sequence[bytes],
        digest: str,
        awaited_per_day: int,
        bar: Progress,
    ) -> Season:
        """Start what was planned, if it would still be planned so.

        Raises:
            SeasonRefused: the plan would be another one now, or another season has
                not ended.
        """
        with self._books() as stores:
            estimate = self._plan(stores, bodies, awaited_per_day, bar)
            if estimate.plan.digest != digest:
                raise SeasonRefused(
                    f"the plan is {estimate.plan.digest} now, not {digest}: "
                    "look at it again with `settled plan`"
                )
            by = getpass.getuser()
            season = Seasons(self.tenant, self.clock).start(
                name, estimate.plan, estimate.bill, bodies, by, awaited_per_day
            )
        log.warning("season.started", season=name, by=by)
        return season

    def pause(self, name: str) -> None:
        self._do("paused", name, lambda them: them.pause(name))

    def resume(self, name: str) -> None:
        self._do("resumed", name, lambda them: them.resume(name))

    def cancel(self, name: str, bar: Progress) -> Undone:
        shown = _shown(bar, "taking back", 0)
        return self._do("cancelled", name, lambda them: them.cancel(name, shown))

    def void(self, name: str, bar: Progress) -> Undone:
        shown = _shown(bar, "voiding", 0)
        return self._do("voided", name, lambda them: them.void(name, shown))

    def _do(self, what: str, name: str, do: Callable[[Seasons], DoneT]) -> DoneT:
        with self._books():
            done = do(Seasons(self.tenant, self.clock))
        log.warning("season.changed", season=name, to=what, by=getpass.getuser())
        return done

    # -- looking -----------------------------------------------------------------------

    def everything(self) -> list[Progressed]:
        with self._books() as stores:
            return [
                self._progressed(stores, season)
                for season in seasons.everything(self.tenant)
            ]

    def progressed(self, name: str) -> Progressed:
        with self._books() as stores:
            season = Seasons(self.tenant, self.clock).find(name)
            return self._progressed(stores, season)

    def _progressed(self, stores: Stores, season: Season) -> Progressed:
        ends_at = season.ended_at
        if season.state in seasons.OPEN:
            left = [Planned.from_data(each) for each in seasons.to_come(season.id)]
            pace = self._pace(stores, season.awaited_per_day)
            ends_at = bill(blocks(left), pace).ends_at
        return Progressed(
            season,
            seasons.count_items(season.id),
            seasons.count_invoices(season.id),
            seasons.count_emailed(season.id),
            seasons.calls_of(season),
            ends_at,
        )

    def forecast(self) -> Forecast:
        """Raises: RedisError: the counter can't be reached."""
        with self._books() as stores, self._counter(stores) as counter:
            policies = TenantPolicies(self.settings, counter, self.clock)
            forecasting = Forecasting(
                self.settings, counter, policies, self.clock, Metrics()
            )
            return forecasting.of(self.tenant)

    # -- e-mails -----------------------------------------------------------------------

    def pause_emails(self) -> None:
        with self._books(), transaction():
            by = getpass.getuser()
            switches.turn_on(self.tenant, EMAILS_PAUSED, by, self.clock.now())
        log.warning("emails.paused", tenant=self.tenant, by=by)

    def resume_emails(self) -> bool:
        """Whether they were paused."""
        with self._books(), transaction():
            was_on = switches.turn_off(self.tenant, EMAILS_PAUSED)
        log.warning("emails.resumed", tenant=self.tenant, by=getpass.getuser())
        return was_on


def read_messages(file: Path) -> list[bytes]:
    """Each line of a JSON Lines file that is not empty.

    Raises:
        SettingsInvalid: it can't be read, or holds nothing.
    """
    try:
        lines = [line for line in file.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise SettingsInvalid(str(file), str(error.strerror)) from None
    if not lines:
        raise SettingsInvalid(str(file), "there is no message in it")
    return lines


def write_csv(file: Path, plan: Plan) -> None:
    """A row for each message."""
    columns = (
        "position",
        "message_id",
        "type",
        "subject",
        "outcome",
        "obstacle",
        "field",
        "reason",
        "payer",
        "name",
        "contact",
        "contact_id",
        "contact_rule",
        "total",
        "currency",
        "raise_on",
        "due_on",
    )
    with file.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore")
        writer.writeheader()
        for each in plan.planned:
            writer.writerow(each.as_data())


def _shown(bar: Progress, what: str, total: int) -> Callable[[int, int], None]:
    task = bar.add_task(what, total=total or None)
    return lambda done, of: bar.update(task, completed=done, total=of)
