"""Days are the organisation's own: 00:30 in Johannesburg is not yesterday."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.clock import require_utc


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The day in the organisation's zone on which a moment falls."""
    return require_utc(moment).astimezone(zone).date()


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a day of the organisation begins."""
    return require_utc(datetime.combine(day, time.min, tzinfo=zone))


def due_on(sent_on: date, due_days: int) -> date:
    return sent_on + timedelta(days=due_days)
