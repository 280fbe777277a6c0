"""Idempotency-Key: the first answer, kept for six minutes from the first call.

Per app, for POST, PUT and PATCH. A repeat must be the same method, address and body,
byte for byte. Answers of every kind are kept, errors too (facts section 2).
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.xero.reply import Reply

LIFETIME = timedelta(minutes=6)
LONGEST_KEY = 128
METHODS = frozenset({"POST", "PUT", "PATCH"})


class KeyReused(Exception):
    """The key was used with a different request."""


@dataclass(slots=True)
class Remembered:
    """One key: the request it stands for, and the answer once there is one."""

    fingerprint: bytes
    first_used_at: datetime
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    reply: Reply | None = None


class Memory:
    """The keys of one app."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._keys: dict[str, Remembered] = {}

    def recall(
        self, key: str, method: str, address: str, body: bytes
    ) -> tuple[Remembered, bool]:
        """Return what is remembered of a key, and whether this is its first use.

        Raises:
            KeyReused: the key belongs to another request.
        """
        self._forget()
        fingerprint = _fingerprint(method, address, body)
        known = self._keys.get(key)
        if known is None:
            known = self._keys[key] = Remembered(fingerprint, self._now())
            return known, True
        if known.fingerprint != fingerprint:
            raise KeyReused(key)
        return known, False

    def keep(self, remembered: Remembered, reply: Reply) -> None:
        """Keep the answer, and let waiting repeats have it."""
        remembered.reply = reply
        remembered.answered.set()

    def clear(self) -> None:
        """Forget every key."""
        self._keys.clear()

    def _forget(self) -> None:
        # Keys are in the order of their first use, so the old ones stand in front.
        horizon = self._now() - LIFETIME
        for key, known in list(self._keys.items()):
            if known.first_used_at > horizon:
                break
            del self._keys[key]


def _fingerprint(method: str, address: str, body: bytes) -> bytes:
    return hashlib.sha256(
        b"\0".join((method.encode(), address.encode(), body))
    ).digest()
