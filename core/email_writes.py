"""Having Xero e-mail an invoice: one call each, within Xero's e-mails a day."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core import invoice_messages
from core.calls import Admit, XeroAnswer, XeroRequest
from core.clock import Clock
from core.db import emails, invoices, outbox, problems, reads, switches, writes
from core.db.models import Intent, Write
from core.db.seasons import without_paused
from core.db.writes import WriteState
from core.errors import XeroWait
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName, Waker
from core.write_kind import ABSENT, Outcome, Prepared, WriteKind
from core.xero_json import invoice as parse_invoice

#: A person has paused the e-mails; whether they go on is looked at this often.
EMAILS_PAUSED = "emails_paused"
LOOK_AGAIN_AFTER = timedelta(minutes=1)

#: The Date header counts whole seconds; the change that the e-mail makes carries a time
#: up to the end of the second in which Xero answered.
ECHO_MARGIN = timedelta(seconds=1)


class EmailInvoices(WriteKind):
    name = LaneName.EMAILS.value
    purpose = Purpose.BULK
    batch = 1

    def __init__(self, settings: Settings, waker: Waker, clock: Clock) -> None:
        self.settings = settings
        self.waker = waker
        self.clock = clock

    def check(self, tenant: str, *, is_awaited: bool) -> None:
        """E-mails have a ledger of their own, of which a season leaves some to others.

        Whatever day Xero counts by, no 24 hours see more than the limit.
        """
        since = switches.on_since(tenant, EMAILS_PAUSED, self.clock.now())
        if since is not None:
            raise XeroWait(self.clock.now() + LOOK_AGAIN_AFTER, "e-mails are paused")
        most = self.settings.quota.emails_at_most(is_awaited=is_awaited)
        if most is None:
            return
        free_at = emails.room_at(tenant, most, self.clock.now())
        if free_at is not None:
            raise XeroWait(free_at, "e-mails of the day")

    def still_wanted(
        self, tenant: str, due: Sequence[Write], now: datetime
    ) -> Sequence[Write]:
        return without_paused(tenant, due)

    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        (element,) = elements
        xero_id = writes.xero_ids_of(elements)[element.id]
        return Prepared("POST", f"Invoices/{xero_id}/Email", b"", elements)

    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        return {element.id: Outcome(record=answer.answered_at) for element in elements}

    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        """``SentToContact`` says whether it went; only if not is it sent again."""
        (element,) = elements
        with admit() as slot:
            answer = slot.send(
                XeroRequest(
                    "look_up_email",
                    "GET",
                    "Invoices",
                    query={
                        "IDs": writes.xero_ids_of(elements)[element.id],
                        "page": "1",
                    },
                )
            )
        seen = [parse_invoice(raw) for raw in answer.json.get("Invoices") or []]
        was_sent = any(invoice.sent_to_contact for invoice in seen)
        return {element.id: Outcome(answer.answered_at) if was_sent else ABSENT}

    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        invoice = invoices.lock(element.invoice_id)
        if outcome.errors:
            reason = "; ".join(outcome.errors)
            writes.finish(element, WriteState.REFUSED, reason)
            problems.open_problem(
                "email_refused",
                f"email:{invoice.id}",
                f"Xero did not e-mail {invoice.number}: {reason}",
                now,
                tenant=invoice.tenant,
            )
            return
        writes.finish(element, WriteState.DONE)
        # What was told of its creation is no echo of the e-mail.
        xero_id = invoice.xero_id or ""
        reads.forget_echo(invoice.tenant, xero_id, invoice.xero_updated_at)
        echo_until = outcome.record + ECHO_MARGIN
        came = reads.put_off_echo(invoice.tenant, xero_id, echo_until, now)
        invoices.note_email(invoice.id, now, None if came else echo_until)
        outbox.say(
            [invoice_messages.emailed(invoice)],
            tenant=invoice.tenant,
            at=now,
            invoice=invoice,
        )

    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], answered_at: datetime
    ) -> None:
        self.waker.relay()
