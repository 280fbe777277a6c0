"""Keeping ``settled:out`` short, and noting how far each group has acknowledged.

Trimmed is only what lies below every declared group's oldest unacknowledged entry.
"""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import redis
import structlog

from core.clock import Clock
from core.db import positions
from core.db.database import transaction
from core.db.outbox import entry_id

log = structlog.get_logger()

EVERY_S = 3.0


class Trimmer:
    def __init__(
        self, client: redis.Redis, stream: str, groups: Sequence[str], clock: Clock
    ) -> None:
        self.client = client
        self.stream = stream
        self.groups = groups
        self.clock = clock

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self.trim()
            except redis.RedisError as error:
                log.warning("trimmer.fault", kind=type(error).__name__)
            except Exception:
                log.exception("trimmer.failed")
            self.clock.wait(stopping, EVERY_S)
        with contextlib.suppress(redis.RedisError):
            self.client.close()

    def trim(self) -> str | None:
        """The entry below which nothing is left; None if a group is missing."""
        acknowledged = {group: self._acknowledged(group) for group in self.groups}
        known = [entry for entry in acknowledged.values() if entry is not None]
        with transaction():
            for group, entry in acknowledged.items():
                if entry is not None:
                    positions.note_group(group, entry, self.clock.now())
        if len(known) < len(self.groups):
            return None
        lowest = min(known, key=entry_id)
        self.client.xtrim(self.stream, minid=_next(lowest), approximate=False)
        return lowest

    def _acknowledged(self, group: str) -> str | None:
        """Up to which entry the group has acknowledged everything."""
        try:
            groups: Any = self.client.xinfo_groups(self.stream)
        except redis.ResponseError:
            return None  # the stream is not there yet
        info = next((g for g in groups if g["name"] == group.encode()), None)
        if info is None:
            return None
        pending: Any = self.client.xpending(self.stream, group)
        if pending["pending"]:
            return _before(pending["min"].decode())
        last: bytes = info["last-delivered-id"]
        return last.decode()


def _before(entry: str) -> str:
    """The largest id below an entry's."""
    milliseconds, sequence = entry_id(entry)
    if sequence:
        return f"{milliseconds}-{sequence - 1}"
    return f"{max(milliseconds - 1, 0)}-{2**64 - 1}"


def _next(entry: str) -> str:
    """The smallest id above an entry's."""
    milliseconds, sequence = entry_id(entry)
    if sequence == 2**64 - 1:
        return f"{milliseconds + 1}-0"
    return f"{milliseconds}-{sequence + 1}"
