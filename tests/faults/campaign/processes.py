"""Posts, each filled by one process at a time, and the fleet that keeps them filled.

What systemd or an orchestrator does: whoever ends is started again. Everything is done
by process id, and by one thread: on Linux the kernel ends a process together with the
thread that started it, so that nothing outlives a campaign that is itself killed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import wait_until

# Becomes the command, after it has asked the kernel to end with whoever started it. No
# preexec_fn, which may deadlock where there are threads.
_BECOME = """
import os, sys
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG, SIGKILL = 1, 9
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit("whoever started this is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

LOOK_EVERY_S = 0.02

#: Whoever ends by itself is started again after this, as `RestartSec=` would have it.
PAUSE_S = 0.3

#: How long after it is up a process is at work.
SETTLES_WITHIN_S = 0.3

#: Until a process that was asked to stop in good order is killed.
STOP_WITHIN_S = 30.0

_LAST_LINES = 6


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended and was not killed by us."""

    name: str
    code: int
    last_words: str


class Post:
    """What one process does, by whomever of a row of processes it is done.

    Args:
        arguments: of our own module, such as ``settled run``; it prints one line of
            JSON when it is up.
        log: where all of them write, one after another.
    """

    def __init__(
        self, name: str, role: str, arguments: Sequence[str], log: Path
    ) -> None:
        self.name = name
        self.role = role
        self.log = log
        self.said: Mapping[str, Any] = {}
        self.lives = 0
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""
        self._start_at = 0.0
        self._up_at = 0.0
        self._is_struck = False

    @property
    def pid(self) -> int:
        """Of the process that does the work: for workers a child of dramatiq's own."""
        if self._process is None:
            raise ProcessLookupError(self.name)
        name = self.said.get("process")
        return int(name.rsplit("-", 2)[1]) if name else self._process.pid

    @property
    def is_up(self) -> bool:
        """Whether it lives and has said that it is ready."""
        process = self._process
        lives = process is not None and process.poll() is None
        return lives and bool(self.said) and not self._is_struck

    @property
    def is_at_work(self) -> bool:
        """Whether it has been up for a moment: what is killed must have begun."""
        return self.is_up and time.monotonic() - self._up_at > SETTLES_WITHIN_S

    def look(self) -> Ended | None:
        """Start whoever is to be started, hear whoever is up; who ended by itself."""
        process = self._process
        if process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return None
        self._listen(process)
        code = process.poll()
        if code is None:
            return None
        was_struck = self._is_struck
        self._forget(process)
        if was_struck:
            return None
        self._start_at = time.monotonic() + PAUSE_S
        return Ended(self.name, code, self._last_words())

    def send(self, number: signal.Signals) -> None:
        """To whoever does the work; what kills it kills whoever started it too."""
        os.kill(self.pid, number)
        if number is signal.SIGKILL and self._process is not None:
            self._process.kill()
            self._is_struck = True

    def end(self, number: signal.Signals) -> None:
        """End it by this signal and wait until it has; a frozen one can't refuse."""
        process = self._process
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._forget(process)

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own modules
                [
                    *(sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid())),
                    *(sys.executable, "-m", *self._arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)
        self.lives += 1

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        if self.said or process.stdout is None:
            return
        self._heard += process.stdout.read() or b""
        line, ended, _ = self._heard.partition(b"\n")
        if ended:
            self.said = json.loads(line)
            self._up_at = time.monotonic()

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            process.stdout.close()
        self._process, self._heard, self.said = None, b"", {}
        self._is_struck = False

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return " | ".join(line[:300] for line in lines[-_LAST_LINES:])


class Fleet:
    """Keeps every post filled until it is left. Use as a context manager.

    Attributes:
        ended: whoever ended without having been killed.
    """

    def __init__(self, posts: Sequence[Post]) -> None:
        self.posts = posts
        self.ended: list[Ended] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="fleet")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def wait_until_up(self, timeout_s: float) -> None:
        wait_until(lambda: all(p.is_up for p in self.posts), timeout_s, "all are up")

    def at_work(self, *roles: str) -> list[Post]:
        """Whoever of these roles is at work, in the order of the posts."""
        return [post for post in self.posts if post.role in roles and post.is_at_work]

    def send(self, post: Post, number: signal.Signals) -> int | None:
        """Send a signal to whoever fills this post; its process id, None: nobody."""
        with self._lock:
            if not post.is_up:
                return None
            post.send(number)
            return post.pid

    def _keep(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            with self._lock:
                for post in self.posts:
                    ended = post.look()
                    if ended is not None:
                        self.ended.append(ended)
        # Here and not by whoever leaves, because they end with this thread.
        for post in reversed(self.posts):
            post.end(signal.SIGTERM)
