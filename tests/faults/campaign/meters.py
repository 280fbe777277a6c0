"""How soon other work flows again, what a kill strands, and when that is settled."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sandbox.platform import Received
from tests.faults.campaign.books import Books
from tests.faults.campaign.plan import Kind

#: What shows that work goes on.
PROGRESS = frozenset({"invoice.raised", "invoice.emailed"})

#: While one of these lasts nothing can flow, whatever else has happened.
OUTAGES = frozenset(
    {
        Kind.REDIS,
        Kind.REDIS_FLUSH,
        Kind.REDIS_OLDER,
        Kind.POSTGRES,
        Kind.XERO_GONE,
        Kind.SQLITE_LOCK,
        Kind.DISK_FULL,
    }
)

#: From docs/write-protocol.md: a process is presumed dead after so long a silence; the
#: same bytes may be sent again in the first five minutes, and a look is due after
#: 8 min 10 s.
SILENT_AFTER = timedelta(seconds=5)
KEY_IS_GOOD_FOR = timedelta(minutes=5)
KEY_IS_OVER_AFTER = timedelta(minutes=8, seconds=10)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_OPEN = "SELECT id, kind, sent_at FROM intent WHERE state = 'open' AND holder LIKE ?"
_STATE = "SELECT state, reason FROM intent WHERE id = ?"
_NUMBERS = (
    "SELECT invoice.number FROM write JOIN invoice ON invoice.id = write.invoice_id"
    " WHERE write.intent_id = ?"
)

#: When it was written down, when it came, and about which invoice.
Progress = tuple[datetime, datetime, str]


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 a person's watch beside the daemon


@dataclass(slots=True)
class Strand:
    """An intent that was under way when its process was killed or frozen."""

    intent: int
    kind: str
    numbers: frozenset[str]
    sent_at: datetime | None
    stranded_at: datetime
    settled_at: datetime | None = None
    reason: str = ""

    @property
    def late_s(self) -> float | None:
        """Seconds from when it could be settled until it was; None: not yet.

        While its key is good that is when its process was presumed dead; an answer
        that Xero may have cached makes it wait for the end of the key.
        """
        if self.settled_at is None:
            return None
        may_at = self.stranded_at + SILENT_AFTER
        sent_at = self.sent_at or self.stranded_at
        if self.settled_at - sent_at > KEY_IS_GOOD_FOR:
            may_at = max(may_at, sent_at + KEY_IS_OVER_AFTER)
        return max((self.settled_at - may_at).total_seconds(), 0.0)


@dataclass(slots=True)
class Blow:
    """A fault as it fell, and what it stranded.

    Args:
        under_way: how many workflows were.
    """

    kind: Kind
    at: datetime
    right_at: datetime
    under_way: int = 0
    who: str = ""
    strands: list[Strand] = field(default_factory=list)

    @property
    def stranded(self) -> frozenset[str]:
        """The invoices in the calls that it stranded: not other work."""
        return frozenset().union(*(strand.numbers for strand in self.strands))


class Strands:
    """Watches what kills have left behind."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.all: list[Strand] = []

    def of(self, pid: int, at: datetime) -> list[Strand]:
        """What this process had under way; asked for at once after its death."""
        rows = self.books.rows(_OPEN, f"%-{pid}-%") or ()
        found = [
            Strand(intent, kind, self._numbers(intent), _moment(sent_at), at)
            for intent, kind, sent_at in rows
        ]
        self.all.extend(found)
        return found

    def look(self) -> None:
        """Note which have been settled since the last look."""
        for strand in self.all:
            if strand.settled_at is None:
                for state, reason in self.books.rows(_STATE, strand.intent) or ():
                    if state in ("done", "released"):
                        strand.settled_at, strand.reason = now(), reason

    def _numbers(self, intent: int) -> frozenset[str]:
        rows = self.books.rows(_NUMBERS, intent) or ()
        return frozenset(number for (number,) in rows if number)


def flow_gaps(
    blows: Sequence[Blow], received: Sequence[Received]
) -> list[tuple[Blow, float | None]]:
    """For each blow, seconds until other work had come through from beginning to end.

    Counted from when the fault was right again (at once, for a kill) until a message
    arrived that the daemon wrote down after that, about an invoice that the fault had
    not stranded; without the time of the outages in which it fell, or that fell on it.
    None: none came any more.
    """
    progress = [
        (datetime.fromisoformat(one.message["time"]), one.arrived_at, _number(one))
        for one in received
        if one.type in PROGRESS
    ]
    progress.sort(key=_arrived_at)
    outages = sorted((o.at, o.right_at) for o in blows if o.kind in OUTAGES)
    return [(blow, _gap(blow, outages, progress)) for blow in blows]


def _arrived_at(progress: Progress) -> datetime:
    return progress[1]


def _gap(
    blow: Blow,
    outages: Sequence[tuple[datetime, datetime]],
    progress: Sequence[Progress],
) -> float | None:
    stranded, right_at = blow.stranded, blow.right_at
    for began, ended in outages:
        if began <= right_at <= ended:
            right_at = ended
    first = bisect_right(progress, right_at, key=_arrived_at)
    for written_at, arrived_at, number in progress[first:]:
        if written_at > right_at and number not in stranded:
            away = _away(right_at, arrived_at, outages)
            return (arrived_at - right_at - away).total_seconds()
    return None


def _away(
    since: datetime, until: datetime, outages: Sequence[tuple[datetime, datetime]]
) -> timedelta:
    """How much of this time there was an outage."""
    away, counted = timedelta(), since
    for began, ended in outages:
        began, ended = max(began, counted), min(ended, until)
        if ended > began:
            away += ended - began
            counted = ended
    return away


def _number(received: Received) -> str:
    return str(received.message["data"]["invoice"]["number"])


def _moment(microseconds: int | None) -> datetime | None:
    """As the books keep it: since 1970."""
    if microseconds is None:
        return None
    return _EPOCH + timedelta(microseconds=microseconds)
