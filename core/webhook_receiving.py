"""Webhook events become rows that say which invoice or contact to read, and when.

An event is a doorbell: it says that something changed, not what.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from core.clock import Clock
from core.db import contact_reads, contacts, invoices, reads, reference, writes
from core.db.database import atomically
from core.db.models import Invoice
from core.metrics import Metrics
from core.waking import LaneName, Waker
from core.webhook_events import WebhookEvent

log = structlog.get_logger()

#: An e-mail's call ends within its timeouts; its outcome then says when to read.
OUTCOME_WITHIN = timedelta(seconds=70)

#: An invoice that we do not know may be one whose creation is just being recorded.
UNKNOWN_AFTER = timedelta(seconds=10)

#: Contacts that were changed in Xero are read together, unless somebody waits.
CONTACTS_WITHIN = timedelta(minutes=1)


class WebhookReceiver:
    """Implements the receiver of ``core.web.webhooks``."""

    def __init__(self, waker: Waker, clock: Clock, metrics: Metrics) -> None:
        self.waker = waker
        self.clock = clock
        self.metrics = metrics

    def store(self, events: Sequence[WebhookEvent]) -> None:
        """Commit the events and what they ask for; only then tell anybody."""
        for tenant in self._commit(sorted(events), self.clock.now()):
            self.waker.lane(tenant, LaneName.READS)
            self.waker.lane(tenant, LaneName.CONTACT_READS)

    @atomically
    def _commit(self, events: Sequence[WebhookEvent], now: datetime) -> Iterable[str]:
        """Whose they are. In one order, because Xero may be telling another process."""
        aliases = {row.xero_tenant_id: row.alias for row in reference.tenants()}
        by_tenant: dict[str, list[WebhookEvent]] = defaultdict(list)
        for event in reads.add_events(events, now):
            if event.tenant_id in aliases:
                by_tenant[aliases[event.tenant_id]].append(event)
        for tenant, new in by_tenant.items():
            self._invoices(tenant, _of(new, "INVOICE"), now)
            self._contacts(tenant, _of(new, "CONTACT"), now)
        return by_tenant

    def _invoices(
        self, tenant: str, events: Sequence[WebhookEvent], now: datetime
    ) -> None:
        ids = {event.resource_id for event in events}
        known = invoices.by_xero_id(tenant, ids)
        foreign = invoices.foreign(tenant, ids) - known.keys()
        emailed = _lock_emailed(tenant, known)
        for event in events:
            if event.resource_id in foreign:
                self._count("other")
                continue
            invoice = known.get(event.resource_id)
            is_emailed = event.resource_id in emailed
            due_at = self._when_to_read(event, invoice, now, is_emailed=is_emailed)
            if due_at is not None:
                if invoice is not None:
                    # The echo of a write that came before its outcome was recorded:
                    # with it an e-mail's echo would look like something else.
                    echo_until = invoice.xero_updated_at
                    reads.forget_echo(tenant, event.resource_id, echo_until)
                reads.ask(
                    tenant, event.resource_id, due_at, now, event_at=event.event_at
                )

    def _when_to_read(
        self,
        event: WebhookEvent,
        invoice: Invoice | None,
        now: datetime,
        *,
        is_emailed: bool,
    ) -> datetime | None:
        """None: an echo of our own write, which costs no read."""
        if invoice is None:
            self._count("unknown")
            return now + UNKNOWN_AFTER
        if _not_after(event.event_at, invoice.xero_updated_at):
            self._count("echo")
            return None
        if is_emailed:
            # Its e-mail is on its way, so this is most likely its echo; the e-mail's
            # outcome says so in a moment, and puts the read off then.
            self._count("deferred")
            return now + OUTCOME_WITHIN
        if _not_after(event.event_at, invoice.email_echo_until):
            invoice.email_echo_until = None
            invoices.expect_no_echo([invoice.id])
            self._count("deferred")
            return now + reads.EMAIL_ECHO_WITHIN
        self._count("read")
        return now

    def _contacts(
        self, tenant: str, events: Sequence[WebhookEvent], now: datetime
    ) -> None:
        due_at = now + _contacts_within(tenant) if events else now
        for event in events:
            held = contacts.updated_at(tenant, event.resource_id)
            if _not_after(event.event_at, held):
                self._count("echo")
            else:
                self._count("contact")
                contact_reads.ask(
                    tenant, event.resource_id, due_at, event_at=event.event_at
                )

    def _count(self, outcome: str) -> None:
        self.metrics.webhook_events.labels(outcome).inc()


def _lock_emailed(tenant: str, known: dict[str, Invoice]) -> set[str]:
    """Whose e-mail is on its way, so that its outcome is not recorded now.

    Whichever of the two is second must see the first: an outcome that misses its echo
    goes on expecting it, and takes a payment for it. Rows in ``known`` are made anew.

    Returns:
        Xero's ids of those whose e-mail still is when its row is ours.
    """
    claimed = writes.claimed_keys(tenant, LaneName.EMAILS) if known else set()
    emailed = set()
    for xero_id, row in sorted(known.items(), key=lambda item: item[1].id):
        key = str(row.id)
        if key in claimed:
            known[xero_id] = invoices.lock(row.id)
            if writes.is_claimed(tenant, LaneName.EMAILS, key):
                emailed.add(xero_id)
    return emailed


def _contacts_within(tenant: str) -> timedelta:
    """At once where an invoice is held, which a person may just have decided.

    While a write is under way it may be its echo, and its outcome says so in a moment.
    """
    if not invoices.is_any_held(tenant):
        return CONTACTS_WITHIN
    is_ours = writes.is_any_claimed(tenant, LaneName.CONTACTS, LaneName.CONTACT_UPDATES)
    return UNKNOWN_AFTER if is_ours else timedelta()


def _of(events: Sequence[WebhookEvent], category: str) -> list[WebhookEvent]:
    return [event for event in events if event.category == category]


def _not_after(moment: datetime, other: datetime | None) -> bool:
    return other is not None and moment <= other
