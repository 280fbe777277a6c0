"""Commands that look at the books or change what is not money."""

import getpass
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from typing import Any

import structlog

from core import reference_data, retrying
from core.clock import SystemClock
from core.db import inbox, problems, reference
from core.db.database import atomically, close_books, migrate, open_books, transaction
from core.db.models import Inbox, Problem
from core.drafts import Price
from core.errors import SettingsInvalid
from core.money import cents
from core.registry import Registry
from core.settings import Settings
from settled.stores import Stores
from settled.tables import filled, read_table, text

log = structlog.get_logger()

COLUMNS = (
    "workflow",
    "sku",
    "effective_on",
    "currency",
    "unit_amount",
    "account_code",
    "tax_type",
    "description",
)

#: Of messages that only wait for their turn; more in one list helps nobody.
LISTED_AT_MOST = 100

#: Far above every price, and far below where Decimal begins to round.
DEAREST = Decimal(10) ** 18


def tenant_of(settings: Settings, given: str | None) -> str:
    """The organisation that a command is about: the named one, or the only one."""
    tenant = given or settings.sole_tenant
    if tenant is None or tenant not in settings.tenants:
        names = ", ".join(sorted(settings.tenants))
        raise SettingsInvalid("--tenant", f"must be one of {names}")
    return tenant


@contextmanager
def opened_books(settings: Settings) -> Iterator[None]:
    stores = Stores(settings)
    try:
        stores.open_books()
        yield
    finally:
        stores.close()


def migrate_books(settings: Settings) -> list[str]:
    """Apply what is pending; the names of the scripts."""
    open_books(Stores(settings).books_url())
    try:
        return migrate()
    finally:
        close_books()


def import_price_file(settings: Settings, file: Path) -> int:
    """Read and check every row before the first is written.

    Raises:
        SettingsInvalid: naming the line and the column.
    """
    known = set(Registry.installed().workflows)
    rows = read_price_file(file, known)
    now = SystemClock().now()
    with opened_books(settings), transaction():
        for workflow, group in groupby(sorted(rows, key=_workflow), key=_workflow):
            reference.put_prices(workflow, [price for _, price in group], now)
    return len(rows)


def read_price_file(file: Path, workflows: set[str]) -> list[tuple[str, Price]]:
    needed = [column for column in COLUMNS if column != "description"]
    rows = read_table(file, needed)
    return [_price(file, line, row, workflows) for line, row in rows]


def price_rows(settings: Settings) -> list[tuple[str, Price]]:
    with opened_books(settings):
        return reference.all_prices()


def cached_codes(
    settings: Settings,
) -> list[tuple[str, Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]]:
    """Accounts and tax rates of each connected tenant."""
    with opened_books(settings):
        aliases = [row.alias for row in reference.tenants()]
        unread = [alias for alias in aliases if not reference_data.is_known(alias)]
        if unread or not aliases:
            raise SettingsInvalid(
                f"tenants.{(unread or list(settings.tenants))[0]}",
                "nothing has been read from Xero yet; connect and run",
            )
        return [
            (alias, reference_data.accounts(alias), reference_data.tax_rates(alias))
            for alias in aliases
        ]


def open_problem_rows(settings: Settings) -> list[Problem]:
    with opened_books(settings):
        return problems.open_problems()


def close_problem_of(settings: Settings, cause: str) -> None:
    """Close it.

    Raises:
        SettingsInvalid: no open problem has this cause.
    """
    with opened_books(settings), transaction():
        if cause not in {problem.cause for problem in problems.open_problems()}:
            raise SettingsInvalid(cause, "no open problem has this cause")
        problems.close_problem(cause, SystemClock().now())


def retry_problem_of(settings: Settings, cause: str) -> None:
    """What it has stopped is due again.

    Raises:
        SettingsInvalid: no open problem has this cause.
        NothingToRetry: trying again would change nothing.
    """
    with opened_books(settings):
        _retry_problem_of(settings, cause)
    log.warning("problem.retried", cause=cause, by=getpass.getuser())


