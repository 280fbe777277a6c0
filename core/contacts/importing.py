"""A mapping that a body already has of members and contacts: all of it, or none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.contacts import waiting
from core.contacts.desk import SOON, Person
from core.contacts.resolution import Known
from core.db import contact_decisions, contact_links, contacts, invoices, writes
from core.db.contact_decisions import Decision
from core.db.invoices import InvoiceState
from core.db.writes import WriteState
from core.errors import SettledError
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.verdict import MatchRule
from core.waking import LaneName

#: Rows that are written in one statement.
_AT_ONCE = 500

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the mapping."""

    line: int
    member_id: str
    contact_id: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import does, or would do."""

    linked: int
    already: int  # linked so before
    released: int  # invoices that go on


class MappingWrong(SettledError):
    """Lines that can't be imported; nothing was.

    Args:
        errors: one for each wrong line, in their order.
    """

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__(f"{len(errors)} lines are wrong, nothing was imported")
        self.errors = errors


def import_links(
    tenant: str,
    rows: Sequence[Row],
    person: Person,
    now: datetime,
    progress: Progress,
    *,
    is_dry: bool,
) -> Imported:
    """Check every line, then link them all, in the caller's transaction.

    Raises:
        MappingWrong: naming every line that is wrong.
        VersionMoved: somebody was faster with one of them.
    """
    contact_links.lock_all_members(tenant)
    books = _Books(tenant)
    errors = [text for row in rows if (text := books.error_of(row))]
    if errors:
        raise MappingWrong(errors)
    new = [row for row in rows if books.contact_of.get(row.member_id) is None]
    payers = invoices.payers_in(tenant, InvoiceState.HELD, InvoiceState.WAITING)
    released = sorted(payers & {row.member_id for row in rows})
    if is_dry:
        states = (InvoiceState.HELD, InvoiceState.WAITING)
        count = sum(len(invoices.of_payer(tenant, m, *states)) for m in released)
        return Imported(len(new), len(rows) - len(new), count)
    # Before the links: whoever has created a contact holds its row and then links it.
    _stop_creating(tenant, new, books)
    for start in range(0, len(new), _AT_ONCE):
        some = new[start : start + _AT_ONCE]
        _link(tenant, some, books.contacts, person, now)
        progress(len(some))
    contact_of = {row.member_id: row.contact_id for row in rows}
    count = 0
    for member_id in released:
        known = Known(contact_of[member_id])
        count += waiting.go_on(tenant, member_id, known, now, person.name)
    return Imported(len(new), len(rows) - len(new), count)


def _stop_creating(tenant: str, rows: Sequence[Row], books: "_Books") -> None:
    for row in rows:
        is_asked = row.member_id in books.asked
        if is_asked and not writes.drop(tenant, LaneName.CONTACTS, row.member_id):
            raise MappingWrong([f"line {row.line}: {_creating(row)}"])


def _creating(row: Row) -> str:
    return f"Xero is being asked to create a contact for member {row.member_id}; {SOON}"


class _Books:
    """What stands in the books while a mapping is checked against them."""

    def __init__(self, tenant: str) -> None:
        self.contacts = {c.contact_id: c for c in contacts.everything(tenant)}
        links = contact_links.everything(tenant)
        self.contact_of = {row.member_id: row.contact_id for row in links}
        self.member_of = {row.contact_id: row.member_id for row in links}
        self.asked = writes.all_pending(tenant, LaneName.CONTACTS)
        self._lines: dict[str, int] = {}
        self._lines_of_contacts: dict[str, int] = {}

    def error_of(self, row: Row) -> str:
        """What is wrong with a line; empty: nothing."""
        wrong = (
            self._twice(row)
            or self._not_in_use(self.contacts.get(row.contact_id), row)
            or self._tied_otherwise(row)
        )
        return f"line {row.line}: {wrong}" if wrong else ""

    def _twice(self, row: Row) -> str:
        first = self._lines.setdefault(row.member_id, row.line)
        if first != row.line:
            return f"member {row.member_id} stands in line {first} already"
        first = self._lines_of_contacts.setdefault(row.contact_id, row.line)
        if first != row.line:
            return f"contact {row.contact_id} stands in line {first} already"
        return ""

    def _not_in_use(self, contact: MirrorContact | None, row: Row) -> str:
        if contact is None:
            return f"contact {row.contact_id} is not in Xero, as far as is known"
        if contact.status != ACTIVE:
            into = f", merged into {contact.merged_to}" if contact.merged_to else ""
            return f"contact {row.contact_id} is {contact.status}{into}"
        return ""

    def _tied_otherwise(self, row: Row) -> str:
        before = self.contact_of.get(row.member_id)
        if before not in (None, row.contact_id):
            return f"member {row.member_id} is linked to {before}"
        owner = self.member_of.get(row.contact_id)
        if owner not in (None, row.member_id):
            return f"contact {row.contact_id} is member {owner}'s"
        if before is None and self.asked.get(row.member_id) == WriteState.CLAIMED:
            return _creating(row)
        return ""


def _link(
    tenant: str,
    rows: Sequence[Row],
    known: Mapping[str, MirrorContact],
    person: Person,
    now: datetime,
) -> None:
    contact_links.link_all(
        [
            {
                "tenant": tenant,
                "member_id": row.member_id,
                "contact_id": row.contact_id,
                "rule": MatchRule.PERSON.value,
                "evidence": {"name": known[row.contact_id].name},
                "decided_at": now,
            }
            for row in rows
        ]
    )
    contact_decisions.note_all(
        [
            {
                "tenant": tenant,
                "member_id": row.member_id,
                "decision": Decision.LINKED_BY_PERSON.value,
                "contact_id": row.contact_id,
                "rule": MatchRule.PERSON.value,
                "reason": person.because,
                "candidates": [],
                "decided_by": person.name,
                "decided_at": now,
            }
            for row in rows
        ]
    )
