"""``settled adopt``: invoices that others have made are ours from now on."""

import getpass
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from core import mirror, reference_data
from core.adopting import Adopting, Looked
from core.adoption_lines import Finding, Wanted
from core.clock import Clock
from core.db import recovery, reference
from core.errors import NotConnected, SettingsInvalid, XeroWait
from core.members import why_no_member_id
from core.money import plain
from core.patience import Patience
from core.quota import Purpose
from core.registry import Registry
from core.settings import Settings
from settled.maintenance import tenant_of
from settled.parts import Parts
from settled.tables import filled, read_table

NEEDED = ("invoice_number", "workflow", "subject")
OPTIONAL = ("member_id", "charge")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was found, and what was done.

    Args:
        count: how many are new; None: it was a dry run, or a line is wrong.
    """

    tenant: str
    looked: Looked
    count: int | None

    @property
    def summary(self) -> str:
        found = ", ".join(f"{n} {what}" for what, n in self.looked.counts().items())
        if self.count is not None:
            return f"{self.count} adopted: {found}"
        if not self.looked.is_fine:
            return f"nothing was done, because of the lines that are wrong: {found}"
        return f"nothing was done, say --yes to do it: {found}"


def adopt(
    settings: Settings,
    file: Path,
    tenant: str | None,
    bar: Progress,
    *,
    is_meant: bool,
    clock: Clock | None = None,
    registry: Registry | None = None,
) -> Adopted:
    """Look at every line, and do it if it is meant and none is wrong.

    Raises:
        SettingsInvalid: the file can't be read, or the daemon has not read Xero yet.
        XeroError: Xero can't be reached, or refuses.
        AdoptionRaced: something happened meanwhile; to be run again.
    """
    lines = read_file(file)
    alias = tenant_of(settings, tenant)
    parts = Parts(settings, _name(), clock=clock, registry=registry)
    try:
        parts.stores.open_books()
        _require_ready(alias)
        parts.live(parts.stopping)
        parts.make(is_guest=True)
        places = _patience(parts, alias, bar)
        adopting = Adopting(
            alias, settings, parts.registry, parts.tables, places, parts.clock
        )
        looked = adopting.look(lines, _shown(bar, "reading", len(lines)))
        count = None
        if is_meant and looked.is_fine:
            shown = _shown(bar, "adopting", len(lines))
            count = adopting.take_over(looked, getpass.getuser(), shown)
        return Adopted(alias, looked, count)
    finally:
        parts.stopping.set()
        parts.closing.close()


def as_table(adopted: Adopted) -> Table:
    """A row for each line: what it becomes, or why not."""
    columns = ("line", "invoice", "subject", "member", "status", "total", "due", "")
    table = Table(*columns, title=adopted.tenant, box=None)
    for finding in adopted.looked.findings:
        wanted, seen = finding.wanted, finding.seen
        money = ("", "", "")
        if seen is not None:
            total = f"{plain(seen.total)} {seen.currency}"
            money = (seen.status, total, plain(seen.amount_due))
        what = (str(wanted.line), wanted.number, wanted.subject, finding.member_id)
        table.add_row(*what, *money, _verdict(finding))
    return table


def as_data(adopted: Adopted) -> dict[str, Any]:
    """The same for machines."""
    return {
        "tenant": adopted.tenant,
        "adopted": adopted.count,
        "counts": adopted.looked.counts(),
        "lines": [_line_data(finding) for finding in adopted.looked.findings],
    }


def read_file(file: Path) -> list[Wanted]:
    """Every line.

    Raises:
        SettingsInvalid: naming the line and the column.
    """
    return [_wanted(file, line, row) for line, row in read_table(file, NEEDED)]


def _wanted(file: Path, line: int, row: Mapping[Any, Any]) -> Wanted:
    readers: Mapping[str, Callable[[str], str]] = {
        "invoice_number": _number,
        "workflow": filled,
        "subject": filled,
        "member_id": _member_id,
        "charge": str,
    }
    values: dict[str, str] = {}
    for column, read in readers.items():
        try:
            values[column] = read((row.get(column) or "").strip())
        except ValueError as error:
            raise SettingsInvalid(
                f"{file}, line {line}, {column}", str(error)
            ) from None
    if None in row:  # where csv puts what no column is left for
        raise SettingsInvalid(f"{file}, line {line}", "has a value too many")
    return Wanted(line, number=values.pop("invoice_number"), **values)


def _number(text: str) -> str:
    if "," in text:
        raise ValueError("contains a comma, and can't be looked up in Xero")
    return filled(text)


def _member_id(text: str) -> str:
    if text and (reason := why_no_member_id(text)):
        raise ValueError(reason)
    return text


def _require_ready(tenant: str) -> None:
    """What a line is judged against must be there."""
    if reference.xero_tenant_id(tenant) is None:
        raise NotConnected(f"{tenant} is not connected to Xero; run `settled connect`")
    if recovery.is_needed(tenant):
        raise SettingsInvalid(
            f"tenants.{tenant}", "its books are to be recovered: `settled recover`"
        )
    if not reference_data.is_known(tenant) or not mirror.is_loaded(tenant):
        raise SettingsInvalid(
            f"tenants.{tenant}",
            "nothing has been read from Xero yet; `settled run` does that",
        )


def _patience(parts: Parts, tenant: str, bar: Progress) -> Patience:
    """Reads that can always wait: payments and invoices come first."""
    never = threading.Event()

    def wait(wanted: XeroWait) -> None:
        bar.console.print(f"{tenant}: waits for Xero's limits: {wanted}", markup=False)
        left_s = (wanted.until - parts.clock.now()).total_seconds()
        parts.clock.wait(never, max(left_s, 0.1))

    return Patience(parts.door, tenant, Purpose.HOUSEKEEPING, wait)


def _shown(bar: Progress, what: str, total: int) -> Callable[[int], None]:
    task = bar.add_task(what, total=total)
    return lambda done: bar.update(task, completed=done)


def _verdict(finding: Finding) -> Text:
    if finding.faults:
        reasons = (f"{fault.field}: {fault.reason}" for fault in finding.faults)
        return Text("; ".join(reasons), "red")
    return Text(str(finding.becomes or ""), "green")


def _line_data(finding: Finding) -> dict[str, Any]:
    wanted, seen = finding.wanted, finding.seen
    return {
        "line": wanted.line,
        "invoice_number": wanted.number,
        "workflow": wanted.workflow,
        "subject": wanted.subject,
        "charge": finding.charge,
        "member_id": finding.member_id,
        "becomes": finding.becomes,
        "status": seen and seen.status,
        "currency": seen and seen.currency,
        "total": seen and plain(seen.total),
        "amount_due": seen and plain(seen.amount_due),
        "faults": [{"field": f.field, "reason": f.reason} for f in finding.faults],
    }


def _name() -> str:
    return f"adopt@{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
