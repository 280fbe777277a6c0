"""The platform's side: publishes wishes, pays, cancels, and hears what comes of it."""

import contextlib
import json
import random
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import redis

from sandbox import Control, Refused
from sandbox.platform import Platform, Received
from sandbox.platform.platform import STREAM_IN
from tests.faults.campaign.wishes import Fate, Message, Workflow

LOOK_EVERY_S = 0.05

#: Wishes published at once.
TOGETHER = (1, 8)

#: The first of two payments; smaller than the smallest invoice.
A_PART = "100.00"

#: Messages that may come again when everything comes three times.
RECENT = 50


class Workload:
    """Runs in a thread of its own. Use as a context manager.

    Args:
        most_open: so many workflows are under way at once, as long as there are more.
    """

    def __init__(
        self,
        platform: Platform,
        xero_url: str,
        redis_url: str,
        workflows: Iterable[Workflow],
        seed: int,
        most_open: int,
    ) -> None:
        self.platform = platform
        self.most_open = most_open
        self.is_thrice = threading.Event()
        self.published: list[Workflow] = []
        self._waiting = deque(workflows)
        self._open: dict[str, Workflow] = {}
        self._by_message: dict[str, Workflow] = {}
        self._recent: deque[Message] = deque(maxlen=RECENT)
        self._chance = random.Random(seed)  # noqa: S311 must be repeatable
        self._control = Control(xero_url)
        self._redis = redis.Redis.from_url(redis_url)
        self._heard = 0
        self._publishing = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="workload")
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._publishing.set()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._control.close()
        self._redis.close()

    def publish_no_more(self) -> None:
        """What is under way goes on to its end."""
        self._publishing.clear()

    @property
    def unfinished(self) -> list[Workflow]:
        return list(self._open.values())

    @property
    def is_exhausted(self) -> bool:
        """Whether every wish there is has been published."""
        return not self._waiting

    # -- the thread ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.wait(LOOK_EVERY_S):
                self._hear()
                if self._publishing.is_set():
                    self._publish_some()
        except Exception as error:  # noqa: BLE001 told by whoever waits for us
            self.failure = error

    def _publish_some(self) -> None:
        count = min(self._chance.randint(*TOGETHER), self.most_open - len(self._open))
        some = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        for workflow in some:
            self._open[workflow.message["id"]] = workflow
            self._by_message[workflow.message["id"]] = workflow
        self.published.extend(some)
        if some:
            self._publish([workflow.message for workflow in some])

    def _publish(self, messages: Sequence[Message]) -> None:
        self.platform.publish(messages)
        self._recent.extend(messages)
        if self.is_thrice.is_set():
            self._publish_twice_more(messages)

    def _publish_twice_more(self, messages: Sequence[Message]) -> None:
        """These, and some that were answered long ago, in any order."""
        repeats = [*messages, *messages]
        repeats += self._chance.choices(self._recent, k=len(messages))
        self._chance.shuffle(repeats)
        # Repeats are nobody's duty: what Redis does not take is not missed.
        with contextlib.suppress(redis.RedisError):
            for message in repeats:
                self._redis.xadd(STREAM_IN, {"event": json.dumps(message)})

    def _hear(self) -> None:
        received = self.platform.received
        news, self._heard = received[self._heard :], len(received)
        for one in news:
            workflow = self._by_message.get(one.in_reply_to or "")
            if workflow is not None:
                workflow.hear(one)
                self._react(workflow, one)
                if workflow.is_finished:
                    self._open.pop(workflow.message["id"], None)

    def _react(self, workflow: Workflow, received: Received) -> None:
        match workflow.fate, received.type:
            case Fate.PAID | Fate.TAKEN_BACK, "invoice.emailed":
                self._pay(workflow)
            case Fate.IN_PARTS, "invoice.emailed":
                self._pay(workflow, A_PART)
            case Fate.IN_PARTS, "invoice.part_paid":
                self._pay(workflow)
            case Fate.TAKEN_BACK, "membership.renew":
                self._take_back(workflow)
            case Fate.CANCELLED_EARLY, "message.accepted":
                self._cancel(workflow)
            case Fate.CANCELLED_LATE, "invoice.emailed":
                self._cancel(workflow)

    def _pay(self, workflow: Workflow, amount: str | None = None) -> None:
        paid = self._order(lambda c: c.pay(workflow.number, amount))
        workflow.paid[paid["payment_id"]] = amount or "the rest"

    def _take_back(self, workflow: Workflow) -> None:
        if workflow.told["membership.renew"] < len(workflow.subjects):
            return
        (payment_id,) = workflow.paid
        self._order(lambda c: c.delete_payment(payment_id))
        workflow.is_taken_back = True

    def _cancel(self, workflow: Workflow) -> None:
        if workflow.cancel is None:
            cancellation = workflow.cancellation()
            self._by_message[cancellation["id"]] = workflow
            self._publish([cancellation])

    def _order(self, give: Any) -> dict[str, Any]:
        """An order to the sandbox, which answers whatever its Xero does."""
        try:
            answer: dict[str, Any] = give(self._control)
        except (httpx.HTTPError, Refused) as error:
            raise SandboxFailed(str(error)) from error
        return answer


class SandboxFailed(Exception):
    """The stand-in itself is broken, or was told nonsense: the run says nothing."""
