"""The schema that the scripts build is that of the models, and knows its own age."""

from pathlib import Path
from typing import Any

import pytest
from peewee import PostgresqlDatabase

from core import mirror
from core.db import database, reference
from core.db.database import (
    check_writable,
    close_books,
    migrate,
    open_books,
    pending_migrations,
    require_schema,
    transaction,
)
from core.db.models import TABLES, Process
from core.db.proxy import proxy
from core.errors import BooksUnreachable, BooksUnusable
from tests.core.db.rows import NOW

NAMES = {table._meta.table_name for table in TABLES}

SCRIPTS = sorted(path.stem for path in database.MIGRATIONS.glob("[0-9]*.py"))


def columns(table: str) -> Any:
    """Name, type with its length, nullability, default and key of every column."""
    if isinstance(proxy.obj, PostgresqlDatabase):
        wanted = "column_name, data_type, character_maximum_length, is_nullable"
        found = proxy.execute_sql(
            f"SELECT {wanted}, column_default FROM information_schema.columns "  # noqa: S608
            "WHERE table_name = %s",
            (table,),
        )
    else:
        found = proxy.execute_sql(
            f'SELECT name, type, "notnull", dflt_value, pk '  # noqa: S608
            f"FROM pragma_table_info('{table}')"
        )
    return sorted(tuple(map(str, row)) for row in found.fetchall())


def references(table: str) -> Any:
    """Every foreign key and what a deletion there does here."""
    if isinstance(proxy.obj, PostgresqlDatabase):
        found = proxy.execute_sql(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype = 'f'",
            (table,),
        )
    else:
        found = proxy.execute_sql(
            f'SELECT "from", "table", "to", on_delete '  # noqa: S608
            f"FROM pragma_foreign_key_list('{table}')"
        )
    return sorted(found.fetchall())


def indexes(table: str) -> Any:
    """Every index with its statement, which also says under which condition it is."""
    return {
        index.name: (sorted(index.columns), index.unique, _plain(index.sql))
        for index in proxy.obj.get_indexes(table)
    }


def _plain(statement: str | None) -> str:
    return (statement or "").replace("IF NOT EXISTS ", "")


def schema() -> dict[str, Any]:
    return {
        table: (columns(table), indexes(table), references(table)) for table in NAMES
    }


def test_the_scripts_build_exactly_the_schema_of_the_models(fresh_books: None) -> None:
    built = schema()
    proxy.obj.drop_tables(TABLES)
    proxy.obj.create_tables(TABLES)
    modelled = schema()
    for table in sorted(NAMES):
        assert built[table] == modelled[table], table


def test_the_scripts_build_no_table_that_no_model_knows(fresh_books: None) -> None:
    # SQLite keeps there which id it has given last.
    beside = set(proxy.obj.get_tables()) - NAMES - {"sqlite_sequence"}
    assert [name for name in beside if "migration" not in name] == []


def test_each_table_has_its_indexes_by_name(fresh_books: None) -> None:
    """A comparison of two empty lists would have passed above."""
    assert {"outbox_unsent", "outbox_message_id"} <= indexes("outbox").keys()
    assert indexes("problem")["problem_open"][1] is True
    assert "stream_id IS NULL" in indexes("outbox")["outbox_unsent"][2]
    assert len(references("invoice")) == 3


def test_migrating_twice_does_nothing_the_second_time(database_url: str) -> None:
    open_books(database_url)
    try:
        assert pending_migrations() == SCRIPTS
        assert migrate() == SCRIPTS
        assert migrate() == []
        assert pending_migrations() == []
    finally:
        close_books()


def test_books_that_were_never_migrated_are_refused(database_url: str) -> None:
    open_books(database_url)
    try:
        with pytest.raises(BooksUnusable, match=r"lacks 0001_initial.*settled migrate"):
            require_schema()
    finally:
        close_books()


def test_books_of_a_newer_program_are_refused(
    fresh_books: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in (*SCRIPTS, "9999_from_the_future"):
        (scripts / f"{name}.py").write_text("def up(migrator, db):\n    pass\n")
    with monkeypatch.context() as newer:
        newer.setattr(database, "MIGRATIONS", scripts)
        assert migrate() == ["9999_from_the_future"]
    with pytest.raises(BooksUnusable, match=r"newer.*9999_from_the_future"):
        require_schema()


def test_a_mirror_without_details_is_read_anew(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it kept before 0004 could not be compared with anything."""
    for name in SCRIPTS:
        if name < "0004":
            script = (database.MIGRATIONS / f"{name}.py").read_text()
            (tmp_path / f"{name}.py").write_text(script)
    open_books(database_url)
    try:
        with monkeypatch.context() as older:
            older.setattr(database, "MIGRATIONS", tmp_path)
            migrate()
        with transaction():
            reference.move_cursor("main", "contacts", NOW)
            reference.move_cursor("main", "invoices", NOW)
            reference.put_reference("main", mirror.LOADED, True, NOW)
        migrate()
        assert reference.cursor("main", "contacts") is None
        assert reference.cursor("main", "invoices") == NOW
        assert not mirror.is_loaded("main")
    finally:
        close_books()


def test_up_to_date_books_are_accepted_and_writable(fresh_books: None) -> None:
    require_schema()
    assert check_writable() is None


def test_books_that_are_gone_are_not_writable(tmp_path: Path) -> None:
    open_books(f"sqlite:///{tmp_path / 'nowhere' / 'books.db'}")
    try:
        wrong = check_writable()
    finally:
        close_books()
    assert wrong is not None
    assert wrong.startswith("database: ")


@pytest.mark.parametrize(
    "url", ["", "books.db", "mysql://localhost/books", "sqlite://relative.db"]
)
def test_a_url_of_another_kind_is_refused_by_name(url: str) -> None:
    with pytest.raises(BooksUnusable, match="database_url: neither sqlite"):
        open_books(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:hush@127.0.0.1:nowhere/books",
        "postgresql://somebody:hu/sh@127.0.0.1/books",
        "postgresql://somebody:hu@sh@127.0.0.1/books",
        "postgresql://somebody:hu%sh@127.0.0.1/books",
        "postgresql://somebody:hush@[::1/books",
    ],
)
def test_a_url_that_is_not_clear_is_refused_and_not_printed(url: str) -> None:
    with pytest.raises(BooksUnusable, match="is no PostgreSQL URL") as told:
        open_books(url)
    assert "hu" not in str(told.value)


def test_a_server_that_is_not_there_is_told_in_one_line() -> None:
    open_books("postgresql://somebody:hush@127.0.0.1:1/books")
    try:
        with pytest.raises(BooksUnreachable, match="connection failed") as told:
            require_schema()
    finally:
        close_books()
    assert "\n" not in str(told.value)
    assert "hush" not in str(told.value)


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "letters.db"
    file.write_text("Dear Sir or Madam, " * 1000)
    open_books(f"sqlite:///{file}")
    try:
        with pytest.raises(BooksUnusable, match="file is not a database"):
            migrate()
    finally:
        close_books()


def test_what_was_written_is_there_after_opening_again(database_url: str) -> None:
    for time in (1, 2):
        open_books(database_url)
        migrate()
        with transaction():
            Process.insert(name=f"at-{time}", beat_at=NOW).execute()
        count = Process.select().count()
        close_books()
        assert count == time
