"""What goes wrong, when, and to whom: decided by the seed before anything starts."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """One way in which things go wrong."""

    KILL = "kill"  # a worker ends without a word
    KILL_OTHER = "kill_other"  # so does a process of another role
    STOP = "stop"  # a worker is frozen for longer than its lease, and goes on
    REDIS = "redis"  # Redis is killed, and comes back with what it had written
    REDIS_FLUSH = "redis_flush"  # Redis forgets everything
    REDIS_OLDER = "redis_older"  # Redis comes back as it was a while ago
    POSTGRES = "postgres"  # PostgreSQL is ended, in good order or not, and comes back
    XERO_GONE = "xero_gone"  # Xero closes every connection
    CLOCK = "clock"  # Xero's clock jumps ahead
    THRICE = "thrice"  # messages and webhooks come three times and out of order
    SQLITE_LOCK = "sqlite_lock"  # somebody else holds the write lock
    DISK_FULL = "disk_full"  # no byte is left for the database


#: From the shortest to the longest that each lasts, in seconds; the others are over at
#: once. A worker is presumed dead after 5 s of silence, and it was heard up to a second
#: before it was frozen.
LASTS_S: Mapping[Kind, tuple[float, float]] = {
    Kind.STOP: (6.0, 9.0),
    Kind.REDIS: (0.1, 1.5),
    Kind.REDIS_OLDER: (0.1, 1.5),
    Kind.POSTGRES: (0.0, 0.5),
    Kind.XERO_GONE: (60.0, 60.0),
    Kind.THRICE: (10.0, 20.0),
    Kind.SQLITE_LOCK: (10.0, 10.0),
    Kind.DISK_FULL: (5.0, 10.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Args:
        at_s: seconds after the first message.
        pick: in [0, 1), which of those whom it may hit.
        lasts_s: until it is right again.
    """

    at_s: float
    kind: Kind
    pick: float
    lasts_s: float


def plan(seed: int, counts: Mapping[Kind, int], length_s: float) -> list[Fault]:
    """Each kind spread evenly over the length, each at a random moment of its share."""
    chance = random.Random(seed)  # noqa: S311 must be repeatable
    faults = []
    for kind in Kind:
        count = counts.get(kind, 0)
        for place in range(count):
            at_s = (place + chance.random()) / count * length_s
            lasts_s = chance.uniform(*LASTS_S.get(kind, (0.0, 0.0)))
            faults.append(Fault(at_s, kind, chance.random(), lasts_s))
    return sorted(faults, key=lambda fault: fault.at_s)
