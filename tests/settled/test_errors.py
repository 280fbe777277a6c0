"""What is wrong is told in one line that names it, with an exit code, never a trace."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from settled.cli import SOMETHING_WRONG, UNREACHABLE, UNUSABLE, USAGE
from tests.servers import lives
from tests.settled.command import ROOT, settled, settled_process, write_toml

#: As if the second wheel were not installed, in whatever environment the tests run.
NO_SANDBOX = """
import sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sandbox":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuses())
"""


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `settled run` looks for first, and any free ports."""
    monkeypatch.setenv("SETTLED_XERO__CLIENT_ID", "an-app")
    monkeypatch.setenv("SETTLED_WEB__PUBLIC_PORT", "0")
    monkeypatch.setenv("SETTLED_WEB__INTERNAL_PORT", "0")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def path_without_sandbox(tmp_path: Path) -> str:
    """A PYTHONPATH with which nothing can import the sandbox."""
    (tmp_path / "sitecustomize.py").write_text(NO_SANDBOX)
    return f"{tmp_path}{os.pathsep}{ROOT}"


# -- usage: 2 ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["prices", "nonsense"], "nonsense"),
        (["demo", "--members", "0"], "--members"),
        (["demo", "--members", "many"], "--members"),
        (["demo", "--limits", "none"], "--limits"),
        (["prices", "import"], "FILE"),
        (["prices", "import", "nowhere.csv"], "nowhere.csv"),
        (["problems", "close"], "CAUSE"),
        (["check", "--config", "."], "--config"),
        (["sandbox", "serve", "--nonsense"], "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_explained(arguments: list[str], named: str) -> None:
    ended = settled(*arguments)
    assert (ended.code, ended.out) == (USAGE, "")
    assert ended.err.startswith("Usage: settled")
    assert named in ended.err.splitlines()[-1]


# -- settings: 3 ---------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "connect", "check", "migrate", "accounts"])
def test_a_config_file_that_is_not_there_is_named(command: str) -> None:
    ended = settled(command, "--config", "nowhere.toml")
    assert ended.code == UNUSABLE
    assert ended.line == "settled: --config: there is no file nowhere.toml"


def test_a_config_file_of_the_environment_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SETTLED_CONFIG", "nowhere.toml")
    ended = settled("migrate")
    assert (ended.code, ended.line.endswith("nowhere.toml")) == (UNUSABLE, True)


@pytest.mark.parametrize(
    "content", [b"[web\n", b"a = \n", b"\xff\xfe", b"a = 1\na = 2"]
)
def test_a_file_that_is_no_toml_is_named(here: Path, content: bytes) -> None:
    (here / "settled.toml").write_bytes(content)
    ended = settled("migrate")
    assert ended.code == UNUSABLE
    assert ended.line.startswith("settled: settled.toml: not TOML: ")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("worker_threads = 1", "worker_threads"),
        ('worker_threads = "many"', "worker_threads"),
        ("[web]\npublic_port = 70000", "web.public_port"),
        ("[web]\npublik_port = 8080", "web.publik_port"),
        ("[quota]\nminute = -1", "quota.minute"),
        ("[quota.reserves.bulk]\nminute = 1", "quota.reserves.bulk.concurrent"),
        ('[tenants.main]\nzone = "Africa/Nowhere"', "tenants.main.zone"),
        ('[tenants.main]\nname_taken = "{name}"', "tenants.main.name_taken"),
        ('[xero]\nwebhook_keys = ["a", "b", "c"]', "xero.webhook_keys"),
        ("[bus]\ngroups = []", "bus.groups"),
        ("nonsense = 1", "nonsense"),
        ("[tenants]", "tenants"),
    ],
)
def test_a_wrong_setting_names_itself(here: Path, text: str, named: str) -> None:
    (here / "settled.toml").write_text(text)
    ended = settled("migrate")
    assert ended.code == UNUSABLE
    assert ended.line.startswith(f"settled: {named}: ")


def test_a_wrong_setting_of_the_environment_names_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SETTLED_WEB__PUBLIC_PORT", "eighty")
    ended = settled("run")
    assert ended.code == UNUSABLE
    assert ended.line.startswith("settled: web.public_port: ")


@pytest.mark.parametrize("command", ["connect", "check"])
def test_a_wrong_secret_is_not_printed(here: Path, command: str) -> None:
    values = {"token_keys": ["hush-hush"], "xero": {"client_id": "an-app"}}
    write_toml(here / "settled.toml", values)
    ended = settled(command)
    assert ended.code in (SOMETHING_WRONG, UNUSABLE)
    assert "token_keys" in ended.out + ended.err
    assert "hush-hush" not in ended.out + ended.err


