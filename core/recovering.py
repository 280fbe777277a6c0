"""After a restore of an older database: what Xero has is written into the books anew.

Three passes for each tenant, each of which may be made again after a crash at any
moment: all contacts; all invoices, of which those that the books know are brought up to
date; and those that they do not know, in the order of their numbers. Until the end
nothing is written to Xero (`core.db.recovery`).
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import structlog

from core import invoice_messages, people, rebuilding
from core.calls import Door
from core.clock import Clock
from core.contacts import creating
from core.db import (
    contacts,
    intents,
    invoices,
    outbox,
    profiles,
    reads,
    recovery,
    writes,
)
from core.db.database import transaction
from core.db.models import Invoice
from core.db.writes import WriteState
from core.errors import XeroWait
from core.facts import GONE, XeroInvoice
from core.invoice_numbers import parts_of
from core.invoice_writes import RaiseInvoices
from core.matching.contact import MirrorContact
from core.members import Member
from core.paging import ARCHIVED_TOO, Page, Place, read_all
from core.patience import Patience
from core.quota import Purpose
from core.registry import PluginFailed, Registry
from core.settling import Settler
from core.waking import LaneName
from core.workflow_settings import WorkflowTables
from core.write_kind import Outcome
from core.xero_json import contact as parse_contact
from core.xero_json import invoice as parse_invoice

log = structlog.get_logger()

#: A call of the lost days may have been under way with numbers that no read shows yet;
#: gaps cost nothing.
SKIPPED_NUMBERS = 100

#: Says how far it has come: what is read, and how many of it.
Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Summary:
    """What a recovery has found and done."""

    contacts_read: int = 0
    contacts_settled: int = 0
    invoices_read: int = 0
    invoices_known: int = 0
    invoices_adopted: int = 0
    invoices_rebuilt: int = 0
    emails_settled: int = 0
    voids_settled: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    waiting_for_their_message: int = 0

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


class Recovery:
    """Recovers one tenant. Writes that are asked for meanwhile wait until the end."""

    def __init__(
        self,
        registry: Registry,
        tables: WorkflowTables,
        raising: RaiseInvoices,
        door: Door,
        settler: Settler,
        clock: Clock,
        wait: Callable[[XeroWait], None],
    ) -> None:
        self.registry = registry
        self.tables = tables
        self.raising = raising
        self.door = door
        self.settler = settler
        self.clock = clock
        self.wait = wait

    def run(self, tenant: str, progress: Progress) -> Summary:
        """All of it; a crash in between leaves the tenant held, to be run again.

        Raises:
            XeroError: Xero can't be reached, or refuses.
        """
        summary, unknown = Summary(), dict[str, XeroInvoice]()
        self._read_contacts(tenant, summary, progress)
        self._read_invoices(tenant, summary, unknown, progress)
        for seen in sorted(unknown.values(), key=lambda invoice: invoice.number):
            self._take_in(tenant, seen, summary)
        now = self.clock.now()
        self._forget_agreements(tenant, now)
        with transaction():
            intents.end_empty(tenant)
            summary.waiting_for_their_message = rebuilding.tell_unexplained(tenant, now)
            recovery.done(tenant, now)
        log.info("books.recovered", tenant=tenant, **summary.as_data())
        return summary

    # -- contacts --------------------------------------------------------------------

    def _read_contacts(self, tenant: str, summary: Summary, progress: Progress) -> None:
        def apply(page: Page) -> None:
            found = [parse_contact(raw) for raw in page.rows]
            with transaction():
                contacts.put(tenant, found)
                for contact in found:
                    self._settle_contact(tenant, contact, summary)
            summary.contacts_read += len(found)
            progress("contacts", summary.contacts_read)

        self._read(tenant, "recover_contacts", "Contacts", ARCHIVED_TOO, apply)

    def _settle_contact(
        self, tenant: str, contact: MirrorContact, summary: Summary
    ) -> None:
        """One that was still to be created, as far as the books knew, is there."""
        number = contact.contact_number
        write = writes.pending(tenant, LaneName.CONTACTS, number) if number else None
        if write is not None and contact.status == "ACTIVE":
            writes.finish(write, WriteState.DONE, "recovered")
            sent = Member.model_validate(write.data["member"])
            names_taken = write.data.get("names_taken", ())
            now = self.clock.now()
            creating.created(tenant, sent, contact, now, names_taken=names_taken)
            summary.contacts_settled += 1

    def _forget_agreements(self, tenant: str, now: datetime) -> None:
        """What both sides agreed on since is lost: they are compared as at first.

        An update of that time must not leave; what it was for is weighed anew.
        """
        policy = self.raising.settings.tenants[tenant]
        with transaction():
            unfinished = profiles.forget_agreements(tenant)
            for member_id in unfinished:
                writes.forget(tenant, LaneName.CONTACT_UPDATES, member_id)
        for member_id in unfinished:
            with transaction():
                people.reconcile(tenant, member_id, policy, now)

    # -- invoices --------------------------------------------------------------------

    def _read_invoices(
        self,
        tenant: str,
        summary: Summary,
        unknown: dict[str, XeroInvoice],
        progress: Progress,
    ) -> None:
        highest: dict[tuple[str, int], int] = {}
        prefixes = self._prefixes(tenant)

        def apply(page: Page) -> None:
            seen = {i.invoice_id: i for i in map(parse_invoice, page.rows)}
            ours = invoices.by_xero_id(tenant, seen)
            for xero_id, invoice in seen.items():
                key = parts_of(invoice.number, prefixes)
                if key is not None:
                    prefix, year, count = key
                    highest[prefix, year] = max(highest.get((prefix, year), 0), count)
                if xero_id in ours:
                    # Whatever its number: an adopted one keeps the one that it had.
                    self._bring_up_to_date(ours[xero_id], invoice, page, summary)
                elif key is not None:
                    unknown[xero_id] = invoice
            summary.invoices_read += len(seen)
            progress("invoices", summary.invoices_read)

        # Every customer invoice: Xero has no optimised filter for how a number begins
        # (facts/xero.md, section 4).
        query = {"where": 'Type=="ACCREC"', "includeArchived": "true"}
        self._read(tenant, "recover_invoices", "Invoices", query, apply)
        with transaction():
            for (prefix, year), count in sorted(highest.items()):
                above = count + SKIPPED_NUMBERS
                invoices.raise_counter(tenant, prefix, year, above)
                summary.counters[f"{prefix}-{year}"] = count

    def _prefixes(self, tenant: str) -> set[str]:
        now = {self.tables.of(name).number_prefix for name in self.registry.workflows}
        return now | invoices.prefixes(tenant)

    def _bring_up_to_date(
        self, row: Invoice, seen: XeroInvoice, page: Page, summary: Summary
    ) -> None:
        """What was written since the backup is not written again."""
        now = self.clock.now()
        with transaction():
            self._settle_writes(row, seen, summary, now)
        summary.invoices_known += 1
        try:
            is_applied = self.settler.apply(row.id, seen, page.answered_at)
        except PluginFailed:
            is_applied = False
        if not is_applied:
            with transaction():
                reads.ask(row.tenant, seen.invoice_id, now, now)

    def _settle_writes(
        self, row: Invoice, seen: XeroInvoice, summary: Summary, now: datetime
    ) -> None:
        if seen.sent_to_contact and self._finish(row, LaneName.EMAILS):
            invoices.note_email(row.id, now, None)
            told = invoice_messages.emailed(row)
            outbox.say([told], tenant=row.tenant, at=now, invoice=row)
            summary.emails_settled += 1
        if seen.status in GONE:
            self._finish(row, LaneName.EMAILS)
            if self._finish(row, LaneName.VOIDS):
                reads.ask(row.tenant, seen.invoice_id, now, now)
                summary.voids_settled += 1

    def _finish(self, row: Invoice, lane: LaneName) -> bool:
        write = writes.pending(row.tenant, lane, str(row.id))
        if write is not None:
            writes.finish(write, WriteState.DONE, "recovered")
        return write is not None

    def _take_in(self, tenant: str, seen: XeroInvoice, summary: Summary) -> None:
        """One that the books do not know: what they meant to raise, or a new row."""
        workflow = seen.reference.partition(":")[0]
        if workflow not in self.registry.workflows:
            log.warning("invoice.not_ours", number=seen.number)
            return
        now = self.clock.now()
        with transaction():
            invoices.forget_foreign(tenant, seen.invoice_id)
            row = self._meant(tenant, seen)
            if row is None:
                rebuilding.rebuild(tenant, workflow, seen, now)
                summary.invoices_rebuilt += 1
                return
            invoices.change(
                row,
                number=seen.number,
                contact_id=seen.contact_id,
                issued_on=seen.issued_on,
            )
            self._raised(row, seen, now)
            self._settle_writes(row, seen, summary, now)
            summary.invoices_adopted += 1

    def _meant(self, tenant: str, seen: XeroInvoice) -> Invoice | None:
        """The row by which the books meant to raise this invoice, locked."""
        numbered = invoices.by_number(tenant, [seen.number]).get(seen.number)
        if numbered is not None and numbered.reference == seen.reference:
            return invoices.lock(numbered.id)
        if numbered is not None:
            self._take_number_back(invoices.lock(numbered.id))
        found = invoices.unraised(tenant, seen.reference)
        return None if found is None else invoices.lock(found.id)

    def _take_number_back(self, row: Invoice) -> None:
        """It was given to another after the backup; this one gets a new one."""
        invoices.change(row, number=None)
        write = writes.pending(row.tenant, LaneName.INVOICES, str(row.id))
        if write is not None:
            writes.due_again(write, self.clock.now())

    def _raised(self, row: Invoice, seen: XeroInvoice, now: datetime) -> None:
        """As if the answer to its call had come."""
        key = str(row.id)
        writes.add(row.tenant, LaneName.INVOICES, key, now, invoice=row)
        write = writes.pending(row.tenant, LaneName.INVOICES, key)
        if write is not None:
            self.raising.record(write, Outcome(seen), now)

    # -- reading ---------------------------------------------------------------------

    def _read(
        self,
        tenant: str,
        kind: str,
        resource: str,
        query: dict[str, str],
        apply: Callable[[Page], None],
    ) -> None:
        places = Patience(self.door, tenant, Purpose.INTERACTIVE, self.wait)
        read_all(places.admit, kind, resource, Place(None), query, apply)
