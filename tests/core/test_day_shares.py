"""How much of Xero's day each purpose leaves to the others."""

import pytest

from core.day_shares import ToCome, kept
from core.quota import Limits, Purpose, QuotaPolicy

STARTER = QuotaPolicy(Limits(day=1_000))


def bulk_keeps(share: float, awaited: float = 0, housekeeping: float = 0) -> int:
    return kept(STARTER, ToCome(share, awaited, housekeeping))[Purpose.BULK]


def test_bulk_keeps_its_reserve_at_the_beginning_of_a_day() -> None:
    assert bulk_keeps(1.0) == 200


def test_what_was_kept_and_not_needed_is_free_before_the_day_ends() -> None:
    assert [bulk_keeps(share) for share in (0.5, 0.1, 0.0)] == [100, 20, 5]


def test_bulk_keeps_what_is_expected_where_that_is_more() -> None:
    assert bulk_keeps(1.0, awaited=300) == 340  # two standard deviations, and five
    assert bulk_keeps(1.0, awaited=100) == 200


def test_bulk_leaves_the_sweeps_what_they_will_need() -> None:
    assert bulk_keeps(1.0, awaited=300, housekeeping=123) == 463


def test_the_sweeps_may_use_what_bulk_leaves_them() -> None:
    shares = kept(STARTER, ToCome(0.5, awaited=100, housekeeping=60))
    assert shares[Purpose.HOUSEKEEPING] < shares[Purpose.BULK]


def test_payments_never_leave_anything() -> None:
    assert kept(STARTER, ToCome(1.0, 900, 100))[Purpose.PAYMENTS] == 0


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_a_lifted_day_is_nobodys(share: float) -> None:
    lifted = QuotaPolicy(Limits(day=None))
    assert kept(lifted, ToCome(share, 300, 100)) == {}