def test_running_without_an_app_names_what_is_missing() -> None:
    ended = settled("run")
    assert ended.code == UNUSABLE
    assert ended.line.startswith("settled: xero.client_id: is not set")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[plugins.exams]\nnumber_prefix = 'EX'", "plugins.exams"),
        ("[plugins.membership]\nnonsense = 1", "plugins.membership.nonsense"),
    ],
)
def test_a_wrong_table_of_a_plugin_names_itself(
    here: Path, app: None, text: str, named: str
) -> None:
    (here / "settled.toml").write_text(text)
    ended = settled("run")
    assert ended.code == UNUSABLE
    assert ended.line.startswith(f"settled: {named}: ")


#: Every command that opens the books, besides `run`, which waits for them.
OF_THE_BOOKS = pytest.mark.parametrize(
    "command",
    [
        "accounts",
        "check",
        "connect",
        "messages list",
        "migrate",
        "prices list",
        "problems list",
        "recover",
    ],
)


@OF_THE_BOOKS
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://localhost/books", "database_url: neither sqlite:/// nor postgresql"),
        ("sqlite:////nowhere/at/all/books.db", "unable to open database file"),
    ],
)
def test_a_database_that_is_not_to_be_had_is_told(
    app: None, monkeypatch: pytest.MonkeyPatch, command: str, url: str, why: str
) -> None:
    monkeypatch.setenv("SETTLED_DATABASE_URL", url)
    ended = settled(*command.split())
    assert ended.code == UNUSABLE
    assert ended.line.startswith("settled: ")
    assert why in ended.line


def test_a_redis_url_that_can_not_be_read_is_not_printed(
    app: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("127.0.0.1:6379", "redis://:hu/sh@127.0.0.1:1"):
        monkeypatch.setenv("REDIS_URL", url)
        ended = settled("run")
        assert ended.code == UNUSABLE
        assert ended.line.startswith("settled: redis_url: is no Redis URL")
        assert "hu" not in ended.line


def test_without_its_database_the_daemon_does_not_start() -> None:
    """As a process, whose traceback would be on its standard error."""
    database = {"SETTLED_DATABASE_URL": "sqlite:////no/books.db"}
    ended = settled_process("run", SETTLED_XERO__CLIENT_ID="an-app", **database)
    assert ended.code == UNUSABLE
    assert ended.line.endswith("unable to open database file")


@pytest.mark.parametrize("command", ["connect", "check", "migrate"])
def test_a_data_folder_that_can_not_be_made_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("SETTLED_DATA_FOLDER", "file")
    ended = settled(command)
    assert ended.code == UNUSABLE
    assert ended.line == "settled: data_folder: file: File exists"


def test_a_redis_that_keeps_nothing_is_refused(
    app: None, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    ended = settled("run")
    assert ended.code == UNUSABLE
    assert (
        ended.line == "settled: redis_url: appendonly is off: a restart loses messages"
    )


def test_a_redis_that_forgets_when_it_is_full_is_refused(
    app: None,
    redis_url: str,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    redis_client.config_set("appendonly", "yes")
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        ended = settled("run")
    finally:
        redis_client.config_set("appendonly", "no")
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert ended.code == UNUSABLE
    assert (
        ended.line == "settled: redis_url: maxmemory-policy is allkeys-lru: it evicts"
    )


# -- not there: 4 and 1 --------------------------------------------------------------


@OF_THE_BOOKS
def test_a_database_that_is_not_there_is_told_at_once(
    app: None, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    url = "postgresql://somebody:hush@127.0.0.1:1/books"
    monkeypatch.setenv("SETTLED_DATABASE_URL", url)
    ended = settled(*command.split())
    assert ended.code == UNREACHABLE
    assert ended.line.startswith("settled: the database can't be reached: connection")
    assert "hush" not in ended.line


@pytest.mark.parametrize("listener", ["PUBLIC", "INTERNAL"])
def test_a_taken_port_is_named_and_nothing_is_left_running(
    here: Path,
    app: None,
    monkeypatch: pytest.MonkeyPatch,
    taken_port: int,
    listener: str,
) -> None:
    monkeypatch.setenv(f"SETTLED_WEB__{listener}_PORT", str(taken_port))
    before = set(threading.enumerate())
    ended = settled("run")
    assert ended.code == SOMETHING_WRONG
    assert ended.line.startswith(
        f"settled: can't listen on 127.0.0.1:{taken_port}: Address already in use"
    )
    assert [t.name for t in set(threading.enumerate()) - before if not t.daemon] == []
    assert not lives(int((here / "data" / "redis" / "server.lock").read_text()))


def test_without_the_second_wheel_its_commands_say_so(
    path_without_sandbox: str,
) -> None:
    ended = settled_process("demo", PYTHONPATH=path_without_sandbox)
    assert ended.code == UNUSABLE
    assert ended.line == (
        "settled: sandbox: is not installed; pip install 'settled[sandbox]'"
    )


def test_without_the_second_wheel_everything_else_works(
    path_without_sandbox: str,
) -> None:
    ended = settled_process("check", "--offline", PYTHONPATH=path_without_sandbox)
    assert ended.code == SOMETHING_WRONG
    assert "schema up to date, writable" in ended.out
