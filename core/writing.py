"""The write protocol: every change in Xero goes this way, without exception.

claim + intent (exact bytes, key) → call → outcome of each element by its own key.
Whatever has no clear answer is *unknown*, and unknown is never re-sent blindly: until
the key has expired the same bytes with the same key, after that a look in Xero.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import structlog

from core.calls import Door, Slot, XeroAnswer, XeroRequest
from core.clock import Clock
from core.db import intents, recovery, writes
from core.db.database import BOOKS_AWAY, transaction
from core.db.intents import IntentState
from core.db.models import Intent, Write
from core.errors import (
    SettledError,
    XeroError,
    XeroOutcomeUnknown,
    XeroRefused,
    XeroUnauthorised,
    XeroUnreachable,
    XeroWait,
)
from core.quota import CALL_LEASE_S, Purpose
from core.waking import AWAITED, LaneName, lane_of
from core.write_kind import ABSENT, HALVE, TRIES, Outcome, WriteKind

log = structlog.get_logger()

#: Xero remembers a key for six minutes from its first use (facts/xero.md, section 2);
#: one is kept back for clock drift and the call itself.
KEY_IS_GOOD_FOR = timedelta(minutes=5)

#: After this nothing that was sent under the key can still be on its way.
KEY_IS_OVER_AFTER = timedelta(minutes=6, seconds=CALL_LEASE_S)

#: Waits before the same bytes are sent again under the same key.
RESEND_AFTER = (timedelta(seconds=2), timedelta(seconds=15), timedelta(seconds=60))

#: A look-up that fails is tried again after this.
LOOK_AGAIN_AFTER = timedelta(seconds=30)

UNREACHABLE_PAUSE = timedelta(seconds=5)

#: What Xero has said is not lost because the books are away for a moment: so long they
#: are waited for, in seconds; first not at all, for a deadlock is over when it is told.
#: An intent is taken from whoever has it after 190 s.
BOOKS_BACK_WITHIN_S = (0, 0.2, 0.5, 1, 2, 4, 8, 16)


class LeaseLost(SettledError):
    """The intent is no longer ours; whoever has it now settles it."""


ToldT = TypeVar("ToldT")


def _patiently(tell: Callable[..., ToldT]) -> Callable[..., ToldT]:
    """Told to the books again while they are away.

    For what is told on condition that the intent is still ours, and changes that: told
    twice it is told once.
    """

    @wraps(tell)
    def again_and_again(lane: "WriteLane", *args: Any, **options: Any) -> ToldT:
        for pause_s in BOOKS_BACK_WITHIN_S:
            try:
                return tell(lane, *args, **options)
            except BOOKS_AWAY as error:
                log.warning("intent.books_away", reason=str(error))
            lane.clock.wait(threading.Event(), pause_s)
        return tell(lane, *args, **options)

    return again_and_again


class WriteLane:
    """Runs the write protocol for one kind.

    Args:
        is_awaited: for what somebody waits for; else for what nobody does.
    """

    def __init__(
        self,
        kind: WriteKind,
        door: Door,
        clock: Clock,
        process: str,
        *,
        is_awaited: bool = False,
    ) -> None:
        self.kind = kind
        self.door = door
        self.clock = clock
        self.process = process
        self.is_awaited = is_awaited
        self.purpose = Purpose.INTERACTIVE if is_awaited else kind.purpose

    def step(self, tenant: str) -> bool:
        """Settle one unknown intent, or make one call; False when nothing is due."""
        try:
            return self._step(tenant)
        except XeroWait as wait:
            # What became of a call is asked by another purpose, which may have a place.
            unknown = intents.next_due(
                tenant, self.kind.name, is_awaited=self.is_awaited
            )
            if unknown is None or unknown >= wait.until:
                raise
            soon = self.clock.now() + timedelta(seconds=1)
            raise XeroWait(max(unknown, soon), wait.reason) from wait

    def _step(self, tenant: str) -> bool:
        now = self.clock.now()
        recovery.wait_until_done(tenant, now)
        holder = f"{self.process}/{uuid.uuid4().hex[:8]}"
        with transaction():
            unknown = intents.take_unknown(
                tenant, self.kind.name, holder, now, is_awaited=self.is_awaited
            )
        if unknown is not None:
            with self._others_have_a_turn(unknown):
                self._settle(unknown)
            return True
        self.kind.check(tenant, is_awaited=self.is_awaited)
        if not self._due(tenant, now, most=1):
            return False
        with self.door.admit(tenant, self.purpose) as slot:
            intent = self._claim(tenant, holder)
            if intent is not None:
                with self._never_left_open(intent):
                    self._send(slot, intent)
        return True

    @contextmanager
    def _others_have_a_turn(self, unknown: Intent) -> Iterator[None]:
        """An intent that a bug of ours keeps from its end must not block the lane."""
        try:
            yield
        except (XeroError, *BOOKS_AWAY):
            raise
        except Exception:
            self._look_later(unknown, self.clock.now() + 4 * LOOK_AGAIN_AFTER)
            raise

    def next_due(self, tenant: str) -> datetime | None:
        """When the next element or unknown intent is due; None: none is known."""
        kind, is_awaited = self.kind.name, self.is_awaited
        moments = [
            writes.next_due(tenant, kind, is_awaited=is_awaited),
            intents.next_due(tenant, kind, is_awaited=is_awaited),
        ]
        return min((moment for moment in moments if moment), default=None)

    def _due(self, tenant: str, now: datetime, most: int) -> list[Write]:
        return writes.due(tenant, self.kind.name, now, most, is_awaited=self.is_awaited)

    def _claim(self, tenant: str, holder: str) -> Intent | None:
        """Tie what is due to a stored intent; None if somebody else was first."""
        now = self.clock.now()
        some = self._due(tenant, now, self.kind.batch)
        due = self.kind.still_wanted(tenant, some, now)
        allotted = self.kind.allot(tenant, due, now)
        with transaction():
            elements = writes.lock_due(due)
            if not elements:
                return None
            prepared = self.kind.prepare(elements, allotted, now)
            if not prepared.elements:
                return None
            intent = intents.add(
                tenant=tenant,
                kind=self.kind.name,
                method=prepared.method,
                path=prepared.path,
                body=prepared.body,
                idempotency_key=f"{tenant[:40]}-{uuid.uuid4()}",
                holder=holder,
                created_at=now,
                held_at=now,
                is_awaited=self.is_awaited,
            )
            writes.claim(prepared.elements, intent)
        log.info(
            "intent.opened",
            intent=intent.id,
            kind=self.kind.name,
            elements=len(prepared.elements),
            idempotency_key=intent.idempotency_key,
        )
        return intent

    def _send(self, slot: Slot, intent: Intent) -> None:
        """The call, and what its end means for the intent."""
        try:
            answer = slot.send(self._request(intent), lambda: self._last_check(intent))
        except LeaseLost:
            log.warning("intent.lease_lost", intent=intent.id)
        except XeroWait as wait:
            self._release(intent, self.clock.now(), wait.reason)
            raise
        except XeroUnreachable as error:
            self._release(intent, self.clock.now() + UNREACHABLE_PAUSE, str(error))
            raise
        except XeroUnauthorised as error:
            self._release(intent, self.clock.now(), str(error))
            raise
        except XeroRefused as refusal:
            self._refused(intent, refusal)
        except XeroOutcomeUnknown as error:
            self._unknown(intent, error)
        else:
            self._commit(intent, answer)

    @contextmanager
    def _never_left_open(self, intent: Intent) -> Iterator[None]:
        """Whatever else goes wrong, a bug included: unknown, and settled later."""
        try:
            yield
        except XeroError:
            raise  # each has left the intent as it should be
        except Exception as error:
            self._unknown(intent, XeroOutcomeUnknown(repr(error)))
            raise

    def _request(self, intent: Intent) -> XeroRequest:
        return XeroRequest(
            kind=f"write_{self.kind.name}",
            method=intent.method,
            path=intent.path,
            query={"summarizeErrors": "false"} if self.kind.batch > 1 else {},
            body=bytes(intent.body),
            idempotency_key=intent.idempotency_key,
        )

    def _last_check(self, intent: Intent) -> None:
        """The last act before the socket: still ours, the key young, nothing held."""
        now = self.clock.now()
        sent_at = intent.sent_at or now
        if now - sent_at > KEY_IS_GOOD_FOR:
            raise LeaseLost(f"intent {intent.id}: its key is too old")
        try:
            recovery.wait_until_done(intent.tenant, now)
            with transaction():
                is_ours = intents.hold(intent, intent.holder, now)
        except BOOKS_AWAY as error:
            self._not_sent(intent, error)
            raise LeaseLost(f"intent {intent.id}: the books are away") from error
        if not is_ours:
            raise LeaseLost(f"intent {intent.id}")
        intent.sent_at = sent_at

    def _not_sent(self, intent: Intent, error: Exception) -> None:
        """Nobody could say whether it is still ours; if it is, it was not sent now."""
        if intent.sent_at is None:
            self._release(intent, self.clock.now(), f"not sent: {error}")
        else:
            self._look_later(intent, self.clock.now() + RESEND_AFTER[0])

    @_patiently
    def _commit(self, intent: Intent, answer: XeroAnswer) -> None:
        elements = writes.elements(intent)
        found = self.kind.outcomes(elements, answer)
        self._record(intent, elements, found, answer.answered_at)

    def _record(
        self,
        intent: Intent,
        elements: Sequence[Write],
        found: Mapping[int, Outcome],
        answered_at: datetime,
    ) -> None:
        """Write back what is clear; what is not leaves the intent unknown."""
        now = self.clock.now()
        clear = [(e, found[e.id]) for e in elements if e.id in found]
        is_whole = len(clear) == len(elements)
        with transaction():
            state = IntentState.DONE if is_whole else IntentState.UNKNOWN
            due_at = None if is_whole else _key_is_over(intent)
            if not intents.move(intent, intent.holder, state, due_at=due_at):
                log.warning("intent.lease_lost", intent=intent.id)
                return
            self.kind.lock([element for element, _ in clear])
            for element, outcome in clear:
                self.kind.record(element, outcome, now)
        self.kind.recorded(clear, answered_at)

    @_patiently
    def _release(self, intent: Intent, due_at: datetime, reason: str) -> None:
        """Certainly not executed: its elements are due again, for a new intent."""
        with transaction():
            elements = writes.elements(intent)
            if intents.move(intent, intent.holder, IntentState.RELEASED, reason=reason):
                for element in elements:
                    writes.due_again(element, due_at)

    @_patiently
    def _refused(self, intent: Intent, refusal: XeroRefused) -> None:
        """A 4xx: clear for a single element, unknown for a batch.

        Valid elements of a refused batch may have been created all the same
        (facts/xero.md, section 3), so Xero is asked; what it has not is tried again in
        halves, so that a poison element ends alone.
        """
        elements = writes.elements(intent)
        if refusal.status not in (400, 404):
            # Not about an element: a proxy, a limit of size. Somebody must look.
            due_at = self.clock.now() + timedelta(minutes=1)
            self._release(intent, due_at, str(refusal))
            raise refusal
        if self.kind.batch == 1 or len(elements) == 1:
            outcome = Outcome(errors=(refusal.reason or f"HTTP {refusal.status}",))
            found = {element.id: outcome for element in elements}
            self._record(intent, elements, found, self.clock.now())
            return
        with transaction():
            half = (len(elements) + 1) // 2
            if intents.move(
                intent,
                intent.holder,
                IntentState.UNKNOWN,
                due_at=self.clock.now(),
                reason=f"{HALVE}{refusal}",
            ):
                for element in elements:
                    writes.limit_batch(element, half)

    @_patiently
    def _unknown(self, intent: Intent, error: XeroOutcomeUnknown) -> None:
        """Sent without a clear answer.

        A 5xx may be cached under the key and would only be repeated, so it waits for
        the key to end; a lost answer may be asked for again under the same key.
        """
        now = self.clock.now()
        tries = min(intent.tries, len(RESEND_AFTER) - 1)
        due_at = _key_is_over(intent) if error.cached else now + RESEND_AFTER[tries]
        with transaction():
            intents.move(
                intent,
                intent.holder,
                IntentState.UNKNOWN,
                due_at=min(due_at, _key_is_over(intent)),
                reason=str(error),
            )
        log.warning("intent.unknown", intent=intent.id, reason=str(error))

    def _settle(self, intent: Intent) -> None:
        """An unknown intent that is due: send again, wait, or look."""
        now = self.clock.now()
        if intent.sent_at is None:
            self._release(intent, now, "never sent")
        elif intent.reason.startswith(HALVE) or now >= _key_is_over(intent):
            self._look(intent)
        elif now - intent.sent_at < KEY_IS_GOOD_FOR:
            self._send_again(intent)
        else:
            self._look_later(intent, _key_is_over(intent))

    def _send_again(self, intent: Intent) -> None:
        try:
            with self.door.admit(intent.tenant, self.purpose) as slot:
                with transaction():
                    if not intents.move(
                        intent,
                        intent.holder,
                        IntentState.OPEN,
                        held_at=self.clock.now(),
                    ):
                        return
                with self._never_left_open(intent):
                    self._send_same(slot, intent)
        except XeroWait as wait:
            self._look_later(intent, min(wait.until, _key_is_over(intent)))
            raise

    def _send_same(self, slot: Slot, intent: Intent) -> None:
        """As the first time, but a refusal to start leaves it unknown, not unsent."""
        try:
            answer = slot.send(self._request(intent), lambda: self._last_check(intent))
        except LeaseLost:
            log.warning("intent.lease_lost", intent=intent.id)
        except (XeroWait, XeroUnreachable, XeroUnauthorised) as error:
            self._look_later(intent, self.clock.now() + RESEND_AFTER[0])
            log.warning("intent.not_resent", intent=intent.id, reason=str(error))
        except XeroRefused as refusal:
            self._refused(intent, refusal)
        except XeroOutcomeUnknown as error:
            self._unknown(intent, error)
        else:
            self._commit(intent, answer)

    def _look(self, intent: Intent) -> None:
        """Adopt what Xero has; what it has not is due again under a new key."""
        elements = writes.elements(intent)
        try:
            found = self.kind.look_up(
                lambda: self.door.admit(intent.tenant, Purpose.PAYMENTS),
                intent,
                elements,
            )
        except XeroWait as wait:
            self._look_later(intent, wait.until)
            raise
        except (XeroUnreachable, XeroOutcomeUnknown, XeroRefused) as error:
            log.warning("intent.look_up_failed", intent=intent.id, reason=str(error))
            self._look_later(intent, self.clock.now() + LOOK_AGAIN_AFTER)
            return
        self._adopt(intent, elements, found)

    @_patiently
    def _adopt(
        self, intent: Intent, elements: Sequence[Write], found: Mapping[int, Outcome]
    ) -> None:
        now = self.clock.now()
        there = [
            (element, outcome)
            for element in elements
            if (outcome := found.get(element.id, ABSENT)) is not ABSENT
        ]
        with transaction():
            if not intents.move(intent, intent.holder, IntentState.DONE):
                return
            self.kind.lock(elements)
            for element, outcome in there:
                self.kind.record(element, outcome, now)
            for element in elements:
                if found.get(element.id, ABSENT) is ABSENT:
                    self._try_anew(element, intent, now)
        log.info(
            "intent.settled",
            intent=intent.id,
            adopted=len(there),
            absent=len(elements) - len(there),
        )
        self.kind.recorded(there, now)

    def _try_anew(self, element: Write, intent: Intent, now: datetime) -> None:
        """Xero has it not: another intent, until a person must look into it.

        A batch that was refused as a whole says nothing of one element, and its halves
        come to an end by themselves.
        """
        is_counted = not intent.reason.startswith(HALVE)
        if not is_counted or element.tries + 1 < TRIES:
            writes.due_again(element, now, failed=is_counted)
            return
        gave_up = Outcome(
            errors=(f"not in Xero after {TRIES} calls without an answer",)
        )
        self.kind.record(element, gave_up, now)

    @_patiently
    def _look_later(self, intent: Intent, due_at: datetime) -> None:
        with transaction():
            intents.move(intent, intent.holder, IntentState.UNKNOWN, due_at=due_at)


def write_lanes(
    kinds: Iterable[WriteKind], door: Door, clock: Clock, process: str
) -> Mapping[LaneName, WriteLane]:
    """Every lane of these kinds: of some, two."""
    kinds_by_name = {kind.name: kind for kind in kinds}
    return {
        lane_of(name, is_awaited=is_awaited): WriteLane(
            kind, door, clock, process, is_awaited=is_awaited
        )
        for name, kind in kinds_by_name.items()
        for is_awaited in (False, True)
        if not is_awaited or name in AWAITED
    }


def _key_is_over(intent: Intent) -> datetime:
    first_sent: datetime = intent.sent_at or intent.created_at
    return first_sent + KEY_IS_OVER_AFTER
