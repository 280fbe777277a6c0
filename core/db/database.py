"""Opening the database, transactions, and the schema's age."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import structlog
from peewee import (
    Database,
    DatabaseError,
    InterfaceError,
    OperationalError,
    PostgresqlDatabase,
    SqliteDatabase,
)
from playhouse.migrations import Runner
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DeadlockDetected

from core.db.proxy import proxy
from core.errors import BooksUnreachable, BooksUnusable

log = structlog.get_logger()

#: The database itself is not to be had; whatever was tried is to be tried again.
BOOKS_AWAY = (OperationalError, InterfaceError)

MIGRATIONS = Path(__file__).parent / "migrations"

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

#: How often a transaction is begun that PostgreSQL undoes to end a deadlock. Rows are
#: locked in one order wherever that can be; where it can't, once more is enough.
DEADLOCK_TRIES = 5

#: RETURNING tells an insert from a conflict; SQLite has it since this version.
SQLITE_AT_LEAST = (3, 35, 0)

#: WAL lets readers read while one writes; FULL survives a power cut; ten seconds for a
#: lock because a checkpoint on a slow disk takes seconds (facts/engine.md, 4.4).
_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "busy_timeout": 10_000,
    "cache_size": -8_000,
}


class Connections:
    """Remembers every thread's connection, so that all can be closed at the end."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._lock = threading.Lock()

    def add(self, connection: Any) -> Any:
        with self._lock:
            # One that the server ended is of no more use to anybody.
            self._open = [c for c in self._open if not getattr(c, "closed", False)]
            self._open.append(connection)
        return connection

    def close(self) -> None:
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()


class SqliteBooks(SqliteDatabase):
    """SQLite; every transaction takes the write lock at its beginning.

    A deferred read-modify-write failed 969 times in 1,200 (facts/engine.md, 4.4).
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            pragmas=_PRAGMAS,
            lock_type="IMMEDIATE",
            returning_clause=True,
            timeout=10,
            check_same_thread=False,
        )
        self.connections = Connections()
        # SQLite has one writer at a time and lets the others poll with growing sleeps:
        # sixteen threads then spend nine tenths of their time asleep. Within a process
        # they queue here instead.
        self.turn: AbstractContextManager[Any] = threading.RLock()

    def rollback(self) -> None:
        """Undo. On a full disk SQLite has done so by itself, and refuses to again."""
        held = self._state.conn  # type: ignore[attr-defined]  # its stubs leave it out
        if held is None or held.in_transaction:
            super().rollback()

    def _connect(self) -> Any:
        return self.connections.add(super()._connect())  # type: ignore[misc]


#: A process that is frozen in a transaction must not keep others from its rows for
#: longer than it takes to presume it dead; ours take milliseconds.
_IDLE_AT_MOST = "-c idle_in_transaction_session_timeout=5s"

#: A server that is switched off does not even refuse; the kernel tries for minutes.
CONNECT_WITHIN_S = 5


class PostgresBooks(PostgresqlDatabase):
    """PostgreSQL through psycopg 3."""

    def __init__(self, url: str) -> None:
        _refuse_ambiguous(url)
        super().__init__(
            url,
            prefer_psycopg3=True,
            options=_IDLE_AT_MOST,
            connect_timeout=CONNECT_WITHIN_S,
        )
        self.connections = Connections()
        self.turn: AbstractContextManager[Any] = nullcontext()

    def begin(self, *args: Any, **options: Any) -> Any:
        """Begin; a connection that the server ended meanwhile is made anew first.

        Nothing has been done in the transaction yet, so that nothing is done twice.
        """
        try:
            return super().begin(*args, **options)
        except BOOKS_AWAY:
            return super().begin(*args, **options)

    def is_closed(self) -> bool:
        """A connection that the server ended counts as closed, and is made anew."""
        held = self._state.conn  # type: ignore[attr-defined]  # its stubs leave it out
        if held is not None and held.closed and not self.in_transaction():
            self.close()
        return bool(super().is_closed())

    def _connect(self) -> Any:
        return self.connections.add(super()._connect())  # type: ignore[misc]


def _refuse_ambiguous(url: str) -> None:
    """A password with an @ or a / is read as a host, which errors would then print."""
    if not _is_clear(url):
        raise BooksUnusable(
            "database_url: is no PostgreSQL URL; in a password @ is written %40, / %2F"
        )


def _is_clear(url: str) -> bool:
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        return False
    ports = str(parts.get("port", 0)).split(",")
    named = f"{parts.get('host')} {parts.get('dbname')}"
    return "@" not in named and all(port.isdigit() for port in ports)


def open_books(url: str) -> Database:
    """Bind every table to this database.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``.

    Raises:
        BooksUnusable: the URL is of neither kind or ambiguous, or SQLite is too old.
    """
    database: Database
    if url.startswith("sqlite:///"):
        if sqlite3.sqlite_version_info < SQLITE_AT_LEAST:
            raise BooksUnusable(f"SQLite {sqlite3.sqlite_version} is older than 3.35")
        database = SqliteBooks(url.removeprefix("sqlite:///"))
    elif url.startswith(("postgresql://", "postgres://")):
        database = PostgresBooks(url)
    else:
        raise BooksUnusable("database_url: neither sqlite:/// nor postgresql://")
    proxy.initialize(database)
    return database


def close_books() -> None:
    """Close every thread's connection. Nothing may use the books any more."""
    database = proxy.obj
    if database is not None:
        database.connections.close()
        proxy.initialize(None)


