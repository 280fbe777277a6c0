"""The sweep: invoices that changed in Xero, whether a webhook told us or not."""

from datetime import datetime, timedelta

import structlog

from core.calls import Door
from core.clock import Clock
from core.db import invoices, lanes, reads, reference
from core.db.database import transaction
from core.paging import OVERLAP, Page, Place, read_all
from core.quota import Purpose
from core.registry import HOOK_RETRY, PluginFailed
from core.settings import Settings
from core.settling import AGAIN_AFTER, Settler
from core.waking import LaneName
from core.xero_json import invoice as parse_invoice

log = structlog.get_logger()

CURSOR = "invoices"

#: Before the first read nobody knows Xero's moment: ours may differ by so much.
CLOCKS_APART = timedelta(hours=1)


class SweepLane:
    def __init__(
        self, settings: Settings, door: Door, settler: Settler, clock: Clock
    ) -> None:
        self.settings = settings
        self.door = door
        self.settler = settler
        self.clock = clock

    def step(self, tenant: str) -> bool:
        started = self.clock.now()
        reached = reference.cursor(tenant, CURSOR)
        if reached is None:
            # What was in Xero before the first sweep is not ours, or was adopted.
            read_until = started - CLOCKS_APART
        else:
            read_until, reached = self._read(tenant, reached)
        every = timedelta(seconds=self.settings.sweep.invoices_every_s)
        with transaction():
            reference.advance_cursor(tenant, CURSOR, reached, read_until)
            lanes.schedule(tenant, LaneName.SWEEP, started + every, ran_from=started)
        return False

    def next_due(self, tenant: str) -> datetime | None:
        return lanes.due_at(tenant, LaneName.SWEEP)

    def _read(self, tenant: str, cursor: datetime) -> tuple[datetime, datetime]:
        """All that changed; until when all is read, and where the cursor is by now."""
        reached = cursor

        def apply(page: Page) -> None:
            nonlocal reached
            self._apply(tenant, page)
            since = page.after and page.after.since
            with transaction():
                if since and reference.advance_cursor(tenant, CURSOR, reached, since):
                    reached = since

        read_until = read_all(
            lambda: self.door.admit(tenant, Purpose.HOUSEKEEPING),
            "sweep_invoices",
            "Invoices",
            Place(cursor - OVERLAP),
            {"where": 'Type=="ACCREC"'},
            apply,
        )
        return read_until, reached

    def _apply(self, tenant: str, page: Page) -> None:
        seen = {i.invoice_id: i for i in map(parse_invoice, page.rows)}
        for xero_id, invoice in invoices.by_xero_id(tenant, seen).items():
            if seen[xero_id].updated_at == invoice.xero_updated_at:
                continue
            again_after = AGAIN_AFTER
            try:
                if self.settler.apply(invoice.id, seen[xero_id], page.answered_at):
                    continue
            except PluginFailed:
                log.exception("hook.failed", number=invoice.number)
                again_after = HOOK_RETRY
            # The cursor moves on, and this change is not in the books.
            now = self.clock.now()
            with transaction():
                reads.ask(tenant, xero_id, now + again_after, now)
