"""Books to try: migrated, empty, of the kind that SETTLED_TEST_DATABASE names."""

from collections.abc import Iterator

import pytest

from core.db.database import close_books, migrate, open_books


@pytest.fixture
def books(database_url: str) -> Iterator[None]:
    open_books(database_url)
    migrate()
    yield
    close_books()
