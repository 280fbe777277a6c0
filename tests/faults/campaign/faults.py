"""How each kind of thing goes wrong, and is right again."""

import contextlib
import signal
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import redis

from tests.faults.campaign.meters import Blow, Strands, now
from tests.faults.campaign.plan import Fault, Kind
from tests.faults.campaign.processes import Post
from tests.faults.campaign.stage import Stage
from tests.faults.campaign.workload import Workload

#: Sets right what went wrong. It may be late, and is then called at the end.
Mend = Callable[[], None]

#: How far Xero's clock jumps: far less than the minute that the daemon keeps back of a
#: key's six.
JUMP_S = 10.0

#: While these last nothing can flow; others must do without whom the rest hit.
OUTAGES = frozenset(
    {
        Kind.REDIS,
        Kind.REDIS_OLDER,
        Kind.POSTGRES,
        Kind.XERO_GONE,
        Kind.SQLITE_LOCK,
        Kind.DISK_FULL,
    }
)

WORKER = "worker"
OTHERS = ("web", "intake", "relay", "pump")


class Nobody(Exception):
    """Whom the fault is meant for is not up just now."""


class Faults:
    """Does what the plan says.

    Attributes:
        blows: what fell, in order.
    """

    def __init__(self, stage: Stage, workload: Workload, strands: Strands) -> None:
        self.stage = stage
        self.workload = workload
        self.strands = strands
        self.blows: list[Blow] = []
        self._older: Path | None = None
        self._frozen: set[Post] = set()
        self._begin: Mapping[Kind, Callable[[Fault, Blow], Mend | None]] = {
            Kind.KILL: self._kill,
            Kind.KILL_OTHER: self._kill_other,
            Kind.STOP: self._freeze,
            Kind.REDIS: self._end_redis,
            Kind.REDIS_FLUSH: self._flush_redis,
            Kind.REDIS_OLDER: self._age_redis,
            Kind.POSTGRES: self._restart_postgres,
            Kind.XERO_GONE: self._close_xero,
            Kind.CLOCK: self._jump,
            Kind.THRICE: self._repeat_everything,
            Kind.SQLITE_LOCK: self._lock_database,
            Kind.DISK_FULL: self._fill_disk,
        }

    def begin(self, fault: Fault) -> Mend | None:
        """Let it happen; what sets it right, None if it is over.

        Raises:
            Nobody: nobody whom it could hit is up.
        """
        at = now()
        blow = Blow(fault.kind, at, at, len(self.workload.unfinished))
        mend = self._begin[fault.kind](fault, blow)
        self.blows.append(blow)
        if mend is None:
            blow.right_at = max(blow.right_at, at)
            return None

        def mended() -> None:
            mend()
            if fault.kind in OUTAGES:
                blow.right_at = now()

        return mended

    def keep_redis(self) -> None:
        """What Redis comes back as, if it comes back as it was."""
        self._older = self.stage.keep_redis()

    # -- processes -------------------------------------------------------------------

    def _kill(self, fault: Fault, blow: Blow) -> None:
        """One of several: what is measured is how the others go on."""
        self._kill_one(self._victim(fault, WORKER, among=2), blow)

    def _kill_other(self, fault: Fault, blow: Blow) -> None:
        self._kill_one(self._victim(fault, *OTHERS), blow)

    def _kill_one(self, post: Post, blow: Blow) -> None:
        pid = self.stage.fleet.send(post, signal.SIGKILL)
        if pid is None:
            raise Nobody(post.name)
        blow.at = blow.right_at = now()
        blow.who = post.name
        blow.strands = self.strands.of(pid, blow.at)

    def _freeze(self, fault: Fault, blow: Blow) -> Mend:
        post = self._victim(fault, WORKER, among=2)
        pid = self.stage.fleet.send(post, signal.SIGSTOP)
        if pid is None:
            raise Nobody(post.name)
        blow.who = post.name
        blow.strands = self.strands.of(pid, blow.at)
        self._frozen.add(post)

        def thaw() -> None:
            self.stage.fleet.send(post, signal.SIGCONT)
            self._frozen.discard(post)

        return thaw

    def _victim(self, fault: Fault, *roles: str, among: int = 1) -> Post:
        up = [p for p in self.stage.fleet.at_work(*roles) if p not in self._frozen]
        if len(up) < among:
            raise Nobody(", ".join(roles))
        return up[int(fault.pick * len(up))]

    # -- servers ---------------------------------------------------------------------

    def _end_redis(self, fault: Fault, blow: Blow) -> Mend:
        self.stage.kill_redis()
        return self.stage.restart_redis

    def _flush_redis(self, fault: Fault, blow: Blow) -> None:
        with redis.Redis.from_url(self.stage.redis_url) as client:
            client.flushall()

    def _age_redis(self, fault: Fault, blow: Blow) -> Mend:
        older = self._older
        if older is None:
            raise Nobody("an older Redis")
        self.stage.kill_redis()

        def bring_back() -> None:
            self.stage.redis.stop()
            self.stage.bring_back_redis(older)
            self.stage.redis.start()

        return bring_back

    def _restart_postgres(self, fault: Fault, blow: Blow) -> None:
        """Half of them in good order, half as a crash."""
        server = self.stage.postgres
        if server is None:
            raise Nobody("PostgreSQL")
        blow.who = "fast" if fault.pick < 0.5 else "immediate"
        server.restart(signal.SIGINT if fault.pick < 0.5 else signal.SIGQUIT)
        blow.right_at = now()

    def _lock_database(self, fault: Fault, blow: Blow) -> Mend:
        holder = sqlite3.connect(
            self.stage.books_url.removeprefix("sqlite:///"),
            isolation_level=None,
            timeout=5,
        )
        holder.execute("BEGIN IMMEDIATE")

        def let_go() -> None:
            holder.execute("ROLLBACK")
            holder.close()

        return let_go

    def _fill_disk(self, fault: Fault, blow: Blow) -> Mend:
        self.stage.fill_disk()
        return self.stage.empty_disk

    # -- Xero and the wires ----------------------------------------------------------

    def _close_xero(self, fault: Fault, blow: Blow) -> Mend:
        """Connections are closed before anything is read."""
        control = self.stage.control
        control.fault("refuse", times=1_000_000_000)
        return control.clear_faults

    def _jump(self, fault: Fault, blow: Blow) -> None:
        self.stage.control.advance(JUMP_S)

    def _repeat_everything(self, fault: Fault, blow: Blow) -> Mend:
        control, workload = self.stage.control, self.workload
        control.webhook_faults(repeat=2, reorder=True)
        workload.is_thrice.set()

        def once_again() -> None:
            control.webhook_faults()
            workload.is_thrice.clear()

        return once_again


def mend_all(mends: Sequence[Mend]) -> None:
    """Whatever happened in between: nothing may stay frozen, locked or full."""
    with contextlib.ExitStack() as closing:
        for mend in mends:
            closing.callback(mend)
