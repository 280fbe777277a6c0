"""Faults on request: what shall go wrong, where, and how often."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args
from uuid import uuid4

Kind = Literal[
    "429_minute",
    "429_day",
    "429_concurrent",
    "429_appminute",
    "500_before",
    "500_after",
    "503",
    "401",
    "reply_lost",
    "half_reply",
    "slow",
    "slow_before",
    "refuse",
]
KINDS: tuple[str, ...] = get_args(Kind)

_ACCOUNTING = "/api.xro/2.0"


@dataclass(slots=True)
class Fault:
    """One fault, and how many calls it still spares and spoils."""

    kind: Kind
    method: str | None = None
    path: str | None = None
    times: int = 1
    after: int = 0
    delay_s: float = 0.0
    retry_after_s: int | None = None
    fault_id: str = field(default_factory=lambda: str(uuid4()))
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is meant: a path prefix, or a glob where it has a star."""
        if self.method and self.method.upper() != method:
            return False
        if not self.path:
            return True
        short = path.removeprefix(_ACCOUNTING)
        if "*" in self.path or "?" in self.path:
            return any(fnmatchcase(p, self.path) for p in (path, short))
        return path.startswith(self.path) or short.startswith(self.path)

    def shape(self) -> dict[str, Any]:
        """Return the fault as the control API shows it."""
        return {
            "id": self.fault_id,
            "match": {"method": self.method, "path": self.path},
            "kind": self.kind,
            "times": self.times,
            "after": self.after,
            "delay_s": self.delay_s,
            "retry_after_s": self.retry_after_s,
            "hits": self.hits,
        }


@dataclass(slots=True)
class WebhookFaults:
    """What shall go wrong with deliveries.

    Attributes:
        duplicate: how many more deliveries there are, all of them of the next body.
        repeat: how many times more each body is delivered, until this is cleared.
    """

    duplicate: int = 0
    repeat: int = 0
    reorder: bool = False
    drop: int = 0
    delay_s: float = 0.0


class Faults:
    """The faults in force, asked once per call in the order they were set."""

    def __init__(self) -> None:
        self.standing: list[Fault] = []
        self.webhooks = WebhookFaults()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that spoils this call, and use it up by one."""
        for fault in self.standing:
            if fault.times <= 0 or not fault.matches(method, path):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            fault.hits += 1
            return fault
        return None

    def clear(self) -> None:
        """Let everything work again."""
        self.standing.clear()
        self.webhooks = WebhookFaults()
