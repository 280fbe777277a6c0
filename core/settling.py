"""What Xero says of an invoice becomes facts, and facts become messages.

All ways by which money is seen (webhook, sweep, our own void) end here.
"""

from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from core import adopted, invoice_messages
from core.clock import Clock
from core.db import inbox, invoices, outbox, problems, reads
from core.db.database import transaction
from core.db.inbox import InboxState
from core.db.invoices import InvoiceState
from core.db.models import Inbox, Invoice
from core.errors import VersionMoved
from core.facts import (
    GONE,
    TOLD,
    Action,
    Change,
    Difference,
    Fact,
    InvoiceEvent,
    SettledSubject,
    XeroInvoice,
    difference,
)
from core.messages import OutboundMessage
from core.metrics import Metrics
from core.quota import CALL_LEASE_S
from core.registry import PluginFailed, Registry
from core.waking import Waker

log = structlog.get_logger()

#: Somebody else applied another read of the same invoice meanwhile: compare anew.
ATTEMPTS = 5

#: What Xero answered later than this after another answer was also looked up later.
SURELY_LATER = timedelta(seconds=CALL_LEASE_S)

#: A reading that was set aside is made again so soon at first, and so late at last.
AGAIN_AFTER = timedelta(seconds=2)
AGAIN_WITHIN = timedelta(minutes=1)

Told = tuple[Change, InvoiceEvent, list[Action]]


