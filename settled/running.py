"""``settled run``: until somebody says stop."""

import json
import signal
import sys
import threading
from types import FrameType

import structlog

from core.settings import Settings
from settled.daemon import Daemon
from settled.logs import configure_logs

log = structlog.get_logger()


def run_until_told_to_stop(settings: Settings) -> None:
    """Start everything, say where, wait for SIGINT or SIGTERM, stop in good order.

    A second signal while stopping ends the process at once; that is safe too, for
    whatever was in hand is in the books.
    """
    configure_logs(settings.log_level)
    told = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if told.is_set():
            signal.default_int_handler(number, frame)
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with Daemon(settings) as daemon:
        sys.stdout.write(json.dumps(daemon.addresses()) + "\n")
        sys.stdout.flush()
        told.wait()
        log.info("daemon.stopping")
    log.info("daemon.stopped")
