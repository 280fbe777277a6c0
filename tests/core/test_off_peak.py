"""The hours in which bulk may call Xero."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.off_peak import opens_at, read_hours

ZONE = ZoneInfo("Africa/Johannesburg")  # two hours ahead


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 20, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        ("20:00-06:00", at(17, 59), at(18)),
        ("20:00-06:00", at(18), None),
        ("20:00-06:00", at(3, 59), None),
        ("20:00-06:00", at(4), at(18)),
        ("08:00-12:00", at(5, 59), at(6)),
        ("08:00-12:00", at(6), None),
        ("08:00-12:00", at(10), datetime(2026, 11, 21, 6, tzinfo=UTC)),
        ("00:00-06:00", at(22, 30), None),
    ],
)
def test_the_window_is_of_the_organisations_day(
    window: str, now: datetime, opens: datetime | None
) -> None:
    assert opens_at(window, ZONE, now) == opens


def test_a_change_of_summer_time_moves_the_window() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before, after = at(20), datetime(2027, 4, 20, 20, tzinfo=UTC)
    assert opens_at("23:00-23:59", berlin, before) == at(22)
    assert opens_at("23:00-23:59", berlin, after) == after.replace(hour=21)


@pytest.mark.parametrize("window", ["8-12", "20:00", "25:00-26:00", "08:00-08:00", ""])
def test_what_is_no_window_is_refused(window: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 time's own words, or ours
        read_hours(window)
