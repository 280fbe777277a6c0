"""The command ``settled``: called in this process, or started as one of its own."""

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from settled.cli import main

#: The tests' own checkout comes first, as it does for pytest.
ROOT = Path(__file__).parents[2]

STOPS_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of its error; a traceback or a second line is a failure."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


def settled(*arguments: str) -> Ended:
    """Call it here, which is quick; the exit code is that of a process.

    Not for a daemon that starts: only a signal ends it.
    """
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with (
        _logs_as_they_were(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main(list(arguments))
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return Ended(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _logs_as_they_were() -> Iterator[None]:
    """The command sets up its logs for the whole process, which here is pytest's."""
    root, was = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    # Taken off first: those that stand there are closed.
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.configure(**was)


def settled_process(*arguments: str, **environment: str) -> Ended:
    """Start it as a process and wait for its end."""
    done = subprocess.run(  # noqa: S603 our own module
        [sys.executable, "-m", "settled", *arguments],
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Running:
    """The command as a process that goes on; ended with its context.

    Args:
        log: where its standard error goes. A file, because a pipe holds little: who
            writes much into one that nobody reads stands still.
    """

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603 our own module
                [sys.executable, "-m", "settled", *arguments],
                env=_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def lines(self) -> IO[str]:
        """What it prints, as it comes."""
        assert self.process.stdout is not None
        return self.process.stdout

    def addresses(self) -> dict[str, str]:
        """The first line of ``settled run``; then it has started."""
        first = self.lines.readline()
        assert first, self.logged()
        said: dict[str, str] = json.loads(first)
        return said

    def end(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """Ask it to stop, and wait until it has."""
        self.process.send_signal(number)
        return self.wait()

    def logged(self) -> str:
        """What it has written to its standard error so far."""
        return self.log.read_text(encoding="utf-8")

    def is_stopping(self) -> bool:
        """Whether it has logged so."""
        return '"daemon.stopping"' in self.logged()

    def consent_url(self) -> str:
        """Where ``settled connect`` sends a person."""
        return next(line.strip() for line in self.lines if line.startswith("http"))

    def wait(self) -> Ended:
        out, _ = self.process.communicate(timeout=STOPS_WITHIN_S)
        return Ended(self.process.returncode, out, self.logged())


@contextlib.contextmanager
def running(*arguments: str, **environment: str) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as folder:
        started = Running(Path(folder) / "log", *arguments, **environment)
        try:
            yield started
        finally:
            if started.process.poll() is None:
                started.process.kill()
            started.process.communicate()


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **added}


def write_toml(path: Path, values: Mapping[str, Any]) -> Path:
    """Settings as a file, each table on a line of its own."""
    lines = [f"{name} = {_spelled(value)}" for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {_spelled(one)}" for name, one in value.items())
        return f"{{ {inner} }}"
    # JSON's spelling of everything else is TOML's too.
    return json.dumps(value)
