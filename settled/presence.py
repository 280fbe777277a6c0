"""Who of this host has died, as its kernel knows.

<data_folder>/processes/<name>   locked by the process of that name while it lives

A process says in the books once a second that it lives, and is presumed dead after 5 s
of silence. On its own host nobody need wait so long: however a process ends, the kernel
lets go of its locks at once.
"""

import fcntl
from pathlib import Path
from typing import IO


class Presence:
    """The lock of one process, and a look at those of the others.

    Args:
        folder: shared by the processes of a host; made if missing.
        name: how this process is called in the books.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._file: IO[bytes] | None = None

    def begin(self) -> None:
        """From now on our death is noticed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{self.name}"
        self._file = draft.open("wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        # Under its name only when it is locked: else it would look like a dead one's.
        draft.rename(self.folder / self.name)

    def end(self) -> None:
        """We end in good order, and have told the books ourselves."""
        if self._file is not None:
            (self.folder / self.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def gone(self) -> list[str]:
        """Those who have died since somebody last looked; named once."""
        return [path.name for path in self.folder.glob("[!.]*") if _is_let_go(path)]


def _is_let_go(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True
