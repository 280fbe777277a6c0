"""Intents: calls that change Xero, stored before they are made, each held by one."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from core.db.models import Intent, Write
from core.db.statement import Slot, Statement, by_field, insert, statement
from core.db.writes import WriteState
from core.quota import CALL_LEASE_S
from core.waking import LaneName, lane_of

#: A call ends within its timeouts; then its outcome is recorded within seconds.
OPEN_AT_MOST = timedelta(seconds=CALL_LEASE_S + 60)


class IntentState(StrEnum):
    OPEN = "open"  # about to be sent, or on its way
    UNKNOWN = "unknown"  # sent, or perhaps sent, without a clear answer
    DONE = "done"  # every element has its outcome
    RELEASED = "released"  # certainly never executed; its elements are due again


def add(**values: Any) -> Intent:
    """A new one, open: about to be sent by its ``holder``.

    Raises:
        IntegrityError: its idempotency key is another's.
    """
    row: Intent = insert(Intent, state=IntentState.OPEN, **values)
    return row


@statement
def _hold(intent: Slot, holder: Slot, sent_at: Slot) -> Any:
    return Intent.update(sent_at=sent_at, tries=Intent.tries + 1).where(
        (Intent.id == intent)
        & (Intent.state == IntentState.OPEN)
        & (Intent.holder == holder)
    )


def hold(intent: Intent, holder: str, now: datetime) -> bool:
    """Still ours, and about to be sent: note the moment of the first sending."""
    sent_at = intent.sent_at or now
    return _hold.changed(intent=intent.id, holder=holder, sent_at=sent_at) > 0


def move(intent: Intent, holder: str, to: IntentState, **values: Any) -> bool:
    """Change the intent's state, on condition that it is still ours."""
    stored = {f"to_{name}": v for name, v in by_field(Intent, values).items()}
    moved = _move_of(tuple(values)).changed(
        row=intent.id, holder=holder, to=to, **stored
    )
    return moved > 0


@cache
def _move_of(columns: tuple[str, ...]) -> Statement:
    def build(row: Slot, holder: Slot, to: Slot, **values: Slot) -> Any:
        named = {name: values[f"to_{name}"] for name in columns}
        return Intent.update(state=to, **named).where(
            (Intent.id == row)
            & (Intent.holder == holder)
            & Intent.state.in_([IntentState.OPEN, IntentState.UNKNOWN])
        )

    return Statement(build, ["row", "holder", "to", *(f"to_{c}" for c in columns)])


@statement
def _next_unknown(tenant: Slot, kind: Slot, is_awaited: Slot) -> Any:
    return (
        Intent.select()
        .where(
            (Intent.tenant == tenant)
            & (Intent.kind == kind)
            & (Intent.is_awaited == is_awaited)
            & (Intent.state == IntentState.UNKNOWN)
        )
        .order_by(Intent.due_at)
        .limit(1)
    )


def next_due(tenant: str, kind: str, *, is_awaited: bool = False) -> datetime | None:
    """When the next unknown one is to be settled; None: there is none."""
    row = _next_unknown.first(tenant=tenant, kind=kind, is_awaited=is_awaited)
    return row.due_at if row else None


def take_unknown(
    tenant: str, kind: str, holder: str, now: datetime, *, is_awaited: bool = False
) -> Intent | None:
    """The next unknown intent that is due, now ours."""
    row: Intent | None = _next_unknown.first(
        tenant=tenant, kind=kind, is_awaited=is_awaited
    )
    if row is None or row.due_at > now:
        return None
    taken = (
        Intent.update(holder=holder)
        .where(
            (Intent.id == row.id)
            & (Intent.holder == row.holder)
            & (Intent.state == IntentState.UNKNOWN)
        )
        .execute()
    )
    if not taken:
        return None
    row.holder = holder
    return row


@statement
def _open() -> Any:
    return Intent.select().where(Intent.state == IntentState.OPEN)


def orphan(alive: Iterable[str], now: datetime) -> list[tuple[str, LaneName]]:
    """Open intents that nobody is sending become unknown.

    Their process no longer lives, or they are open for longer than a call may last.

    Returns:
        Tenant and lane of each, to be woken.
    """
    names = set(alive)
    lost = [
        row
        for row in _open.rows()
        if row.holder.split("/")[0] not in names or row.held_at < now - OPEN_AT_MOST
    ]
    for row in lost:
        Intent.update(
            state=IntentState.UNKNOWN, due_at=now, reason="its process ended"
        ).where((Intent.id == row.id) & (Intent.state == IntentState.OPEN)).execute()
    return [(row.tenant, lane_of(row.kind, is_awaited=row.is_awaited)) for row in lost]


def unknown() -> list[Intent]:
    """Those that were sent, or perhaps sent, without a clear answer."""
    return list(Intent.select().where(Intent.state == IntentState.UNKNOWN))


def end_empty(tenant: str) -> None:
    """Calls of which nothing is left that has no outcome."""
    claimed = Write.select(Write.intent).where(Write.state == WriteState.CLAIMED)
    Intent.update(state=IntentState.DONE, reason="recovered").where(
        (Intent.tenant == tenant)
        & Intent.state.in_([IntentState.OPEN, IntentState.UNKNOWN])
        & Intent.id.not_in(claimed)
    ).execute()
