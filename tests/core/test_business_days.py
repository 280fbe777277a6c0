"""Days are the organisation's own."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.business_days import day_of, due_on, start_of
from core.clock import NaiveTime

JOHANNESBURG = ZoneInfo("Africa/Johannesburg")
AUCKLAND = ZoneInfo("Pacific/Auckland")


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 19, 21, 59, tzinfo=UTC), date(2026, 11, 19)),
        (datetime(2026, 11, 19, 22, 0, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 19, 22, 30, tzinfo=UTC), date(2026, 11, 20)),
    ],
)
def test_midnight_is_the_organisations(moment: datetime, day: date) -> None:
    assert day_of(moment, JOHANNESBURG) == day


def test_a_day_begins_at_its_own_midnight() -> None:
    began = datetime(2026, 11, 19, 22, 0, tzinfo=UTC)
    assert start_of(date(2026, 11, 20), JOHANNESBURG) == began


@given(
    day=st.dates(date(2000, 1, 1), date(2199, 12, 31)),
    zone=st.sampled_from([JOHANNESBURG, AUCKLAND, ZoneInfo("UTC")]),
)
def test_every_day_begins_on_itself(day: date, zone: ZoneInfo) -> None:
    assert day_of(start_of(day, zone), zone) == day


def test_the_due_day_is_counted_from_the_day_of_sending() -> None:
    assert due_on(date(2026, 11, 20), 30) == date(2026, 12, 20)
    assert due_on(date(2028, 2, 28), 1) == date(2028, 2, 29)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(NaiveTime):
        day_of(datetime(2026, 11, 20), JOHANNESBURG)  # noqa: DTZ001 that is the point
