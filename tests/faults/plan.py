"""What shall go wrong, and where: faults that wait for their boundary, in order."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn


class Crash(BaseException):
    """The process ended here, as by kill -9: nothing of it may run any more."""


class Endless(BaseException):
    """It turns in a circle; not an error that the daemon may deal with."""


class Place(StrEnum):
    """A boundary between the daemon and the world."""

    WRITE = "write"  # a call that changes something in Xero
    LOOK = "look"  # a call that reads
    TOKEN = "token"  # noqa: S105 the token endpoint
    COMMIT = "commit"  # the end of a transaction
    REDIS = "redis"  # a command, or a pipeline of them


#: What can become of a call to Xero.
CALL_FAULTS = (
    "refused",  # no connection
    "lost",  # sent, never arrived, no answer within the timeout
    "reset_before",  # the connection broke before Xero did anything
    "reply_lost",  # done, and no answer within the timeout
    "reset_after",  # done, and the connection broke
    "half_reply",  # done, and half of the answer came
    "reordered",  # done, and the elements come in another order
    "500_before",
    "500_after",
    "503",
    "429_minute",
    "429_day",
    "429_concurrent",
    "429_appminute",
    "401",
    "slow_before",
    "slow_after",
    "crash_before",
    "crash_after",
    "frozen_before",  # stopped for longer than its lease, then continued
    "frozen_after",
    "frozen_long_before",  # stopped for longer than the key lives
    "frozen_long_after",
)

COMMIT_FAULTS = ("crash_before", "crash_after", "locked")

REDIS_FAULTS = ("crash_before", "crash_after", "away_before", "away_after")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        place: the boundary at which it waits.
        number: at the how manieth such boundary from now on; the first is 1.
        what: one of the faults of this place.
    """

    place: Place
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.place}.{self.number}.{self.what}"


class Plan:
    """The faults of one scenario. The next one waits only when the last one struck.

    Attributes:
        met: the boundaries that were reached since the last fault struck.
    """

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._waiting = deque(faults)
        self.met: Counter[Place] = Counter()
        self.struck: list[Fault] = []

    def meet(self, place: Place) -> str:
        """A boundary is reached: what goes wrong here, empty for nothing."""
        self.met[place] += 1
        if not self._waiting or self._waiting[0].place is not place:
            return ""
        if self.met[place] < self._waiting[0].number:
            return ""
        fault = self._waiting.popleft()
        self.met.clear()
        self.struck.append(fault)
        return fault.what


class Life:
    """Whether the process that runs now is alive."""

    def __init__(self) -> None:
        self.has_ended = False
        self.plan = Plan()

    def end(self) -> NoReturn:
        self.has_ended = True
        raise Crash

    def require(self) -> None:
        """At every boundary: a dead process reaches none."""
        if self.has_ended:
            raise Crash
