"""The presence of processes: whoever dies is known to be dead at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from settled.presence import Presence
from tests.servers import wait_until

#: A process that is there until it is killed.
THERE = """
import sys, threading
from pathlib import Path
from settled.presence import Presence
there = Presence(Path(sys.argv[1]), sys.argv[2])
there.begin()
print("there", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "processes"


def test_whoever_lives_is_not_gone(folder: Path) -> None:
    one, other = (Presence(folder, name) for name in ("one", "other"))
    one.begin()
    other.begin()
    assert one.gone() == other.gone() == []
    one.end()
    other.end()


def test_whoever_is_killed_is_gone_at_once_and_named_once(folder: Path) -> None:
    looking = Presence(folder, "looking")
    looking.begin()
    with subprocess.Popen(  # noqa: S603 the program stands above
        [sys.executable, "-c", THERE, str(folder), "killed"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while_it_lived = looking.gone()
        process.kill()
    gone: list[str] = []

    def is_gone() -> bool:
        gone.extend(looking.gone())
        return bool(gone)

    wait_until(is_gone, 1, "it is gone")
    assert (while_it_lived, gone, looking.gone()) == ([], ["killed"], [])
    looking.end()


def test_whoever_ends_in_good_order_leaves_nothing(folder: Path) -> None:
    ended = Presence(folder, "ended")
    ended.begin()
    ended.end()
    ended.end()
    assert list(folder.iterdir()) == []


def test_who_is_just_beginning_is_not_taken_for_dead(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / ".beginning").touch()
    assert Presence(folder, "looking").gone() == []


def test_before_anybody_has_begun_nobody_is_gone(folder: Path) -> None:
    assert Presence(folder, "looking").gone() == []
