"""Raising invoices: our own numbers, up to fifty in a call, told apart by number."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import structlog

from core import answers, invoice_messages, people
from core.business_days import day_of, due_on
from core.calls import Admit, XeroAnswer, XeroRequest
from core.clock import Clock
from core.contact_lookup import look_up
from core.db import (
    contact_links,
    invoices,
    outbox,
    problems,
    reads,
    recovery,
    seasons,
    writes,
)
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.models import Intent, Invoice, Write
from core.db.seasons import without_paused
from core.db.writes import WriteState
from core.facts import XeroInvoice
from core.messages import canonical
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName, Waker, lane_of
from core.workflow_settings import WorkflowTables
from core.write_kind import ABSENT, Outcome, Prepared, WriteKind
from core.xero_json import contact as parse_contact
from core.xero_json import errors as errors_of
from core.xero_json import invoice as parse_invoice
from core.xero_json import number as json_number

log = structlog.get_logger()

#: Xero's answer to a PUT with a number that it has (facts/xero.md, section 3).
NUMBER_TAKEN = "must be unique"

#: Found under our number, and not what we asked for.
NOT_OURS = "another invoice has this number"


class RaiseInvoices(WriteKind):
    name = LaneName.INVOICES.value
    purpose = Purpose.BULK
    batch = 50

    def __init__(
        self, settings: Settings, tables: WorkflowTables, waker: Waker, clock: Clock
    ) -> None:
        self.settings = settings
        self.tables = tables
        self.waker = waker
        self.clock = clock

    def still_wanted(
        self, tenant: str, due: Sequence[Write], now: datetime
    ) -> Sequence[Write]:
        return without_paused(tenant, due)

    def allot(
        self, tenant: str, elements: Sequence[Write], now: datetime
    ) -> Mapping[int, str]:
        """Numbers of the year in which the invoices are sent, for those without."""
        year = self._day(tenant, now).year
        rows = invoices.load_all(element.invoice_id for element in elements)
        wanted: dict[str, list[int]] = defaultdict(list)
        for element in elements:
            row = rows[element.invoice_id]
            prefix = self.tables.of(row.workflow).number_prefix
            if not (row.number or "").startswith(f"{prefix}-{year}-"):
                wanted[prefix].append(element.id)
        allotted: dict[int, str] = {}
        for prefix, ids in wanted.items():
            with transaction():
                numbers = invoices.take_numbers(tenant, prefix, year, len(ids))
            allotted.update(zip(ids, numbers, strict=True))
        return allotted

    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        """Each on its payer's contact of now, whatever was decided when it was asked.

        That may have been merged meanwhile, or have become another member's. Who has
        none any more is left out.
        """
        rows = {element.id: invoices.lock(element.invoice_id) for element in elements}
        linked = _contacts_of(rows.values())
        bodies, leaving = [], []
        for element in elements:
            invoice = rows[element.id]
            contact_id = linked.get((invoice.tenant, invoice.payer_member_id))
            if contact_id is None:
                reason = f"member {invoice.payer_member_id} has no contact any more"
                _refused(element, invoice, reason, now)
                continue
            issued_on = self._day(invoice.tenant, now)
            fixed = invoice.draft["due_on"]
            days = invoice.draft["due_days"]
            invoices.change(
                invoice,
                contact_id=contact_id,
                number=allotted.get(element.id, invoice.number),
                issued_on=issued_on,
                due_on=date.fromisoformat(fixed) if fixed else due_on(issued_on, days),
            )
            bodies.append(self._body(invoice))
            leaving.append(element)
        body = canonical({"Invoices": bodies}).encode()
        return Prepared("PUT", "Invoices", body, leaving)

    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        by_number = {
            raw.get("InvoiceNumber"): raw for raw in answer.json.get("Invoices") or []
        }
        found: dict[int, Outcome] = {}
        for element_id, number in writes.numbers_of(elements).items():
            raw = by_number.get(number)
            if raw is None:
                continue
            outcome = Outcome(parse_invoice(raw), errors_of(raw))
            # A number that is taken is perhaps our own, from a call whose answer was
            # lost: unknown, until Xero has been asked.
            if not any(NUMBER_TAKEN in error for error in outcome.errors):
                found[element_id] = outcome
        return found

    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        """One read by our numbers; what is there must be what the intent asked for."""
        numbers = writes.numbers_of(elements)
        with admit() as slot:
            answer = slot.send(
                XeroRequest(
                    "look_up_invoices",
                    "GET",
                    "Invoices",
                    query={
                        "InvoiceNumbers": ",".join(numbers.values()),
                        "page": "1",
                        "pageSize": "100",
                    },
                )
            )
        there = {
            raw["InvoiceNumber"]: parse_invoice(raw)
            for raw in answer.json.get("Invoices") or []
            if raw.get("Type") == "ACCREC"  # a bill may carry any number
        }
        asked = {
            body["InvoiceNumber"]: body
            for body in json.loads(bytes(intent.body), parse_float=Decimal)["Invoices"]
        }
        wanted = {n: body["Contact"]["ContactID"] for n, body in asked.items()}
        elsewhere = [
            contact_id
            for number, contact_id in wanted.items()
            if number in there and there[number].contact_id != contact_id
        ]
        merged = _merged(admit, elsewhere)
        return {
            element_id: _adoptable(there.get(number), asked[number], merged)
            for element_id, number in numbers.items()
        }

    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        invoice = invoices.lock(element.invoice_id)
        if not outcome.errors:
            self._raised(element, invoice, outcome.record, now)
        elif outcome.errors == (NOT_OURS,):
            self._renumber(element, invoice, outcome.record, now)
        elif _has_another_contact(invoice):
            writes.due_again(element, now)  # it was refused on the one before
        else:
            _refused(element, invoice, "; ".join(outcome.errors), now)

    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], answered_at: datetime
    ) -> None:
        for tenant, is_awaited in {(e.tenant, e.is_awaited) for e, _ in outcomes}:
            lane = lane_of(LaneName.EMAILS, is_awaited=is_awaited)
            self.waker.lane(tenant, lane)
            self.waker.lane(tenant, LaneName.VOIDS)
        self.waker.relay()

    def _raised(
        self, element: Write, invoice: Invoice, seen: XeroInvoice, now: datetime
    ) -> None:
        is_untouched = seen.status == "AUTHORISED" and seen.amount_due == seen.total
        known = invoices.as_seen(seen) if is_untouched else invoices.as_new(seen)
        invoices.change(
            invoice,
            **known,
            state=InvoiceState.RAISED,
            raised_at=now,
            contact_id=seen.contact_id or invoice.contact_id,
        )
        writes.finish(element, WriteState.DONE)
        reads.forget_echo(invoice.tenant, seen.invoice_id, invoice.xero_updated_at)
        if not is_untouched or _was_sent_again(element):
            # Adopted late: what happened to it since is still to be told.
            reads.ask(invoice.tenant, seen.invoice_id, now, now)
        message = invoice_messages.raised(invoice, invoices.subjects_of(invoice.id))
        outbox.say(
            [message],
            tenant=invoice.tenant,
            at=now,
            invoice=invoice,
            answers=invoice.asked_by,
        )
        log.info(
            "invoice.raised",
            number=invoice.number,
            message_id=message.in_reply_to,
            intent=element.intent_id,
        )
        if invoice.undone_by_id or seasons.is_voided(invoice.season_id):
            self._follow(invoice, LaneName.VOIDS, now)
        elif seen.total != invoice.total:
            self._total_differs(invoice, seen, now)
        elif is_untouched and self.tables.of(invoice.workflow).email:
            self._follow(invoice, LaneName.EMAILS, now)

    def _follow(self, invoice: Invoice, lane: LaneName, now: datetime) -> None:
        due_at: datetime | None = now
        if lane is LaneName.EMAILS:
            due_at = people.when_to_mail(invoice.tenant, invoice.payer_member_id, now)
        writes.add(invoice.tenant, lane, str(invoice.id), due_at, invoice=invoice)

    def _total_differs(
        self, invoice: Invoice, seen: XeroInvoice, now: datetime
    ) -> None:
        problems.open_problem(
            "total_differs",
            f"total:{invoice.id}",
            f"{invoice.number}: Xero says {seen.total}, the rule {invoice.total}; "
            "it has not been e-mailed",
            now,
            tenant=invoice.tenant,
        )

    def _renumber(
        self, element: Write, invoice: Invoice, there: XeroInvoice, now: datetime
    ) -> None:
        writes.due_again(element, now)
        if _is_lost(invoice, there):
            reason = f"{there.number} is {there.reference} in Xero, and unknown here"
            recovery.require(invoice.tenant, reason, now)
            return
        problems.open_problem(
            "number_taken",
            f"number:{invoice.tenant}:{invoice.number}",
            f"{invoice.number} is in Xero and is not ours; another number is taken",
            now,
            tenant=invoice.tenant,
        )
        invoices.change(invoice, number=None)

    def _body(self, invoice: Invoice) -> dict[str, Any]:
        body = {
            "Type": "ACCREC",
            "Status": "AUTHORISED",
            "InvoiceNumber": invoice.number,
            "Reference": invoice.reference,
            # Nothing but the id: any other field would change the contact.
            "Contact": {"ContactID": invoice.contact_id},
            "Date": str(invoice.issued_on),
            "DueDate": str(invoice.due_on),
            "CurrencyCode": invoice.currency,
            "LineAmountTypes": invoice.draft["amounts"].capitalize(),
            "LineItems": [
                {
                    "Description": line["description"],
                    "Quantity": json_number(line["quantity"]),
                    "UnitAmount": json_number(line["unit_amount"]),
                    "AccountCode": line["account_code"],
                    "TaxType": line["tax_type"],
                }
                for line in invoice.draft["lines"]
            ],
        }
        pattern = self.settings.tenants[invoice.tenant].subject_url
        if pattern is not None:
            subject = invoice.reference.partition(":")[2]
            body["Url"] = pattern.format(subject=quote(subject, safe=""))
        return body

    def _day(self, tenant: str, now: datetime) -> date:
        return day_of(now, self.settings.tenants[tenant].zone_info)


def _was_sent_again(element: Write) -> bool:
    """Its answer may be a cached one, older than what Xero has by now."""
    return element.intent is not None and element.intent.tries > 1


def _contacts_of(rows: Iterable[Invoice]) -> Mapping[tuple[str, str], str]:
    """The contact that each payer is linked to, by tenant and member."""
    payers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        payers[row.tenant].add(row.payer_member_id)
    return {
        (tenant, member_id): contact_id
        for tenant, ids in payers.items()
        for member_id, contact_id in contact_links.contacts_of(tenant, ids).items()
    }


def _is_lost(invoice: Invoice, there: XeroInvoice) -> bool:
    """Whether it is an invoice of ours that our books have forgotten."""
    is_of_ours = there.reference.startswith(f"{invoice.workflow}:")
    known = invoices.by_xero_id(invoice.tenant, [there.invoice_id])
    return is_of_ours and not known


def _has_another_contact(invoice: Invoice) -> bool:
    """Whether its payer's contact was merged while the invoice was on its way."""
    linked = contact_links.contact_of(invoice.tenant, invoice.payer_member_id)
    return linked not in (None, invoice.contact_id)


