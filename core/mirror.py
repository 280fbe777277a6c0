"""The mirror of a tenant's contacts: loaded once, then refreshed by change."""

from datetime import datetime, timedelta

import structlog

from core import contact_changes
from core.calls import Door
from core.clock import Clock
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
        cursor = reference.cursor(tenant, CURSOR)
        read_until = read_all(
            lambda: self.door.admit(tenant, purpose),
            "read_contacts",
            "Contacts",
            Place(cursor and cursor - OVERLAP),
            ARCHIVED_TOO,
            lambda page: self._apply(tenant, page),
        )
        every = timedelta(seconds=self.settings.sweep.contacts_every_s)
        with transaction():
            reference.move_cursor(tenant, CURSOR, read_until)
            if not loaded:
                reference.put_reference(tenant, LOADED, True, started)
            lanes.schedule(tenant, LaneName.MIRROR, started + every, ran_from=started)
        return False

    def next_due(self, tenant: str) -> datetime | None:
        return lanes.due_at(tenant, LaneName.MIRROR)

    def _apply(self, tenant: str, page: Page) -> None:
        """The cursor moves only after its page is in the books, with what follows."""
        seen = [contact(raw) for raw in page.rows]
        with transaction():
            contacts.put(tenant, seen)
        contact_changes.noticed(
            tenant,
            [one.contact_id for one in seen],
            self.settings.tenants[tenant],
            self.clock.now(),
        )
        with transaction():
            if page.after is not None and page.after.since is not None:
                reference.move_cursor(tenant, CURSOR, page.after.since)
        newest = moment(page.rows[-1].get("UpdatedDateUTC")) if page.rows else None
        log.info(
            "mirror.page",
            tenant=tenant,
            contacts=len(page.rows),
            until=newest and newest.isoformat(),
        )


def is_loaded(tenant: str) -> bool:
    """Matching before the mirror is whole would create duplicates."""
    return reference.get_reference(tenant, LOADED) is not None
