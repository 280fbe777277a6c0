"""Running a program as a newcomer would, with its time taken."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

#: How much of a program's end is shown when it fails.
_LAST_LINES = 12

#: How pip reaches its packages is the machine's business, not the newcomer's.
_KEPT = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended."""

    code: int
    seconds: float
    output: str

    @property
    def end(self) -> str:
        """Its last lines."""
        return "\n".join(self.output.splitlines()[-_LAST_LINES:])


def run(
    arguments: Sequence[str],
    *,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    within_s: float,
) -> Finished:
    """Run to the end; what it printed, both streams in one.

    A program that takes longer than `within_s` is ended, with code -1.
    """
    began = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 our own programs
            arguments,
            cwd=cwd,
            env=dict(environment if environment is not None else our_environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            check=False,
        )
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as expired:
        code, output = -1, expired.output or b""
    seconds = round(time.monotonic() - began, 1)
    return Finished(code, seconds, output.decode(errors="replace"))


def python(module: str, *arguments: str, within_s: float) -> Finished:
    """Run one of our modules with this Python."""
    return run([sys.executable, "-m", module, *arguments], within_s=within_s)


def our_environment() -> dict[str, str]:
    """This one, without what would lead our programs to other servers."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "REDIS_URL" and not name.startswith("SETTLED_")
    }


def bare_environment(home: Path) -> dict[str, str]:
    """A fresh machine's: an empty home, and no virtual environment on PATH."""
    ours = Path(sys.prefix).resolve()
    path = [
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if folder and not Path(folder).resolve().is_relative_to(ours)
    ]
    kept = {k: v for k, v in os.environ.items() if k.upper().startswith(_KEPT)}
    pip_settings = Path.home() / ".config" / "pip" / "pip.conf"
    if pip_settings.exists():
        kept.setdefault("PIP_CONFIG_FILE", str(pip_settings))
    return kept | {
        "PATH": os.pathsep.join(path),
        "HOME": str(home),
        "LANG": "C.UTF-8",
    }
