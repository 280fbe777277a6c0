"""What is to be written to Xero, and the intents: calls stored before they are made."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from core.db.models import Intent, Invoice, Write, proxy
from core.quota import CALL_LEASE_S

#: A call ends within its timeouts; then its outcome is recorded within seconds.
OPEN_AT_MOST = timedelta(seconds=CALL_LEASE_S + 60)


class WriteState(StrEnum):
    DUE = "due"
    CLAIMED = "claimed"
    DONE = "done"
    REFUSED = "refused"


class IntentState(StrEnum):
    OPEN = "open"  # about to be sent, or on its way
    UNKNOWN = "unknown"  # sent, or perhaps sent, without a clear answer
    DONE = "done"  # every element has its outcome
    RELEASED = "released"  # certainly never executed; its elements are due again


def add(
    tenant: str,
    kind: str,
    key: str,
    due_at: datetime,
    *,
    invoice: Invoice | None = None,
    data: Any = None,
) -> None:
    """One thing to be written. Asked for twice, it is written once."""
    Write.insert(
        tenant=tenant,
        kind=kind,
        key=key,
        invoice=invoice,
        data=data or {},
        due_at=due_at,
    ).on_conflict_ignore().execute()


def add_locked(tenant: str, kind: str, key: str, due_at: datetime, data: Any) -> Write:
    """As ``add``; the row that stands there now, which nobody changes until the commit.

    Whoever waits for this element and whoever finishes it thus see each other.
    """
    query = (
        Write.insert(tenant=tenant, kind=kind, key=key, data=data, due_at=due_at)
        .on_conflict(
            conflict_target=[Write.tenant, Write.kind, Write.key],
            update={Write.key: key},
        )
        .returning(Write)
    )
    row: Write = next(iter(query.execute()))
    return row


def due(tenant: str, kind: str, now: datetime, limit: int) -> list[Write]:
    """The next elements, as many as may share a call: the first one's limit rules.

    Elements of a batch that Xero refused as a whole come back with a smaller limit,
    so that a poison element ends alone.
    """
    rows = list(_due(tenant, kind, now).order_by(Write.due_at, Write.id).limit(limit))
    if not rows:
        return []
    together = min(limit, rows[0].batch_limit)
    return [row for row in rows if row.batch_limit == rows[0].batch_limit][:together]


def count_due(tenant: str, kind: str, now: datetime, most: int) -> int:
    """How many are due, counted no further than ``most``."""
    return int(_due(tenant, kind, now).limit(most).count())


def is_pending(tenant: str, kind: str) -> bool:
    """Whether any element is due or on its way."""
    query = Write.select().where(
        _of(tenant, kind) & Write.state.in_([WriteState.DUE, WriteState.CLAIMED])
    )
    return bool(query.exists())


def oldest_due(tenant: str, kind: str, now: datetime) -> datetime | None:
    row = _due(tenant, kind, now).order_by(Write.due_at).first()
    return row.due_at if row else None


def next_due(tenant: str, kind: str) -> datetime | None:
    """When the next element or unknown intent of this kind is due."""
    element = (
        Write.select(Write.due_at)
        .where(_of(tenant, kind) & (Write.state == WriteState.DUE))
        .order_by(Write.due_at)
        .first()
    )
    intent = (
        Intent.select(Intent.due_at)
        .where(
            (Intent.tenant == tenant)
            & (Intent.kind == kind)
            & (Intent.state == IntentState.UNKNOWN)
        )
        .order_by(Intent.due_at)
        .first()
    )
    moments = [row.due_at for row in (element, intent) if row is not None]
    return min(moments) if moments else None


def lock_due(elements: Sequence[Write]) -> list[Write]:
    """Those that are still due; nobody else claims them until the commit."""
    query = (
        Write.select()
        .where(
            Write.id.in_([element.id for element in elements])
            & (Write.state == WriteState.DUE)
        )
        .order_by(Write.due_at, Write.id)
    )
    return list(query.for_update() if proxy.obj.for_update else query)


def lock_due_of(invoice_id: int) -> None:
    """What is due for an invoice, of any kind: nobody claims it until the commit."""
    query = Write.select(Write.id).where(
        (Write.invoice == invoice_id) & (Write.state == WriteState.DUE)
    )
    list(query.for_update() if proxy.obj.for_update else ())


def claim(elements: Sequence[Write], intent: Intent) -> None:
    """Tie the elements to the intent."""
    Write.update(state=WriteState.CLAIMED, intent=intent).where(
        Write.id.in_([element.id for element in elements])
    ).execute()


def open_intent(**values: Any) -> Intent:
    return Intent.create(state=IntentState.OPEN, **values)


def elements(intent: Intent) -> list[Write]:
    query = Write.select().where(
        (Write.intent == intent) & (Write.state == WriteState.CLAIMED)
    )
    return list(query.order_by(Write.id))


def hold(intent: Intent, holder: str, now: datetime) -> bool:
    """Still ours, and about to be sent: note the moment of the first sending."""
    return bool(
        Intent.update(sent_at=intent.sent_at or now, tries=Intent.tries + 1)
        .where(
            (Intent.id == intent.id)
            & (Intent.state == IntentState.OPEN)
            & (Intent.holder == holder)
        )
        .execute()
    )


def move_intent(intent: Intent, holder: str, to: IntentState, **values: Any) -> bool:
    """Change the intent's state, on condition that it is still ours."""
    return bool(
        Intent.update(state=to, **values)
        .where(
            (Intent.id == intent.id)
            & (Intent.holder == holder)
            & Intent.state.in_([IntentState.OPEN, IntentState.UNKNOWN])
        )
        .execute()
    )


