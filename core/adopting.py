"""Taking over invoices that others made in Xero: by hand, or before us.

First every line is read and judged; only when none is wrong anything is written, in
steps that may be made again after a crash. Nothing is ever written to Xero.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog

from core import adopted, people, reference_data
from core.adoption_lines import (
    Becomes,
    Finding,
    Wanted,
    blame_doubles,
    blame_shared_contacts,
    in_xero,
    same_number,
)
from core.calls import Slot, XeroRequest
from core.clock import Clock
from core.contacts import desk
from core.contacts.desk import NotDecided, Person
from core.db import adoptions, contact_links, contacts, invoices, lanes, reference
from core.db.database import atomically
from core.db.invoices import ENDED, InvoiceState
from core.db.models import Invoice
from core.errors import SettledError, VersionMoved
from core.facts import XeroInvoice
from core.invoice_messages import reference_of
from core.invoice_numbers import parts_of
from core.matching.contact import ACTIVE
from core.registry import Registry
from core.settings import Settings
from core.sweeping import CURSOR
from core.waking import LaneName
from core.workflow_settings import WorkflowTables

log = structlog.get_logger()

#: Characters of numbers in one read: with the rest the address stays under 2,000, which
#: every server on the way takes.
LONGEST_LIST = 1_500

#: Lines that are written together: a fifth of a second in which others wait on SQLite.
TOGETHER = 100


class AdoptionRaced(SettledError):
    """Something became ours in another way while we were at it: look again."""


@dataclass(frozen=True, slots=True)
class Looked:
    """All lines, judged.

    Args:
        since: Xero's moment of the first read; None: nothing had to be read.
    """

    findings: Sequence[Finding]
    since: datetime | None

    @property
    def is_fine(self) -> bool:
        return not any(finding.faults for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """How many are taken in as what, and how many lines are wrong."""
        found = Counter(
            f.becomes.value if f.becomes else "wrong" for f in self.findings
        )
        return dict(sorted(found.items()))


class Adopting:
    """Adopts for one tenant.

    Args:
        slot: for the reads; it may take its time.
        together: how many lines are written in one step.
    """

    def __init__(
        self,
        tenant: str,
        settings: Settings,
        registry: Registry,
        tables: WorkflowTables,
        slot: Slot,
        clock: Clock,
        *,
        together: int = TOGETHER,
    ) -> None:
        self.tenant = tenant
        self.settings = settings
        self.registry = registry
        self.tables = tables
        self.slot = slot
        self.clock = clock
        self.together = together

    def look(self, lines: Sequence[Wanted], progress: Callable[[int], None]) -> Looked:
        """Judge every line; writes nothing.

        Args:
            lines: of which each has a number and a subject.
            progress: told how many lines have been looked at.

        Raises:
            XeroError: Xero can't be reached, or refuses.
        """
        findings = [self._read_line(wanted) for wanted in lines]
        blame_doubles(findings)
        asked = [finding for finding in findings if not finding.faults]
        since: datetime | None = None
        seen = len(findings) - len(asked)
        for group in _groups(asked):
            answered_at = self._read(group)
            since = since or answered_at
            seen += len(group)
            progress(seen)
        blame_shared_contacts(findings)
        return Looked(findings, since)

    def take_over(
        self, looked: Looked, by: str, progress: Callable[[int], None]
    ) -> int:
        """Write what was found to be fine; how many are new.

        A crash leaves whole steps; what they adopted is known when it is tried again.

        Raises:
            AdoptionRaced: a line is not as it was found; the steps before it stand.
        """
        new = [f for f in looked.findings if f.becomes not in (None, Becomes.ALREADY)]
        # Whoever locks several members does so in the order of their ids.
        new.sort(key=lambda finding: finding.member_id)
        done = 0
        while done < len(new):
            step = new[done : done + self.together]
            self._step(step, looked.since or self.clock.now(), by)
            done += len(step)
            progress(done)
        log.info("invoices.adopted", tenant=self.tenant, count=done, by=by)
        return done

    # -- reading ---------------------------------------------------------------------

    def _read_line(self, wanted: Wanted) -> Finding:
        finding = Finding(wanted)
        owner = self.registry.workflows.get(wanted.workflow)
        if owner is None:
            known = ", ".join(sorted(self.registry.workflows))
            finding.blame("workflow", f"{wanted.workflow!r} is none of {known}")
            return finding
        charges = owner.rules.charges
        finding.charge = wanted.charge or (charges[0] if len(charges) == 1 else "")
        if not finding.charge:
            finding.blame("charge", f"must be named: {', '.join(charges) or 'any'}")
        elif charges and finding.charge not in charges:
            finding.blame(
                "charge", f"{wanted.charge!r} is none of {', '.join(charges)}"
            )
        return finding

    def _read(self, group: Sequence[Finding]) -> datetime:
        """These invoices; when Xero answered, by its clock."""
        numbers = ",".join(finding.wanted.number for finding in group)
        query = {"InvoiceNumbers": numbers, "page": "1", "pageSize": "1000"}
        answer = self.slot.send(
            XeroRequest("adopt_invoices", "GET", "Invoices", query=query)
        )
        by_number: dict[str, list[Mapping[str, Any]]] = {}
        for raw in (answer.json or {}).get("Invoices") or []:
            by_number.setdefault(same_number(str(raw.get("InvoiceNumber"))), []).append(
                raw
            )
        currencies = _currencies(self.tenant, self.registry.workflows)
        for finding in group:
            finding.read_at = answer.answered_at
            seen = in_xero(by_number.get(same_number(finding.wanted.number), ()))
            if isinstance(seen, str):
                finding.blame("invoice_number", seen)
                continue
            finding.seen = seen
            self._judge(finding, seen)
            allowed = currencies[finding.wanted.workflow]
            if seen.currency not in allowed:
                finding.blame(
                    "invoice_number",
                    f"is in {seen.currency}; {finding.wanted.workflow} has prices in "
                    f"{', '.join(sorted(allowed))}",
                )
        return answer.answered_at

    # -- judging against the books ---------------------------------------------------

    def _judge(self, finding: Finding, seen: XeroInvoice) -> None:
        known = invoices.by_xero_id(self.tenant, [seen.invoice_id])
        if seen.invoice_id in known:
            self._judge_known(finding, known[seen.invoice_id])
            return
        number = invoices.by_number(self.tenant, [seen.number])
        if seen.number in number:
            held = number[seen.number].reference
            finding.blame("invoice_number", f"is the number that {held} is to have")
        self._judge_subject(finding)
        self._judge_contact(finding, seen)

    def _judge_known(self, finding: Finding, row: Invoice) -> None:
        adoption = adoptions.of(row)
        if adoption is None:
            finding.blame("invoice_number", f"is ours already: {row.reference}")
            return
        before = (row.workflow, adoption.subject, adoption.charge)
        wanted = finding.wanted
        if before != (wanted.workflow, wanted.subject, finding.charge):
            finding.blame(
                "invoice_number", f"was adopted as {row.workflow}:{adoption.subject}"
            )
        elif wanted.member_id not in ("", row.payer_member_id):
            finding.blame("member_id", f"was adopted as {row.payer_member_id}'s")
        finding.member_id = row.payer_member_id
        finding.is_known = True

    def _judge_subject(self, finding: Finding) -> None:
        wanted = finding.wanted
        place = (self.tenant, wanted.workflow, wanted.subject, finding.charge)
        before = invoices.latest_round(*place)
        if before is not None and InvoiceState(before.invoice.state) not in ENDED:
            other = (
                before.invoice.number or f"an invoice that is {before.invoice.state}"
            )
            finding.blame("subject", f"is invoiced already, by {other}")
        recovered = reference_of(wanted.workflow, wanted.subject)
        for lost in invoices.rebuilt(self.tenant, recovered):
            finding.blame("subject", f"is invoiced already, by {lost.number}")

    def _judge_contact(self, finding: Finding, seen: XeroInvoice) -> None:
        """Whose contact it is on: linked, or to be linked by this line."""
        wanted = finding.wanted.member_id
        linked = contact_links.members_of(self.tenant, [seen.contact_id])
        finding.member_id = linked.get(seen.contact_id, wanted)
        if seen.contact_id in linked:
            if wanted not in ("", finding.member_id):
                finding.blame("member_id", f"its contact is {finding.member_id}'s")
        elif not wanted:
            finding.blame("member_id", "is missing, and its contact is nobody's yet")
        elif reason := self._why_not_linked(wanted, seen.contact_id):
            finding.blame("member_id", reason)

    def _why_not_linked(self, member_id: str, contact_id: str) -> str:
        """What speaks against this contact for a member; empty: nothing."""
        if contact_links.contact_of(self.tenant, member_id) is not None:
            return "has another contact than the invoice"
        contact = contacts.get(self.tenant, contact_id)
        if contact is None:
            return "its contact is new in Xero and has not been read yet"
        if contact.contact_number not in ("", member_id):
            return f"its contact has the number of {contact.contact_number}"
        return "" if contact.status == ACTIVE else "its contact is archived in Xero"

    # -- writing ---------------------------------------------------------------------

    @atomically
    def _step(self, findings: Sequence[Finding], since: datetime, by: str) -> None:
        # First of all, because it waits for a sweep that is about to end: what changed
        # after our reads is swept once more, and then these invoices are ours.
        reference.set_cursor_back(self.tenant, CURSOR, since)
        # Whoever hears of a member locks it before anything that it leads to.
        for member_id in sorted({finding.member_id for finding in findings}):
            people.lock_new(self.tenant, member_id)
        for finding in findings:
            self._take_in(finding, by)
        now = self.clock.now()
        lanes.ask(self.tenant, LaneName.SWEEP, now, now)

    def _take_in(self, finding: Finding, by: str) -> None:
        wanted, seen = finding.wanted, finding.seen
        if seen is None or finding.read_at is None:
            raise AdoptionRaced(f"line {wanted.line}: was not found fine")
        self._judge(finding, seen)
        if finding.faults:
            first = finding.faults[0]
            raise AdoptionRaced(f"line {wanted.line}, {first.field}: {first.reason}")
        if finding.is_known:
            return  # another run of the same file was faster
        subject, charge = wanted.subject, finding.charge
        claim = adopted.Claim(wanted.workflow, subject, charge, finding.member_id, by)
        now = self.clock.now()
        try:
            adopted.take_in(self.tenant, claim, seen, finding.read_at, now)
            self._link(claim, seen, now)
        except (VersionMoved, NotDecided) as error:
            raise AdoptionRaced(f"line {wanted.line}: {error}") from error
        self._keep_number_free(seen.number)

    def _link(self, claim: adopted.Claim, seen: XeroInvoice, now: datetime) -> None:
        """Whoever says whose invoice it is says whose contact it is on."""
        member_id, contact_id = claim.member_id, seen.contact_id
        if contact_links.contact_of(self.tenant, member_id) != contact_id:
            subject = reference_of(claim.workflow, claim.subject)
            person = Person(claim.by, f"{seen.number} on it is adopted as {subject}")
            desk.link(self.tenant, member_id, contact_id, person, now, self.settings)

    def _keep_number_free(self, number: str) -> None:
        """One that looks like ours is never given to another invoice."""
        tables = [self.tables.of(name) for name in self.registry.workflows]
        prefixes = {table.number_prefix for table in tables}
        key = parts_of(number, prefixes | invoices.prefixes(self.tenant))
        if key is not None:
            invoices.raise_counter(self.tenant, *key)


def _groups(findings: Sequence[Finding]) -> Iterator[list[Finding]]:
    """As many as one read takes."""
    group: list[Finding] = []
    length = 0
    for finding in findings:
        more = len(quote(f",{finding.wanted.number}", safe=""))
        if group and length + more > LONGEST_LIST:
            yield group
            group, length = [], 0
        group.append(finding)
        length += more
    if group:
        yield group


def _currencies(tenant: str, workflows: Iterable[str]) -> Mapping[str, set[str]]:
    """In which each workflow invoices: the organisation's, and those of its prices."""
    base = reference_data.base_currency(tenant)
    found = {workflow: {base} for workflow in workflows}
    for workflow, price in reference.all_prices():
        found.setdefault(workflow, {base}).add(price.currency)
    return found
