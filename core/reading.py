"""The lane that reads invoices: forty or so in one call, whoever asked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from core.calls import IDS_TOGETHER, Door, XeroAnswer, XeroRequest
from core.clock import Clock
from core.db import invoices, reads, writes
from core.db.database import transaction
from core.db.models import Invoice, InvoiceRead
from core.facts import XeroInvoice
from core.quota import Purpose
from core.registry import HOOK_RETRY, PluginFailed
from core.settling import Settler, again_at
from core.waking import LaneName
from core.xero_json import invoice as parse_invoice

log = structlog.get_logger()

#: The answer to our own PUT is in the books a moment after Xero has the invoice.
ARRIVES_WITHIN = timedelta(seconds=10)


class ReadsLane:
    def __init__(self, door: Door, settler: Settler, clock: Clock) -> None:
        self.door = door
        self.settler = settler
        self.clock = clock

    def step(self, tenant: str) -> bool:
        """One read of what is due; what could wait rides along in the same call."""
        now = self.clock.now()
        due = self._worth_a_call(tenant, reads.due(tenant, now, IDS_TOGETHER), now)
        if not due:
            return bool(reads.due(tenant, now, 1))
        with self.door.admit(tenant, Purpose.PAYMENTS) as slot:
            asked = [*due, *self._riders(tenant, IDS_TOGETHER - len(due), now)]
            answer = slot.send(
                XeroRequest(
                    "read_invoices",
                    "GET",
                    "Invoices",
                    query={
                        "IDs": ",".join(read.xero_id for read in asked),
                        # Unpaged, Xero leaves out lines and payments.
                        "page": "1",
                        "pageSize": str(IDS_TOGETHER),
                    },
                )
            )
        self._apply(tenant, asked, answer)
        return True

    def next_due(self, tenant: str) -> datetime | None:
        return reads.next_due(tenant)

    def _riders(self, tenant: str, places: int, now: datetime) -> list[InvoiceRead]:
        """What could wait and costs nothing in a call that is made anyway."""
        if not places:
            return []
        asked = self._worth_a_call(tenant, reads.deferred(tenant, now, places), now)
        # Looked at after the reads: an outcome must find its echo still waiting.
        on_their_way = writes.claimed_keys(tenant, LaneName.EMAILS)
        if not on_their_way:
            return asked
        known = invoices.by_xero_id(tenant, [read.xero_id for read in asked])
        emailed = {i for i, row in known.items() if str(row.id) in on_their_way}
        return [read for read in asked if read.xero_id not in emailed]

    def _worth_a_call(
        self, tenant: str, asked: Sequence[InvoiceRead], now: datetime
    ) -> list[InvoiceRead]:
        """Without those that have turned out to be echoes or not ours."""
        ids = [read.xero_id for read in asked]
        known = invoices.by_xero_id(tenant, ids)
        foreign = invoices.foreign(tenant, ids) - known.keys()
        needless = [
            read
            for read in asked
            if read.xero_id in foreign or _is_echo(read, known.get(read.xero_id))
        ]
        if needless:
            with transaction():
                reads.answered(needless)
        gone = {read.id for read in needless}
        return [read for read in asked if read.id not in gone]

    def _apply(
        self, tenant: str, asked: Sequence[InvoiceRead], answer: XeroAnswer
    ) -> None:
        raw = (answer.json or {}).get("Invoices") or []
        seen = {i.invoice_id: i for i in map(parse_invoice, raw)}
        # In this order: one that is written down as raised between the two looks is
        # ours by the second, and never somebody else's by both.
        numbers = invoices.by_number(tenant, [i.number for i in seen.values()])
        ours = invoices.by_xero_id(tenant, seen)
        done: list[InvoiceRead] = []
        for read in asked:
            if read.xero_id in ours:
                invoice = ours[read.xero_id]
                if not self._settle(invoice, read, answer, seen[read.xero_id]):
                    continue
            elif read.xero_id in seen and _arrives(seen[read.xero_id], numbers):
                # Ours, and its creation is not in the books yet: look again then.
                with transaction():
                    reads.postpone(read, self.clock.now() + ARRIVES_WITHIN)
                continue
            elif read.xero_id in seen:
                with transaction():
                    invoices.remember_foreign(tenant, [read.xero_id])
            else:
                log.warning("invoice.not_found", xero_id=read.xero_id)
            done.append(read)
        with transaction():
            reads.answered(done)

    def _settle(
        self, invoice: Invoice, read: InvoiceRead, answer: XeroAnswer, seen: XeroInvoice
    ) -> bool:
        """Whether the read is answered by this; else it is to be made once more."""
        try:
            is_applied = self.settler.apply(
                invoice.id,
                seen,
                answer.answered_at,
                confirmed=read.confirms,
                event_at=read.event_at,
            )
        except PluginFailed:
            log.exception("hook.failed", number=invoice.number)
            with transaction():
                reads.postpone(read, self.clock.now() + HOOK_RETRY)
            return False
        if not is_applied:
            with transaction():
                reads.ask_again(read, again_at(self.clock.now(), read.first_asked_at))
        return is_applied


def _arrives(seen: XeroInvoice, numbers: Mapping[str, Invoice]) -> bool:
    """Its number is ours, and we do not know its id yet."""
    row = numbers.get(seen.number)
    return row is not None and row.xero_id is None


def _is_echo(read: InvoiceRead, invoice: Invoice | None) -> bool:
    """Our own write, told back to us: not after the time that the write returned."""
    if invoice is None or read.event_at is None or read.confirms:
        return False
    updated_at = invoice.xero_updated_at
    return updated_at is not None and read.event_at <= updated_at
