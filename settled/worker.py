"""A worker process, as dramatiq starts it: its parts, and its end in good order.

``settled run --role worker`` becomes dramatiq's own command, whose main process forks
``roles.worker_processes`` of these. One that ends unasked takes the others down in good
order, and the command with them: whatever keeps services running starts it anew.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType

import structlog

from bus.broker import serve
from core.clock import SystemClock
from core.errors import SettledError, StoreUnreachable
from core.settings import load_settings
from settled.daemon import Daemon
from settled.logs import configure_logs
from settled.roles import Role
from settled.running import await_stores
from settled.signals import INTERRUPTED

log = structlog.get_logger()

#: As the command line has it: a setting or the database is unusable, or away.
UNUSABLE, UNREACHABLE = 3, 4

FOLLOW_EVERY_S = 1.0

#: Dramatiq looks once a second whether it was told to stop.
BEGINS_TO_STOP_WITHIN_S = 5.0


def boot() -> None:
    """Called by dramatiq in each of its processes, before the threads start."""
    # Dramatiq has put a pipe there that mixes the lines of several processes.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    _end_at_the_second_signal()
    settings = load_settings()
    configure_logs(settings.log_level)
    try:
        await_stores(settings, Role.WORKER)
        daemon = Daemon(settings, role=Role.WORKER).__enter__()
    except SettledError as error:
        log.error("worker.not_started", reason=str(error))  # noqa: TRY400 no bug
        sys.exit(UNREACHABLE if isinstance(error, StoreUnreachable) else UNUSABLE)
    serve(daemon.broker, daemon.stopping.set, daemon.stop)
    daemon.run_thread("parent", _follow_parent, daemon.stopping)
    print(json.dumps(daemon.addresses()), flush=True)  # noqa: T201 said to who started us


def _end_at_the_second_signal() -> None:
    """As ``StopSignals`` does: who won't wait is not kept."""
    asked_once = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(INTERRUPTED))
        if callable(asked_once):
            asked_once(number, frame)

    signal.signal(signal.SIGTERM, handle)


def _follow_parent(stopping: threading.Event) -> None:
    """Dramatiq's main process may be killed; its children would live on unseen."""
    clock, parent = SystemClock(), multiprocessing.parent_process()
    while not clock.wait(stopping, FOLLOW_EVERY_S):
        if parent is None or os.getppid() != parent.pid:
            os.kill(os.getpid(), signal.SIGTERM)
            # Killed while it waited for its children to boot, the main process leaves
            # them in a semaphore that only it would have posted.
            if not clock.wait(stopping, BEGINS_TO_STOP_WITHIN_S):
                os._exit(INTERRUPTED)
            return
