"""Looking into the daemon's books, to measure and never to judge."""

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import Any

import psycopg

#: A look that meets a database in trouble is worth nothing, and is made anew later.
AWAY = (psycopg.Error, sqlite3.Error)


class Books:
    """Rows by SQL, with ``?`` for each value, on either kind of database."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: Any = None

    def rows(self, statement: str, *values: object) -> Sequence[Sequence[Any]] | None:
        """What was found; None while the database is away."""
        try:
            return self._rows(statement, values)
        except AWAY:
            self.close()
            return None

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*AWAY):
                self._connection.close()
            self._connection = None

    def _rows(self, statement: str, values: Sequence[object]) -> Sequence[Any]:
        if self._connection is None:
            self._connection = self._connect()
        if not self.url.startswith("sqlite:"):
            statement = statement.replace("?", "%s")
        found: Sequence[Any] = self._connection.execute(statement, values).fetchall()
        return found

    def _connect(self) -> Any:
        path = self.url.removeprefix("sqlite:///")
        if path == self.url:
            return psycopg.connect(self.url, autocommit=True, connect_timeout=2)
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.5)
