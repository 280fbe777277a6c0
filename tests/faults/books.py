"""SQLite in memory that can fail at a commit, and go back to an earlier state."""

import sqlite3
from collections.abc import Callable
from typing import Any

from peewee import OperationalError

from core.db.database import SqliteBooks
from tests.faults.plan import Life, Place

#: When an intent became unknown, and when it was settled.
_WATCH = """
CREATE TABLE watched (intent INTEGER, unknown_at INTEGER, settled_at INTEGER);
CREATE TRIGGER became_unknown AFTER UPDATE OF state ON intent
    WHEN new.state = 'unknown' AND old.state <> 'unknown'
    BEGIN INSERT INTO watched VALUES (new.id, lab_now(), NULL); END;
CREATE TRIGGER was_settled AFTER UPDATE OF state ON intent
    WHEN new.state IN ('done', 'released')
    BEGIN UPDATE watched SET settled_at = lab_now()
        WHERE intent = new.id AND settled_at IS NULL; END;
"""


class FaultyBooks(SqliteBooks):
    def __init__(self, life: Life) -> None:
        super().__init__(":memory:")
        self._life = life

    def begin(self, *args: Any, **kwargs: Any) -> Any:
        self._life.require()
        return super().begin(*args, **kwargs)

    def commit(self) -> Any:
        self._life.require()
        what = self._life.plan.meet(Place.COMMIT)
        if what == "locked":
            raise OperationalError("database is locked")
        if what == "crash_before":
            super().rollback()  # as the database does when it loses its client
            self._life.end()
        done = super().commit()
        if what == "crash_after":
            self._life.end()
        return done

    def state(self) -> bytes:
        """All that is in the books."""
        return bytes(self._sqlite().serialize())

    def go_back(self, state: bytes) -> None:
        self._sqlite().deserialize(state)

    def heard_until(self, process: str, moment: int | None) -> None:
        """This process has said once a second that it lives, up to this moment."""
        self._sqlite().execute(
            "UPDATE process SET beat_at = ? WHERE name = ?", (moment, process)
        )

    def watch_intents(self, now: Callable[[], int | None]) -> None:
        """Note in the books themselves how long intents are unknown."""
        connection = self._sqlite()
        connection.create_function("lab_now", 0, now)
        connection.executescript(_WATCH)

    def unknown_seconds(self) -> list[float]:
        """Of each intent that was unknown: from the first time to its end."""
        rows = self._sqlite().execute(
            "SELECT max(settled_at) - min(unknown_at) FROM watched GROUP BY intent"
        )
        return [(microseconds or 0) / 1e6 for (microseconds,) in rows.fetchall()]

    def _sqlite(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self.connection()  # type: ignore[no-untyped-call]
        return connection
