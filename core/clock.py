"""The one clock. Everything that asks what time it is asks this."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol

from core.errors import SettledError


class Clock(Protocol):
    """Time as the daemon knows it; a rehearsal hands in a virtual one."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for the event, at most so many seconds of this clock.

        Returns:
            Whether the event is set.
        """
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 the one place that may

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def require_utc(moment: datetime) -> datetime:
    """The same moment in UTC; a naive one is a bug and is refused."""
    if moment.tzinfo is None:
        raise NaiveTime(moment)
    return moment.astimezone(UTC)


class NaiveTime(SettledError):
    """A time without a zone came where a moment is needed."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(f"{moment.isoformat()} has no time zone")
