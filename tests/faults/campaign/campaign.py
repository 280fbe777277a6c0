"""A campaign: wishes, faults, a drain in which all ends, and the verdict."""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.platform import Season
from tests.faults.campaign.faults import Faults, Mend, Nobody, mend_all
from tests.faults.campaign.judge import Finding, Judge
from tests.faults.campaign.meters import Blow, Strand, Strands, flow_gaps
from tests.faults.campaign.plan import Fault, Kind, plan
from tests.faults.campaign.processes import Ended
from tests.faults.campaign.stage import Database, Stage, wait
from tests.faults.campaign.wishes import Workflow, workflows
from tests.faults.campaign.workload import Workload

TICK_S = 0.05

#: How often the books are asked what has become of what kills have left.
LOOK_EVERY_S = 0.5

#: How often somebody sees to it that Xero still delivers webhooks.
WEBHOOKS_EVERY_S = 5.0

#: How long a kill waits until somebody is up.
SOMEBODY_WITHIN_S = 30.0

#: How many faults pass between two words to whoever watches.
TELL_EVERY = 50

_UNSETTLED = "SELECT count(*) FROM intent WHERE state IN ('open', 'unknown')"
_PROBLEMS = "SELECT cause, title FROM problem WHERE closed_at IS NULL"

Say = Callable[[str], None]


