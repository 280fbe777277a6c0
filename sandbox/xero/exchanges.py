"""Raw traffic, kept in a bounded ring for tests that compare bytes."""

import base64
from collections import deque
from dataclasses import dataclass
from typing import Any

from sandbox.xero.reply import Reply


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call and its answer, as they crossed the wire."""

    number: int
    at: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    status: int
    reply_headers: dict[str, str]
    reply_body: bytes

    @property
    def size(self) -> int:
        """How many bytes its bodies take."""
        return len(self.body) + len(self.reply_body)

    def shape(self) -> dict[str, Any]:
        """Return the exchange as the control API shows it."""
        return {
            "number": self.number,
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "request_headers": self.headers,
            "request_body": base64.b64encode(self.body).decode(),
            "status": self.status,
            "response_headers": self.reply_headers,
            "response_body": base64.b64encode(self.reply_body).decode(),
            "idempotency_key": self.headers.get("idempotency-key"),
        }


class Exchanges:
    """The last exchanges, bounded in number and in bytes; keep=0 keeps none."""

    def __init__(self, keep: int, keep_bytes: int = 256 * 1024 * 1024) -> None:
        self._ring: deque[Exchange] = deque()
        self._keep, self._keep_bytes = keep, keep_bytes
        self._count = 0
        self._bytes = 0

    def add(
        self,
        at: str,
        request: tuple[str, str, str, dict[str, str], bytes],
        reply: Reply,
    ) -> None:
        """Keep one exchange."""
        self._count += 1
        sent = {"content-type": reply.content_type} | reply.headers
        self._ring.append(
            Exchange(self._count, at, *request, reply.status, sent, reply.body)
        )
        self._bytes += self._ring[-1].size
        while self._ring and self._is_too_much():
            self._bytes -= self._ring.popleft().size

    def _is_too_much(self) -> bool:
        return len(self._ring) > self._keep or self._bytes > self._keep_bytes

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the kept exchanges after a number, in order."""
        return [e.shape() for e in self._ring if e.number > number]