def take_unknown(tenant: str, kind: str, holder: str, now: datetime) -> Intent | None:
    """The next unknown intent that is due, now ours."""
    row: Intent | None = (
        Intent.select()
        .where(
            (Intent.tenant == tenant)
            & (Intent.kind == kind)
            & (Intent.state == IntentState.UNKNOWN)
            & (Intent.due_at <= now)
        )
        .order_by(Intent.due_at)
        .first()
    )
    if row is None:
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


def orphan(alive: Iterable[str], now: datetime) -> list[tuple[str, str]]:
    """Open intents that nobody is sending become unknown.

    Their process no longer lives, or they are open for longer than a call may last.

    Returns:
        Tenant and kind of each, for their lanes to be woken.
    """
    names = set(alive)
    lost = [
        row
        for row in Intent.select().where(Intent.state == IntentState.OPEN)
        if row.holder.split("/")[0] not in names or row.held_at < now - OPEN_AT_MOST
    ]
    for row in lost:
        Intent.update(
            state=IntentState.UNKNOWN, due_at=now, reason="its process ended"
        ).where((Intent.id == row.id) & (Intent.state == IntentState.OPEN)).execute()
    return [(row.tenant, row.kind) for row in lost]


def numbers_of(elements: Sequence[Write]) -> dict[int, str]:
    """The invoice number of each element, by the element's id."""
    return _of_invoices(elements, Invoice.number)


def xero_ids_of(elements: Sequence[Write]) -> dict[int, str]:
    return _of_invoices(elements, Invoice.xero_id)


def _of_invoices(elements: Sequence[Write], column: Any) -> dict[int, str]:
    ids = {element.invoice_id for element in elements}
    rows = Invoice.select(Invoice.id, column).where(Invoice.id.in_(ids)).tuples()
    held = dict(iter(rows))
    return {element.id: held[element.invoice_id] or "" for element in elements}


def finish(write: Write, state: WriteState, reason: str = "") -> None:
    Write.update(state=state, reason=reason, due_at=None).where(
        Write.id == write.id
    ).execute()


def due_again(
    write: Write,
    at: datetime,
    *,
    failed: bool = False,
    data: Any = None,
) -> None:
    """Back among what is due, for another intent."""
    Write.update(
        state=WriteState.DUE,
        intent=None,
        due_at=at,
        tries=write.tries + int(failed),
        data=write.data if data is None else data,
    ).where(Write.id == write.id).execute()


def pending(tenant: str, kind: str, key: str) -> Write | None:
    """What was asked for under this key and is not done, refused or not."""
    row: Write | None = Write.get_or_none(
        _of(tenant, kind) & (Write.key == key) & (Write.state != WriteState.DONE)
    )
    return row


def end_empty_intents(tenant: str) -> None:
    """Calls of which nothing is left that has no outcome."""
    claimed = Write.select(Write.intent).where(Write.state == WriteState.CLAIMED)
    Intent.update(state=IntentState.DONE, reason="recovered").where(
        (Intent.tenant == tenant)
        & Intent.state.in_([IntentState.OPEN, IntentState.UNKNOWN])
        & Intent.id.not_in(claimed)
    ).execute()


def is_claimed(tenant: str, kind: str, key: str) -> bool:
    """Whether a call for this is on its way, or its outcome not recorded yet."""
    query = Write.select().where(
        _of(tenant, kind) & (Write.key == key) & (Write.state == WriteState.CLAIMED)
    )
    return bool(query.exists())


def is_under_way(tenant: str, kind: str, key: str) -> bool:
    """Whether this was asked for and Xero has not answered yet."""
    query = Write.select().where(
        _of(tenant, kind)
        & (Write.key == key)
        & Write.state.in_([WriteState.DUE, WriteState.CLAIMED])
    )
    return bool(query.exists())


def ask_again(tenant: str, kind: str, key: str, at: datetime) -> bool:
    """What Xero refused is due once more; False if it had not refused it."""
    return bool(
        Write.update(state=WriteState.DUE, intent=None, due_at=at, tries=0, reason="")
        .where(
            _of(tenant, kind) & (Write.key == key) & (Write.state == WriteState.REFUSED)
        )
        .execute()
    )


def limit_batch(write: Write, limit: int) -> None:
    """At most so many together the next time."""
    Write.update(batch_limit=limit).where(Write.id == write.id).execute()
    write.batch_limit = limit


def cancel(tenant: str, kind: str, key: str) -> bool:
    """Take back what has not been claimed; False if it is on its way or done."""
    return bool(
        Write.delete()
        .where(_of(tenant, kind) & (Write.key == key) & (Write.state == WriteState.DUE))
        .execute()
    )


def unknown_intents() -> list[Intent]:
    return list(Intent.select().where(Intent.state == IntentState.UNKNOWN))


def _of(tenant: str, kind: str) -> Any:
    return (Write.tenant == tenant) & (Write.kind == kind)


def _due(tenant: str, kind: str, now: datetime) -> Any:
    return Write.select().where(
        _of(tenant, kind) & (Write.state == WriteState.DUE) & (Write.due_at <= now)
    )
