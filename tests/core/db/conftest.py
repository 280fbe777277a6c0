"""Books to try: of the kind that SETTLED_TEST_DATABASE names, migrated and empty."""

import os
from collections.abc import Iterator

import pytest

from core.db.database import close_books, migrate, open_books
from core.db.models import TABLES
from core.db.proxy import proxy


@pytest.fixture(scope="session")
def migrated_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One database for all: PostgreSQL takes a second to make another."""
    if os.environ.get("SETTLED_TEST_DATABASE", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('books') / 'books.sqlite3'}"
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield url


@pytest.fixture
def books(migrated_url: str) -> Iterator[None]:
    """Open, up to date, and without a row."""
    open_books(migrated_url)
    migrate()
    with proxy.atomic():
        # Who refers to others before them.
        for table in reversed(TABLES):
            table.delete().execute()
    yield
    close_books()


@pytest.fixture
def fresh_books(database_url: str) -> Iterator[None]:
    """Open and migrated, in a database of its own: its tables may go."""
    open_books(database_url)
    migrate()
    yield
    close_books()
