"""Messages from the platform."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from core.db.models import Inbox, Season
from core.db.statement import (
    Slot,
    by_id,
    for_each_count,
    in_parts,
    insert_once,
    listed,
    statement,
)
from core.messages import Envelope

#: A row that was woken is not woken again for so long.
WAKE_AGAIN_AFTER = timedelta(seconds=10)


class InboxState(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    HELD = "held"
    DONE = "done"


def add_accepted(
    envelope: Envelope,
    tenant: str,
    body: str,
    now: datetime,
    season: Season | None = None,
) -> Inbox | None:
    """A new message, due at once and woken now; None if its id is already here."""
    return _insert(
        source=envelope.source,
        message_id=envelope.id,
        content_hash=envelope.content_hash,
        type=envelope.type,
        subject=envelope.subject,
        tenant=tenant,
        body=body,
        state=InboxState.ACCEPTED,
        season=season,
        received_at=now,
        due_at=now,
        woken_at=now,
    )


def add_rejected(
    source: str,
    message_id: str,
    content_hash: str,
    body: str,
    now: datetime,
    *,
    type: str | None,
    subject: str | None,
) -> Inbox | None:
    """A message that was refused at the door; None if its id is already here."""
    return _insert(
        source=source,
        message_id=message_id,
        content_hash=content_hash,
        type=type,
        subject=subject,
        body=body,
        state=InboxState.REJECTED,
        received_at=now,
    )


def _insert(**values: object) -> Inbox | None:
    row: Inbox | None = insert_once(Inbox, **values)
    return row


@statement
def _find(source: Slot, message_id: Slot) -> Any:
    return Inbox.select().where(
        (Inbox.source == source) & (Inbox.message_id == message_id)
    )


def find(source: str, message_id: str) -> Inbox | None:
    """The message with this id of this source; None: none was taken."""
    row: Inbox | None = _find.first(source=source, message_id=message_id)
    return row


def load(inbox_id: int) -> Inbox:
    row: Inbox = by_id(Inbox, inbox_id)
    return row


@statement
def _finish(row: Slot, state: Slot) -> Any:
    return Inbox.update(state=state, due_at=None).where(
        (Inbox.id == row) & (Inbox.state == InboxState.ACCEPTED)
    )


def finish(row_id: int, state: InboxState) -> bool:
    """It is handled, refused or held; False if somebody else was first."""
    return _finish.changed(row=row_id, state=state) > 0


def hold(row_id: int, cause: str) -> bool:
    """It waits for a person, as the problem of this cause says; False as above."""
    held = (
        Inbox.update(state=InboxState.HELD, due_at=None, held_for=cause[:255])
        .where((Inbox.id == row_id) & (Inbox.state == InboxState.ACCEPTED))
        .execute()
    )
    return bool(held)


def held(message_id: str | None = None) -> list[Inbox]:
    """Messages that wait for a person; those of one id, whatever their source."""
    query = Inbox.select().where(Inbox.state == InboxState.HELD)
    if message_id is not None:
        query = query.where(Inbox.message_id == message_id)
    return list(query.order_by(Inbox.id))


def waiting(limit: int) -> list[Inbox]:
    """The oldest messages that are accepted and not yet handled."""
    query = Inbox.select().where(Inbox.state == InboxState.ACCEPTED)
    return list(query.order_by(Inbox.id).limit(limit))


def release(row_ids: Sequence[int], now: datetime) -> None:
    """Held messages are to be handled after all, as if they had just been accepted."""
    for some in in_parts(row_ids):
        Inbox.update(
            state=InboxState.ACCEPTED, due_at=now, woken_at=None, tries=0
        ).where(Inbox.id.in_(list(some)) & (Inbox.state == InboxState.HELD)).execute()


def give_up(row_id: int) -> bool:
    """A held message is rejected after all; False if it is not held any more."""
    return bool(
        Inbox.update(state=InboxState.REJECTED)
        .where((Inbox.id == row_id) & (Inbox.state == InboxState.HELD))
        .execute()
    )


def done_about(row: Inbox) -> list[Inbox]:
    """Earlier messages of its type about its subject that are done, oldest first."""
    query = Inbox.select().where(
        (Inbox.tenant == row.tenant)
        & (Inbox.subject == row.subject)
        & (Inbox.type == row.type)
        & (Inbox.state == InboxState.DONE)
        & (Inbox.id < row.id)
    )
    return list(query.order_by(Inbox.id))


def is_overtaken(row: Inbox) -> bool:
    """Whether a later message about the same subject has been handled already."""
    later = Inbox.select().where(
        (Inbox.tenant == row.tenant)
        & (Inbox.subject == row.subject)
        & (Inbox.state == InboxState.DONE)
        & (Inbox.id > row.id)
    )
    return bool(later.exists())


def reopen(row_id: int, now: datetime) -> None:
    """Not done after all: what follows from it is still to be said."""
    Inbox.update(state=InboxState.ACCEPTED, due_at=now, woken_at=now).where(
        Inbox.id == row_id
    ).execute()


def postpone(row_id: int, until: datetime) -> None:
    """Not before then; not counted as a failure."""
    Inbox.update(due_at=until, woken_at=None).where(Inbox.id == row_id).execute()


def count_failure(row_id: int, until: datetime) -> None:
    Inbox.update(due_at=until, woken_at=None, tries=Inbox.tries + 1).where(
        Inbox.id == row_id
    ).execute()


@statement
def _unwoken(now: Slot, lately: Slot, limit: Slot) -> Any:
    return (
        Inbox.select(Inbox.id)
        .where(
            (Inbox.state == InboxState.ACCEPTED)
            & (Inbox.due_at <= now)
            & (Inbox.woken_at.is_null() | (Inbox.woken_at <= lately))
        )
        .order_by(Inbox.id)
        .limit(limit)
    )


def wake_due(now: datetime, limit: int = 500) -> list[int]:
    """Rows that are due and that nobody was told of lately; marks them as woken."""
    lately = now - WAKE_AGAIN_AFTER
    ids = [row.id for row in _unwoken.rows(now=now, lately=lately, limit=limit)]
    if ids:
        Inbox.update(woken_at=now).where(Inbox.id.in_(ids)).execute()
    return ids


@for_each_count
def _forget_wakes_of(ids: list[Slot]) -> Any:
    return Inbox.update(woken_at=None).where(Inbox.id.in_(ids))


def forget_wakes_of(ids: Sequence[int]) -> None:
    """Nobody was told to handle these after all."""
    _forget_wakes_of(len(ids)).changed(**listed(ids))


@statement
def _forget_wakes() -> Any:
    return Inbox.update(woken_at=None).where(
        (Inbox.state == InboxState.ACCEPTED) & Inbox.woken_at.is_null(False)
    )


def forget_wakes() -> None:
    """Whoever was told to look may have died before it did: they may be told anew."""
    _forget_wakes.changed()


@statement
def _coming(tenant: Slot, now: Slot) -> Any:
    is_open = (Inbox.state == InboxState.ACCEPTED) & (Inbox.due_at <= now)
    return Inbox.select().where(is_open & (Inbox.tenant == tenant)).limit(1)


def is_more_coming(tenant: str, now: datetime) -> bool:
    """Whether messages are here that have not been handled yet."""
    return _coming.first(tenant=tenant, now=now) is not None


@statement
def _earlier(tenant: Slot, subject: Slot, row: Slot) -> Any:
    return (
        Inbox.select()
        .where(
            (Inbox.tenant == tenant)
            & (Inbox.subject == subject)
            & (Inbox.state == InboxState.ACCEPTED)
            & (Inbox.id < row)
        )
        .limit(1)
    )


def is_behind_another(row: Inbox) -> bool:
    """Whether an earlier message about the same subject has not been handled yet."""
    earlier = _earlier.first(tenant=row.tenant, subject=row.subject, row=row.id)
    return earlier is not None


def oldest_unfinished() -> datetime | None:
    row = (
        Inbox.select(Inbox.received_at)
        .where(Inbox.state == InboxState.ACCEPTED)
        .order_by(Inbox.received_at)
        .first()
    )
    return row.received_at if row else None


def counts() -> dict[str, int]:
    """How many messages there are in each state, by its name."""
    states: Sequence[InboxState] = tuple(InboxState)
    return {
        state.value: Inbox.select().where(Inbox.state == state).count()
        for state in states
    }
