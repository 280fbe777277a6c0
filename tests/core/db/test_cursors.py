"""A cursor moves on only from where its reader saw it: who sets it back is heard."""

from datetime import timedelta

from core.db import reference
from tests.core.db.rows import NOW

LATER = NOW + timedelta(minutes=15)
BEFORE = NOW - timedelta(minutes=1)


def test_the_first_who_moves_it_has_moved_it(books: None) -> None:
    assert reference.advance_cursor("main", "invoices", None, NOW)
    assert not reference.advance_cursor("main", "invoices", None, LATER)
    assert reference.cursor("main", "invoices") == NOW


def test_it_moves_on_from_where_it_was_seen(books: None) -> None:
    reference.advance_cursor("main", "invoices", None, NOW)
    assert reference.advance_cursor("main", "invoices", NOW, LATER)
    assert reference.cursor("main", "invoices") == LATER


def test_set_back_while_somebody_reads_it_stays_back(books: None) -> None:
    reference.advance_cursor("main", "invoices", None, NOW)
    reference.set_cursor_back("main", "invoices", BEFORE)
    assert not reference.advance_cursor("main", "invoices", NOW, LATER)
    found = reference.cursor("main", "invoices")
    assert found is not None
    assert found <= BEFORE


def test_set_back_to_a_later_moment_it_is_noticed_all_the_same(books: None) -> None:
    """What was read before it was set back did not know what it was set back for."""
    reference.advance_cursor("main", "invoices", None, NOW)
    reference.set_cursor_back("main", "invoices", LATER)
    assert not reference.advance_cursor("main", "invoices", NOW, LATER)
    found = reference.cursor("main", "invoices")
    assert found is not None
    assert found < NOW


def test_set_back_before_anything_was_read_it_begins_there(books: None) -> None:
    reference.set_cursor_back("main", "invoices", BEFORE)
    assert not reference.advance_cursor("main", "invoices", None, LATER)
    assert reference.cursor("main", "invoices") == BEFORE


def test_each_resource_of_each_tenant_has_its_own(books: None) -> None:
    reference.advance_cursor("main", "invoices", None, NOW)
    reference.set_cursor_back("main", "contacts", BEFORE)
    reference.set_cursor_back("other", "invoices", BEFORE)
    assert reference.cursor("main", "invoices") == NOW
