"""The processes of a demo, and what they use."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from core.errors import SettledError

STOP_WITHIN_S = 90
SAMPLE_EVERY_S = 0.25


class ChildFailed(SettledError):
    """A process of the demo ended, or would not start."""


class Child:
    """A process that prints one line of JSON when it is ready."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self._log = log
        self._log_file: IO[bytes] = log.open("wb")
        self.process = subprocess.Popen(  # noqa: S603 our own modules
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the demo, which stops its children in order.
            start_new_session=True,
            text=True,
        )

    def ready(self) -> Mapping[str, Any]:
        """What it said when it was ready.

        Raises:
            ChildFailed: it ended instead, with its last lines.
        """
        if self.process.stdout is None:
            raise ChildFailed(f"{self.name} has no output")
        line = self.process.stdout.readline()
        try:
            said: Mapping[str, Any] = json.loads(line)
        except ValueError as error:
            self.stop()
            raise ChildFailed(f"{self.name} did not start: {self._end()}") from error
        return said

    def check(self) -> None:
        if self.process.poll() is not None:
            raise ChildFailed(f"{self.name} ended: {self._end()}")

    def stop(self) -> int:
        """Ask it to stop in good order; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        code = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log_file.close()
        return code

    def _end(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return " | ".join(line[:300] for line in lines[-3:]) or "without a word"


class MemoryWatch:
    """The peak of the summed proportional memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak_bytes = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory")
        self._thread.start()

    @property
    def peak_mb(self) -> float | None:
        """The peak so far in MB (10^6 bytes); None where /proc does not tell."""
        return round(self.peak_bytes / 1e6, 1) if self.peak_bytes else None

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(SAMPLE_EVERY_S):
            pids = [self.pid, *_children_of(self.pid)]
            self.peak_bytes = max(self.peak_bytes, sum(map(_pss, pids)))


def run_to_end(arguments: Sequence[str]) -> str:
    """Run one of our commands; what it printed."""
    done = subprocess.run(  # noqa: S603 our own modules
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise ChildFailed(f"{' '.join(arguments[:3])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children_of(pid: int) -> list[int]:
    """Processes whose parent is this one; not every kernel lists them directly."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name) state ppid: the name may hold spaces and brackets.
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if int(parent) == pid:
            found.append(int(stat.parent.name))
    return found


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    line = next((ln for ln in text.splitlines() if ln.startswith("Pss:")), "Pss: 0")
    return int(line.split()[1]) * 1024