class Short(Exception):
    """The campaign could not be run as it was asked for; says nothing of the daemon."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much, and how long.

    Args:
        counts: how often each kind of fault falls.
        length_s: within so many seconds; longer, where somebody must first be up.
        members: how many there are to wish for something.
        most_open: so many workflows are under way at once.
        drain_s: within so many seconds after the last fault everything has ended.
        database: of which kind.
        after_emails: faults begin when so many invoices were e-mailed.
        after_open: and when so many workflows are under way at once.
    """

    counts: Mapping[Kind, int]
    length_s: float
    members: int
    most_open: int
    drain_s: float
    database: Database = "postgres"
    workers: int = 2
    after_emails: int = 3
    after_open: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a campaign has shown.

    Args:
        gaps: for each fault, seconds until other work flowed again.
        stray: processes that ended without having been killed.
        unfinished: wishes that had come to no end when the drain was over.
    """

    seed: int
    scale: Scale
    seconds: float
    drain_seconds: float
    workflows: int
    fates: Mapping[str, int]
    invoices: int
    emails: int
    payments: int
    messages: int
    repeats: int
    resent: int
    gaps: Sequence[tuple[Blow, float | None]]
    strands: Sequence[Strand]
    findings: Sequence[Finding]
    unfinished: Sequence[str]
    problems: Sequence[str]
    stray: Sequence[Ended]

    @property
    def blows(self) -> Counter[Kind]:
        return Counter(blow.kind for blow, _ in self.gaps)


class Campaign:
    """One campaign; ``run`` it once."""

    def __init__(self, folder: Path, seed: int, scale: Scale, say: Say) -> None:
        self.folder = folder
        self.seed = seed
        self.scale = scale
        self.say = say
        self._numbers = itertools.count()
        self._mends: list[tuple[float, int, Mend]] = []
        self._looked_at = self._opened_at = 0.0

    def run(self) -> Result:
        season = Season(self.scale.members, self.seed)
        counts = self.scale.counts
        stage = Stage(
            self.folder,
            self.scale.database,
            season.existing_contacts,
            self.scale.workers,
            is_disk_small=bool(counts.get(Kind.DISK_FULL)),
        )
        began = time.monotonic()
        with stage:
            self.say(f"up after {time.monotonic() - began:.1f} s")
            with Workload(
                stage.platform,
                stage.xero["url"],
                stage.redis_url,
                workflows(season),
                self.seed,
                self.scale.most_open,
            ) as workload:
                self.stage, self.workload = stage, workload
                self.strands = Strands(stage.books)
                self.faults = Faults(stage, workload, self.strands)
                self._await_work()
                self._let_fall()
                drained = self._drain()
            return self._result(season, time.monotonic() - began, drained)

    # -- the faults ------------------------------------------------------------------

    def _await_work(self) -> None:
        deadline = time.monotonic() + SOMEBODY_WITHIN_S
        while not self._is_at_work():
            if time.monotonic() > deadline:
                raise Short("too little work flowed before the first fault")
            self._tick()

    def _is_at_work(self) -> bool:
        is_flowing = self._emails() >= self.scale.after_emails
        return is_flowing and len(self.workload.unfinished) >= self.scale.after_open

    def _emails(self) -> int:
        return sum(w.told["invoice.emailed"] for w in self.workload.published)

    def _let_fall(self) -> None:
        """Each fault at its moment; all of them are right again when this returns."""
        if self.scale.counts.get(Kind.REDIS_OLDER):
            self.faults.keep_redis()
        began = starts = time.monotonic()
        faults = plan(self.seed, self.scale.counts, self.scale.length_s)
        try:
            for number, fault in enumerate(faults):
                while time.monotonic() - starts < fault.at_s:
                    self._tick()
                self._begin(fault)
                # Whoever had to be waited for has put off all that follows: caught up
                # with, it would leave nobody alive.
                starts = max(starts, time.monotonic() - fault.at_s)
                self._tell(number + 1, len(faults), began)
            while self._mends or time.monotonic() - began < self.scale.length_s:
                self._tick()
        finally:
            mend_all([mend for _, _, mend in self._mends])

    def _begin(self, fault: Fault) -> None:
        """Let it happen, as soon as somebody whom it can hit is up."""
        mend = self._mend_of(fault)
        if mend is not None:
            due_at = time.monotonic() + fault.lasts_s
            heapq.heappush(self._mends, (due_at, next(self._numbers), mend))

    def _mend_of(self, fault: Fault) -> Mend | None:
        deadline = time.monotonic() + SOMEBODY_WITHIN_S
        while True:
            try:
                return self.faults.begin(fault)
            except Nobody as nobody:
                if time.monotonic() > deadline:
                    raise Short(f"{fault.kind}: nobody is up: {nobody}") from nobody
            self._tick()

    def _tick(self) -> None:
        """A moment passes, in which what is due is done."""
        wait(TICK_S)
        if self.workload.failure is not None:
            raise self.workload.failure
        now_s = time.monotonic()
        while self._mends and self._mends[0][0] <= now_s:
            heapq.heappop(self._mends)[2]()
        if now_s - self._looked_at > LOOK_EVERY_S:
            self.strands.look()
            self._looked_at = time.monotonic()
        if now_s - self._opened_at > WEBHOOKS_EVERY_S:
            self.stage.open_webhooks()
            self._opened_at = time.monotonic()

    def _tell(self, done: int, all_of_them: int, began: float) -> None:
        if done % TELL_EVERY == 0 or done == all_of_them:
            minutes = (time.monotonic() - began) / 60
            self.say(
                f"{done} of {all_of_them} faults in {minutes:.1f} min; "
                f"{len(self.workload.published)} workflows, "
                f"{len(self.workload.unfinished)} open, {self._emails()} e-mailed"
            )

    # -- the end ---------------------------------------------------------------------

    def _drain(self) -> float:
        """Until all has ended and nothing is unsettled; how many seconds that took."""
        self.workload.publish_no_more()
        began = time.monotonic()
        while time.monotonic() - began < self.scale.drain_s and not self._is_over():
            self._tick()
        self.strands.look()
        return time.monotonic() - began

    def _is_over(self) -> bool:
        if self.workload.unfinished:
            return False
        rows = self.stage.books.rows(_UNSETTLED)
        return rows is not None and rows[0][0] == 0

    def _result(self, season: Season, seconds: float, drained: float) -> Result:
        stage, workload = self.stage, self.workload
        problems = stage.books.rows(_PROBLEMS)
        stage.stop_daemon()
        ledger, received = stage.control.ledger(), stage.platform.received
        judge = Judge(workload.published, season.existing_contacts, ledger, received)
        return Result(
            seed=self.seed,
            scale=self.scale,
            seconds=round(seconds, 1),
            drain_seconds=round(drained, 1),
            workflows=len(workload.published),
            fates=Counter(each.fate.value for each in workload.published),
            invoices=len(ledger["invoices"]),
            emails=len(ledger["emails"]),
            payments=len(ledger["payments"]),
            messages=len(received),
            repeats=stage.platform.repeats,
            resent=stage.platform.resent,
            gaps=flow_gaps(self.faults.blows, received),
            strands=self.strands.all,
            findings=judge.findings(),
            unfinished=[_how_far(each) for each in workload.unfinished],
            problems=[f"{cause}: {title}" for cause, title in problems or ()],
            stray=stage.fleet.ended,
        )


def _how_far(workflow: Workflow) -> str:
    told = ", ".join(f"{what} {n}" for what, n in workflow.told.items())
    of_cancel = ", ".join(f"{what} {n}" for what, n in workflow.told_of_cancel.items())
    return f"{workflow.wish['subject']} ({workflow.fate}): {told}; {of_cancel}"
