"""The mirror of a tenant's contacts: loaded once, then refreshed by change."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from core.calls import Door
from core.clock import Clock
from core.contacts import changes, deciding_anew
from core.db import contacts, lanes, reference
from core.db.database import transaction
from core.paging import ARCHIVED_TOO, OVERLAP, Page, Place, read_all
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName
from core.xero_json import contact, moment

log = structlog.get_logger()

CURSOR = "contacts"
LOADED = "mirror_loaded"
PROGRESS = "mirror_progress"
#: Somebody has asked for every contact to be read again.
ANEW = "mirror_anew"


OVERDUE_AFTER = timedelta(minutes=1)


#: So many contacts at once make a table another one for whoever plans queries.
MANY = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """Contacts read of those that there are to read; None: Xero has not said."""

    read: int
    total: int | None


class MirrorLane:
    """Reads contacts that changed; the first time, all of them."""

    def __init__(self, settings: Settings, door: Door, clock: Clock) -> None:
        self.settings = settings
        self.door = door
        self.clock = clock

    def step(self, tenant: str) -> bool:
        started = self.clock.now()
        loaded = is_loaded(tenant)
        purpose = Purpose.HOUSEKEEPING if loaded else Purpose.INTERACTIVE
        anew = reference.get_reference(tenant, ANEW)
        since = None if anew else read_until(tenant)
        seen: set[str] = set()  # of those that share a second, some come twice
        reached = read_all(
            lambda: self.door.admit(tenant, purpose),
            "read_contacts",
            "Contacts",
            Place(since),
            ARCHIVED_TOO,
            lambda page: self._apply(tenant, page, seen),
        )
        if len(seen) >= MANY:
            contacts.many_came()
        policy = self.settings.tenants[tenant]
        deciding_anew.release_decided(tenant, policy, self.clock.now())
        every = timedelta(seconds=self.settings.sweep.contacts_every_s)
        with transaction():
            reference.move_cursor(tenant, CURSOR, reached)
            if anew:
                reference.drop_reference(anew)
            if not loaded:
                reference.put_reference(tenant, LOADED, True, started)
            lanes.schedule(tenant, LaneName.MIRROR, started + every, ran_from=started)
        return False

    def next_due(self, tenant: str) -> datetime | None:
        return lanes.due_at(tenant, LaneName.MIRROR)

    def _apply(self, tenant: str, page: Page, seen: set[str]) -> None:
        """The cursor moves only after its page is in the books, with what follows."""
        found = [contact(raw) for raw in page.rows]
        ids = [each.contact_id for each in found]
        seen.update(ids)
        left = None if page.left is None else page.left - len(found)
        far = Progress(len(seen), None if left is None else len(seen) + left)
        with transaction():
            contacts.put(tenant, found)
        policy = self.settings.tenants[tenant]
        changes.noticed(tenant, ids, policy, self.clock.now())
        with transaction():
            if page.after is not None and page.after.since is not None:
                reference.move_cursor(tenant, CURSOR, page.after.since)
            now = self.clock.now()
            reference.put_reference(tenant, PROGRESS, [far.read, far.total], now)
        newest = moment(page.rows[-1].get("UpdatedDateUTC")) if page.rows else None
        log.info(
            "mirror.page",
            tenant=tenant,
            contacts=len(page.rows),
            read=far.read,
            of=far.total,
            until=newest and newest.isoformat(),
        )


def is_loaded(tenant: str) -> bool:
    """Matching before the mirror is whole would create duplicates."""
    return reference.get_reference(tenant, LOADED) is not None


def is_overdue(tenant: str, now: datetime) -> bool:
    """Whether limits, or a stop, have kept it from looking when it should have."""
    due_at = lanes.due_at(tenant, LaneName.MIRROR)
    return due_at is not None and due_at + OVERDUE_AFTER < now


def read_until(tenant: str) -> datetime | None:
    """What has changed since may be unknown to the mirror; None: all may be."""
    cursor = reference.cursor(tenant, CURSOR)
    return cursor and cursor - OVERLAP


def progress(tenant: str) -> Progress:
    """How far the last look at Xero's contacts has come, or came."""
    row = reference.get_reference(tenant, PROGRESS)
    return Progress(0, None) if row is None else Progress(*row.body)
