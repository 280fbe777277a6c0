"""What must hold at every moment, asked of the books by indexed queries."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from peewee import SQL, fn

from core.db import problems
from core.db.intents import IntentState
from core.db.invoices import InvoiceState
from core.db.models import (
    Adoption,
    Inbox,
    Intent,
    Invoice,
    Lane,
    MemberProfile,
    Outbox,
    Payment,
    StreamPosition,
    Write,
)
from core.db.outbox import entry_id
from core.db.positions import GROUP
from core.db.statement import in_parts
from core.db.writes import WriteState
from core.facts import TOLD, Fact

_, PAID = TOLD[Fact.PAID]

#: The answer that is none yet.
ACCEPTED = "message.accepted"

#: As the index spells it: of a parameter it would not be known to imply its condition.
HAS_WAITING = SQL("waiting <> '[]'")

#: Entries of one millisecond that are looked through for the first unacknowledged one;
#: the relay adds 500 at once.
LOOKED_THROUGH = 1_000


def oldest_unraised(now: datetime) -> datetime | None:
    """Since when the oldest invoice might be in Xero and is not, nor is it held."""
    on_its_way = Invoice.state.in_([InvoiceState.WAITING, InvoiceState.READY])
    asked = _first(Invoice.created_at, on_its_way & Invoice.raise_at.is_null())
    dated = _first(Invoice.raise_at, on_its_way & (Invoice.raise_at <= now))
    return min(filter(None, (asked, dated)), default=None)


def oldest_waiting() -> datetime | None:
    """When the oldest message came of which Xero has not yet what it says of a member.

    One that was told to be held waits for a person.
    """
    profiles = MemberProfile.select(MemberProfile.waiting).where(HAS_WAITING)
    ids = sorted({row_id for profile in profiles for row_id in profile.waiting})
    answer = Outbox.select().where(
        (Outbox.answers == Inbox.id) & (Outbox.type != ACCEPTED)
    )
    for some in in_parts(ids):  # they were given in order
        oldest = (
            Inbox.select(Inbox.received_at)
            .where(Inbox.id.in_(list(some)) & ~fn.EXISTS(answer))
            .order_by(Inbox.received_at)
            .first()
        )
        if oldest is not None:
            found: datetime = oldest.received_at
            return found
    return None


def raised_without_id(tenant: str) -> list[datetime]:
    """When invoices were raised of which nobody knows what they are in Xero."""
    rows = Invoice.select(Invoice.raised_at, Invoice.created_at).where(
        (Invoice.tenant == tenant)
        & Invoice.xero_id.is_null()
        & (Invoice.state == InvoiceState.RAISED)
    )
    return [row.raised_at or row.created_at for row in rows]


def settled_without_action() -> list[datetime]:
    """When money settled invoices, or nothing was to be paid, and nobody was told.

    The owner's hook has failed, or what it led to is not on the stream yet. A hook may
    ask for nothing: that it was carried out shows in what is committed with its answer,
    `invoice.paid`, or that a free invoice is settled.
    """
    about = Outbox.invoice == Invoice.id
    is_told = fn.EXISTS(Outbox.select().where(about & (Outbox.type == PAID)))
    is_unsent = fn.EXISTS(Outbox.select().where(about & Outbox.stream_id.is_null()))
    # Not by its amount: money is kept as text.
    has_money = fn.EXISTS(
        Payment.select().where(
            (Payment.invoice == Invoice.id) & Payment.removed_at.is_null()
        )
    )
    acted_before_us = Adoption.select().where(
        (Adoption.invoice == Invoice.id) & (Adoption.was_settled == True)  # noqa: E712 an expression of peewee's
    )
    is_paid = has_money & ~fn.EXISTS(acted_before_us)
    is_free = Invoice.state == InvoiceState.FREE
    is_settled = Invoice.is_settled == True  # noqa: E712 an expression of peewee's
    rows = Invoice.select(
        Invoice.id, Invoice.read_answered_at, Invoice.created_at
    ).where(
        (is_free & (~is_settled | is_unsent))
        | (is_settled & ~is_free & is_paid & (~is_told | is_unsent))
    )
    found = {row.id: row.read_answered_at or row.created_at for row in rows}
    return list((_paid_and_failed() | found).values())


def _paid_and_failed() -> dict[int, datetime]:
    """Of money whose hook raised nothing is recorded but the problem."""
    return {
        problem.detail["invoice"]: problem.opened_at
        for problem in problems.open_problems("hook_failed")
        if Fact.PAID in problem.detail.get("facts", ())
    }


def oldest_unacknowledged(group: str) -> datetime | None:
    """When the oldest message was said that Redis has and the group did not confirm."""
    held = StreamPosition.get_or_none(StreamPosition.name == f"{GROUP}{group}")
    acknowledged = entry_id(held.value) if held is not None else (0, 0)
    # Text compares like the number up to its milliseconds, which have as many digits
    # since 2001 and until 2286.
    later = (
        Outbox.select(Outbox.stream_id, Outbox.created_at)
        .where(Outbox.stream_id >= str(acknowledged[0]))
        .order_by(Outbox.stream_id)
        .limit(LOOKED_THROUGH)
    )
    return min(
        (row.created_at for row in later if entry_id(row.stream_id) > acknowledged),
        default=None,
    )


def unknown_since() -> list[datetime]:
    """When the writes were first sent whose outcome is not known."""
    rows = Intent.select(Intent.sent_at, Intent.created_at).where(
        Intent.state == IntentState.UNKNOWN
    )
    return [row.sent_at or row.created_at for row in rows]


def stranded_writes() -> int:
    """Claimed elements whose intent has come to an end without them."""
    under_way = Intent.select().where(
        (Intent.id == Write.intent)
        & Intent.state.in_([IntentState.OPEN, IntentState.UNKNOWN])
    )
    query = Write.select().where(
        (Write.state == WriteState.CLAIMED) & ~fn.EXISTS(under_way)
    )
    return int(query.count())


def parked_lanes(now: datetime) -> Iterable[str]:
    """The name of each lane that rests, once for each tenant."""
    rows = Lane.select(Lane.name).where(Lane.parked_until > now)
    return [row.name for row in rows]


def _first(column: Any, condition: Any) -> datetime | None:
    row = Invoice.select(column).where(condition).order_by(column).first()
    return None if row is None else getattr(row, column.name)


def due_writes(tenant: str, now: datetime) -> dict[str, int]:
    """How many things are to be written now, by kind; those held back among them."""
    rows = (
        Write.select(Write.kind, fn.COUNT(Write.id).alias("count"))
        .where(
            (Write.tenant == tenant)
            & (Write.state == WriteState.DUE)
            & (Write.due_at <= now)
        )
        .group_by(Write.kind)
    )
    return {row.kind: row.count for row in rows}
