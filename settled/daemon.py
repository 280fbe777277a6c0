"""A process of the daemon: everything in one, or one role."""

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import structlog

from bus.broker import start_worker
from core.clock import Clock
from core.registry import Registry
from core.settings import Settings
from settled.parts import Parts
from settled.roles import EVERYTHING, Role
from settled.web import listen_internally, public_listener

log = structlog.get_logger()

#: Calls in hand are let finish for so long: longer than Xero's read timeout.
STOP_WITHIN_MS = 70_000


class Daemon(Parts):
    """The parts, running. Use as a context manager.

    Args:
        role: what alone runs in this process; None: everything. The threads of a
            worker are dramatiq's own, started by its processes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        role: Role | None = None,
        clock: Clock | None = None,
        registry: Registry | None = None,
    ) -> None:
        super().__init__(settings, _name(role), clock=clock, registry=registry)
        self.role = role
        self._late = threading.Event()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def addresses(self) -> dict[str, str]:
        """Where everything is, for people and for programs that started us."""
        said = {"internal": self.internal.url}
        if self.role is None or self.role is Role.WEB:
            said["public"] = self.public.url
        if self.role is not None:
            said |= {"role": self.role.value, "process": self.process}
        is_given = self.settings.redis_url is not None
        return {**said, "redis": "as configured" if is_given else self.redis_url}

    def stop(self) -> None:
        """Take nothing new, finish what is in hand, send what is committed."""
        self.stopping.set()
        self.closing.close()

    def _start(self) -> None:
        self.stores.open_books(is_shared=self.role is not None)
        self.make()
        # This one and the relay stop last: what is in hand is still sent, and we are
        # not yet dead.
        self.live(self._late)
        for role in STARTED_IN_ORDER if self.role is None else (self.role,):
            STARTS[role](self)
        self.internal = listen_internally(self)
        self.closing.callback(self.internal.stop)
        log.info("daemon.started", process=self.process)

    def start_web(self) -> None:
        self.public = public_listener(self).start()
        self.closing.callback(self.public.stop)

    def start_worker(self) -> None:
        """Threads of this process; in a worker process dramatiq starts them."""
        if self.role is None:
            worker = start_worker(self.broker, self.settings.worker_threads)
            self.closing.callback(worker.stop, timeout=STOP_WITHIN_MS)

    def start_intake(self) -> None:
        self.run_thread("intake", self.intake.run, self.stopping)

    def start_relay(self) -> None:
        self.run_thread("relay", self.relay.run, self._late)
        self.run_thread("trimmer", self.trimmer.run, self.stopping)

    def start_pump(self) -> None:
        self.run_thread("pump", self._pump, self.stopping)

    def _pump(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                pause_s = self.pump.tick()
            except Exception:
                log.exception("pump.failed")
                pause_s = 1.0
            self.clock.wait(stopping, pause_s)


#: What runs in the processes of a role.
STARTS: Mapping[Role, Callable[[Daemon], None]] = {
    Role.WEB: Daemon.start_web,
    Role.WORKER: Daemon.start_worker,
    Role.INTAKE: Daemon.start_intake,
    Role.RELAY: Daemon.start_relay,
    Role.PUMP: Daemon.start_pump,
}

#: It stops the other way round: what comes in first, what goes out last.
STARTED_IN_ORDER = (Role.RELAY, Role.WORKER, Role.PUMP, Role.INTAKE, Role.WEB)


def _name(role: Role | None) -> str:
    """Made after any fork, and never made again."""
    what = role or EVERYTHING
    return f"{what}@{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
