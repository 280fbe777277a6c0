"""The two listeners, wired to the parts of a daemon."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bus.connection import why_not_ready
from core.db.database import check_writable
from core.web.internal import internal_app
from core.web.public import CallbackResult, public_app
from core.web.server import HttpServer
from settled.connecting import finish_consent

if TYPE_CHECKING:
    from settled.daemon import Daemon


def public_listener(daemon: "Daemon") -> HttpServer:
    """Webhooks and the way back from a consent."""

    def finish(query: Mapping[str, str]) -> CallbackResult:
        return finish_consent(daemon.tokens, query)

    app = public_app(
        receiver=daemon.receiver,
        webhook_keys=[
            key.get_secret_value() for key in daemon.settings.xero.webhook_keys
        ],
        count_webhook=lambda outcome: daemon.metrics.webhooks.labels(outcome).inc(),
        finish=finish,
    )
    web = daemon.settings.web
    return HttpServer(app, web.public_host, web.public_port)


def internal_listener(daemon: "Daemon") -> HttpServer:
    """Health and metrics."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": check_writable,
        "redis": lambda: why_not_ready(daemon.client),
    }
    app = internal_app(registry=daemon.metrics.registry, checks=checks)
    web = daemon.settings.web
    return HttpServer(app, web.internal_host, web.internal_port)
