"""What a season costs and when it ends, hour by hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.quota import Limits, QuotaPolicy
from core.seasons.bill import EMAILS, Bill, Block, NeverEnds, Pace, bill

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
ZONE = ZoneInfo("Africa/Johannesburg")

#: As on Xero's Starter tier.
STARTER = QuotaPolicy(Limits(day=1_000))
LIFTED = QuotaPolicy(Limits(minute=None, day=None, app_minute=None))


def pace(policy: QuotaPolicy = STARTER, **changed: object) -> Pace:
    values: dict[str, object] = {
        "now": NOW,
        "zone": ZONE,
        "policy": policy,
        "awaited_per_day": 0,
        "housekeeping_per_day": 0,
    }
    return Pace(**{**values, **changed})  # type: ignore[arg-type]


def renewals(count: int, *, new: bool = False) -> list[Block]:
    """Blocks of fifty, each e-mailed."""
    contacts = {"write_contacts": 1} if new else {}
    return [
        Block(50, {**contacts, "write_invoices": 1, EMAILS: 50})
        for _ in range(count // 50)
    ]


def sent(found: Bill) -> int:
    return sum(hour.calls for hour in found.hours)


def test_a_call_for_fifty_invoices_and_one_for_each_e_mail() -> None:
    found = bill(renewals(10_000), pace())
    assert found.calls == {EMAILS: 10_000, "write_invoices": 200}
    assert found.emails == 10_000
    assert sent(found) == 10_200


def test_every_contact_that_is_made_costs_a_fiftieth_of_a_call() -> None:
    found = bill(renewals(10_000, new=True), pace())
    assert sum(found.calls.values()) - found.emails == 400


def test_no_day_has_more_than_it_leaves_a_season() -> None:
    found = bill(renewals(5_000), pace(awaited_per_day=300, housekeeping_per_day=100))
    by_day: dict[int, int] = {}
    for hour in found.hours:
        day = (hour.begins_at - NOW) // timedelta(days=1)
        by_day[day] = by_day.get(day, 0) + hour.calls
    assert max(by_day.values()) <= 600
    assert found.days_at_best == pytest.approx(5_100 / 600)


def test_it_ends_within_a_day_of_the_best_there_is() -> None:
    given = pace(awaited_per_day=300, housekeeping_per_day=123)
    found = bill(renewals(10_000), given)
    assert found.days_at_best is not None
    assert (found.ends_at - NOW) / timedelta(days=1) <= found.days_at_best + 1


def test_the_first_hours_of_a_day_take_most_of_it() -> None:
    found = bill(renewals(1_000), pace())
    assert found.hours[0].calls >= 700
    assert found.hours[1].calls < 50


def test_what_is_left_of_today_is_all_that_today_has() -> None:
    whole = bill(renewals(900), pace())
    begun = bill(
        renewals(900), pace(day_left=250, day_ends_at=NOW + timedelta(hours=2))
    )
    first_hours = [h for h in begun.hours if h.begins_at < NOW + timedelta(hours=2)]
    assert sum(hour.calls for hour in first_hours) <= 250
    assert begun.ends_at < whole.ends_at  # its next day begins in two hours


def test_a_minute_has_room_for_payments_besides() -> None:
    found = bill(renewals(10_000), pace(QuotaPolicy(Limits(day=None))))
    assert max(hour.calls for hour in found.hours) == 45 * 60


def test_e_mails_of_a_day_are_a_limit_of_their_own() -> None:
    found = bill(renewals(3_000), pace(LIFTED, emails_per_day=950))
    assert found.ends_at - NOW == timedelta(days=3, hours=1)
    assert found.hours[0].emails == 950


def test_e_mails_of_today_count() -> None:
    found = bill(renewals(100), pace(LIFTED, emails_per_day=950, emails_sent=900))
    assert found.hours[0].emails == 50
    assert found.ends_at - NOW == timedelta(days=1, hours=1)


def test_bulk_hours_are_the_organisations() -> None:
    found = bill(renewals(100), pace(LIFTED, hours="20:00-06:00"))
    (hour,) = found.hours
    assert hour.begins_at == datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def test_nothing_goes_out_before_its_day() -> None:
    later = Block(50, {"write_invoices": 1}, date(2026, 12, 1))
    found = bill([*renewals(50), later], pace(LIFTED))
    first, second = found.hours
    assert first.begins_at == NOW
    assert second.begins_at == datetime(2026, 11, 30, 22, 0, tzinfo=UTC)


def test_a_season_to_which_nothing_is_left_never_ends() -> None:
    with pytest.raises(NeverEnds, match="leave a season nothing"):
        bill(renewals(50), pace(awaited_per_day=1_000))


def test_nothing_costs_nothing() -> None:
    found = bill([], pace())
    assert (found.calls, found.hours, found.ends_at) == ({}, [], NOW)


def test_a_days_rows_are_the_sum_of_its_hours() -> None:
    found = bill(renewals(2_000), pace())
    assert sum(calls for _, calls, _, _ in found.days) == sent(found)
    assert sum(count for _, _, _, count in found.days) == 2_000
