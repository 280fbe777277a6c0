"""Seasons: many messages that go out by a plan, and how far they have come."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from peewee import fn

from core.db.database import transaction
from core.db.inbox import InboxState
from core.db.invoices import InvoiceState
from core.db.models import Inbox, Intent, Invoice, Lane, Season, SeasonItem, Write
from core.db.proxy import proxy
from core.db.statement import Slot, insert_once, statement
from core.db.writes import WriteState
from core.errors import Refused
from core.waking import LaneName


class SeasonState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"  # what had not been sent will not be
    VOIDED = "voided"  # and what had been sent and was unpaid is void
    DONE = "done"


class ItemState(StrEnum):
    WAITING = "waiting"
    RELEASED = "released"  # it is in the inbox
    LEFT_OUT = "left_out"  # the plan has an obstacle for it
    CANCELLED = "cancelled"


#: A season that has not ended, of which a tenant has one at most.
OPEN = (SeasonState.RUNNING, SeasonState.PAUSED)

#: States of invoices that are on their way, and stop for nobody.
ON_THEIR_WAY = (InvoiceState.WAITING, InvoiceState.READY)

#: Items in one INSERT: SQLite takes a limited number of values.
TOGETHER = 500


def add(items: Iterable[Mapping[str, Any]], **values: Any) -> Season | None:
    """A running season with its items; None if its name was used before."""
    row: Season | None = insert_once(Season, state=SeasonState.RUNNING, **values)
    if row is None:
        return None
    rows = [{"season": row.id, **item} for item in items]
    for start in range(0, len(rows), TOGETHER):
        SeasonItem.insert_many(rows[start : start + TOGETHER]).execute()
    return row


def find(tenant: str, name: str) -> Season | None:
    row: Season | None = (
        Season.select().where((Season.tenant == tenant) & (Season.name == name)).first()
    )
    return row


def everything(tenant: str) -> list[Season]:
    query = Season.select().where(Season.tenant == tenant)
    return list(query.order_by(Season.id.desc()))


@statement
def _of_state(tenant: Slot, state: Slot) -> Any:
    return Season.select().where((Season.tenant == tenant) & (Season.state == state))


def running(tenant: str) -> Season | None:
    row: Season | None = _of_state.first(tenant=tenant, state=SeasonState.RUNNING)
    return row


def paused(tenant: str) -> Season | None:
    row: Season | None = _of_state.first(tenant=tenant, state=SeasonState.PAUSED)
    return row


def open_one(tenant: str) -> Season | None:
    """The season that has not ended."""
    return running(tenant) or paused(tenant)


@statement
def _locked(season: Slot) -> Any:
    query = Season.select().where(Season.id == season)
    # Many messages of a season are handled at once; whoever ends it waits for them.
    return query.for_update("FOR SHARE") if proxy.obj.for_update else query


def state_of(season_id: int) -> SeasonState:
    """Its state, which nobody changes until the commit."""
    return SeasonState(_locked.one(season=season_id).state)


def require_wanted(row: Inbox) -> None:
    """Whether a season that has been ended asked for this, in the caller's transaction.

    Raises:
        Refused: it has.
    """
    if row.season_id is None:
        return
    state = state_of(row.season_id)
    if state in (SeasonState.CANCELLED, SeasonState.VOIDED):
        raise Refused(f"its season was {state}")


def is_voided(season_id: int | None) -> bool:
    return season_id is not None and state_of(season_id) is SeasonState.VOIDED


def is_paused(season_id: int | None) -> bool:
    if season_id is None:
        return False
    with transaction():
        return state_of(season_id) is SeasonState.PAUSED


def lock_tenant(tenant: str) -> None:
    """One person at a time starts a season, until the commit."""
    query = Lane.select().where(
        (Lane.tenant == tenant) & (Lane.name == LaneName.SEASON)
    )
    list(query.for_update() if proxy.obj.for_update else query)


def move(season: Season, to: SeasonState, *, ended_at: datetime | None = None) -> bool:
    """Change its state; False if somebody else has changed it meanwhile."""
    changed = (
        Season.update(state=to, ended_at=ended_at)
        .where((Season.id == season.id) & (Season.state == season.state))
        .execute()
    )
    if changed:
        season.state, season.ended_at = to, ended_at
    return bool(changed)


# -- items -----------------------------------------------------------------------------


def next_items(season_id: int, limit: int) -> list[SeasonItem]:
    """What is to be sent out next, in the order of the plan."""
    query = SeasonItem.select().where(
        (SeasonItem.season == season_id) & (SeasonItem.state == ItemState.WAITING)
    )
    return list(query.order_by(SeasonItem.position).limit(limit))


def claim(item: SeasonItem) -> bool:
    """It is about to be sent out; False if somebody was faster, or it was cancelled."""
    claimed = (
        SeasonItem.update(state=ItemState.RELEASED)
        .where((SeasonItem.id == item.id) & (SeasonItem.state == ItemState.WAITING))
        .execute()
    )
    return bool(claimed)


def sent_out(item: SeasonItem, inbox: Inbox | None) -> None:
    """It is in the inbox; or it is not taken, because the platform sent it itself."""
    state = ItemState.LEFT_OUT if inbox is None else ItemState.RELEASED
    SeasonItem.update(state=state, inbox=inbox).where(
        SeasonItem.id == item.id
    ).execute()


def cancel_waiting(season_id: int) -> int:
    """What was not sent out yet never is; how many that are."""
    return int(
        SeasonItem.update(state=ItemState.CANCELLED)
        .where(
            (SeasonItem.season == season_id) & (SeasonItem.state == ItemState.WAITING)
        )
        .execute()
    )


@statement
def _item_of(inbox: Slot) -> Any:
    return SeasonItem.select().where(SeasonItem.inbox == inbox)


def planned_for(inbox_id: int) -> Mapping[str, Any]:
    """What the plan says of this message."""
    planned: Mapping[str, Any] = _item_of.one(inbox=inbox_id).planned
    return planned


def to_come(season_id: int) -> list[Mapping[str, Any]]:
    """What the plan says of what has not been sent out, in the order of the plan."""
    query = SeasonItem.select(SeasonItem.id, SeasonItem.planned).where(
        (SeasonItem.season == season_id) & (SeasonItem.state == ItemState.WAITING)
    )
    return [row.planned for row in query.order_by(SeasonItem.position)]


def count_items(season_id: int) -> dict[str, int]:
    rows = (
        SeasonItem.select(SeasonItem.state, fn.COUNT(SeasonItem.id).alias("count"))
        .where(SeasonItem.season == season_id)
        .group_by(SeasonItem.state)
    )
    return {row.state: row.count for row in rows}


# -- invoices --------------------------------------------------------------------------


def invoices_of(season_id: int, *states: InvoiceState) -> list[Invoice]:
    query = Invoice.select().where(
        (Invoice.season == season_id) & Invoice.state.in_(states)
    )
    return list(query.order_by(Invoice.id))


def count_invoices(season_id: int) -> dict[str, int]:
    rows = (
        Invoice.select(Invoice.state, fn.COUNT(Invoice.id).alias("count"))
        .where(Invoice.season == season_id)
        .group_by(Invoice.state)
    )
    return {row.state: row.count for row in rows}


def count_emailed(season_id: int) -> int:
    query = Invoice.select().where(
        (Invoice.season == season_id) & Invoice.emailed_at.is_null(False)
    )
    return int(query.count())


def count_under_way(season: Season, *, is_mailed: bool) -> int:
    """Messages that were sent out, and invoices that are not raised and e-mailed.

    An e-mail that is held back, for a person or until its contact is corrected, holds
    up nobody else; nor does any where e-mails are paused (``is_mailed``).
    """
    unhandled = Inbox.select().where(
        (Inbox.season == season.id) & (Inbox.state == InboxState.ACCEPTED)
    )
    unraised = Invoice.select().where(
        (Invoice.season == season.id) & Invoice.state.in_(ON_THEIR_WAY)
    )
    unsent = _writes_of(
        season, (LaneName.EMAILS,), WriteState.DUE, WriteState.CLAIMED
    ).where(Write.due_at.is_null(False) | (Write.state == WriteState.CLAIMED))
    mailing = unsent.count() if is_mailed else 0
    return int(unhandled.count() + unraised.count() + mailing)


def _writes_of(season: Season, kinds: Sequence[str], *states: WriteState) -> Any:
    of_season = Write.invoice == Invoice.id
    return (
        Write.select(Write.id)
        .join(Invoice, on=of_season)
        .where(
            (Write.tenant == season.tenant)
            & Write.kind.in_(kinds)
            & Write.state.in_(states)
            & (Invoice.season == season.id)
        )
    )


# -- pausing ---------------------------------------------------------------------------


def _holder(season_id: int) -> str:
    return f"season:{season_id}"


def hold_back(season: Season) -> None:
    """What is due of its invoices and e-mails is not, until it is let go of."""
    due = _writes_of(season, (LaneName.INVOICES, LaneName.EMAILS), WriteState.DUE)
    Write.update(held_by=_holder(season.id)).where(
        Write.id.in_(due) & (Write.state == WriteState.DUE)
    ).execute()


def let_go(season: Season) -> None:
    Write.update(held_by="").where(Write.held_by == _holder(season.id)).execute()


def without_paused(tenant: str, due: Sequence[Write]) -> Sequence[Write]:
    """Without those of a paused season, which are held back; they came after it was."""
    season = paused(tenant)
    if season is None:
        return due
    of_it = Invoice.select(Invoice.id).where(
        (Invoice.season == season.id)
        & Invoice.id.in_([element.invoice_id for element in due])
    )
    held = {row.id for row in of_it}
    ids = [element.id for element in due if element.invoice_id in held]
    if ids:
        with transaction():
            if state_of(season.id) is not SeasonState.PAUSED:
                return due  # it goes on since a moment ago
            Write.update(held_by=_holder(season.id)).where(
                Write.id.in_(ids) & (Write.state == WriteState.DUE)
            ).execute()
    return [element for element in due if element.invoice_id not in held]


# -- what it has cost ------------------------------------------------------------------


def calls_of(season: Season) -> dict[str, int]:
    """Calls for its invoices and e-mails by kind, each try counted.

    Of contacts all that were written in its time: what was asked of Xero twice stands
    in the books only with its last call.
    """
    of_invoices = (
        Write.select(Write.intent)
        .join(Invoice, on=(Write.invoice == Invoice.id))
        .where(Invoice.season == season.id)
    )
    of_contacts = (Intent.tenant == season.tenant) & Intent.kind.in_(
        [LaneName.CONTACTS, LaneName.CONTACT_UPDATES]
    )
    in_its_time = Intent.created_at >= season.started_at
    if season.ended_at is not None:
        in_its_time &= Intent.created_at <= season.ended_at
    rows = (
        Intent.select(Intent.kind, fn.SUM(Intent.tries).alias("tries"))
        .where(in_its_time & (Intent.id.in_(of_invoices) | of_contacts))
        .group_by(Intent.kind)
    )
    return {row.kind: int(row.tries) for row in rows}
