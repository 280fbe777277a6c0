"""``settled recover`` as a process: alone with the books, and then with a daemon."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from bus.embedded import EmbeddedRedis
from core.settings import load_settings
from sandbox.platform import Platform
from settled.cli import SOMETHING_WRONG, UNREACHABLE
from settled.maintenance import migrate_books, open_problem_rows
from tests.messages import Data, renewal_due
from tests.servers import wait_until
from tests.settled.command import Running, running, settled_process
from tests.settled.rehearsed import Installation, installed

WITHIN_S = 30


@pytest.fixture
def own(here: Path) -> Iterator[Installation]:
    """Its books and its Redis are its own, in its data folder."""
    with installed(here) as installation:
        yield installation


@pytest.fixture
def shared(here: Path, database_url: str) -> Iterator[Installation]:
    """Its books and its Redis may be used by several processes; connected."""
    with installed(here) as made, EmbeddedRedis(here / "redis") as redis:
        made.values |= {
            "database_url": database_url,
            "redis_url": redis.url,
            "token_keys": [Fernet.generate_key().decode()],
        }
        migrate_books(load_settings(Path(made.config())))
        made.import_prices()
        made.connect()
        yield made


def recover(installation: Installation) -> Any:
    return settled_process("recover", "--json", "--config", installation.config())


@contextmanager
def daemon(installation: Installation) -> Iterator[tuple[Running, Platform]]:
    """It ends in good order."""
    with running("run", "--config", installation.config()) as process:
        redis = process.addresses()["redis"]
        redis = installation.values.get("redis_url", redis)
        with Platform(redis) as platform:
            yield process, platform
        assert process.end().code == 0


def hear(platform: Platform, asked: list[Data], message_type: str) -> None:
    wanted = {one["id"] for one in asked}

    def is_heard(_: object) -> bool:
        told = {r.in_reply_to for r in platform.received if r.type == message_type}
        return wanted <= told

    assert platform.wait_until(is_heard, WITHIN_S)


def problems(installation: Installation) -> list[str]:
    settings = load_settings(Path(installation.config()))
    return [problem.kind for problem in open_problem_rows(settings)]


def test_older_books_are_recovered_and_said_so_in_json(own: Installation) -> None:
    old, new = ([renewal_due() for _ in range(count)] for count in (2, 3))
    data, backup = own.folder / "data", own.folder / "backup"
    with daemon(own) as (_, platform):
        own.connect()
        platform.publish(old)
        hear(platform, old, "invoice.emailed")
    shutil.copytree(data, backup)
    with daemon(own) as (_, platform):
        platform.publish(new)
        hear(platform, new, "invoice.emailed")
    for file in data.glob("books.db*"):
        file.unlink()
    shutil.copy(backup / "books.db", data)
    ended = recover(own)
    assert ended.code == 0, ended.err
    year = own.xero.clock.now().year
    assert json.loads(ended.out) == {
        "main": {
            "contacts_read": 5,
            "contacts_settled": 0,
            "invoices_read": 5,
            "invoices_known": 2,
            "invoices_adopted": 0,
            "invoices_rebuilt": 3,
            "emails_settled": 0,
            "voids_settled": 0,
            "counters": {f"MEM-{year}": 5},
            "waiting_for_their_message": 3,
        }
    }
    with daemon(own) as (_, platform):
        platform.publish([*old, *new])
        hear(platform, new, "message.done")
    assert len(own.xero.control.ledger()["invoices"]) == 5
    assert problems(own) == []


def test_beside_a_daemon_it_is_refused_and_holds_nothing(shared: Installation) -> None:
    asked = [renewal_due()]
    with daemon(shared) as (_, platform):
        refused = recover(shared)
        assert refused.code == SOMETHING_WRONG
        assert refused.line.startswith(
            "settled: these must end first, and have not: all@"
        )
        platform.publish(asked)
        hear(platform, asked, "invoice.emailed")
    assert problems(shared) == []


@contextmanager
def slow_recovery(installation: Installation) -> Iterator[Running]:
    """One that waits for Xero until it is let go on."""
    control = installation.xero.control
    control.fault("slow_before", method="GET", path="/Contacts", delay_s=600)
    config = installation.config()
    with running("recover", "--json", "--config", config) as process:
        wait_until(
            lambda: any(fault["hits"] for fault in control.faults()["faults"]),
            WITHIN_S,
            "it reads",
        )
        yield process


def test_two_at_once_are_not_possible_and_a_killed_one_is_no_hindrance(
    shared: Installation,
) -> None:
    with slow_recovery(shared) as first:
        refused = recover(shared)
        assert refused.code == SOMETHING_WRONG
        assert "recover@" in refused.line
        assert first.process.poll() is None
        first.process.kill()
    assert problems(shared) == ["recovery_needed"]
    shared.xero.control.clear_faults()
    shared.xero.control.advance(600)
    assert recover(shared).code == 0
    assert problems(shared) == []


def test_a_daemon_that_is_started_meanwhile_writes_when_it_has_ended(
    shared: Installation,
) -> None:
    control, asked = shared.xero.control, [renewal_due()]
    with slow_recovery(shared) as recovery, daemon(shared) as (_, platform):
        platform.publish(asked)
        hear(platform, asked, "message.accepted")
        assert recovery.process.poll() is None
        assert control.ledger()["invoices"] == []
        control.clear_faults()
        control.advance(600)
        ended = recovery.wait()
        assert ended.code == 0, ended.err
        hear(platform, asked, "invoice.emailed")
    assert len(control.ledger()["invoices"]) == 1


def test_without_redis_it_says_so(shared: Installation) -> None:
    shared.values["redis_url"] = "redis://:hush@127.0.0.1:1"
    ended = recover(shared)
    assert ended.code == UNREACHABLE
    assert ended.line.startswith("settled: Redis can't be reached: ")
    assert "hush" not in ended.line
