"""``settled run --role``: processes that share the work, and survive one another."""

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from bus.embedded import EmbeddedRedis
from core.settings import load_settings
from sandbox.platform import Platform
from settled.maintenance import migrate_books
from settled.roles import Role
from tests.messages import Data, renewal_due
from tests.servers import lives, wait_until
from tests.settled.command import Running, running, settled, write_toml
from tests.settled.rehearsed import Installation, installed

#: In each round one role is killed while so many members are on their way.
MEMBERS = 20

WITHIN_S = 60

PROCESSES = 2


class Roles:
    """An installation of which every role runs, as processes of its own."""

    def __init__(self, installation: Installation, redis_url: str) -> None:
        self.installation = installation
        self.redis_url = redis_url
        self.config = installation.config()
        self.processes: dict[Role, Running] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "Roles":
        for role in Role:
            self.start(role)
        self.said = {role: self.read_lines(role) for role in Role}
        self.public = self.said[Role.WEB][0]["public"]
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def start(self, role: Role) -> None:
        process = running("run", "--role", role, "--config", self.config)
        self.processes[role] = self._closing.enter_context(process)

    def read_lines(self, role: Role) -> list[dict[str, str]]:
        """What each process of the role says when it is up."""
        lines = PROCESSES if role is Role.WORKER else 1
        return [self.processes[role].addresses() for _ in range(lines)]

    def kill(self, role: Role) -> None:
        """One process of it, and start it again as systemd does."""
        os.kill(pid_of(self.said[role][0]), signal.SIGKILL)
        self.processes[role].process.wait(30)
        self.start(role)
        self.said[role] = self.read_lines(role)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis that keeps what it accepts, and that outlives every process."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server.url


@pytest.fixture
def installation(
    here: Path, redis_url: str, database_url: str
) -> Iterator[Installation]:
    with installed(here) as made:
        made.values |= {
            "redis_url": redis_url,
            "database_url": database_url,
            "token_keys": [Fernet.generate_key().decode()],
            # A web that was away gets the webhooks of then a quarter of an hour later.
            "sweep": {"invoices_every_s": 2},
            "roles": {
                **{f"{role}_port": 0 for role in Role},
                "worker_processes": PROCESSES,
            },
        }
        migrate_books(load_settings(Path(made.config())))
        made.import_prices()
        yield made


@contextmanager
def roles_and_platform(
    installation: Installation, redis_url: str
) -> Iterator[tuple[Roles, Platform]]:
    with Roles(installation, redis_url) as roles:
        installation.xero.subscribe_webhooks(f"{roles.public}/webhooks/xero")
        page, _ = installation.connect()
        assert page.status_code == 200
        with Platform(redis_url) as platform:
            yield roles, platform


def of(platform: Platform, asked: list[Data], message_type: str) -> list[str]:
    """Which of these were answered so."""
    ids = {one["id"] for one in asked}
    return [
        received.in_reply_to or ""
        for received in platform.received
        if received.type == message_type and received.in_reply_to in ids
    ]


def pid_of(line: dict[str, str]) -> int:
    """The process says its name, and its name has its number."""
    found = re.search(r"-(\d+)-[0-9a-f]+$", line["process"])
    assert found is not None
    return int(found[1])


@pytest.mark.timeout(300)
def test_each_role_may_be_killed_while_the_others_go_on(
    installation: Installation, redis_url: str
) -> None:
    control = installation.xero.control
    everything: list[Data] = []
    with roles_and_platform(installation, redis_url) as (roles, platform):
        for role in Role:
            asked = [renewal_due() for _ in range(MEMBERS)]
            everything += asked
            control.set_latency(50)
            platform.publish(asked)
            wait_until(
                lambda: bool(of(platform, asked, "message.accepted")),  # noqa: B023
                WITHIN_S,
                "work",
            )
            roles.kill(role)
            done = platform.wait_until(
                lambda _: len(of(platform, asked, "invoice.emailed")) == MEMBERS,  # noqa: B023
                WITHIN_S,
            )
            assert done, (role, Counter(r.type for r in platform.received))
        for invoice in control.ledger()["invoices"]:
            control.pay(invoice["InvoiceNumber"])
        acted = platform.wait_until(
            lambda _: len(platform.actions) >= len(everything), WITHIN_S
        )
        assert acted
        ledger = control.ledger()
    references = Counter(invoice["Reference"] for invoice in ledger["invoices"])
    emails = Counter(email["invoice_number"] for email in ledger["emails"])
    assert references == Counter(f"membership:{one['subject']}" for one in everything)
    assert set(emails.values()) == {1}
    assert len(emails) == len(everything)
    renewed = Counter(action["subject"] for action in platform.actions)
    assert renewed == Counter(one["subject"] for one in everything)


def test_roles_say_where_they_are_and_stop_in_good_order(
    installation: Installation, redis_url: str
) -> None:
    with Roles(installation, redis_url) as roles:
        checked = settled("check", "--offline", "--config", roles.config)
        assert "worker: 2" in checked.out
        roles.processes[Role.PUMP].end()
        roles.start(Role.PUMP)
        (pump,) = roles.read_lines(Role.PUMP)
        assert set(pump) == {"internal", "role", "process", "redis"}
        assert httpx.get(f"{pump['internal']}/readyz").status_code == 200
        assert "settled_problems_open" in httpx.get(f"{pump['internal']}/metrics").text
        ended = {role: roles.processes[role].end() for role in Role}
    assert {role: one.code for role, one in ended.items()} == dict.fromkeys(Role, 0)
    assert not any("Traceback" in one.err for one in ended.values())
    checked = settled("check", "--offline", "--config", roles.config)
    assert "none runs" in checked.out


def test_worker_processes_end_with_one_of_them_and_with_their_parent(
    installation: Installation, redis_url: str
) -> None:
    roles = Roles(installation, redis_url)
    with roles._closing:
        roles.start(Role.WORKER)
        first, second = map(pid_of, roles.read_lines(Role.WORKER))
        os.kill(first, signal.SIGKILL)
        assert roles.processes[Role.WORKER].wait().code == 1
        assert not lives(second)
        roles.start(Role.WORKER)
        pids = [pid_of(line) for line in roles.read_lines(Role.WORKER)]
        roles.processes[Role.WORKER].process.kill()
        wait_until(lambda: not any(map(lives, pids)), 15, "the orphans end")


@pytest.mark.parametrize(
    ("setting", "change"),
    [
        ("redis_url", {"redis_url": None}),
        ("token_keys", {"token_keys": []}),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_what_cannot_be_shared_is_refused_by_name(
    here: Path, role: Role, setting: str, change: dict[str, object]
) -> None:
    values = {
        "redis_url": "redis://127.0.0.1:1",
        "database_url": "postgresql://127.0.0.1:1/none",
        "token_keys": [Fernet.generate_key().decode()],
        **change,
    }
    given = {name: value for name, value in values.items() if value is not None}
    config = write_toml(here / "settled.toml", given)
    refused = settled("run", "--role", role.value, "--config", str(config))
    assert (refused.code, f"{setting}: is not set" in refused.line) == (3, True)
