"""A deadline and a size for what a client sends, which uvicorn itself has not.

Subclasses uvicorn's protocol class, which is private: pinned to a minor version, and
tests/core/web/test_deadline.py watches it with real slow clients.
"""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)

#: uvicorn cut 0 of 400 slow senders in 40 s; with this, 400 of 400 at 10 s, and honest
#: requests noticed nothing (facts/engine.md, section 6.1). Xero gives up after 5 s.
RECEIVE_DEADLINE_S = 10.0

#: Twice what browsers and proxies send at their worst; uvicorn took 67 MB.
HEADER_MAX_BYTES = 16 * 1024

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class ReceiveDeadline(HttpToolsProtocol):
    """Cuts a client that sends too slowly, or sends too much before its body.

    One absolute timer for each request, from its first byte (for the first, from the
    connection) to the last of its body; a client that sends nothing meaningful between
    two requests is on the clock as well. While we work on the answer, no timer runs.
    """

    deadline_s: ClassVar[float] = RECEIVE_DEADLINE_S
    header_max_bytes: ClassVar[int] = HEADER_MAX_BYTES

    _timer: asyncio.TimerHandle | None = None
    _in_headers = True
    _header_bytes = 0
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._timer is None and self._answered():
            self._start_timer()
        # Counted before parsing: the parser collects one endless header in silence.
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self.header_max_bytes:
            self._refuse()

    def on_message_begin(self) -> None:
        self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        size = len(self.url) + sum(
            len(name) + len(value) for name, value in self.headers
        )
        if size > self.header_max_bytes:
            self._refuse()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        self._in_headers = True
        self._header_bytes = 0
        self._stop_timer()
        if self._answered():
            # Answered before its body was through: uvicorn has stopped its own timer.
            self._start_timer()
        super().on_message_complete()

    def _answered(self) -> bool:
        """Nothing is owed to the client: it must send, or go."""
        return self._cycle is None or self._cycle.response_complete

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        # None before the first request, whatever uvicorn's annotation says.
        return self.cycle

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.deadline_s, self._cut)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        # Not close(): that waits for a client that may not read either.
        self.transport.abort()

    def _refuse(self) -> None:
        self._refused = True
        if self._answered():
            self.transport.write(_TOO_LARGE)
        self.transport.close()


def receive_deadline(deadline_s: float, header_max_bytes: int) -> type[ReceiveDeadline]:
    """The protocol class with other bounds; uvicorn itself makes the objects."""
    bounds = {"deadline_s": deadline_s, "header_max_bytes": header_max_bytes}
    return type("ReceiveDeadline", (ReceiveDeadline,), bounds)
