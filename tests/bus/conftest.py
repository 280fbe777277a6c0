"""Books and a clock for what moves work over Redis."""

from collections.abc import Iterator

import pytest

from core.db.database import close_books, migrate, open_books
from sandbox import AdjustableClock


@pytest.fixture
def books(database_url: str) -> Iterator[None]:
    open_books(database_url)
    migrate()
    try:
        yield
    finally:
        close_books()


@pytest.fixture
def clock() -> AdjustableClock:
    return AdjustableClock()
