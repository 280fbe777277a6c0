"""What every test may ask for: a real Redis, and a database of either kind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from tests.servers import PostgresServer, RedisServer, running_postgres, running_redis

# A slow machine is no failure, and the first text that is drawn builds a table for
# seconds. What failed is printed so that it can be had again.
settings.register_profile(
    "suite",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def pytest_configure() -> None:
    """A shell that puts the suite into the background lets it ignore Ctrl-C.

    Our programs would inherit that, and those that are ended by it would never end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The session's Redis, emptied."""
    with redis_server.client() as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database of the kind that SETTLED_TEST_DATABASE names."""
    match os.environ.get("SETTLED_TEST_DATABASE", "sqlite"):
        case "sqlite":
            yield f"sqlite:///{tmp_path / 'books.sqlite3'}"
        case "postgres":
            # Asked for here, so that a run on SQLite starts no PostgreSQL.
            server: PostgresServer = request.getfixturevalue("postgres_server")
            with server.database() as url:
                yield url
        case other:
            pytest.fail(f"SETTLED_TEST_DATABASE is {other!r}: sqlite or postgres")
