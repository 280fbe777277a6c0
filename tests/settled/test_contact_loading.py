"""``settled contacts load``: by the daemon that runs, or without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.settled.command import running, settled_process
from tests.settled.rehearsed import Installation, installed

#: Two full pages of a thousand and a beginning of a third.
CONTACTS = 2_100


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as there:
        in_one_second(there.xero, [{"Name": f"Contact {n}"} for n in range(CONTACTS)])
        there.connect()
        yield there


def in_one_second(xero: Sandbox, some: list[dict[str, str]]) -> None:
    """All of them are of one second, however long they take to be made."""
    xero.control.set_rate(0)
    xero.control.seed_contacts(some)
    xero.control.set_rate(1)


def reads(installation: Installation) -> int:
    ledger = installation.xero.control.ledger()
    count: int = ledger["calls"]["by_endpoint"].get("GET /Contacts", 0)
    return count


def test_without_a_daemon_they_are_read_here(installation: Installation) -> None:
    config = installation.config()
    ended = settled_process("contacts", "load", "--config", config)
    assert (ended.code, ended.out) == (0, f"{CONTACTS} contacts\n")
    assert f"contacts: {CONTACTS} of {CONTACTS} read" in ended.err
    # All of them changed in one second, so that the first page comes twice.
    assert reads(installation) == 4


def test_a_running_daemon_reads_them(installation: Installation) -> None:
    config = installation.config()
    with running("run", "--config", config) as daemon:
        daemon.addresses()
        ended = settled_process("contacts", "load", "--config", config)
        assert (ended.code, ended.out) == (0, f"{CONTACTS} contacts\n")
        first = reads(installation)
        anew = settled_process("contacts", "load", "--anew", "--config", config)
        assert anew.out == f"{CONTACTS} contacts\n"
        assert reads(installation) == first + 4
        assert daemon.end().code == 0
