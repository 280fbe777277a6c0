"""One uvicorn server in a thread, on loopback."""

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HOST = "127.0.0.1"
_STOP_S = 10.0

#: A client may be idle so long: on a machine that stands still, five seconds are short.
_KEEP_ALIVE_S = 75

#: How often, and how far apart, a stopping server looks for calls under way.
_LAST_LOOKS = 100
_LOOK_S = 0.01


class PortTaken(Exception):
    """The port cannot be listened on."""


class HangUpProtocol(HttpToolsProtocol):
    """HTTP whose requests can be hung up on: the transport is in scope["state"]."""

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class PromptServer(uvicorn.Server):
    """A uvicorn that ends at once: its own looks ten times a second, and sleeps."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Serve until told to end."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, and let calls under way finish for a moment."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(_LAST_LOOKS):
            if not self.server_state.tasks:
                break
            await asyncio.sleep(_LOOK_S)
        for task in self.server_state.tasks:
            task.cancel()

    def end(self) -> None:
        """End; may be called from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


class Server:
    """Serves an app until stopped."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._socket = listener
        self.port: int = listener.getsockname()[1]
        self._server = PromptServer(
            uvicorn.Config(
                app,
                http=HangUpProtocol,
                loop="uvloop",
                timeout_keep_alive=_KEEP_ALIVE_S,
                ws="none",
                lifespan="off",
                access_log=False,
                log_level="error",
                date_header=False,
                server_header=False,
            )
        )
        self._thread = threading.Thread(
            target=self._run, name="sandbox-http", daemon=True
        )

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Begin to serve; connections are accepted when this returns."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way and close the port."""
        self._server.end()
        self._thread.join(_STOP_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def listen(port: int) -> socket.socket:
    """Return a listening socket on loopback; port 0 takes any free one.

    Raises:
        PortTaken: the port is in use, or not ours to take.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PortTaken(f"port {port} of {HOST} cannot be used: {error}") from error
    return listener
