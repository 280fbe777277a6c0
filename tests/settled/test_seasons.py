"""``settled plan``, ``season``, ``quota`` and ``emails``, on books without a daemon."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.db import emails, reference, seasons, switches
from core.db.database import transaction
from core.email_writes import EMAILS_PAUSED
from core.mirror import LOADED
from core.settings import Settings
from settled.cli import SOMETHING_WRONG, UNREACHABLE, UNUSABLE, USAGE
from settled.maintenance import import_price_file, migrate_books, opened_books
from tests.messages import Data, renewal_due
from tests.settled.command import Ended, settled
from tests.world import PRICES_CSV

NOW = SystemClock().now()

ORGANISATION = {"Name": "Institute", "BaseCurrency": "ZAR"}
ACCOUNTS = [
    {"Code": code, "Name": "Fees", "Status": "ACTIVE", "Type": "REVENUE"}
    for code in ("200", "230")
]
RATES = [
    {"TaxType": "OUTPUT3", "Name": "VAT", "EffectiveRate": "15", "Status": "ACTIVE"}
]


@pytest.fixture(autouse=True)
def stores(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str, here: Path
) -> None:
    """Of a body whose daemon has read its Xero."""
    monkeypatch.setenv("SETTLED_DATABASE_URL", database_url)
    monkeypatch.setenv("SETTLED_REDIS_URL", redis_url)
    migrate_books(Settings())
    prices = here / "prices.csv"
    prices.write_text(PRICES_CSV, encoding="utf-8")
    import_price_file(Settings(), prices)
    with opened_books(Settings()), transaction():
        reference.put_tenant("main", "x-tenant", "Institute", NOW)
        for kind, body in (
            ("organisation", [ORGANISATION]),
            ("accounts", ACCOUNTS),
            ("tax_rates", RATES),
            (LOADED, True),
        ):
            reference.put_reference("main", kind, body, NOW)


def season_file(here: Path, *asked: Data) -> str:
    file = here / "season.jsonl"
    lines = [json.dumps(one) for one in asked or [renewal_due() for _ in range(60)]]
    file.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return str(file)


def planned(here: Path, file: str, *options: str) -> Any:
    out = here / "plan.json"
    settled("plan", file, "--json", str(out), *options)
    return json.loads(out.read_text())


def started(here: Path, name: str = "2027") -> Ended:
    file = season_file(here)
    digest = planned(here, file)["digest"]
    ended = settled("season", "run", file, "--name", name, "--plan", digest)
    assert ended.code == 0, ended.err
    return ended


def shown(name: str = "2027") -> Any:
    return json.loads(settled("season", "show", name, "--json").out)


# -- plan ------------------------------------------------------------------------------


def test_a_plan_is_shown_with_its_bill(here: Path) -> None:
    ended = settled("plan", season_file(here))
    assert ended.code == 0, ended.err
    for each in ("invoice", "60", "write_emails", "ends", "217350.00 ZAR"):
        assert each in ended.out


def test_a_plan_as_json_has_every_message_and_every_hour(here: Path) -> None:
    found = planned(here, season_file(here), "--awaited-per-day", "300")
    assert found["calls"] == {
        "write_contacts": 2,
        "write_emails": 60,
        "write_invoices": 2,
    }
    assert found["calls_in_all"] == 64
    assert len(found["messages"]) == 60
    assert sum(hour["calls"] for hour in found["hours"]) == 64
    assert found["awaited_per_day"] == 300
    assert found["messages"][0]["lines"][0]["account_code"] == "200"


def test_obstacles_are_listed_and_told_by_the_exit_code(here: Path) -> None:
    file = season_file(here, renewal_due(), renewal_due(category="astronaut"))
    table = here / "plan.csv"
    ended = settled("plan", file, "--csv", str(table))
    assert ended.code == SOMETHING_WRONG
    assert "1 rejected" in ended.out
    assert "data.category" in ended.out
    with table.open(encoding="utf-8-sig") as lines:
        first, second = csv.DictReader(lines)
    assert (first["obstacle"], second["obstacle"]) == ("", "rejected")
    assert second["field"] == "data.category"


def test_a_plan_writes_nothing(here: Path) -> None:
    planned(here, season_file(here))
    with opened_books(Settings()):
        assert seasons.everything("main") == []
        assert emails.in_a_day("main", NOW) == 0


def test_an_empty_file_is_refused(here: Path) -> None:
    file = here / "empty.jsonl"
    file.write_text("\n\n")
    ended = settled("plan", str(file))
    assert (ended.code, "there is no message in it" in ended.line) == (UNUSABLE, True)


def test_an_organisation_that_is_not_connected_is_named(here: Path) -> None:
    file = season_file(here)
    tables = here / "settled.toml"
    tables.write_text("[tenants.main]\n[tenants.other]\n")
    ended = settled("plan", file, "--tenant", "other")
    assert ended.code == UNREACHABLE
    assert "other is not connected to Xero" in ended.line


def test_limits_that_leave_nothing_are_named(here: Path) -> None:
    (here / "settled.toml").write_text("[quota]\nday = 100\nawaited_per_day = 100\n")
    ended = settled("plan", season_file(here))
    assert ended.code == SOMETHING_WRONG
    assert "leave a season nothing" in ended.err


# -- season ----------------------------------------------------------------------------


def test_what_was_planned_is_started(here: Path) -> None:
    ended = started(here)
    assert ended.out.startswith("2027 goes out; it should end ")
    found = shown()
    assert (found["state"], found["items"]) == ("running", {"waiting": 60})
    assert found["planned"]["calls"]["write_emails"] == 60
    assert "2027" in settled("season", "list").out
    assert "running" in settled("season", "show", "2027").out


def test_another_plan_than_the_one_looked_at_is_refused(here: Path) -> None:
    file = season_file(here)
    ended = settled("season", "run", file, "--name", "2027", "--plan", "0123456789ab")
    assert ended.code == SOMETHING_WRONG
    assert "look at it again with `settled plan`" in ended.line
    with opened_books(Settings()):
        assert seasons.everything("main") == []


def test_a_season_is_paused_and_resumed(here: Path) -> None:
    started(here)
    assert settled("season", "pause", "2027").code == 0
    assert shown()["state"] == "paused"
    again = settled("season", "pause", "2027")
    assert (again.code, again.line) == (
        SOMETHING_WRONG,
        "settled: season 2027 is paused",
    )
    assert settled("season", "resume", "2027").code == 0
    assert shown()["state"] == "running"


@pytest.mark.parametrize("how", ["cancel", "void"])
def test_ending_a_season_must_be_meant(here: Path, how: str) -> None:
    started(here)
    assert settled("season", how, "2027").code == USAGE
    ended = settled("season", how, "2027", "--yes")
    assert ended.code == 0
    assert "not sent out" in ended.out
    assert shown()["items"] == {"cancelled": 60}


def test_a_season_that_does_not_exist_is_named() -> None:
    ended = settled("season", "show", "2030")
    assert (ended.code, ended.line) == (
        SOMETHING_WRONG,
        "settled: there is no season 2030",
    )
    assert settled("season", "list").out.strip() == "none"


# -- quota, e-mails --------------------------------------------------------------------


def test_what_is_left_is_shown() -> None:
    ended = settled("quota", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["calls_a_day"] == 5_000
    assert found["emails_a_day"] == 1_000
    assert found["left_of_the_day"] is None  # nothing was ever called
    assert found["kept_for_payments"] > 1_000
    assert "calls a day" in settled("quota").out


def test_e_mails_are_paused_and_resumed() -> None:
    def is_paused() -> bool:
        with opened_books(Settings()):
            return switches.on_since("main", EMAILS_PAUSED, NOW) is not None

    assert settled("emails", "pause").code == 0
    assert is_paused()
    assert settled("emails", "resume").out == "e-mails go on\n"
    assert not is_paused()
    assert settled("emails", "resume").out == "e-mails were not paused\n"
