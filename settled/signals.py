"""SIGINT and SIGTERM, none of them lost."""

import os
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

#: The exit code of whoever was not let finish.
INTERRUPTED = 130


class StopSignals:
    """From now on the first signal ends ``wait``, and a second one the process.

    At once and without any last step: for whoever won't wait for a stop in good order,
    and where a crash at any moment is safe.

    Use as a context manager, in the main thread. The interpreter writes to a socket as
    soon as a signal comes. An event set by a handler would not do: handlers run between
    two steps of the main thread, so that a signal just before it falls asleep waits
    for the next one, and one inside ``Event.wait`` finds its lock taken for good.
    """

    def __init__(self) -> None:
        self._told, self._tell = socket.socketpair()
        self._tell.setblocking(False)
        self._were: dict[signal.Signals, Any] = {}
        self._wakeup_was = -1
        self._count = 0

    def __enter__(self) -> Self:
        self._wakeup_was = signal.set_wakeup_fd(self._tell.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            self._were[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._were.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_was)
        self._told.close()
        self._tell.close()

    def wait(self) -> None:
        """Until somebody says stop; at once if somebody has."""
        self._told.recv(1)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            os._exit(INTERRUPTED)
