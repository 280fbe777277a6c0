"""Running a lane: step after step until nothing is due, a wait is asked, or we stop."""

import threading
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from core.clock import Clock
from core.db import inbox, lanes, problems, writes
from core.db.database import BOOKS_AWAY, transaction
from core.errors import (
    NotConnected,
    VersionMoved,
    XeroError,
    XeroRefused,
    XeroUnauthorised,
    XeroWait,
)
from core.waking import LaneName, Waker

log = structlog.get_logger()

#: Lanes whose work comes in crowds and is done fifty at a time.
CROWDED = frozenset({LaneName.CONTACTS, LaneName.INVOICES})

#: While more is coming a batch fills for at most so long; a lone one goes at once.
#: A call is a sixtieth of Xero's minute, so a season can well wait for a full one.
FILL_WITHIN = timedelta(seconds=5)
FILL_STEP_S = 0.05
FULL = 50

#: How long a lane rests after an error, by what it is.
REST_AFTER_RACE = timedelta(seconds=1)
REST_AFTER_FAULT = timedelta(seconds=5)
REST_UNCONNECTED = timedelta(seconds=15)
REST_REFUSED = timedelta(seconds=60)


class LaneWork(Protocol):
    def step(self, tenant: str) -> bool:
        """Do the next piece; False when nothing is due now."""
        ...

    def next_due(self, tenant: str) -> datetime | None:
        """When there is something to do; None: nothing is known to come."""
        ...


class LaneRunner:
    """Runs each lane in one place at a time."""

    def __init__(
        self,
        works: Mapping[LaneName, LaneWork],
        waker: Waker,
        clock: Clock,
        process: str,
        stopping: threading.Event,
    ) -> None:
        self.works = works
        self.waker = waker
        self.clock = clock
        self.process = process
        self.stopping = stopping

    def run(self, tenant: str, name: LaneName) -> None:
        holder = f"{self.process}/{uuid.uuid4().hex[:8]}"
        try:
            with transaction():
                if not lanes.take(tenant, name, holder, self.clock.now()):
                    return
            with structlog.contextvars.bound_contextvars(tenant=tenant, lane=name):
                self._work(tenant, name)
        finally:
            self._leave(tenant, name, holder)
        # Whoever added work while we ran did not wake a lane that was running.
        if not self.stopping.is_set() and self.is_due(tenant, name):
            self.waker.lane(tenant, name)

    def _leave(self, tenant: str, name: LaneName, holder: str) -> None:
        """Until it is left: the lane of a living process would never run again."""
        while True:
            try:
                with transaction():
                    lanes.leave(tenant, name, holder)
            except BOOKS_AWAY:
                log.warning("lane.not_left", lane=name)
                if self.clock.wait(self.stopping, 1.0):
                    return
            else:
                return

    def is_due(self, tenant: str, name: LaneName) -> bool:
        due_at = self.next_due(tenant, name)
        return due_at is not None and due_at <= self.clock.now()

    def next_due(self, tenant: str, name: LaneName) -> datetime | None:
        """When the lane has something to do and may do it."""
        due_at = self.works[name].next_due(tenant)
        if due_at is None:
            return None
        parked_until = lanes.get(tenant, name).parked_until
        return due_at if parked_until is None else max(due_at, parked_until)

    def _work(self, tenant: str, name: LaneName) -> None:
        """Step after step; what ends it says how long the lane rests."""
        try:
            self._steps(tenant, name)
        except XeroWait as wait:
            self._park(tenant, name, wait.until, wait.reason)
        except NotConnected as error:
            self._rest(tenant, name, REST_UNCONNECTED, error)
        except (XeroUnauthorised, XeroRefused) as error:
            self._raise_problem(tenant, name, error)
            self._rest(tenant, name, _rest_after(error), error)
        except XeroError as error:
            self._rest(tenant, name, REST_AFTER_FAULT, error)
        except (VersionMoved, *BOOKS_AWAY) as error:
            self._rest(tenant, name, REST_AFTER_RACE, error)
        except Exception as error:
            log.exception("lane.failed")
            self._raise_problem(tenant, name, error)
            self._rest(tenant, name, REST_REFUSED, error)

    def _steps(self, tenant: str, name: LaneName) -> None:
        while not self.stopping.is_set():
            if name in CROWDED:
                self._let_fill(tenant, name)
            if not self.works[name].step(tenant):
                break
        with transaction():
            problems.close_problem(_cause(tenant, name), self.clock.now())

    def _let_fill(self, tenant: str, name: LaneName) -> None:
        """Wait a moment for the rest of a crowd whose messages are already here."""
        while not self.stopping.is_set():
            now = self.clock.now()
            oldest = writes.oldest_due(tenant, name, now)
            if (
                oldest is None
                or now - oldest > FILL_WITHIN
                or writes.count_due(tenant, name, now, most=FULL) >= FULL
                or not self._is_more_coming(tenant, name, now)
            ):
                return
            self.clock.wait(self.stopping, FILL_STEP_S)

    def _is_more_coming(self, tenant: str, name: LaneName, now: datetime) -> bool:
        """Messages not yet handled, and for invoices contacts not yet created."""
        return inbox.is_more_coming(tenant, now) or (
            name is LaneName.INVOICES and writes.is_pending(tenant, LaneName.CONTACTS)
        )

    def _park(self, tenant: str, name: LaneName, until: datetime, reason: str) -> None:
        log.info("lane.parked", until=until.isoformat(), reason=reason)
        with transaction():
            lanes.park(tenant, name, until, reason[:250])

    def _rest(
        self, tenant: str, name: LaneName, pause: timedelta, error: Exception
    ) -> None:
        log.warning("lane.rests", reason=str(error), kind=type(error).__name__)
        self._park(tenant, name, self.clock.now() + pause, str(error))

    def _raise_problem(self, tenant: str, name: LaneName, error: Exception) -> None:
        if _is_stale_token(error):
            return
        with transaction():
            problems.open_problem(
                "lane_failed",
                _cause(tenant, name),
                f"{name} of {tenant} can't go on: {error}",
                self.clock.now(),
                tenant=tenant,
            )


def _is_stale_token(error: Exception) -> bool:
    """The door has already got another token; the next step will do."""
    return (
        isinstance(error, XeroUnauthorised)
        and error.detail.startswith(("TokenExpired", "AuthenticationUnsuccessful"))
        and error.status == 401
    )


def _rest_after(error: XeroError) -> timedelta:
    return timedelta(seconds=1) if _is_stale_token(error) else REST_REFUSED


def _cause(tenant: str, name: LaneName) -> str:
    return f"lane:{tenant}:{name}"
