"""What the commands about contacts do with the books, for one tenant."""

import csv
import getpass
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from core import mirror, people
from core.clock import SystemClock
from core.contacts import audit, desk, explaining
from core.contacts.desk import Person
from core.contacts.explaining import Explanation, Standing
from core.contacts.importing import (
    Imported,
    MappingWrong,
    Row,
    doubts_of,
    import_links,
)
from core.db import profiles
from core.db.database import transaction
from core.errors import SettingsInvalid
from core.matching.duplicates import Finding, Merge
from core.members import why_no_member_id
from core.settings import Settings
from settled.conflicts import OverruledEdit, overruled_edits
from settled.maintenance import opened_books, tenant_of
from settled.tables import read_table

log = structlog.get_logger()

COLUMNS = ("member_id", "contact_id")

#: What a file may have besides, to be held against the contact.
CHECKED = ("name", "email")


@dataclass(frozen=True, slots=True)
class Desk:
    """The contacts of one tenant. Every method opens the books for itself.

    Args:
        tenant: None: the only one.
    """

    settings: Settings
    tenant: str | None = None

    @contextmanager
    def _books(self) -> Iterator[str]:
        tenant = tenant_of(self.settings, self.tenant)
        with opened_books(self.settings):
            yield tenant

    def standings(self, *, undecided_only: bool) -> list[Standing]:
        with self._books() as tenant:
            return explaining.standings(tenant, undecided_only=undecided_only)

    def explain(self, who: str) -> Explanation:
        with self._books() as tenant:
            return explaining.explain(tenant, who, self.settings)

    def conflicts(self, member_id: str | None) -> list[OverruledEdit]:
        with self._books() as tenant:
            return overruled_edits(tenant, member_id)

    def link(self, member_id: str, contact_id: str, because: str) -> int:
        person, now = _person(because), SystemClock().now()
        with self._books() as tenant:
            member = _member_id(member_id)
            count = desk.link(tenant, member, contact_id, person, now, self.settings)
        log.warning("contact.linked", member_id=member_id, contact_id=contact_id)
        return count

    def unlink(self, member_id: str, because: str) -> int:
        person, now = _person(because), SystemClock().now()
        with self._books() as tenant:
            count = desk.unlink(tenant, member_id, person, now, self.settings)
        log.warning("contact.unlinked", member_id=member_id)
        return count

    def create(self, member_id: str, because: str) -> int:
        person, now = _person(because), SystemClock().now()
        with self._books() as tenant:
            count = desk.create(tenant, member_id, person, now, self.settings)
        log.warning("contact.to_be_created", member_id=member_id)
        return count

    def audit(self, progress: Callable[[int], Callable[[], None]]) -> list[Finding]:
        """Args: progress: told how many members there are; gives what counts them."""
        with self._books() as tenant:
            _require_mirror(tenant)
            count = progress(audit.count_members(tenant))
            return audit.findings(tenant, self.settings, count)

    def merge_plan(self) -> list[Merge]:
        with self._books() as tenant:
            _require_mirror(tenant)
            return audit.plan_merges(tenant, self.settings)

    def import_file(
        self,
        file: Path,
        because: str,
        progress: Callable[[int], Callable[[int], None]],
        *,
        is_dry: bool,
        is_confirmed: bool,
    ) -> Imported:
        """Read and check every line before the first link is made.

        Raises:
            SettingsInvalid: the file can't be read as it should.
            MappingWrong: naming every line that is wrong, or is to be confirmed.
        """
        rows = read_mapping(file)
        person, now = _person(because), SystemClock().now()
        with self._books() as tenant:
            _require_mirror(tenant)
            count = progress(len(rows))
            doubts = doubts_of(tenant, rows)
            with transaction():
                done = import_links(
                    tenant,
                    rows,
                    person,
                    now,
                    count,
                    is_dry=is_dry,
                    doubts=doubts,
                    is_confirmed=is_confirmed,
                )
            if not is_dry:
                self._compare(tenant, [row.member_id for row in rows])
        if not is_dry:
            log.warning("contacts.imported", linked=done.linked, by=person.name)
        return done

    def _compare(self, tenant: str, member_ids: Sequence[str]) -> None:
        """What the platform has said of them before they had a contact.

        Each alone: the daemon locks a member's details before the contact, and the
        import locks all members at once.
        """
        policy = self.settings.tenants[tenant]
        for member_id in sorted(profiles.known(tenant) & set(member_ids)):
            with transaction():
                people.reconcile(tenant, member_id, policy, SystemClock().now())


def read_mapping(file: Path) -> list[Row]:
    """The lines of the file, each looked at alone.

    Raises:
        SettingsInvalid: it is no CSV file with these columns.
        MappingWrong: naming every line that is wrong in itself.
    """
    read = read_table(file, COLUMNS)
    wrong = [f"line {line}: {text}" for line, row in read if (text := _wrong(row))]
    if wrong:
        raise MappingWrong(wrong)
    if not read:
        raise SettingsInvalid(str(file), "has no line but its header")
    columns = (*COLUMNS, *CHECKED)
    return [
        Row(line, *((row.get(column) or "").strip() for column in columns))
        for line, row in read
    ]


def _wrong(row: dict[Any, Any]) -> str:
    if None in row:
        return "a value too many; is a comma in it not quoted?"
    empty = [column for column in COLUMNS if not (row[column] or "").strip()]
    if empty:
        return f"{empty[0]} is empty"
    reason = why_no_member_id(row["member_id"].strip())
    return f"member_id: {reason}" if reason else ""


def _member_id(given: str) -> str:
    if reason := why_no_member_id(given):
        raise SettingsInvalid("MEMBER", reason)
    return given


def _person(because: str) -> Person:
    return Person(getpass.getuser(), because)


def _require_mirror(tenant: str) -> None:
    """Of a mirror that is not whole nothing can be said."""
    if not mirror.is_loaded(tenant):
        raise SettingsInvalid(
            tenant, "its contacts have not been read; run `settled contacts load`"
        )


def write_csv(
    file: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """With a mark that tells spreadsheets the encoding.

    A value that a spreadsheet would take for a formula is led by an apostrophe: names
    come from strangers.
    """
    try:
        with file.open("w", newline="", encoding="utf-8-sig") as lines:
            writer = csv.writer(lines)
            writer.writerow(columns)
            writer.writerows([[_harmless(value) for value in row] for row in rows])
    except OSError as error:
        raise SettingsInvalid(str(file), error.strerror or "can't be written") from None


def _harmless(value: str) -> str:
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
