"""One atomic step at a time, however many ask at once."""

import threading
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from peewee import IntegrityError

from core.db import invoices, problems, processes
from core.db.database import (
    PostgresBooks,
    atomically,
    close_books,
    migrate,
    open_books,
    transaction,
)
from core.db.invoices import InvoiceState
from core.db.models import Invoice, Process
from core.db.proxy import proxy
from core.errors import VersionMoved
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, invoice
from tests.servers import PostgresServer

THREADS, STEPS = 8, 8


class Broken(Exception):
    """Something went wrong inside a transaction."""


def beat_and_break() -> None:
    with transaction():
        with transaction():
            processes.beat("here", NOW)
        raise Broken


def add_one_each_step(invoice_id: int) -> None:
    for _ in range(STEPS):
        with transaction():
            row = invoices.lock(invoice_id)
            invoices.change(row, amount_paid=row.amount_paid + Decimal("0.01"))


def test_reading_and_writing_from_many_threads_loses_nothing(books: None) -> None:
    row = invoice()
    together(THREADS, lambda _: add_one_each_step(row.id))
    after = invoices.load(row.id)
    assert after.amount_paid == Decimal("0.01") * THREADS * STEPS
    assert after.version == THREADS * STEPS


def test_the_same_holds_between_processes_that_do_not_queue(
    books: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the turn that the threads of one process take, as between processes."""
    monkeypatch.setattr(proxy.obj, "turn", nullcontext())
    row = invoice()
    together(4, lambda _: add_one_each_step(row.id))
    assert invoices.load(row.id).amount_paid == Decimal("0.01") * 4 * STEPS


def test_two_that_wait_for_each_other_both_come_to_their_end(books: None) -> None:
    """PostgreSQL undoes one of them, which is done once more; SQLite has turns."""
    is_postgres = isinstance(proxy.obj, PostgresBooks)
    rows = [invoice(), invoice()]
    both_hold_one = threading.Barrier(2)
    tries = [0, 0]

    @atomically
    def take(who: int) -> None:
        tries[who] += 1
        for place in (who, 1 - who):
            row = invoices.lock(rows[place].id)
            invoices.change(row, amount_paid=row.amount_paid + Decimal("0.01"))
            if is_postgres and place == who and tries[who] == 1:
                both_hold_one.wait(30)

    together(2, take)
    assert [invoices.load(row.id).amount_paid for row in rows] == [Decimal("0.02")] * 2
    undone = sum(tries) - 2  # by PostgreSQL, once or oftener
    assert undone >= 1 if is_postgres else undone == 0


def test_an_error_that_undoes_a_transaction_is_what_is_told_of_on_sqlite(
    tmp_path: Path,
) -> None:
    """As on a full disk: SQLite has undone it all by itself, which is no error more."""
    open_books(f"sqlite:///{tmp_path / 'books.sqlite3'}")
    migrate()
    processes.beat("here", NOW)

    def beat_and_fail() -> None:
        with transaction():
            processes.beat("there", NOW)
            proxy.execute_sql("INSERT OR ROLLBACK INTO process SELECT * FROM process")

    with pytest.raises(IntegrityError):
        beat_and_fail()
    assert [row.name for row in Process.select()] == ["here"]
    close_books()


def test_nobody_may_sleep_in_a_transaction_on_postgresql(
    postgres_server: PostgresServer,
) -> None:
    """A process that is frozen in one would keep the others from its rows."""
    with postgres_server.database() as url:
        open_books(url)
        shown = proxy.execute_sql("SHOW idle_in_transaction_session_timeout")
        limit = shown.fetchone()
        close_books()
    assert limit == ("5s",)


def test_a_connection_that_the_server_has_ended_is_made_anew_on_postgresql(
    postgres_server: PostgresServer,
) -> None:
    """As after its restart: whoever comes next does not fail for it."""
    with postgres_server.database() as url:
        open_books(url)
        migrate()
        (pid,) = proxy.execute_sql("SELECT pg_backend_pid()").fetchone()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with transaction():
            processes.beat("here", NOW)
        assert processes.living(NOW) == {"here"}
        close_books()


def test_whoever_reads_without_a_lock_is_told_that_the_row_moved(books: None) -> None:
    ours = invoice()
    theirs = invoices.load(ours.id)
    invoices.change(theirs, state=InvoiceState.RAISED)
    with pytest.raises(VersionMoved):
        invoices.change(ours, state=InvoiceState.CANCELLED)
    assert invoices.load(ours.id).state == InvoiceState.RAISED


def test_only_one_of_many_changes_the_same_version(books: None) -> None:
    row = invoice()

    def change(number: int) -> bool:
        read = Invoice.get_by_id(row.id)
        read.version = row.version
        try:
            with transaction():
                invoices.change(read, xero_status=str(number))
        except VersionMoved:
            return False
        return True

    assert together(6, change).count(True) == 1


def test_what_fails_leaves_nothing_behind(books: None) -> None:
    """Not even what a step inside the step had finished."""
    with pytest.raises(Broken):
        beat_and_break()
    assert Process.select().count() == 0


def test_others_do_not_see_what_is_not_committed(books: None) -> None:
    with transaction():
        processes.beat("here", NOW)
        (seen,) = together(1, lambda _: Process.select().count())
    assert seen == 0
    assert Process.select().count() == 1


def test_nothing_that_is_referred_to_can_go(books: None) -> None:
    row = invoice()
    invoices.add_subject(
        tenant="main",
        workflow="membership",
        subject="renewal-1",
        charge="renewal",
        round=1,
        invoice=row,
        member_id="100001",
        content_hash="0" * 64,
        details={},
    )
    with pytest.raises(IntegrityError), transaction():
        Invoice.delete().where(Invoice.id == row.id).execute()


def test_the_books_last_through_many_readers_and_one_writer(books: None) -> None:
    def look_or_write(number: int) -> int:
        if number:
            return sum(len(problems.open_problems()) >= 0 for _ in range(20))
        for one in range(20):
            with transaction():
                problems.open_problem("kind", f"cause-{one}", "title", NOW)
        return 20

    assert together(10, look_or_write) == [20] * 10
    assert len(problems.open_problems()) == 20
