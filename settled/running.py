"""``settled run``: until somebody says stop."""

import json
import os
import sys
from pathlib import Path

import structlog

from bus.broker import run_workers
from core.errors import SettingsInvalid
from core.settings import Settings
from settled.checking import require_durable_redis, require_own_packages
from settled.daemon import STOP_WITHIN_MS, Daemon
from settled.logs import configure_logs
from settled.roles import Role, require_shareable
from settled.signals import StopSignals
from settled.stores import Stores, await_store

log = structlog.get_logger()


def run_until_told_to_stop(settings: Settings, role: Role | None = None) -> None:
    """Start it, say where, wait for SIGINT or SIGTERM, stop in good order.

    A second signal while stopping ends the process at once; that is safe too, for
    whatever was in hand is in the books.
    """
    configure_logs(settings.log_level)
    refuse_unfit(settings, role)
    await_stores(settings, role)
    with StopSignals() as signals, Daemon(settings, role=role) as daemon:
        sys.stdout.write(json.dumps(daemon.addresses()) + "\n")
        sys.stdout.flush()
        signals.wait()
        log.info("daemon.stopping")
    log.info("daemon.stopped")


def run_worker_processes(settings: Settings, config: Path | None) -> None:
    """Become dramatiq's main process, which starts the others (``settled.worker``)."""
    configure_logs(settings.log_level)
    refuse_unfit(settings, Role.WORKER)
    await_stores(settings, Role.WORKER)
    if config is not None:
        # The others read the settings by themselves.
        os.environ["SETTLED_CONFIG"] = str(config.absolute())
    run_workers(
        "settled.worker:boot",
        settings.roles.worker_processes,
        settings.worker_threads,
        STOP_WITHIN_MS,
    )


def refuse_unfit(settings: Settings, role: Role | None = None) -> None:
    """What must hold before anything is started.

    Raises:
        SettledError: naming the setting that is missing or wrong.
    """
    require_own_packages()
    if role is not None:
        require_shareable(settings)
    if not settings.xero.client_id:
        raise SettingsInvalid("xero.client_id", "is not set: create an app at Xero")


def await_stores(settings: Settings, role: Role | None = None) -> None:
    """Whatever starts a host starts all of it at once; nothing is left open here.

    Raises:
        StoreUnreachable: one did not come in time.
        SettledError: one is there and can't be used as it is.
    """
    if settings.redis_url is not None:
        redis_url = settings.redis_url.get_secret_value()
        await_store(lambda: require_durable_redis(redis_url))
    await_store(lambda: _look_at_books(settings, role))


def _look_at_books(settings: Settings, role: Role | None) -> None:
    stores = Stores(settings)
    try:
        stores.open_books(is_shared=role is not None)
    finally:
        stores.close()