class Settler:
    """Applies what was read of an invoice; the same reading twice changes nothing."""

    def __init__(
        self, registry: Registry, waker: Waker, clock: Clock, metrics: Metrics
    ) -> None:
        self.registry = registry
        self.waker = waker
        self.clock = clock
        self.metrics = metrics

    def apply(
        self,
        invoice_id: int,
        seen: XeroInvoice,
        answered_at: datetime,
        *,
        confirmed: bool = False,
        event_at: datetime | None = None,
    ) -> bool:
        """Compare a reading with what we knew and tell the difference.

        An answer may come after one to a later question. Which is newer only Xero can
        say: the clocks of our hosts differ, and one that was ahead for a moment would
        hide whatever happens until then.

        Args:
            invoice_id: our row.
            seen: what Xero said.
            answered_at: when it said so, by its own clock.
            confirmed: a reversal was seen before, or is our own doing.
            event_at: when Xero says that something happened, for measuring.

        Returns:
            False if it may be older than what we knew: nothing was written, and the
            invoice is to be read again.

        Raises:
            PluginFailed: the owner's hook raised; nothing was written.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._apply(invoice_id, seen, answered_at, confirmed, event_at)
            except VersionMoved:
                continue
        raise VersionMoved(f"invoice {invoice_id}")

    def settle_free(self, invoice: Invoice) -> None:
        """A total of zero: nothing to pay, so the action follows at once."""
        now = self.clock.now()
        change = Change(Fact.PAID, "free", Decimal(0))
        subjects = invoice_messages.settled_subjects(invoices.subjects_of(invoice.id))
        told = self._ask(invoice, (change,), subjects, Decimal(0), now)
        with transaction():
            if not inbox.finish(invoice.asked_by_id or 0, InboxState.DONE):
                return
            invoices.change(
                invoice, is_settled=True, amount_due=Decimal(0), amount_paid=Decimal(0)
            )
            self._say(invoice, told, now)
            problems.close_problem(_cause(invoice), now)
        self.waker.relay()

    def _apply(
        self,
        invoice_id: int,
        seen: XeroInvoice,
        answered_at: datetime,
        confirmed: bool,
        event_at: datetime | None,
    ) -> bool:
        invoice = invoices.load(invoice_id)
        if invoice.state == InvoiceState.REBUILT:
            return True  # read again when its message has said what it settles
        found = difference(invoices.what_is_known(invoice), seen)
        if not _is_newer(invoice, seen, answered_at):
            is_as_known = seen.updated_at == invoice.xero_updated_at
            if is_as_known and not found.changes:
                return True
            log.info("invoice.stale_read", number=invoice.number)
            return False
        now = self.clock.now()
        if invoice.state == InvoiceState.ADOPTED and found.changes:
            with transaction():
                adopted.keep_untold(invoice, found, now)
            return True
        if found.has_reversal and not confirmed:
            with transaction():
                reads.ask(invoice.tenant, seen.invoice_id, now, now, confirms=True)
            return True
        subjects = invoice_messages.settled_subjects(invoices.subjects_of(invoice.id))
        told = self._ask(invoice, found.changes, subjects, seen.amount_due, now)
        with transaction():
            self._write(invoice, seen, found, answered_at, now)
            self._say(invoice, told, now)
        if told:
            self._measure(found, event_at, now)
            self.waker.relay()
        return True

    def _ask(
        self,
        invoice: Invoice,
        changes: tuple[Change, ...],
        subjects: tuple[SettledSubject, ...],
        amount_due: Decimal,
        now: datetime,
    ) -> list[Told]:
        """The owner's hook, outside any transaction, on values."""
        told: list[Told] = []
        for change in changes:
            event = InvoiceEvent(
                fact=change.fact,
                workflow=invoice.workflow,
                number=invoice.number,
                invoice_id=invoice.xero_id,
                total=invoice_messages.money(invoice, invoice.total),
                amount=invoice_messages.money(invoice, change.amount),
                amount_due=invoice_messages.money(invoice, amount_due),
                was_settled=invoice.is_settled,
                seen_at=now,
                subjects=subjects,
            )
            try:
                actions = self.registry.react(invoice.workflow, event)
            except PluginFailed as failure:
                self._report(invoice, changes, failure, now)
                raise
            told.append((change, event, actions))
        return told

    def _write(
        self,
        invoice: Invoice,
        seen: XeroInvoice,
        found: Difference,
        answered_at: datetime,
        now: datetime,
    ) -> None:
        is_gone = seen.status in GONE
        invoices.change(
            invoice,
            **invoices.as_seen(seen),
            read_answered_at=answered_at,
            state=InvoiceState.VOIDED if is_gone else invoice.state,
            # What shows the e-mail shows its echo too: what comes now is news.
            email_echo_until=None if seen.sent_to_contact else invoice.email_echo_until,
        )
        invoices.record_payments(invoice, found.added, found.removed, now)
        if invoice.state == InvoiceState.ADOPTED:
            adopted.nothing_untold(invoice, now)
        if not found.changes:
            return
        problems.close_problem(_cause(invoice), now)
        if seen.is_settled and not seen.payments:
            problems.open_problem(
                "settled_by_credit",
                f"credit:{invoice.id}",
                f"{invoice.number} is settled by credit alone; nothing was activated",
                now,
                tenant=invoice.tenant,
            )

    def _say(self, invoice: Invoice, told: list[Told], now: datetime) -> None:
        for change, event, actions in told:
            messages: list[OutboundMessage] = []
            if invoice.number is not None:
                _, message_type = TOLD[change.fact]
                messages.append(
                    invoice_messages.told(invoice, message_type, change.key, event)
                )
            messages.extend(
                invoice_messages.action(invoice, change.key, action, event)
                for action in actions
            )
            outbox.say(
                messages,
                tenant=invoice.tenant,
                at=now,
                invoice=invoice,
                answers=_answered_by(change.fact, invoice),
            )

    def _measure(
        self, found: Difference, event_at: datetime | None, now: datetime
    ) -> None:
        for change in found.changes:
            log.info("invoice.fact", fact=change.fact.value, key=change.key)
        if event_at is not None:
            took_s = (now - event_at).total_seconds()
            self.metrics.payment_seconds.observe(max(took_s, 0.0))

    def _report(
        self,
        invoice: Invoice,
        changes: tuple[Change, ...],
        failure: PluginFailed,
        now: datetime,
    ) -> None:
        self.metrics.plugin_failures.labels(failure.plugin).inc()
        title = f"{invoice.number}: money was seen and not acted on: {failure}"
        with transaction():
            problems.open_problem(
                "hook_failed",
                _cause(invoice),
                title,
                now,
                tenant=invoice.tenant,
                detail={"invoice": invoice.id, "facts": [c.fact for c in changes]},
            )


def again_at(now: datetime, asked_at: datetime) -> datetime:
    """When to ask again what was asked for then and set aside: less and less often."""
    return now + min(max(now - asked_at, AGAIN_AFTER), AGAIN_WITHIN)


def _is_newer(invoice: Invoice, seen: XeroInvoice, answered_at: datetime) -> bool:
    """Whether it certainly is: as Xero dates the change, or as it dates its answers.

    Two changes may share a moment, and no clock is beyond doubt. Who looks again often
    enough is certain in the end: a call does not last for ever.
    """
    known_at: datetime | None = invoice.xero_updated_at
    read_at: datetime | None = invoice.read_answered_at
    if known_at is None or read_at is None:
        return True
    is_later = seen.updated_at is not None and seen.updated_at > known_at
    return is_later or answered_at > read_at + SURELY_LATER


def _answered_by(fact: Fact, invoice: Invoice) -> Inbox | None:
    """The message to which this fact is the answer, said again when it is repeated."""
    if fact is Fact.VOIDED:
        return invoice.undone_by
    return invoice.asked_by if invoice.number is None else None


def _cause(invoice: Invoice) -> str:
    return f"hook:{invoice.id}"
