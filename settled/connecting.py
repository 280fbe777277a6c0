"""``settled connect``: a person consents, and the tokens are stored."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from core.clock import Clock, SystemClock
from core.db import reference
from core.errors import NotConnected, SettledError
from core.settings import Settings
from core.web.public import CallbackResult, public_app
from core.web.server import HttpServer, ListenFailed
from core.webhook_events import WebhookEvent
from core.xero.oauth import XeroOAuth
from core.xero.tokens import Tokens
from settled.stores import Stores

#: A person reads, signs in and chooses an organisation.
CONSENT_WITHIN_S = 900


def connect_to_xero(settings: Settings, say: Callable[[str], None]) -> list[str]:
    """Send a person to Xero and wait until they are back.

    The way back leads to the public listener of a running daemon, or to one that is
    opened here for as long as it takes.

    Returns:
        The names of the organisations now connected.
    """
    stores = Stores(settings)
    oauth = XeroOAuth(settings.xero)
    try:
        stores.open_books()
        clock = SystemClock()
        tokens = Tokens(settings, oauth, stores.seal(), clock, "connect")
        if settings.xero.grant == "client_credentials":
            return tokens.connect_by_credentials()
        return _by_consent(settings, tokens, clock, say)
    finally:
        oauth.close()
        stores.close()


def _by_consent(
    settings: Settings, tokens: Tokens, clock: Clock, say: Callable[[str], None]
) -> list[str]:
    started = clock.now()
    never = threading.Event()
    with _way_back(settings, tokens):
        say("Open this and consent (Ctrl-C gives up):")
        say(tokens.begin_consent())
        for _ in range(CONSENT_WITHIN_S):
            names = [t.name for t in reference.tenants() if t.connected_at >= started]
            if names:
                return names
            clock.wait(never, 1.0)
    raise NotConnected("nobody came back from Xero within 15 minutes")


@contextmanager
def _way_back(settings: Settings, tokens: Tokens) -> Iterator[None]:
    """A listener for Xero's redirect, unless a running daemon has the port."""

    def finish(query: Mapping[str, str]) -> CallbackResult:
        return finish_consent(tokens, query)

    app = public_app(
        receiver=_NoWebhooks(),
        webhook_keys=(),
        count_webhook=lambda outcome: None,
        finish=finish,
    )
    port = settings.web.public_port or urlsplit(settings.xero.redirect_uri).port or 443
    server = HttpServer(app, settings.web.public_host, port)
    try:
        server.start()
    except ListenFailed:
        yield
        return
    try:
        yield
    finally:
        server.stop()


class _NoWebhooks:
    """Without a daemon nobody may receive any: Xero keeps them and tries again."""

    def store(self, events: Sequence[WebhookEvent]) -> None:
        raise NotConnected("webhooks are received by `settled run`")


def finish_consent(tokens: Tokens, query: Mapping[str, str]) -> CallbackResult:
    """What the page says to the person who comes back."""
    try:
        names = tokens.finish_consent(query)
    except SettledError as error:
        return CallbackResult(False, "Not connected", str(error))
    text = f"{', '.join(names)} is connected. You can close this page."
    return CallbackResult(True, "Connected", text)
