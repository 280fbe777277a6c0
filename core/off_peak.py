"""The hours of a day in which bulk may call Xero: ``20:00-06:00``."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.clock import require_utc

_HOURS = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")


def read_hours(window: str) -> tuple[time, time]:
    """From when until when; the end may be on the next day.

    Raises:
        ValueError: it is no such window, or an empty one.
    """
    found = _HOURS.fullmatch(window)
    if found is None:
        raise ValueError("must be two times of a day, such as 20:00-06:00")
    begins, ends = (time.fromisoformat(each) for each in found.groups())
    if begins == ends:
        raise ValueError("begins when it ends: leave it out to allow every hour")
    return begins, ends


def opens_at(window: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the window opens next; None: it is open."""
    begins, ends = read_hours(window)
    here = require_utc(now).astimezone(zone)
    at = here.time()
    is_open = begins <= at < ends if begins < ends else at >= begins or at < ends
    if is_open:
        return None
    day = here.date() if at < begins else here.date() + timedelta(days=1)
    return require_utc(datetime.combine(day, begins, tzinfo=zone))
