"""Mistakes that others have made, made on purpose: each must be caught.

A harness that finds nothing has either nothing to find or no eyes. Each mutation takes
one safeguard out of the daemon and names the scenarios that must then go wrong.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from bus import intake as bus_intake
from bus.intake import Intake
from bus.relay import Relay
from core import (
    contact_update_writes,
    contact_writes,
    drafting,
    invoice_writes,
    people,
    writing,
)
from core.contact_update_writes import UpdateContacts
from core.contact_writes import CreateContacts
from core.db import inbox, intents, outbox, reads, writes
from core.db.database import transaction
from core.db.inbox import InboxState
from core.db.writes import WriteState
from core.email_writes import EmailInvoices
from core.errors import XeroUnreachable
from core.invoice_writes import RaiseInvoices
from core.message_reading import Entry
from core.reading import ReadsLane
from core.write_kind import ABSENT, Outcome
from core.writing import WriteLane
from core.xero import door
from core.xero_json import contact as parse_contact
from core.xero_json import invoice as parse_invoice

Patches = Sequence[tuple[Any, str, Any]]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mistake.

    Args:
        name: what is done wrong.
        patches: object, attribute and what stands there instead.
        caught_by: scenarios, at least one of which must go wrong.
    """

    name: str
    patches: Patches
    caught_by: tuple[str, ...]

    @contextmanager
    def made(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, attribute, instead in self.patches:
                stack.enter_context(patch.object(owner, attribute, instead))
            yield


def _at_each(pattern: str) -> tuple[str, ...]:
    """At each of the first boundaries: which of them it is, is the daemon's affair."""
    return tuple(pattern.format(number) for number in range(1, 21))


# -- the write protocol ----------------------------------------------------------------


def _released(lane: WriteLane, intent: Any, *_: Any) -> None:
    """As if nothing had been sent."""
    lane._release(intent, lane.clock.now(), "thought to be unsent")


def _absent(kind: Any, admit: Any, intent: Any, elements: Any) -> Mapping[int, Outcome]:
    return {element.id: ABSENT for element in elements}


def _by_position(parse: Callable[[Any], Any], name: str) -> Callable[..., Any]:
    def outcomes(kind: Any, elements: Sequence[Any], answer: Any) -> Any:
        found = answer.json.get(name) or []
        return {e.id: Outcome(parse(r)) for e, r in zip(elements, found, strict=False)}

    return outcomes


def _with_a_new_key(lane: WriteLane, slot: Any, intent: Any) -> None:
    intent.idempotency_key = str(uuid.uuid4())
    _send_same(lane, slot, intent)


_send_same = WriteLane._send_same


def _refuse_all(lane: WriteLane, intent: Any, refusal: Any) -> None:
    elements = writes.elements(intent)
    outcome = Outcome(errors=(refusal.reason,))
    found = {element.id: outcome for element in elements}
    lane._record(intent, elements, found, lane.clock.now())


def _finish_when_limited(lane: WriteLane, intent: Any, due_at: Any, why: str) -> None:
    with transaction():
        for element in writes.elements(intent):
            writes.finish(element, WriteState.REFUSED, why)


def _unreachable(reason: str, **_: Any) -> XeroUnreachable:
    return XeroUnreachable(reason)


def _reconcile_nothing(*_: Any, **more: Any) -> people.Standing:
    return people.Standing.EQUAL


def _drop_what_is_absent(lane: WriteLane, element: Any, intent: Any, now: Any) -> None:
    writes.finish(element, WriteState.DONE)


def _leave_it_due(elements: Sequence[Any], intent: Any) -> None:
    """The elements are not tied to their intent."""


# -- saying and hearing ----------------------------------------------------------------


def _acknowledge_first(door: Intake, raw: Sequence[Any]) -> None:
    if raw:
        ids = [entry_id.decode() for entry_id, _ in raw]
        door.client.xack(door.stream, bus_intake.GROUP, *ids)
        door.client.xdel(door.stream, *ids)
    entries = [Entry(i.decode(), (f or {}).get(bus_intake.FIELD)) for i, f in raw]
    door.waker.messages(door.door.accept(entries))


def _mark_first(relay: Relay) -> int:
    rows = outbox.unsent()
    with transaction():
        outbox.mark_sent({row.id: "0-1" for row in rows})
    for row in rows:
        relay.client.xadd(relay.stream, {"event": row.body})
    return len(rows)


def _say_outside(messages: Any, **about: Any) -> None:
    """After the commit of the fact, as an afterthought."""
    _afterthoughts.append((list(messages), about))


_afterthoughts: list[tuple[list[Any], dict[str, Any]]] = []


def _recorded(kind: Any, outcomes: Any, answered_at: Any) -> None:
    while _afterthoughts:
        messages, about = _afterthoughts.pop()
        with transaction():
            outbox.say(messages, **about)
    kind.waker.relay()


class _AfterthoughtOutbox:
    say = staticmethod(_say_outside)


def _answered_first(lane: ReadsLane, tenant: str, asked: Any, answer: Any) -> None:
    with transaction():
        reads.answered(asked)
    _apply(lane, tenant, asked, answer)


_apply = ReadsLane._apply


def _finish_apart(row: Any, *asked: Any) -> Any:
    """The message is done in one transaction and its invoice written in the next."""
    with transaction():
        inbox.finish(row.id, InboxState.DONE)
    with transaction(), patch.object(inbox, "finish", lambda *_: True):
        return _commit_draft(row, *asked)


_commit_draft = drafting.commit_draft

_SOON = timedelta(seconds=1)

MUTATIONS = (
    Mutation(
        "the look-up is left out and everything taken for absent",
        [(writing.WriteLane, "_look", _released)],
        ("emails/one/write.1.500_after", "contacts/one/write.1.500_after"),
    ),
    Mutation(
        "an unknown outcome is sent again at once, as something new",
        [(writing.WriteLane, "_unknown", _released)],
        ("emails/one/write.1.reply_lost", "emails/one/write.1.reset_after"),
    ),
    Mutation(
        "the outcomes of invoices are told apart by their position",
        [(RaiseInvoices, "outcomes", _by_position(parse_invoice, "Invoices"))],
        ("invoices/few/write.1.reordered", "life/few/write.2.reordered"),
    ),
    Mutation(
        "the outcomes of contacts are told apart by their position",
        [(CreateContacts, "outcomes", _by_position(parse_contact, "Contacts"))],
        ("contacts/few/write.1.reordered",),
    ),
    Mutation(
        "the same bytes go out under a new key",
        [(WriteLane, "_send_same", _with_a_new_key)],
        ("emails/one/write.1.reply_lost",),
    ),
    Mutation(
        "Xero is asked while the call may still be on its way",
        [
            (writing, "KEY_IS_OVER_AFTER", _SOON),
            (writing, "KEY_IS_GOOD_FOR", timedelta()),
        ],
        ("emails/one/write.1.frozen_before",),
    ),
    Mutation(
        "SentToContact is not looked at",
        [(EmailInvoices, "look_up", _absent)],
        ("emails/one/write.1.500_after",),
    ),
    Mutation(
        "invoices are not found by their numbers",
        [(RaiseInvoices, "look_up", _absent)],
        ("invoices/one/write.1.500_after",),
    ),
    Mutation(
        "contacts are not found by their numbers",
        [(CreateContacts, "look_up", _absent)],
        ("contacts/one/write.1.500_after",),
    ),
    Mutation(
        "updates of contacts are told apart by their position",
        [(UpdateContacts, "outcomes", _by_position(parse_contact, "Contacts"))],
        ("updates/few/write.1.reordered",),
    ),
    Mutation(
        "an update is taken for done without a look at the fields",
        [(contact_update_writes, "same", lambda *_: True)],
        ("updates/one/write.1.500_before",),
    ),
    Mutation(
        "what finance has edited meanwhile is not compared",
        [(people, "reconcile", _reconcile_nothing)],
        ("updates/few/",),
    ),
    Mutation(
        "a batch that Xero refuses as a whole is refused element by element",
        [(WriteLane, "_refused", _refuse_all)],
        ("invoices/few/",),
    ),
    Mutation(
        "a refused batch is not halved",
        [(writes, "limit_batch", lambda *_: None)],
        ("invoices/few/",),
    ),
    Mutation(
        "an element's own errors are not read",
        [
            (invoice_writes, "errors_of", lambda _: ()),
            (contact_writes, "errors_of", lambda _: ()),
        ],
        ("invoices/few/",),
    ),
    Mutation(
        "a 5xx is taken for a call that was not made",
        [(door, "XeroOutcomeUnknown", _unreachable)],
        ("emails/one/write.1.500_after",),
    ),
    Mutation(
        "a 429 ends what was to be written",
        [(WriteLane, "_release", _finish_when_limited)],
        ("invoices/one/write.1.429_minute",),
    ),
    Mutation(
        "what Xero has not is taken for done",
        [(WriteLane, "_try_anew", _drop_what_is_absent)],
        ("invoices/one/write.1.500_before",),
    ),
    Mutation(
        "one call without an answer is one too many",
        [(writing, "TRIES", 1)],
        ("invoices/one/write.1.500_before",),
    ),
    Mutation(
        "elements are not tied to their intent",
        [(writes, "claim", _leave_it_due)],
        ("emails/one/write.1.crash_after", "emails/one/"),
    ),
    Mutation(
        "nobody looks after the intents of the dead",
        [(intents, "orphan", lambda *_: [])],
        ("invoices/one/write.1.crash_after",),
    ),
    Mutation(
        "an entry is acknowledged before it is committed",
        [(Intake, "_take", _acknowledge_first)],
        _at_each("life/one/commit.{}.crash_before"),
    ),
    Mutation(
        "the outbox is marked before the stream has it",
        [(Relay, "send", _mark_first)],
        _at_each("invoices/one/redis.{}.crash_before"),
    ),
    Mutation(
        "a fact is told after its commit, as an afterthought",
        [
            (invoice_writes, "outbox", _AfterthoughtOutbox),
            (RaiseInvoices, "recorded", _recorded),
        ],
        _at_each("invoices/one/commit.{}.crash_after"),
    ),
    Mutation(
        "a read is done with before it is applied",
        [(ReadsLane, "_apply", _answered_first)],
        _at_each("reads/one/commit.{}.crash_after"),
    ),
    Mutation(
        "a message is done before its invoice is written",
        [(drafting, "commit_draft", _finish_apart)],
        _at_each("life/one/commit.{}.crash_after"),
    ),
    Mutation(
        "nobody wakes a message whose wake-up call was lost",
        [(inbox, "wake_due", lambda *_: [])],
        _at_each("life/one/commit.{}.crash_after"),
    ),
)
