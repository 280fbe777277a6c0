"""``settled run``: until somebody says stop."""

import json
import sys

import structlog

from core.errors import SettingsInvalid
from core.settings import Settings
from settled.checking import require_durable_redis, require_own_packages
from settled.daemon import Daemon
from settled.logs import configure_logs
from settled.signals import StopSignals

log = structlog.get_logger()


def run_until_told_to_stop(settings: Settings) -> None:
    """Start everything, say where, wait for SIGINT or SIGTERM, stop in good order.

    A second signal while stopping ends the process at once; that is safe too, for
    whatever was in hand is in the books.
    """
    configure_logs(settings.log_level)
    refuse_unfit(settings)
    with StopSignals() as signals, Daemon(settings) as daemon:
        sys.stdout.write(json.dumps(daemon.addresses()) + "\n")
        sys.stdout.flush()
        signals.wait()
        log.info("daemon.stopping")
    log.info("daemon.stopped")


def refuse_unfit(settings: Settings) -> None:
    """What must hold before anything is started.

    Raises:
        SettledError: naming the setting that is missing or wrong.
    """
    require_own_packages()
    if not settings.xero.client_id:
        raise SettingsInvalid("xero.client_id", "is not set: create an app at Xero")
    if settings.redis_url is not None:
        require_durable_redis(settings.redis_url.get_secret_value())
