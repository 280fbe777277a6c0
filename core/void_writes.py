"""Voiding invoices that nobody has paid, up to fifty in a call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core import answers
from core.calls import Admit, XeroAnswer, XeroRequest
from core.clock import Clock
from core.db import invoices, outbox, problems, reads, writes
from core.db.models import Intent, Write
from core.db.writes import WriteState
from core.facts import XeroInvoice
from core.messages import canonical
from core.quota import Purpose
from core.settling import Settler
from core.waking import LaneName
from core.write_kind import ABSENT, Outcome, Prepared, WriteKind
from core.xero_json import errors as errors_of
from core.xero_json import invoice as parse_invoice

#: What a void changes is told from its own answer; should we end before that, a read
#: finds it after this.
READ_ANYWAY_AFTER = timedelta(minutes=1)


class VoidInvoices(WriteKind):
    name = LaneName.VOIDS.value
    purpose = Purpose.INTERACTIVE
    batch = 50

    def __init__(self, settler: Settler, clock: Clock) -> None:
        self.settler = settler
        self.clock = clock

    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        numbers, xero_ids = writes.numbers_of(elements), writes.xero_ids_of(elements)
        body = {
            "Invoices": [
                {
                    "InvoiceID": xero_ids[element.id],
                    "InvoiceNumber": numbers[element.id],
                    "Status": "VOIDED",
                }
                for element in elements
            ]
        }
        return Prepared("POST", "Invoices", canonical(body).encode(), elements)

    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        by_number = {
            raw.get("InvoiceNumber"): raw for raw in answer.json.get("Invoices") or []
        }
        return {
            element_id: Outcome(parse_invoice(raw), errors_of(raw))
            for element_id, number in writes.numbers_of(elements).items()
            if (raw := by_number.get(number)) is not None
        }

    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        with admit() as slot:
            answer = slot.send(
                XeroRequest(
                    "look_up_voids",
                    "GET",
                    "Invoices",
                    query={
                        "IDs": ",".join(writes.xero_ids_of(elements).values()),
                        "page": "1",
                        "pageSize": "100",
                    },
                )
            )
        seen = {
            invoice.number: invoice
            for invoice in map(parse_invoice, answer.json.get("Invoices") or [])
        }
        return {
            element_id: _if_void(seen.get(number))
            for element_id, number in writes.numbers_of(elements).items()
        }

    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        invoice = invoices.lock(element.invoice_id)
        if not outcome.errors:
            writes.finish(element, WriteState.DONE)
            problems.close_problem(f"void:{invoice.id}", now)
            reads.ask(
                invoice.tenant, invoice.xero_id or "", now + READ_ANYWAY_AFTER, now
            )
            return
        reason = "; ".join(outcome.errors)
        writes.finish(element, WriteState.REFUSED, reason)
        cause = f"void:{invoice.id}"
        problems.open_problem(
            "void_refused",
            cause,
            f"Xero does not void {invoice.number}: {reason}",
            now,
            tenant=invoice.tenant,
        )
        row = invoice.undone_by
        if row is not None:
            answer = answers.held(row, cause, reason)
            outbox.say([answer], tenant=invoice.tenant, at=now, answers=row)

    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], answered_at: datetime
    ) -> None:
        """The void is a fact like any other; it is our own doing, so no second look."""
        for element, outcome in outcomes:
            if not outcome.errors:
                seen: XeroInvoice = outcome.record
                self.settler.apply(
                    element.invoice_id, seen, answered_at, confirmed=True
                )
        self.settler.waker.relay()


def _if_void(seen: XeroInvoice | None) -> Outcome:
    return Outcome(seen) if seen is not None and seen.status == "VOIDED" else ABSENT
