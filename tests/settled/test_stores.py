"""Whoever starts before its stores waits for them, and not for ever."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from bus.embedded import EmbeddedRedis
from core.settings import load_settings
from settled.cli import UNREACHABLE, UNUSABLE
from settled.maintenance import migrate_books
from settled.roles import Role
from tests.servers import PostgresServer, free_port, running_postgres, wait_until
from tests.settled.command import ROOT, Running, running, write_toml

WITHIN_S = 30

AWAY_REDIS = "redis://:hush@127.0.0.1:1"
AWAY_BOOKS = "postgresql://somebody:hush@127.0.0.1:1/books"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """One that this test may end."""
    with running_postgres() as server:
        yield server


def config(here: Path, **changed: Any) -> str:
    values = {
        "data_folder": str(here / "data"),
        "token_keys": [Fernet.generate_key().decode()],
        "web": {"public_port": 0, "internal_port": 0},
        "roles": {f"{role}_port": 0 for role in Role} | {"worker_processes": 1},
        "xero": {"client_id": "an-app"},
        **changed,
    }
    return str(write_toml(here / "settled.toml", values))


def of(role: Role | None) -> tuple[str, ...]:
    return () if role is None else ("--role", role.value)


def waits(process: Running) -> bool:
    return '"store.awaited"' in process.logged()


def events(process: Running) -> list[str]:
    return [json.loads(line)["event"] for line in process.logged().splitlines()]


@pytest.mark.parametrize("role", [None, Role.WORKER, Role.PUMP], ids=str)
def test_a_process_that_starts_before_redis_goes_on_when_it_is_there(
    here: Path, database_url: str, role: Role | None
) -> None:
    port = free_port()
    redis_url = f"redis://127.0.0.1:{port}"
    file = config(here, database_url=database_url, redis_url=redis_url)
    migrate_books(load_settings(Path(file)))
    with running("run", *of(role), "--config", file) as process:
        wait_until(lambda: waits(process), WITHIN_S, "it waits")
        with EmbeddedRedis(here / "redis", port=port):
            assert process.addresses()["internal"]
            assert process.end().code == 0
        assert events(process)[:2] == ["store.awaited", "daemon.started"]


@pytest.mark.timeout(200)
def test_a_process_that_starts_before_the_database_goes_on_when_it_is_there(
    here: Path, postgres: PostgresServer
) -> None:
    with (
        EmbeddedRedis(here / "redis") as redis,
        postgres.database() as database_url,
        ExitStack() as closing,
    ):
        file = config(here, database_url=database_url, redis_url=redis.url)
        migrate_books(load_settings(Path(file)))
        postgres.end()
        processes = [
            closing.enter_context(running("run", *of(role), "--config", file))
            for role in (None, Role.WORKER)
        ]
        for process in processes:
            wait_until(lambda: waits(process), WITHIN_S, "it waits")  # noqa: B023
        postgres.start()
        for process in processes:
            assert process.addresses()["internal"]
            assert process.end().code == 0


@pytest.mark.parametrize(
    ("away", "told"),
    [
        ({"redis_url": AWAY_REDIS}, "Redis can't be reached: "),
        ({"database_url": AWAY_BOOKS}, "the database can't be reached: connection"),
    ],
    ids=["redis", "database"],
)
def test_a_store_that_does_not_come_is_named(
    here: Path, database_url: str, away: dict[str, str], told: str
) -> None:
    with EmbeddedRedis(here / "redis") as redis, ExitStack() as closing:
        there = {"redis_url": redis.url, "database_url": database_url}
        file = config(here, **there)
        migrate_books(load_settings(Path(file)))
        file = config(here, **{**there, **away})
        processes = [
            closing.enter_context(running("run", *of(role), "--config", file))
            for role in (None, Role.WORKER, Role.WEB)
        ]
        booting = closing.enter_context(worker_process(file))
        for process in processes:
            ended = process.wait()
            first, last = ended.err.splitlines()
            assert (ended.code, ended.out) == (UNREACHABLE, "")
            assert json.loads(first)["event"] == "store.awaited"
            assert last.startswith(f"settled: {told}")
            assert "hush" not in ended.err
        _, errors = booting.communicate(timeout=WITHIN_S)
        assert booting.returncode == UNREACHABLE
        assert told in json.loads(errors.splitlines()[-1])["reason"]


def worker_process(file: str) -> "subprocess.Popen[str]":
    """As dramatiq starts it, when the stores have gone away a moment ago."""
    return subprocess.Popen(
        [sys.executable, "-c", "from settled.worker import boot; boot()"],
        env={"SETTLED_CONFIG": file, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_database_without_its_schema_is_not_waited_for(
    here: Path, database_url: str
) -> None:
    with EmbeddedRedis(here / "redis") as redis:
        file = config(here, database_url=database_url, redis_url=redis.url)
        with running("run", *of(Role.PUMP), "--config", file) as process:
            ended = process.wait()
    assert (ended.code, "run `settled migrate`" in ended.line) == (UNUSABLE, True)
