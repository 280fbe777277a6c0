"""The two listeners, wired to the parts of a daemon."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bus.connection import why_not_ready
from core.db.database import check_writable
from core.db.processes import SILENT_AFTER
from core.web.internal import internal_app
from core.web.public import CallbackResult, public_app
from core.web.server import HttpServer, ListenFailed
from settled.connecting import finish_consent
from settled.roles import Role

if TYPE_CHECKING:
    from settled.daemon import Daemon

#: Worker processes of one host look for a free port among so many.
PORTS_OF_WORKERS = 100


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


def listen_internally(daemon: "Daemon") -> HttpServer:
    """Health and metrics, started.

    Raises:
        ListenFailed: the port is taken; for a worker, every one of its ports.
    """
    app = internal_app(registry=daemon.metrics.registry, checks=_checks(daemon))
    host, (*others, last) = daemon.settings.web.internal_host, _ports(daemon)
    for port in others:
        try:
            return HttpServer(app, host, port).start()
        except ListenFailed:
            continue  # another worker process has it
    return HttpServer(app, host, last).start()


def _ports(daemon: "Daemon") -> list[int]:
    roles = daemon.settings.roles
    match daemon.role:
        case None:
            return [daemon.settings.web.internal_port]
        case Role.WORKER:
            first = roles.worker_port
            end = min(first + PORTS_OF_WORKERS, 65_536)
            return list(range(first, end)) if first else [0]
        case role:
            port: int = getattr(roles, f"{role}_port")
            return [port]


def _checks(daemon: "Daemon") -> dict[str, Callable[[], str | None]]:
    """What must be well before work is sent here; webhooks need no Redis."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": check_writable,
        "redis": lambda: why_not_ready(daemon.client),
        "beat": lambda: _why_silent(daemon),
    }
    if daemon.role is Role.WEB:
        del checks["redis"]
    return checks


def _why_silent(daemon: "Daemon") -> str | None:
    beat_at = daemon.heart.beat_at
    silent_for = SILENT_AFTER if beat_at is None else daemon.clock.now() - beat_at
    if silent_for < SILENT_AFTER:
        return None
    return "others take this process for dead"
