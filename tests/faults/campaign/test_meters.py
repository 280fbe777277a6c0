"""The meters: what counts as other work, and from when a wait is counted."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.platform import Received
from tests.faults.campaign.meters import Blow, Strand, flow_gaps
from tests.faults.campaign.plan import Kind

START = datetime(2026, 11, 21, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def raised(written_s: float, arrived_s: float, number: str) -> Received:
    message = {
        "type": "invoice.raised",
        "time": at(written_s).isoformat(),
        "data": {"invoice": {"number": number}},
    }
    return Received(message, at(arrived_s))


def kill(seconds: float, *stranded: str) -> Blow:
    strand = Strand(1, "invoices", frozenset(stranded), at(seconds), at(seconds))
    return Blow(Kind.KILL, at(seconds), at(seconds), strands=[strand])


def test_only_other_work_that_was_done_afterwards_counts() -> None:
    received = [
        raised(9, 11, "committed before"),
        raised(11, 12, "stranded"),
        raised(12, 13.5, "other"),
    ]
    blow = kill(10, "stranded")
    assert flow_gaps([blow], received) == [(blow, 3.5)]
    assert flow_gaps([blow], received[:2]) == [(blow, None)]


def test_a_kill_in_an_outage_is_counted_from_its_end() -> None:
    outage = Blow(Kind.REDIS, at(8), at(12))
    blow = kill(10)
    gaps = flow_gaps([outage, blow], [raised(11, 11, "a"), raised(13, 14, "b")])
    assert gaps == [(outage, 2.0), (blow, 2.0)]


def test_a_kill_in_the_freeze_of_another_is_counted_from_itself() -> None:
    """The others go on meanwhile."""
    freeze = Blow(Kind.STOP, at(8), at(16))
    blow = kill(10)
    gaps = flow_gaps([freeze, blow], [raised(17, 17.5, "a")])
    assert gaps == [(freeze, 1.5), (blow, 7.5)]


def test_outages_that_follow_each_other_are_not_counted() -> None:
    blows = [
        Blow(Kind.XERO_GONE, at(0), at(60)),
        Blow(Kind.SQLITE_LOCK, at(61), at(71)),
        Blow(Kind.DISK_FULL, at(70), at(80)),
    ]
    gaps = flow_gaps(blows, [raised(81, 82, "a")])
    assert [seconds for _, seconds in gaps] == [3.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("settled_s", "late_s"),
    [
        (4, 0),  # by a look at the dead of the same host
        (35, 30),  # its process is presumed dead after five seconds
        (299, 294),
        (500, 10),  # in the life of the key it had to wait: until 490 s
    ],
)
def test_late_is_what_goes_beyond_the_life_of_the_key(
    settled_s: float, late_s: float
) -> None:
    strand = Strand(1, "emails", frozenset(), at(0), at(0), settled_at=at(settled_s))
    assert strand.late_s == late_s


def test_what_is_not_settled_is_not_late_yet() -> None:
    assert Strand(1, "emails", frozenset(), None, at(0)).late_s is None
