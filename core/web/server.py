"""One HTTP listener in a thread of its own."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from core.errors import SettledError
from core.web.deadline import HEADER_MAX_BYTES, RECEIVE_DEADLINE_S, receive_deadline

#: Connections at once, idle ones included; the next is answered 503. Half of the 1,024
#: files that a process may usually open: the books and Redis need some too.
CONNECTIONS_MAX = 500

#: Answers in hand are finished when stopping, but not waited for longer than that.
STOP_WITHIN_S = 10

KEEP_ALIVE_S = 5


class ListenFailed(SettledError):
    """The address can't be listened on; the daemon doesn't start."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"can't listen on {host}:{port}: {reason}")
        self.host = host
        self.port = port


class HttpServer:
    """Serves an ASGI application.

    Args:
        app: what is served; what it raises becomes a bare 500.
        host: an address of this machine.
        port: 0 takes any free one, to be read from ``port`` after ``start``.
        receive_deadline_s: from the first byte of a request to the last.
        header_max_bytes: for the request line and all headers.
        connections_max: at once; more are answered 503.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        receive_deadline_s: float = RECEIVE_DEADLINE_S,
        header_max_bytes: int = HEADER_MAX_BYTES,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self.host = host
        #: Listened on; before ``start`` the one asked for.
        self.port = port
        self._thread: threading.Thread | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=receive_deadline(receive_deadline_s, header_max_bytes),
                ws="none",
                access_log=False,
                server_header=False,
                log_config=None,
                proxy_headers=False,
                limit_concurrency=connections_max,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_WITHIN_S,
            )
        )

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> Self:
        """Return when requests are being answered.

        Raises:
            ListenFailed: the port is taken or not allowed, or the application's own
                start failed.
        """
        listener = self._bind()
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name=f"http-{self.port}"
        )
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            self._thread.join()
            listener.close()
            raise ListenFailed(self.host, self.port, "the application did not start")
        return self

    def stop(self) -> None:
        """Take no more requests, finish those in hand, return when all is closed."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _bind(self) -> socket.socket:
        # Bound here and not by uvicorn, which ends the process when it can't.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server(
                (self.host, self.port), family=family, backlog=2048
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise ListenFailed(self.host, self.port, reason) from error

    def _run(self, listener: socket.socket) -> None:
        # SystemExit is uvicorn's word for an application whose own start failed; it has
        # logged why, and `start` raises.
        try:
            with contextlib.suppress(SystemExit):
                self._server.run(sockets=[listener])
        finally:
            self._server.settled.set()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        #: Set when it is known whether the server has started.
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.settled.set()
