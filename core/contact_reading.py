"""The lane that reads contacts: forty in one call, whoever asked."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from core import mirror
from core.calls import IDS_TOGETHER, Door, XeroAnswer
from core.clock import Clock
from core.contact_lookup import read_of
from core.contacts import changes, deciding_anew
from core.db import contact_reads, contacts, invoices, lanes
from core.db.database import transaction
from core.db.models import ContactRead
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName, Waker
from core.xero_json import contact as parse_contact

log = structlog.get_logger()

#: More than these are read by what changed, a thousand in a page.
CROWD = 2 * IDS_TOGETHER


class ContactReadsLane:
    def __init__(
        self, settings: Settings, door: Door, waker: Waker, clock: Clock
    ) -> None:
        self.settings = settings
        self.door = door
        self.waker = waker
        self.clock = clock

    def step(self, tenant: str) -> bool:
        """One read of what is due; what could wait rides along in the same call."""
        now = self.clock.now()
        due = self._worth_a_call(tenant, contact_reads.due(tenant, now, IDS_TOGETHER))
        if not due:
            return bool(contact_reads.due(tenant, now, 1))
        if contact_reads.count_unneeded(tenant) > CROWD:
            self._leave_to_the_mirror(tenant, now)
            return True
        with self.door.admit(tenant, self._purpose(tenant, due)) as slot:
            places = IDS_TOGETHER - len(due)
            riders = contact_reads.deferred(tenant, now, places) if places else []
            asked = [*due, *self._worth_a_call(tenant, riders)]
            ids = [read.contact_id for read in asked]
            answer = slot.send(read_of("read_changed_contacts", ids))
        self._apply(tenant, asked, answer)
        return True

    def next_due(self, tenant: str) -> datetime | None:
        return contact_reads.next_due(tenant)

    def _purpose(self, tenant: str, due: Sequence[ContactRead]) -> Purpose:
        """Somebody waits for it, or nobody does."""
        waits = any(read.is_needed for read in due) or invoices.is_any_held(tenant)
        return Purpose.INTERACTIVE if waits else Purpose.HOUSEKEEPING

    def _worth_a_call(
        self, tenant: str, asked: Sequence[ContactRead]
    ) -> list[ContactRead]:
        """Without those that have turned out to be echoes of our own writes."""
        needless = [read for read in asked if _is_echo(tenant, read)]
        if needless:
            with transaction():
                contact_reads.answered(needless)
        gone = {read.id for read in needless}
        return [read for read in asked if read.id not in gone]

    def _leave_to_the_mirror(self, tenant: str, now: datetime) -> None:
        with transaction():
            contact_reads.forget_unneeded(tenant)
            lanes.ask(tenant, LaneName.MIRROR, now, now)
        self.waker.lane(tenant, LaneName.MIRROR)

    def _apply(
        self, tenant: str, asked: Sequence[ContactRead], answer: XeroAnswer
    ) -> None:
        seen = [parse_contact(raw) for raw in answer.json.get("Contacts") or []]
        with transaction():
            contacts.put(tenant, seen)
        log.info("contacts.read", tenant=tenant, asked=len(asked), seen=len(seen))
        ids = [read.contact_id for read in asked]
        policy = self.settings.tenants[tenant]
        changes.noticed(tenant, ids, policy, self.clock.now())
        if mirror.is_loaded(tenant):
            deciding_anew.release_decided(tenant, policy, self.clock.now())
        with transaction():
            contact_reads.answered(asked)
        for lane in (LaneName.CONTACT_UPDATES, LaneName.CONTACTS, LaneName.INVOICES):
            self.waker.lane(tenant, lane)
        self.waker.relay()


def _is_echo(tenant: str, read: ContactRead) -> bool:
    """An event of our own write: not after the time that the write returned."""
    if read.is_needed or read.event_at is None:
        return False
    updated_at = contacts.updated_at(tenant, read.contact_id)
    return updated_at is not None and read.event_at <= updated_at
