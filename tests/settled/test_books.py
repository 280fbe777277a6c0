"""Commands that look at the books: migrate, plugins, accounts, problems."""

from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.db import problems, reference
from core.db.database import MIGRATIONS, transaction
from core.settings import Settings
from settled.cli import SOMETHING_WRONG, UNUSABLE
from settled.maintenance import migrate_books, opened_books
from tests.settled.command import settled

ACCOUNTS = [
    {"Code": "200", "Name": "Sales [/membership]", "Type": "REVENUE"},
    {"Name": "Cash [zar]", "Type": "BANK"},
]
TAX_RATES = [{"TaxType": "OUTPUT3", "Name": "VAT [15%]", "EffectiveRate": 15}]


SCRIPTS = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
APPLIED = "".join(f"{script}\n" for script in SCRIPTS)


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Books of the kind that SETTLED_TEST_DATABASE names; commands find them."""
    monkeypatch.setenv("SETTLED_DATABASE_URL", database_url)
    migrate_books(Settings())


@pytest.fixture
def connected(migrated: None) -> None:
    """As after a consent and the first reads."""
    now = SystemClock().now()
    kinds: dict[str, list[Any]] = {
        "organisation": [{"Name": "SAIT"}],
        "accounts": ACCOUNTS,
        "tax_rates": TAX_RATES,
    }
    with opened_books(Settings()), transaction():
        reference.put_tenant("main", "x-tenant", "SAIT", now)
        for kind, body in kinds.items():
            reference.put_reference("main", kind, body, now)


def open_problem(cause: str, title: str) -> None:
    with opened_books(Settings()), transaction():
        now = SystemClock().now()
        problems.open_problem("lane_failed", cause, title, now)


# -- migrate -------------------------------------------------------------------------


def test_migrating_twice_finds_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("SETTLED_DATABASE_URL", database_url)
    first, second = settled("migrate"), settled("migrate")
    assert (first.code, first.out) == (0, APPLIED)
    assert (second.code, second.out) == (0, "nothing to do\n")


def test_without_a_database_url_the_books_are_in_the_data_folder(here: Path) -> None:
    assert settled("migrate").out == APPLIED
    assert (here / "data" / "books.db").is_file()
    assert (here / "data").stat().st_mode & 0o077 == 0
    assert settled("migrate").out == "nothing to do\n"


def test_a_shared_database_is_not_migrated_by_the_way(
    monkeypatch: pytest.MonkeyPatch, postgres_server: Any
) -> None:
    with postgres_server.database() as url:
        monkeypatch.setenv("SETTLED_DATABASE_URL", url)
        ended = settled("prices", "list")
        assert ended.code == UNUSABLE
        assert ended.line.endswith(f"lacks {', '.join(SCRIPTS)}; run `settled migrate`")
        assert settled("migrate").code == 0
        assert settled("prices", "list").code == 0


# -- plugins -------------------------------------------------------------------------


def test_plugins_are_listed_with_what_they_take_and_ask() -> None:
    said = settled("plugins")
    assert said.code == 0
    heading, *rows = said.out.splitlines()
    assert heading.split("  ")[0].strip() == "workflow"
    words = " ".join(rows).split()
    assert words[0] == "membership"
    assert {"membership.renewal_due", "membership.cancelled"} <= set(words)
    assert {"membership.renew", "membership.suspend"} <= set(words)


# -- accounts ------------------------------------------------------------------------


def test_accounts_and_tax_rates_are_listed_as_xero_calls_them(connected: None) -> None:
    said = settled("accounts")
    assert (said.code, said.err) == (0, "")
    for words in ("200", "Sales [/membership]", "Cash [zar]", "OUTPUT3", "VAT [15%]"):
        assert words in said.out


def test_before_anything_was_read_accounts_say_what_to_do(migrated: None) -> None:
    ended = settled("accounts")
    assert ended.code == UNUSABLE
    assert ended.line == (
        "settled: tenants.main: nothing has been read from Xero yet; connect and run"
    )


# -- problems ------------------------------------------------------------------------


def test_no_problem_is_no_error(migrated: None) -> None:
    said = settled("problems", "list")
    assert (said.code, said.out) == (0, "none\n")


def test_an_open_problem_is_listed_until_it_is_closed(migrated: None) -> None:
    open_problem("lane:main:invoices", "invoices: 403 [/forbidden]")
    said = settled("problems", "list")
    assert said.code == SOMETHING_WRONG
    assert "lane:main:invoices" in said.out
    assert "invoices: 403 [/forbidden]" in said.out
    closed = settled("problems", "close", "lane:main:invoices")
    assert (closed.code, closed.out) == (0, "closed: lane:main:invoices\n")
    assert settled("problems", "list").out == "none\n"


def test_closing_what_is_not_open_is_an_error(migrated: None) -> None:
    ended = settled("problems", "close", "nobody's")
    assert ended.code == UNUSABLE
    assert ended.line == "settled: nobody's: no open problem has this cause"