@atomically
def _retry_problem_of(settings: Settings, cause: str) -> None:
    by_cause = {problem.cause: problem for problem in problems.open_problems()}
    if cause not in by_cause:
        raise SettingsInvalid(cause, "no open problem has this cause")
    retrying.retry_problem(by_cause[cause], SystemClock().now(), settings)


def open_messages(settings: Settings, *, held_only: bool) -> list[tuple[Inbox, bool]]:
    """Each with whether a later message about its subject has been handled."""
    with opened_books(settings):
        rows = [] if held_only else inbox.waiting(LISTED_AT_MOST)
        return [(row, inbox.is_overtaken(row)) for row in [*inbox.held(), *rows]]


def retry_held_messages(
    settings: Settings, message_id: str | None, *, overtaken_too: bool
) -> int:
    """Handle them after all: those of one id, or all; how many.

    Raises:
        SettingsInvalid: none is held, or each was overtaken by a later message.
    """
    with opened_books(settings), transaction():
        held = inbox.held(message_id)
        if not held:
            raise SettingsInvalid(message_id or "--all", "no such message is held")
        rows = [row for row in held if overtaken_too or not inbox.is_overtaken(row)]
        if not rows:
            raise SettingsInvalid(
                message_id or "--all",
                "a later message about the subject was handled; --anyway, if it is so",
            )
        retrying.retry_messages(rows, SystemClock().now())
        ids = [row.message_id for row in rows]
    log.warning("messages.retried", messages=ids, by=getpass.getuser())
    return len(rows)


def reject_held_messages(
    settings: Settings, message_id: str | None, cause: str | None, because: str
) -> int:
    """They are not wanted: those of one id, or all that a problem holds; how many.

    Raises:
        SettingsInvalid: none is held.
    """
    with opened_books(settings), transaction():
        rows = inbox.held(message_id) if cause is None else retrying.held_by(cause)
        if not rows:
            raise SettingsInvalid(message_id or "--cause", "no such message is held")
        count = retrying.reject_messages(rows, because, SystemClock().now())
        ids = [row.message_id for row in rows]
    log.warning("messages.rejected", messages=ids, by=getpass.getuser())
    return count


def _workflow(row: tuple[str, Price]) -> str:
    return row[0]


def _price(
    file: Path, line: int, row: Mapping[Any, Any], workflows: set[str]
) -> tuple[str, Price]:
    readers: Mapping[str, Callable[[str], Any]] = {
        "workflow": lambda text: _one_of(text, workflows),
        "sku": filled,
        "effective_on": date.fromisoformat,
        "currency": _currency,
        "unit_amount": _amount,
        "account_code": filled,
        "tax_type": filled,
        "description": text,
    }
    values = {}
    for column, read in readers.items():
        try:
            values[column] = read(_cell(row, column))
        except ValueError as error:
            raise SettingsInvalid(
                f"{file}, line {line}, {column}", str(error)
            ) from None
    return values.pop("workflow"), Price(**values)


def _cell(row: Mapping[Any, Any], column: str) -> str:
    if column == "description":
        if None in row:  # where csv puts what no column is left for
            raise ValueError("a value too many; is a comma in the line not quoted?")
        return (row.get(column) or "").strip()
    if row[column] is None:
        raise ValueError("is missing")
    return str(row[column]).strip()


def _currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", filled(value)):
        raise ValueError(f"{value!r} is no currency code, such as ZAR")
    return value


def _one_of(value: str, known: set[str]) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(sorted(known))}")
    return value


def _amount(text: str) -> Decimal:
    """At most two places: Xero rounds a unit amount to two, and nobody would notice."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount") from None
    if not amount.is_finite() or not 0 <= amount <= DEAREST or amount != cents(amount):
        raise ValueError(f"{text} is no amount with at most two places")
    return amount
