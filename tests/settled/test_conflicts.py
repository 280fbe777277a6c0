"""``settled contacts conflicts``: what was overruled, for people and for machines."""

import json

import pytest

from core.agreeing import Edit, Side
from core.clock import SystemClock
from core.db import profiles
from core.db.database import transaction
from core.settings import Settings
from settled.maintenance import migrate_books, opened_books
from tests.settled.command import settled


@pytest.fixture(autouse=True)
def _migrated(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("SETTLED_DATABASE_URL", database_url)
    migrate_books(Settings())


def overrule(member_id: str, edit: Edit) -> None:
    with opened_books(Settings()), transaction():
        now = SystemClock().now()
        profiles.add_edit("main", member_id, f"contact-of-{member_id}", edit, now)


EMAIL = Edit("email", "a@x.org", "platform@x.org", "finance@x.org", Side.PLATFORM)
ADDRESS = Edit("address", None, {"line1": "1 Main Rd"}, {"city": "Paarl"}, Side.XERO)


def test_without_conflicts_there_is_nothing_to_list() -> None:
    listed = settled("contacts", "conflicts")
    assert (listed.code, listed.out) == (0, "none\n")


def test_both_values_and_whose_holds_are_listed() -> None:
    overrule("M-1", EMAIL)
    overrule("M-2", ADDRESS)
    listed = settled("contacts", "conflicts")
    assert listed.code == 0
    _, email, address = listed.out.splitlines()
    for said in ("M-1", "a@x.org", "platform@x.org", "finance@x.org", "platform"):
        assert said in email
    for said in ("M-2", "1 Main Rd", "Paarl", "Xero"):
        assert said in address


def test_one_members_conflicts_as_json() -> None:
    overrule("M-1", EMAIL)
    overrule("M-2", ADDRESS)
    listed = settled("contacts", "conflicts", "--member", "M-2", "--json")
    (found,) = json.loads(listed.out)
    assert found.pop("decided_at")
    assert found == {
        "tenant": "main",
        "member_id": "M-2",
        "contact_id": "contact-of-M-2",
        "field": "address",
        "agreed": None,
        "platform": {"line1": "1 Main Rd"},
        "xero": {"city": "Paarl"},
        "winner": "xero",
    }
