"""The one reconciliation: what Xero says, compared with what we knew, as facts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.facts import (
    TOLD,
    Difference,
    Fact,
    Known,
    XeroInvoice,
    XeroPayment,
    difference,
)

TOTAL = Decimal("3749.00")


def payment(name: str, amount: str, day: int = 1) -> XeroPayment:
    return XeroPayment(name, Decimal(amount), date(2026, 11, day), "")


def seen(*payments: XeroPayment, credited: str = "0", status: str = "") -> XeroInvoice:
    paid = sum((p.amount for p in payments), Decimal(0))
    due = TOTAL - paid - Decimal(credited)
    return XeroInvoice(
        invoice_id="i-1",
        number="MEM-2026-000001",
        reference="membership:renewal-1",
        contact_id="c-1",
        status=status or ("PAID" if due <= 0 else "AUTHORISED"),
        currency="ZAR",
        total=TOTAL,
        amount_due=due,
        amount_paid=paid,
        amount_credited=Decimal(credited),
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        sent_to_contact=True,
        updated_at=datetime(2026, 11, 1, tzinfo=UTC),
        payments=payments,
    )


def known_after(invoice: XeroInvoice) -> Known:
    return Known(
        status=invoice.status,
        is_settled=invoice.is_settled,
        amount_credited=invoice.amount_credited,
        payments={p.payment_id: p.amount for p in invoice.payments},
    )


UNPAID = known_after(seen())


def facts(found: Difference) -> list[Fact]:
    return [change.fact for change in found.changes]


def test_every_fact_has_a_hook_and_a_message() -> None:
    assert set(TOLD) == set(Fact)


def test_nothing_new_is_no_fact() -> None:
    assert facts(difference(UNPAID, seen())) == []


def test_full_payment_is_paid() -> None:
    found = difference(UNPAID, seen(payment("a", "3749.00")))
    assert facts(found) == [Fact.PAID]
    assert found.changes[0].amount == TOTAL


def test_part_payment_is_not_paid() -> None:
    assert facts(difference(UNPAID, seen(payment("a", "100.00")))) == [Fact.PART_PAID]


def test_two_payments_seen_at_once_are_told_in_the_order_of_their_dates() -> None:
    late, early = payment("a", "3000.00", 9), payment("b", "749.00", 2)
    found = difference(UNPAID, seen(late, early))
    assert facts(found) == [Fact.PART_PAID, Fact.PAID]
    assert [change.key for change in found.changes] == ["b", "a+b"]


def test_a_payment_seen_with_or_after_another_gives_the_same_paid() -> None:
    first, second = payment("a", "749.00"), payment("b", "3000.00", 2)
    together = difference(UNPAID, seen(first, second)).changes[-1]
    between = known_after(seen(first))
    apart = difference(between, seen(first, second)).changes[-1]
    assert (together.fact, together.key) == (apart.fact, apart.key)


def test_overpayment_is_paid_once() -> None:
    found = difference(UNPAID, seen(payment("a", "4000.00")))
    assert facts(found) == [Fact.PAID]


def test_a_removed_payment_is_a_reversal() -> None:
    paid = seen(payment("a", "3749.00"))
    found = difference(known_after(paid), seen())
    assert facts(found) == [Fact.PAYMENT_REMOVED]
    assert found.has_reversal
    assert found.removed == ("a",)


def test_a_payment_that_was_replaced_is_removed_and_paid_again() -> None:
    before = known_after(seen(payment("a", "3749.00")))
    found = difference(before, seen(payment("b", "3749.00")))
    assert facts(found) == [Fact.PAYMENT_REMOVED, Fact.PAID]


def test_paid_again_has_another_key_than_paid_before() -> None:
    first = difference(UNPAID, seen(payment("a", "3749.00"))).changes[0]
    again = difference(UNPAID, seen(payment("b", "3749.00"))).changes[0]
    assert first.key != again.key


def test_a_credit_is_no_payment() -> None:
    assert facts(difference(UNPAID, seen(credited="3749.00"))) == [Fact.CREDITED]


def test_credit_and_payment_together_settle() -> None:
    found = difference(UNPAID, seen(payment("a", "749.00"), credited="3000.00"))
    assert facts(found) == [Fact.CREDITED, Fact.PAID]


@pytest.mark.parametrize("status", ["VOIDED", "DELETED"])
def test_a_void_is_told_once_and_is_never_paid(status: str) -> None:
    void = replace(seen(status=status), amount_due=Decimal(0))
    assert facts(difference(UNPAID, void)) == [Fact.VOIDED]
    assert facts(difference(known_after(void), void)) == []


readings = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.decimals("0.01", "3749.00", places=2, allow_nan=False),
    ),
    max_size=5,
    unique_by=lambda pair: pair[0],
)


@given(readings, readings)
def test_the_same_reading_twice_changes_nothing(
    before: Sequence[tuple[str, Decimal]], after: Sequence[tuple[str, Decimal]]
) -> None:
    reading = seen(*(payment(name, str(amount)) for name, amount in after))
    known = known_after(seen(*(payment(name, str(amount)) for name, amount in before)))
    first = difference(known, reading)
    assert first == difference(known, reading)
    assert difference(known_after(reading), reading).changes == ()
