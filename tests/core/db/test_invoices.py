"""Numbers, subjects and payments: each once, whoever asks and however often."""

import contextlib
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from peewee import IntegrityError

from core.db import invoices
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice, InvoiceSubject, NumberCounter, Payment
from core.facts import XeroPayment
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, invoice


class Broken(Exception):
    """Something went wrong inside a transaction."""


def subject(row: Invoice, **changed: Any) -> bool:
    values: dict[str, Any] = {
        "tenant": "main",
        "workflow": "membership",
        "subject": "renewal-1",
        "charge": "renewal",
        "round": 1,
        "invoice": row,
        "member_id": "100001",
        "content_hash": "0" * 64,
        "details": {},
    }
    return invoices.add_subject(**{**values, **changed})


def payment(payment_id: str, amount: str = "50.00") -> XeroPayment:
    return XeroPayment(payment_id, Decimal(amount), date(2026, 11, 20), "by card")


# -- numbers ---------------------------------------------------------------------------


def test_numbers_begin_at_one_and_follow_each_other(books: None) -> None:
    first = invoices.take_numbers("main", "MEM", 2026, 2)
    second = invoices.take_numbers("main", "MEM", 2026, 1)
    assert first + second == ["MEM-2026-000001", "MEM-2026-000002", "MEM-2026-000003"]


def test_each_tenant_prefix_and_year_counts_for_itself(books: None) -> None:
    for counter in (
        ("main", "MEM", 2026),
        ("main", "MEM", 2027),
        ("main", "EVT", 2026),
        ("other", "MEM", 2026),
    ):
        (number,) = invoices.take_numbers(*counter, 1)
        assert number == f"{counter[1]}-{counter[2]}-000001"


def test_numbers_taken_by_many_threads_never_repeat(books: None) -> None:
    def take(number: int) -> list[str]:
        taken: list[str] = []
        for block in range(8):
            with transaction():
                taken += invoices.take_numbers("main", "MEM", 2026, 1 + block % 3)
        return taken

    blocks = together(8, take)
    taken = [number for block in blocks for number in block]
    assert len(taken) == 8 * (1 + 2 + 3 + 1 + 2 + 3 + 1 + 2)
    assert len(set(taken)) == len(taken)
    assert max(taken) == f"MEM-2026-{len(taken):06d}"


def test_numbers_of_a_transaction_that_failed_were_never_given(books: None) -> None:
    """Only a number that was committed may be on its way to Xero."""
    with contextlib.suppress(Broken), transaction():
        invoices.take_numbers("main", "MEM", 2026, 5)
        raise Broken
    assert invoices.take_numbers("main", "MEM", 2026, 1) == ["MEM-2026-000001"]


def test_a_millionth_number_only_grows_longer(books: None) -> None:
    invoices.take_numbers("main", "MEM", 2026, 1)
    NumberCounter.update(next_number=1_000_000).execute()
    assert invoices.take_numbers("main", "MEM", 2026, 1) == ["MEM-2026-1000000"]


def test_no_two_invoices_of_a_tenant_have_one_number(books: None) -> None:
    invoice(number="MEM-2026-000001")
    invoice(number="MEM-2026-000001", tenant="other")
    invoice()
    invoice()
    with pytest.raises(IntegrityError), transaction():
        invoice(number="MEM-2026-000001")


# -- subjects --------------------------------------------------------------------------


def test_a_charge_is_invoiced_once_a_round(books: None) -> None:
    first, second = invoice(), invoice()
    assert subject(first)
    assert not subject(second)
    assert subject(second, round=2)
    assert subject(second, charge="joining_fee")
    assert subject(second, subject="renewal-2")
    assert subject(second, tenant="other")
    latest = invoices.latest_round("main", "membership", "renewal-1", "renewal")
    assert latest is not None
    assert (latest.round, latest.invoice_id) == (2, second.id)


def test_only_one_of_many_invoices_a_charge(books: None) -> None:
    rows = [invoice() for _ in range(8)]

    def add(number: int) -> bool:
        with transaction():
            return subject(rows[number])

    added = together(8, add)
    assert added.count(True) == 1
    assert InvoiceSubject.get().invoice_id == rows[added.index(True)].id


def test_what_was_never_invoiced_has_no_round(books: None) -> None:
    assert invoices.latest_round("main", "membership", "renewal-1", "renewal") is None


def test_an_invoice_settles_its_subjects_in_their_order(books: None) -> None:
    row = invoice()
    for name in ("renewal-2", "renewal-1", "renewal-3"):
        subject(row, subject=name)
    settled = [one.subject for one in invoices.subjects_of(row.id)]
    assert settled == ["renewal-2", "renewal-1", "renewal-3"]


# -- payments --------------------------------------------------------------------------


def test_a_payment_is_recorded_once(books: None) -> None:
    row = invoice()
    for _ in range(2):
        invoices.record_payments(row, [payment("p-1")], [], NOW)
    assert Payment.select().count() == 1
    assert invoices.what_is_known(row).payments == {"p-1": Decimal("50.00")}


def test_a_payment_that_was_removed_is_known_no_more_and_kept(books: None) -> None:
    row = invoice()
    invoices.record_payments(row, [payment("p-1"), payment("p-2")], [], NOW)
    invoices.record_payments(row, [], ["p-1"], NOW)
    assert set(invoices.what_is_known(row).payments) == {"p-2"}
    assert Payment.get(Payment.payment_id == "p-1").removed_at == NOW


def test_removing_touches_no_other_invoice(books: None) -> None:
    row, other = invoice(), invoice()
    invoices.record_payments(other, [payment("p-1")], [], NOW)
    invoices.record_payments(row, [], ["p-1"], NOW)
    assert set(invoices.what_is_known(other).payments) == {"p-1"}


# -- finding ---------------------------------------------------------------------------


def test_invoices_are_found_by_what_xero_calls_them(books: None) -> None:
    row = invoice(number="MEM-2026-000001", xero_id="x-1")
    invoice(number="MEM-2026-000001", xero_id="x-1", tenant="other")
    assert set(invoices.by_number("main", ["MEM-2026-000001", "?"])) == {row.number}
    assert invoices.by_xero_id("main", ["x-1", "x-2"])["x-1"].id == row.id
    assert set(invoices.load_all([row.id, 0])) == {row.id}


def test_each_payer_on_hold_is_named_once(books: None) -> None:
    first = invoice(state=InvoiceState.HELD, payer_member_id="1")
    invoice(state=InvoiceState.HELD, payer_member_id="1")
    second = invoice(state=InvoiceState.HELD, payer_member_id="2")
    invoice(state=InvoiceState.READY, payer_member_id="3")
    held = {row.id for row in invoices.held_payers("main")}
    assert held == {first.id, second.id}


def test_an_invoice_that_is_not_ours_is_remembered_once(books: None) -> None:
    for _ in range(2):
        invoices.remember_foreign("main", ["x-1", "x-2"])
    invoices.remember_foreign("main", [])
    assert invoices.foreign("main", ["x-1", "x-3"]) == {"x-1"}
    assert invoices.foreign("other", ["x-1"]) == set()


def test_invoices_are_counted_by_state(books: None) -> None:
    invoice()
    invoice(state=InvoiceState.RAISED)
    counted = invoices.counts()
    assert (counted["ready"], counted["raised"], counted["free"]) == (1, 1, 0)