def _refused(element: Write, invoice: Invoice, reason: str, now: datetime) -> None:
    """This one can't be raised so: a person must look, and the platform is told."""
    writes.finish(element, WriteState.REFUSED, reason)
    if invoice.undone_by is not None:
        # It was not wanted any more: there is nothing that a person should mend.
        invoices.change(invoice, state=InvoiceState.CANCELLED)
        for asked in filter(None, (invoice.undone_by, invoice.asked_by)):
            summary = invoice_messages.summary(invoice)
            answer = answers.done(asked, "cancelled", summary)
            outbox.say([answer], tenant=invoice.tenant, at=now, answers=asked)
        return
    invoices.change(invoice, state=InvoiceState.REFUSED)
    cause = f"invoice:{invoice.id}"
    problems.open_problem(
        "invoice_refused",
        cause,
        f"{invoice.reference} is refused: {reason}",
        now,
        tenant=invoice.tenant,
    )
    row = invoice.asked_by
    if row is not None:
        answer = answers.held(row, cause, reason)
        outbox.say([answer], tenant=invoice.tenant, at=now, answers=row)


def _merged(admit: Admit, contact_ids: Iterable[str]) -> Mapping[str, str]:
    """Into what each of these was merged, and what that was merged into."""
    into: dict[str, str] = {}
    unread = set(contact_ids)
    while unread:
        found = map(parse_contact, look_up(admit, "look_up_contacts", unread).values())
        followed = {each.contact_id: each.merged_to for each in found if each.merged_to}
        into.update(followed)
        unread = set(followed.values()) - into.keys()
    return into


def _is_now(contact_id: str, there: str, merged: Mapping[str, str]) -> bool:
    """Whether it is the same contact, or has become that one."""
    passed: set[str] = set()
    while contact_id != there and contact_id in merged and contact_id not in passed:
        passed.add(contact_id)
        contact_id = merged[contact_id]
    return contact_id == there


def _adoptable(
    there: XeroInvoice | None, asked: Mapping[str, Any], merged: Mapping[str, str]
) -> Outcome:
    """Adopt only what is ours: what Xero has is what the intent asked for."""
    if there is None:
        return ABSENT
    same = (
        there.reference == asked["Reference"]
        and _is_now(asked["Contact"]["ContactID"], there.contact_id, merged)
        and there.currency == asked["CurrencyCode"]
        and [
            (ln.description, ln.quantity, ln.unit_amount, ln.account_code, ln.tax_type)
            for ln in there.lines
        ]
        == [
            (
                line["Description"],
                Decimal(line["Quantity"]),
                Decimal(line["UnitAmount"]),
                line["AccountCode"],
                line["TaxType"],
            )
            for line in asked["LineItems"]
        ]
    )
    return Outcome(there) if same else Outcome(there, (NOT_OURS,))
