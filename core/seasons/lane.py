"""The lane that sends a season out: the next fifty when the last have gone."""

from datetime import datetime, timedelta

import structlog

from core.accepting import Door
from core.clock import Clock
from core.db import lanes, seasons, switches
from core.db.database import transaction
from core.db.models import Season, SeasonItem
from core.db.seasons import SeasonState
from core.email_writes import EMAILS_PAUSED
from core.errors import Refused
from core.message_reading import Entry
from core.seasons.bill import BLOCK
from core.waking import LaneName, Waker

log = structlog.get_logger()

#: Whether the last fifty have gone is looked at this often.
LOOK_AGAIN_AFTER = timedelta(seconds=15)

#: The next go out while so few of the last are still on their way.
NEARLY_GONE = 10

#: Lanes that a season's messages go by.
ITS_LANES = (LaneName.CONTACTS, LaneName.INVOICES, LaneName.EMAILS)


class SeasonLane:
    """Hands messages of a running season to the inbox, as the platform would."""

    def __init__(self, door: Door, waker: Waker, clock: Clock) -> None:
        self.door = door
        self.waker = waker
        self.clock = clock

    def step(self, tenant: str) -> bool:
        """Send out the next fifty, unless the last are still on their way."""
        started = self.clock.now()
        season = seasons.running(tenant)
        if season is not None:
            # A pause that was overtaken by its end may have held back something since.
            with transaction():
                seasons.let_go(season)
            is_mailed = switches.on_since(tenant, EMAILS_PAUSED, started) is None
            under_way = seasons.count_under_way(season, is_mailed=is_mailed)
            if under_way <= NEARLY_GONE and not self._send_out(season, under_way):
                season = None
        next_at = None if season is None else self._next_look(tenant, started)
        with transaction():
            lanes.schedule(tenant, LaneName.SEASON, next_at, ran_from=started)
        return False

    def next_due(self, tenant: str) -> datetime | None:
        return lanes.due_at(tenant, LaneName.SEASON)

    def _next_look(self, tenant: str, now: datetime) -> datetime:
        """While Xero's limits keep its lanes, there is nothing to look at."""
        parked = [lanes.get(tenant, name).parked_until for name in ITS_LANES]
        ahead = [moment for moment in parked if moment is not None and moment > now]
        return max(now + LOOK_AGAIN_AFTER, min(ahead, default=now))

    def _send_out(self, season: Season, under_way: int) -> bool:
        """Whether the season goes on."""
        items = seasons.next_items(season.id, BLOCK)
        if not items:
            return under_way > 0 or not self._end(season)
        with transaction():
            if seasons.state_of(season.id) is not SeasonState.RUNNING:
                return False
            taken = [self._send(season, item) for item in items]
        self.waker.messages([row_id for row_id in taken if row_id is not None])
        self.waker.relay()
        return True

    def _send(self, season: Season, item: SeasonItem) -> int | None:
        """The inbox row that is to be handled; None: there is none."""
        if not seasons.claim(item):
            return None
        entry = Entry(f"season:{season.id}:{item.position}", item.body.encode())
        try:
            reader = self.door.reader
            envelope, _ = reader.read(entry, reader.parse(entry))
        except Refused as refusal:
            log.warning("season.refused", item=item.id, reason=refusal.reason)
            seasons.sent_out(item, None)
            return None
        row = self.door.take(envelope, season.tenant, season)
        seasons.sent_out(item, row)
        return None if row is None else int(row.id)

    def _end(self, season: Season) -> bool:
        with transaction():
            is_over = seasons.move(season, SeasonState.DONE, ended_at=self.clock.now())
        if is_over:
            log.info("season.done", season=season.name)
        return is_over
