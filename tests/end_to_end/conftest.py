"""Worlds for the tests: one for a whole module, and a maker of others.

A module uses one or the other: making a world empties Redis.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.servers import RedisServer
from tests.world import World

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session", autouse=True)
def _only_warnings() -> Iterator[None]:
    """What the daemon logs between two tests would stand among the dots."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def make_world(
    tmp_path: Path, database_url: str, redis_url: str
) -> Iterator[MakeWorld]:
    """Start a world that differs; it ends with the test."""
    with ExitStack() as closing:

        def make(**changed: Any) -> World:
            world = World(tmp_path / "data", database_url, redis_url, **changed)
            return closing.enter_context(world)

        yield make


@pytest.fixture(scope="module")
def module_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if os.environ.get("SETTLED_TEST_DATABASE", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('books') / 'books.sqlite3'}"
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield url


@pytest.fixture(scope="module")
def module_world(
    tmp_path_factory: pytest.TempPathFactory,
    module_database_url: str,
    redis_server: RedisServer,
) -> Iterator[World]:
    with redis_server.client() as client:
        client.flushall()
    folder = tmp_path_factory.mktemp("world")
    with World(folder / "data", module_database_url, redis_server.url) as world:
        yield world


@pytest.fixture
def world(module_world: World) -> World:
    """The module's world, at rest, without faults and problems."""
    module_world.xero.control.clear_faults()
    module_world.quiet()
    module_world.close_problems()
    return module_world
