"""The lines of a file that says which invoices of Xero are for which subjects.

What speaks against a line without asking the books: what Xero shows, and other lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.facts import GONE, XeroInvoice
from core.xero_json import invoice as parse_invoice

#: An invoice in one of these is neither open nor paid yet.
UNAPPROVED = frozenset({"DRAFT", "SUBMITTED"})


class Becomes(StrEnum):
    """What an invoice is taken in as."""

    OPEN = "open"
    PART_PAID = "part paid"
    PAID = "paid"
    CREDITED = "settled by credit"
    ALREADY = "adopted before"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line: which invoice is for which subject.

    Args:
        line: where it stands in the file.
        member_id: whose contact the invoice is on; empty: whoever is linked to it.
        charge: empty: the workflow's only one.
    """

    line: int
    number: str
    workflow: str
    subject: str
    member_id: str = ""
    charge: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line can't be done.

    Args:
        field: the column that is to blame.
    """

    field: str
    reason: str


@dataclass(slots=True)
class Finding:
    """What was found of a line.

    Args:
        seen: the invoice as Xero has it; None where there is none to adopt.
        read_at: when Xero said so, by its clock.
        member_id: whose contact it is on, as far as that is clear.
    """

    wanted: Wanted
    faults: list[Fault] = field(default_factory=list)
    charge: str = ""
    member_id: str = ""
    seen: XeroInvoice | None = None
    read_at: datetime | None = None
    is_known: bool = False

    def blame(self, column: str, reason: str) -> None:
        self.faults.append(Fault(column, reason))

    @property
    def becomes(self) -> Becomes | None:
        """None: it can't be adopted."""
        if self.faults or self.seen is None:
            return None
        return Becomes.ALREADY if self.is_known else _becomes(self.seen)


def in_xero(found: Sequence[Mapping[str, Any]]) -> XeroInvoice | str:
    """The invoice that Xero has under a number, or why there is none to adopt."""
    if not found:
        return "is not in Xero"
    # A bill may carry any number, also that of an invoice of ours.
    sales = [parse_invoice(raw) for raw in found if raw.get("Type") == "ACCREC"]
    if not sales:
        return f"is not an invoice to a customer, but {found[0].get('Type')}"
    # The number of a draft that was deleted may have been used again.
    standing = [invoice for invoice in sales if invoice.status not in GONE]
    if not standing:
        return f"is {sales[0].status.lower()} in Xero"
    if len(standing) > 1:
        return f"stands in Xero {len(standing)} times"
    if standing[0].status in UNAPPROVED:
        return f"is {standing[0].status.lower()} in Xero; approve it first"
    return standing[0]


def _becomes(seen: XeroInvoice) -> Becomes:
    if seen.is_settled:
        is_by_credit = seen.amount_credited > 0 and not seen.payments
        return Becomes.CREDITED if is_by_credit else Becomes.PAID
    has_money = seen.amount_paid > 0 or seen.amount_credited > 0
    return Becomes.PART_PAID if has_money else Becomes.OPEN


def blame_doubles(findings: Sequence[Finding]) -> None:
    """An invoice is for one subject, and a subject has one invoice."""
    numbers: dict[str, int] = {}
    subjects: dict[tuple[str, str, str], int] = {}
    for finding in findings:
        wanted = finding.wanted
        first = numbers.setdefault(same_number(wanted.number), wanted.line)
        if first != wanted.line:
            finding.blame("invoice_number", f"stands in line {first} already")
        key = (wanted.workflow, wanted.subject, finding.charge)
        first = subjects.setdefault(key, wanted.line)
        if first != wanted.line:
            finding.blame("subject", f"stands in line {first} already")


def blame_shared_contacts(findings: Sequence[Finding]) -> None:
    """A contact is one member's, and a member has one contact, in the file as well."""
    members: dict[str, Finding] = {}
    holders: dict[str, Finding] = {}
    for finding in findings:
        if finding.seen is None or not finding.member_id:
            continue
        first = members.setdefault(finding.seen.contact_id, finding)
        if first.member_id != finding.member_id:
            finding.blame(
                "member_id",
                f"its contact is {first.member_id}'s in line {first.wanted.line}",
            )
        first = holders.setdefault(finding.member_id, finding)
        if first.seen and first.seen.contact_id != finding.seen.contact_id:
            finding.blame(
                "member_id", f"has another contact in line {first.wanted.line}"
            )


def same_number(number: str) -> str:
    """Xero compares numbers whatever their case."""
    return number.strip().casefold()
