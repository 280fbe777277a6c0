"""Which invoices are to be read: asked for twice, read once, never forgotten."""

import pytest

from core.clock import seconds
from core.db import reads
from core.db.models import InvoiceRead
from tests.core.db.rows import NOW

pytestmark = pytest.mark.usefixtures("books")


def ask(xero_id: str, after_s: float = 0, **more: object) -> InvoiceRead:
    reads.ask("main", xero_id, NOW + seconds(after_s), NOW, **more)  # type: ignore[arg-type]
    row: InvoiceRead = InvoiceRead.get(InvoiceRead.xero_id == xero_id)
    return row


def waiting() -> list[str]:
    return [row.xero_id for row in InvoiceRead.select().order_by(InvoiceRead.id)]


def test_asked_for_twice_it_is_read_once_at_the_earlier_moment() -> None:
    ask("x-1", 10)
    assert ask("x-1", 3).due_at == NOW + seconds(3)
    assert ask("x-1", 20).due_at == NOW + seconds(3)
    assert waiting() == ["x-1"]


def test_asked_for_again_during_the_read_it_is_read_again() -> None:
    under_way = ask("x-1")
    ask("x-1")
    reads.answered([under_way])
    assert waiting() == ["x-1"]


def test_a_read_that_ends_takes_no_other_invoices_request_with_it() -> None:
    """Its own was found needless meanwhile, and the next one must not have its id."""
    under_way = ask("x-1", event_at=NOW)
    reads.forget_echo("main", "x-1", NOW)
    ask("x-2")
    reads.answered([under_way])
    assert waiting() == ["x-2"]


def test_an_echo_is_forgotten_and_what_came_after_it_is_not() -> None:
    ask("x-1", event_at=NOW)
    ask("x-2", event_at=NOW + seconds(1))
    for xero_id in ("x-1", "x-2"):
        reads.forget_echo("main", xero_id, NOW)
    assert waiting() == ["x-2"]


def test_a_reversal_that_is_to_be_confirmed_is_no_echo() -> None:
    ask("x-1", event_at=NOW, confirms=True)
    reads.forget_echo("main", "x-1", NOW)
    assert waiting() == ["x-1"]
