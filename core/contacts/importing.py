"""A mapping that a body already has of members and contacts: all of it, or none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.contacts import waiting
from core.contacts.contradicting import Contradictions
from core.contacts.desk import SOON, Person
from core.contacts.members_known import members_known
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

NO_DOUBTS: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the mapping.

    Args:
        name: what the file calls the member; empty: nothing. No more than a check.
        email: the same.
    """

    line: int
    member_id: str
    contact_id: str
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import does, or would do.

    Args:
        linked: members who get a contact.
        already: who were linked so before.
        released: invoices that go on.
        doubts: one for each line that a person must confirm, in their order.
    """

    linked: int
    already: int
    released: int
    doubts: Sequence[str] = ()


class MappingWrong(SettledError):
    """Lines that can't be imported, or not before a person confirms; nothing was.

    Args:
        errors: one for each wrong line, in their order.
        doubts: one for each line that a person must confirm.
    """

    def __init__(self, errors: Sequence[str], doubts: Sequence[str] = ()) -> None:
        count = len(errors)
        wrong = "1 line is wrong" if count == 1 else f"{count} lines are wrong"
        what = wrong if errors else to_confirm(len(doubts))
        super().__init__(f"{what}, nothing was imported")
        self.errors = errors
        self.doubts = doubts


def to_confirm(count: int) -> str:
    lines = "1 line is" if count == 1 else f"{count} lines are"
    return f"{lines} to be confirmed (--confirmed)"


def doubts_of(tenant: str, rows: Sequence[Row]) -> dict[int, str]:
    """What a person must confirm, by the number of the line.

    Not in the transaction of the import: names of thousands are compared for seconds,
    and everybody else would wait.
    """
    books = _Books(tenant, rows)
    some = (books.spelled(row) for row in rows)
    return {row.line: text for row in some if (text := books.doubt_of(row))}


def import_links(
    tenant: str,
    rows: Sequence[Row],
    person: Person,
    now: datetime,
    progress: Progress,
    *,
    is_dry: bool,
    doubts: Mapping[int, str] = NO_DOUBTS,
    is_confirmed: bool = False,
) -> Imported:
    """Check every line, then link them all, in the caller's transaction.

    Args:
        tenant: whose contacts.
        rows: all lines.
        person: who imports, and why.
        now: when.
        progress: told how many more are linked.
        is_dry: only check.
        doubts: what speaks against some of the lines.
        is_confirmed: a person has looked at these.

    Raises:
        MappingWrong: naming every line that is wrong, or is to be confirmed.
        VersionMoved: somebody was faster with one of them.
    """
    contact_links.lock_all_members(tenant)
    books = _Books(tenant, rows)
    rows = [books.spelled(row) for row in rows]
    errors = [text for row in rows if (text := books.error_of(row))]
    told = [f"line {line}, to be confirmed: {text}" for line, text in doubts.items()]
    if errors or (told and not is_dry and not is_confirmed):
        raise MappingWrong(errors, told)
    new = [row for row in rows if books.contact_of.get(row.member_id) is None]
    payers = invoices.payers_in(tenant, InvoiceState.HELD, InvoiceState.WAITING)
    released = sorted(payers & {row.member_id for row in rows})
    if is_dry:
        states = (InvoiceState.HELD, InvoiceState.WAITING)
        count = sum(len(invoices.of_payer(tenant, m, *states)) for m in released)
        return Imported(len(new), len(rows) - len(new), count, told)
    # Before the links: whoever has created a contact holds its row and then links it.
    _stop_creating(tenant, new, books)
    for start in range(0, len(new), _AT_ONCE):
        some = new[start : start + _AT_ONCE]
        _link(tenant, some, books.contacts, doubts, person, now)
        progress(len(some))
    contact_of = {row.member_id: row.contact_id for row in rows}
    count = 0
    for member_id in released:
        known = Known(contact_of[member_id])
        count += waiting.go_on(tenant, member_id, known, now, person.name)
    return Imported(len(new), len(rows) - len(new), count, told)


def _stop_creating(tenant: str, rows: Sequence[Row], books: "_Books") -> None:
    for row in rows:
        is_asked = row.member_id in books.asked
        if is_asked and not writes.drop(tenant, LaneName.CONTACTS, row.member_id):
            raise MappingWrong([f"line {row.line}: {_creating(row)}"])


def _creating(row: Row) -> str:
    return f"Xero is being asked to create a contact for member {row.member_id}; {SOON}"


class _Books:
    """What stands in the books while a mapping is checked against them."""

    def __init__(self, tenant: str, rows: Sequence[Row]) -> None:
        self.contacts = {c.contact_id: c for c in contacts.everything(tenant)}
        links = contact_links.everything(tenant)
        self.contact_of = {row.member_id: row.contact_id for row in links}
        self.member_of = {row.contact_id: row.member_id for row in links}
        self.asked = writes.all_pending(tenant, LaneName.CONTACTS)
        self._lines: dict[str, int] = {}
        self._lines_of_contacts: dict[str, int] = {}
        self._spelled = {key.lower(): key for key in self.contacts}
        self._against = Contradictions(
            self.contacts,
            members_known(tenant),
            set(self.contact_of),
            {row.member_id for row in rows},
        )

    def spelled(self, row: Row) -> Row:
        """As Xero spells its ids; other systems write them in capitals."""
        known = self._spelled.get(row.contact_id.lower(), row.contact_id)
        return row if known == row.contact_id else replace(row, contact_id=known)

    def error_of(self, row: Row) -> str:
        """What is wrong with a line; empty: nothing."""
        wrong = (
            self._twice(row)
            or self._not_in_use(self.contacts.get(row.contact_id), row)
            or self._tied_otherwise(row)
            or self._is_anothers(row)
        )
        return f"line {row.line}: {wrong}" if wrong else ""

    def doubt_of(self, row: Row) -> str:
        """What a person must confirm of a line that is right in itself."""
        contact = self.contacts.get(row.contact_id)
        if contact is None or self.contact_of.get(row.member_id) == row.contact_id:
            return ""
        found = self._against.doubts(row.member_id, row.name, row.email, contact)
        return next(found, "")

    def _is_anothers(self, row: Row) -> str:
        if self.contact_of.get(row.member_id) == row.contact_id:
            return ""
        return self._against.mistake(row.member_id, self.contacts[row.contact_id])

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
    doubts: Mapping[int, str],
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
                "reason": _reason(person, doubts.get(row.line, "")),
                "candidates": [],
                "decided_by": person.name,
                "decided_at": now,
            }
            for row in rows
        ]
    )


def _reason(person: Person, doubt: str) -> str:
    return f"{person.because}; confirmed, though {doubt}" if doubt else person.because
