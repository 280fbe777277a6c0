import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from sandbox import Sandbox
from sandbox.platform import Season

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def season() -> Season:
    return Season(400, 7, now=NOW)


def test_a_seed_gives_the_same_season_everywhere(season: Season) -> None:
    twin = Season(400, 7, now=NOW)
    assert twin.messages == season.messages
    assert twin.wishes == season.wishes
    assert twin.existing_contacts == season.existing_contacts


def test_another_seed_gives_another_season(season: Season) -> None:
    assert Season(400, 8, now=NOW).messages != season.messages


def test_every_member_is_asked_once(season: Season) -> None:
    asked: Counter[str] = Counter()
    for message in season.messages:
        for item in message["data"].get("items", [message["data"]]):
            asked[item["member"]["id"]] += 1
    assert asked == {m.member_id: 1 for m in season.members}


def test_messages_are_cloud_events(season: Season) -> None:
    assert len({m["id"] for m in season.messages}) == len(season.messages)
    for message in season.messages:
        assert message["specversion"] == "1.0"
        assert message["source"] == "/platform"
        assert message["type"] == "membership.renewal_due"
        assert message["time"] == "2026-11-20T08:00:00Z"


def test_employers_pay_for_two_to_four(season: Season) -> None:
    groups = [m for m in season.messages if "items" in m["data"]]
    assert groups
    for group in groups:
        assert set(group["data"]) == {"bill_to", "items"}
        assert group["subject"].startswith("renewals-2027-")
        assert 2 <= len(group["data"]["items"]) <= 4
        for item in group["data"]["items"]:
            assert set(item) == {
                "subject",
                "member",
                "membership_id",
                "category",
                "period",
            }


def test_names_are_south_african(season: Season) -> None:
    names = [m.name for m in season.members]
    assert any("'" in name for name in names)
    assert any(not name.isascii() for name in names)
    assert any("van der Merwe" in name or "du Plessis" in name for name in names)
    assert any("-" in name for name in names)
    assert len(set(names)) < len(names)


def test_addresses_are_plain_and_some_are_shared(season: Season) -> None:
    emails = Counter(m.email for m in season.members)
    assert all(email.isascii() for email in emails)
    assert max(emails.values()) > 1
    for email, count in emails.items():
        family = [m.first_name for m in season.members if m.email == email]
        assert len(set(family)) == count


@pytest.mark.parametrize(
    ("category", "total"),
    [
        ("tax_practitioner", "3622.50"),
        ("tax_technician", "2173.93"),
        ("master", "5020.79"),
        ("student", "397.70"),
        ("honorary", "0.00"),
    ],
)
def test_wishes_are_what_the_price_table_says(
    season: Season, category: str, total: str
) -> None:
    wish = next(
        season.wish(m["id"])
        for m in season.messages
        if m["data"].get("category") == category
    )
    assert Decimal(wish["total"]) == Decimal(total)
    assert wish["expect"] == ("free" if category == "honorary" else "invoice")
    assert wish["currency"] == "ZAR"


def test_prices_follow_the_day_of_the_message() -> None:
    early = Season(30, 7, now=datetime(2025, 6, 1, tzinfo=UTC))
    late = Season(30, 7, now=datetime(2026, 6, 1, tzinfo=UTC))
    assert early.wishes != late.wishes


def test_a_price_begins_at_midnight_in_south_africa() -> None:
    before = Season(30, 7, now=datetime(2025, 12, 31, 21, 59, tzinfo=UTC))
    after = Season(30, 7, now=datetime(2025, 12, 31, 22, 0, tzinfo=UTC))
    assert [w["total"] for w in before.wishes] != [w["total"] for w in after.wishes]


def test_a_group_costs_the_sum_of_its_lines(season: Season) -> None:
    single = {
        m["data"]["category"]: Decimal(season.wish(m["id"])["total"])
        for m in season.messages
        if "category" in m["data"]
    }
    for message in season.messages:
        if items := message["data"].get("items"):
            total = Decimal(season.wish(message["id"])["total"])
            assert total == sum(single[item["category"]] for item in items)


def test_the_price_table_can_be_imported(season: Season) -> None:
    header, *rows = season.prices_csv().splitlines()
    assert header == (
        "workflow,sku,effective_on,currency,unit_amount,"
        "account_code,tax_type,description"
    )
    assert (
        "membership,student,2026-01-01,ZAR,345.83,200,OUTPUT3,"
        "Student: annual membership"
    ) in rows


def test_some_members_are_in_xero_already(season: Season, xero: Sandbox) -> None:
    share = len(season.existing_contacts) / len(season.members)
    assert 0.25 < share < 0.45
    ways = Counter(
        next((k for k in ("ContactNumber", "AccountNumber") if k in c), "EmailAddress")
        for c in season.existing_contacts
    )
    assert len(ways) == 3
    ids = xero.control.seed_contacts(season.existing_contacts)
    assert len(ids) == len(season.existing_contacts)


def test_no_contact_is_ambiguous_unless_asked_for(season: Season) -> None:
    assert {w["expect"] for w in season.wishes} == {"invoice", "free"}
    ambiguous = Season(50, 7, now=NOW, ambiguous=3)
    held = [w for w in ambiguous.wishes if w["expect"] == "hold"]
    assert len(held) == 3
    for wish in held:
        claims = [
            c
            for c in ambiguous.existing_contacts
            if c.get("AccountNumber") == wish["member_id"]
        ]
        assert len(claims) == 2


def test_again_is_the_same_season_under_new_ids(season: Season) -> None:
    again = season.again()
    for old, new in zip(season.messages, again.messages, strict=True):
        assert old["id"] != new["id"]
        assert {**old, "id": 0} == {**new, "id": 0}
        assert again.wish(new["id"])["total"] == season.wish(old["id"])["total"]
    assert again.again().messages[0]["id"] != again.messages[0]["id"]


def test_bad_messages_are_bad_in_different_ways(season: Season) -> None:
    reasons = {bad.why: bad for bad in season.bad_messages}
    assert set(reasons) == {
        "not JSON",
        "not an object",
        "unknown type",
        "missing field",
        "wrong type",
        "bad date",
        "negative amount",
        "huge",
    }
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(reasons["not JSON"].raw)
    assert len(reasons["huge"].raw) > 2 * 1024 * 1024
    assert reasons["bad date"].field == "data.period.to"


def test_seasons_may_be_tiny() -> None:
    assert Season(0, 1, now=NOW).messages == []
    assert len(Season(1, 1, now=NOW).messages) == 1
