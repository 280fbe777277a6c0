"""A process says once a second that it lives."""

import threading
from datetime import datetime

import structlog

from core.clock import Clock
from core.db import processes
from core.db.database import transaction

log = structlog.get_logger()

BEAT_EVERY_S = 1.0


class Heart:
    def __init__(self, process: str, clock: Clock) -> None:
        self.process = process
        self.clock = clock
        self.beat_at: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self.beat()
            except Exception:
                log.exception("beat.failed")
            self.clock.wait(stopping, BEAT_EVERY_S)

    def beat(self) -> None:
        now = self.clock.now()
        with transaction():
            processes.beat(self.process, now)
        self.beat_at = now

    def stop(self) -> None:
        """We end in good order."""
        with transaction():
            processes.leave(self.process)
