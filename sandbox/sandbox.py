"""The sandbox as a library: one stand-in Xero, served over real HTTP."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import browser
from sandbox.clock import AdjustableClock, Clock, SimulatedClock
from sandbox.control import Control
from sandbox.server import Server, listen
from sandbox.xero.app import App
from sandbox.xero.control_api import ControlApi
from sandbox.xero.door import Door
from sandbox.xero.limits import Limits
from sandbox.xero.organisation import Organisation
from sandbox.xero.service import XeroService
from sandbox.xero.webhooks import DELIVERY_TIMEOUT_S


class Sandbox:
    """A running stand-in for Xero; a context manager.

    Attributes:
        service: the state behind the server. It belongs to the server's thread;
            use ``control`` to change it.
    """

    def __init__(
        self,
        port: int = 0,
        clock: Clock | None = None,
        limits: Limits | None = None,
        app: App | None = None,
        organisations: list[Organisation] | None = None,
        keep_exchanges: int = 20_000,
        webhook_timeout_s: float = DELIVERY_TIMEOUT_S,
    ) -> None:
        listener = listen(port)
        self.clock = clock or AdjustableClock()
        self.service = XeroService(
            self.clock,
            app or App(),
            organisations or [Organisation()],
            limits or Limits(),
            keep_exchanges,
            webhook_timeout_s,
        )
        self._server = Server(_asgi(self.service, lambda: self.url), listener)
        self.control = Control(self.url)

    @property
    def url(self) -> str:
        """The address of everything: identity, accounting and control."""
        return self._server.url

    @property
    def api_url(self) -> str:
        """The base address of the accounting API."""
        return f"{self.url}/api.xro/2.0"

    @property
    def client_id(self) -> str:
        """The app's client id."""
        return self.service.app.client_id

    @property
    def client_secret(self) -> str | None:
        """The app's secret; None for a PKCE app."""
        return self.service.app.client_secret

    @property
    def redirect_uris(self) -> list[str]:
        """Where consent may send the browser."""
        return self.service.app.redirect_uris

    @property
    def webhook_key(self) -> str:
        """The key that signs webhooks."""
        return self.service.webhooks.key

    @property
    def tenant_ids(self) -> list[str]:
        """The organisations' ids, in order."""
        return list(self.service.books)

    def start(self) -> Self:
        """Begin to serve."""
        if isinstance(self.clock, SimulatedClock):
            self.clock.add_busy_check(self.service.is_busy)
        self.service.webhooks.start()
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop the server and its threads."""
        self.control.close()
        self.service.close()
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def subscribe_webhooks(self, url: str, key: str | None = None) -> dict[str, Any]:
        """Subscribe an address and run intent-to-receive."""
        return self.control.subscribe_webhooks(url, key)

    def consent(self, authorize_url: str, *, approve: bool = True) -> httpx.Response:
        """Play the person who consents; see sandbox.browser.consent."""
        return browser.consent(authorize_url, approve=approve)


def _asgi(service: XeroService, base_url: Callable[[], str]) -> ASGIApp:
    door = Door(service, base_url)
    control = ControlApi(service, base_url).router()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_control = scope["path"] == "/" or scope["path"].startswith("/_sandbox/")
        await (control if is_control else door)(scope, receive, send)

    return app