@contextmanager
def transaction() -> Iterator[None]:
    """One atomic step. Never held across a call to Xero or to a plugin."""
    with proxy.obj.turn, proxy.atomic():
        yield


def atomically(step: Callable[P, ResultT]) -> Callable[P, ResultT]:
    """The whole function is one transaction, and may be called in another.

    PostgreSQL ends a deadlock by undoing one transaction, which is to be tried again
    (its manual, 13.3.4): the function is called once more, with nothing done.
    """

    @wraps(step)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> ResultT:
        for _ in range(DEADLOCK_TRIES - 1):
            try:
                with transaction():
                    return step(*args, **kwargs)
            except OperationalError as error:
                if not _is_deadlock(error) or proxy.in_transaction():
                    raise
                log.info("transaction.deadlocked", step=step.__qualname__)
        with transaction():
            return step(*args, **kwargs)

    return attempt


def _is_deadlock(error: OperationalError) -> bool:
    """Peewee keeps the driver's own error as ``orig``."""
    return isinstance(getattr(error, "orig", None), DeadlockDetected)


def migrate() -> list[str]:
    """Bring the schema up to date; the names of the scripts that were applied."""
    with _readable("migrate"):
        return list(_runner().up())


def pending_migrations() -> list[str]:
    with _readable("read the schema's age"):
        return [m.name for m in _runner().status() if m.applied is None]


def require_schema() -> None:
    """Refuse books whose schema is not this program's.

    Raises:
        BooksUnreachable: nobody can say.
        BooksUnusable: scripts are pending, or some are known only to a newer program.
    """
    with _readable("open"):
        status = _runner().status()
    pending = [m.name for m in status if m.applied is None]
    newer = [m.name for m in status if m.path is None]
    if pending:
        raise BooksUnusable(
            f"the schema lacks {', '.join(pending)}; run `settled migrate`"
        )
    if newer:
        raise BooksUnusable(f"the schema is newer than this program: {newer[-1]}")


def check_writable() -> str | None:
    """None if a write gets through, else what hinders it."""
    try:
        with transaction():
            proxy.execute_sql("SELECT 1").fetchone()
    except OperationalError as error:
        return f"database: {type(error).__name__}"
    return None


def _runner() -> Runner:
    return Runner(proxy.obj, str(MIGRATIONS))


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        if isinstance(error, BOOKS_AWAY) and isinstance(proxy.obj, PostgresBooks):
            raise unreachable(error) from error
        raise BooksUnusable(f"can't {what} the database: {_line(error)}") from error


def unreachable(error: Exception) -> BooksUnreachable:
    """What BOOKS_AWAY means to a person."""
    return BooksUnreachable(f"the database can't be reached: {_line(error)}")


def _line(error: Exception) -> str:
    """A driver's words may take several lines; ours are one."""
    return " ".join(str(error).split())
