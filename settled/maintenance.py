"""Commands that look at the books or change what is not money."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from typing import Any

from core import reference_data
from core.clock import SystemClock
from core.db import problems, reference
from core.db.database import close_books, migrate, open_books, transaction
from core.db.models import Problem
from core.drafts import Price
from core.errors import SettingsInvalid
from core.registry import Registry
from core.settings import Settings
from settled.stores import Stores

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


@contextmanager
def opened_books(settings: Settings) -> Iterator[None]:
    stores = Stores(settings)
    stores.open_books()
    try:
        yield
    finally:
        stores.close()


def migrate_books(settings: Settings) -> list[str]:
    """Apply what is pending; the names of the scripts."""
    given = settings.database_url
    if given is None:
        # Our own SQLite: opening it is migrating it, so look before.
        folder = settings.data_folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        open_books(f"sqlite:///{folder / 'books.db'}")
    else:
        open_books(given.get_secret_value())
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
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        missing = set(COLUMNS) - {"description"} - set(reader.fieldnames or ())
        if missing:
            raise SettingsInvalid(str(file), f"lacks the column {sorted(missing)[0]}")
        return [_price(file, reader.line_num, row, workflows) for row in reader]


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


def _workflow(row: tuple[str, Price]) -> str:
    return row[0]


def _price(
    file: Path, line: int, row: Mapping[str, str], workflows: set[str]
) -> tuple[str, Price]:
    column = "workflow"
    try:
        workflow = _one_of(row[column], workflows)
        column = "effective_on"
        effective_on = date.fromisoformat(row[column])
        column = "unit_amount"
        unit_amount = _amount(row[column])
        for column in ("sku", "currency", "account_code", "tax_type"):
            _filled(row[column])
    except (ValueError, TypeError) as error:
        raise SettingsInvalid(f"{file}, line {line}, {column}", str(error)) from None
    return workflow, Price(
        sku=row["sku"].strip(),
        effective_on=effective_on,
        currency=row["currency"].strip(),
        unit_amount=unit_amount,
        account_code=row["account_code"].strip(),
        tax_type=row["tax_type"].strip(),
        description=(row.get("description") or "").strip(),
    )


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
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
    if (
        not amount.is_finite()
        or amount < 0
        or amount != amount.quantize(Decimal("0.01"))
    ):
        raise ValueError(f"{text} is no amount with at most two places")
    return amount
