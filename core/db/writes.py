"""What is to be written to Xero: each thing an element, due until a call claims it.

An element is known by tenant, kind (the name of its lane) and key: the member's id for
a contact and its updates, the id of our invoice row for the rest.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.db.models import Intent, Invoice, Write
from core.db.proxy import proxy
from core.db.statement import (
    Slot,
    for_each_count,
    insert_once,
    listed,
    statement,
)

#: Elements that share a call at most, until a call has been refused as a whole.
BATCH_LIMIT = 50


class WriteState(StrEnum):
    DUE = "due"
    CLAIMED = "claimed"
    DONE = "done"
    REFUSED = "refused"


# -- asking ----------------------------------------------------------------------------


def add(
    tenant: str,
    kind: str,
    key: str,
    due_at: datetime | None,
    *,
    invoice: Invoice | None = None,
    data: Any = None,
) -> None:
    """One thing to be written. Asked for twice, it is written once.

    Without ``due_at`` it is held back until it is let go of (``let_go_of``). Somebody
    waits for it if somebody waits for its invoice.
    """
    insert_once(
        Write,
        tenant=tenant,
        kind=kind,
        key=key,
        invoice=invoice,
        data=data or {},
        due_at=due_at,
        is_awaited=invoice is not None and invoice.is_awaited,
    )


@statement
def _add_locked(
    tenant: Slot, kind: Slot, key: Slot, data: Slot, due_at: Slot, is_awaited: Slot
) -> Any:
    return (
        Write.insert(
            tenant=tenant,
            kind=kind,
            key=key,
            data=data,
            due_at=due_at,
            is_awaited=is_awaited,
        )
        .on_conflict(
            conflict_target=[Write.tenant, Write.kind, Write.key],
            update={Write.key: key},
        )
        .returning(Write)
    )


def add_locked(
    tenant: str,
    kind: str,
    key: str,
    due_at: datetime,
    data: Any,
    *,
    is_awaited: bool = False,
) -> Write:
    """As ``add``; the row that stands there now, which nobody changes until the commit.

    Whoever waits for this element and whoever finishes it thus see each other. Once
    somebody waits for it, it goes before those for which nobody does.
    """
    row: Write = _add_locked.one(
        tenant=tenant,
        kind=kind,
        key=key,
        data=data,
        due_at=due_at,
        is_awaited=is_awaited,
    )
    if is_awaited and not row.is_awaited:
        Write.update(is_awaited=True).where(Write.id == row.id).execute()
        row.is_awaited = True
    return row


def ask_anew(write: Write, at: datetime, data: Any) -> None:
    """Something else is to be written under this key: due, as if never tried."""
    Write.update(
        state=WriteState.DUE,
        intent=None,
        due_at=at,
        tries=0,
        batch_limit=BATCH_LIMIT,
        reason="",
        data=data,
    ).where(Write.id == write.id).execute()


def ask_again(tenant: str, kind: str, key: str, at: datetime) -> bool:
    """What Xero refused is due once more; False if it had not refused it."""
    return bool(
        Write.update(state=WriteState.DUE, intent=None, due_at=at, tries=0, reason="")
        .where(
            _of(tenant, kind) & (Write.key == key) & (Write.state == WriteState.REFUSED)
        )
        .execute()
    )


def hold_back(tenant: str, kind: str, payer: str) -> None:
    """What is due for a payer's invoices and not on its way waits to be let go of."""
    Write.update(due_at=None).where(_due_of(tenant, kind, payer)).execute()


def let_go_of(tenant: str, kind: str, payer: str, at: datetime) -> int:
    """What was held back for a payer's invoices is due; how many that are."""
    held = _due_of(tenant, kind, payer) & Write.due_at.is_null()
    return int(Write.update(due_at=at).where(held).execute())


def _due_of(tenant: str, kind: str, payer: str) -> Any:
    theirs = Invoice.select(Invoice.id).where(
        (Invoice.tenant == tenant) & (Invoice.payer_member_id == payer)
    )
    return (
        _of(tenant, kind) & (Write.state == WriteState.DUE) & Write.invoice.in_(theirs)
    )


# -- taking back -----------------------------------------------------------------------


def cancel(tenant: str, kind: str, key: str) -> bool:
    """Take back what has not been claimed; False if it is on its way or done."""
    return bool(
        Write.delete()
        .where(_of(tenant, kind) & (Write.key == key) & (Write.state == WriteState.DUE))
        .execute()
    )


def drop(tenant: str, kind: str, key: str) -> bool:
    """Forget what was asked for, or refused; False if it is on its way or done."""
    gone = (WriteState.DUE, WriteState.REFUSED)
    return bool(
        Write.delete()
        .where(_of(tenant, kind) & (Write.key == key) & Write.state.in_(gone))
        .execute()
    )


def forget(tenant: str, kind: str, key: str) -> None:
    """As if it had never been asked for; for what was overtaken by a restore."""
    Write.delete().where(_of(tenant, kind) & (Write.key == key)).execute()


# -- what stands there -----------------------------------------------------------------


@statement
def _lock(tenant: Slot, kind: Slot, key: Slot) -> Any:
    query = Write.select().where(_of(tenant, kind) & (Write.key == key))
    return query.for_update() if proxy.obj.for_update else query


def lock(tenant: str, kind: str, key: str) -> Write | None:
    """The element, if it was ever asked for; nobody changes it until the commit."""
    row: Write | None = _lock.first(tenant=tenant, kind=kind, key=key)
    return row


@statement
def _find(tenant: Slot, kind: Slot, key: Slot) -> Any:
    return Write.select().where(_of(tenant, kind) & (Write.key == key))


def pending(tenant: str, kind: str, key: str) -> Write | None:
    """What was asked for under this key and is not done, refused or not."""
    row: Write | None = _find.first(tenant=tenant, kind=kind, key=key)
    return None if row is None or row.state == WriteState.DONE else row


def is_claimed(tenant: str, kind: str, key: str) -> bool:
    """Whether a call for this is on its way, or its outcome not recorded yet."""
    return _state_of(tenant, kind, key) == WriteState.CLAIMED


@statement
def _all_claimed(tenant: Slot, kind: Slot) -> Any:
    return Write.select().where(_of(tenant, kind) & (Write.state == WriteState.CLAIMED))


def claimed_keys(tenant: str, kind: str) -> set[str]:
    """What calls of this kind are about that are on their way or not recorded yet."""
    return {row.key for row in _all_claimed.rows(tenant=tenant, kind=kind)}


def stands(tenant: str, kind: str, key: str) -> bool:
    """Whether this was asked for and Xero has not refused it."""
    return _state_of(tenant, kind, key) not in (None, WriteState.REFUSED)


def is_refused(tenant: str, kind: str, key: str) -> bool:
    """Whether Xero has refused this, and nobody has asked anew."""
    return _state_of(tenant, kind, key) == WriteState.REFUSED


def _state_of(tenant: str, kind: str, key: str) -> str | None:
    """None: it was never asked for, or was taken back."""
    row = _find.first(tenant=tenant, kind=kind, key=key)
    return None if row is None else str(row.state)


def all_pending(tenant: str, kind: str) -> dict[str, str]:
    """What was asked for and is not done: the state of each key."""
    rows = Write.select(Write.key, Write.state).where(
        _of(tenant, kind) & (Write.state != WriteState.DONE)
    )
    return {row.key: row.state for row in rows}


@statement
def _pending(tenant: Slot, kind: Slot) -> Any:
    return (
        Write.select()
        .where(
            _of(tenant, kind) & Write.state.in_([WriteState.DUE, WriteState.CLAIMED])
        )
        .limit(1)
    )


def is_pending(tenant: str, kind: str) -> bool:
    """Whether any element is due or on its way."""
    return _pending.first(tenant=tenant, kind=kind) is not None


@statement
def _claimed(tenant: Slot, kind: Slot) -> Any:
    return (
        Write.select()
        .where(_of(tenant, kind) & (Write.state == WriteState.CLAIMED))
        .limit(1)
    )


def is_any_claimed(tenant: str, *kinds: str) -> bool:
    """Whether a call of one of these kinds is on its way, or not recorded yet."""
    return any(_claimed.first(tenant=tenant, kind=kind) for kind in kinds)


# -- what is due -----------------------------------------------------------------------


def _is_due(tenant: Slot, kind: Slot, is_awaited: Slot) -> Any:
    return (
        _of(tenant, kind)
        & (Write.is_awaited == is_awaited)
        & (Write.state == WriteState.DUE)
        & (Write.held_by == "")
    )


@statement
def _due(tenant: Slot, kind: Slot, is_awaited: Slot, now: Slot, limit: Slot) -> Any:
    return (
        Write.select()
        .where(_is_due(tenant, kind, is_awaited) & (Write.due_at <= now))
        .order_by(Write.due_at, Write.id)
        .limit(limit)
    )


def due(
    tenant: str, kind: str, now: datetime, limit: int, *, is_awaited: bool = False
) -> list[Write]:
    """The next elements, as many as may share a call: the first one's limit rules.

    Elements of a batch that Xero refused as a whole come back with a smaller limit,
    so that a poison element ends alone. Either somebody waits for all of them, or for
    none (``is_awaited``).
    """
    rows: list[Write] = _due.rows(
        tenant=tenant, kind=kind, is_awaited=is_awaited, now=now, limit=limit
    )
    if not rows:
        return []
    together = min(limit, rows[0].batch_limit)
    return [row for row in rows if row.batch_limit == rows[0].batch_limit][:together]


def count_due(
    tenant: str, kind: str, now: datetime, most: int, *, is_awaited: bool = False
) -> int:
    """How many are due, counted no further than ``most``."""
    return len(
        _due.rows(tenant=tenant, kind=kind, is_awaited=is_awaited, now=now, limit=most)
    )


def oldest_due(
    tenant: str, kind: str, now: datetime, *, is_awaited: bool = False
) -> datetime | None:
    """Since when the longest due element waits; None: none is due."""
    rows = _due.rows(tenant=tenant, kind=kind, is_awaited=is_awaited, now=now, limit=1)
    return rows[0].due_at if rows else None


@statement
def _next(tenant: Slot, kind: Slot, is_awaited: Slot) -> Any:
    return (
        Write.select()
        .where(_is_due(tenant, kind, is_awaited) & Write.due_at.is_null(False))
        .order_by(Write.due_at)
        .limit(1)
    )


def next_due(tenant: str, kind: str, *, is_awaited: bool = False) -> datetime | None:
    """When the next element is due; None: none is, or they are held back."""
    row = _next.first(tenant=tenant, kind=kind, is_awaited=is_awaited)
    return row.due_at if row else None


# -- claiming --------------------------------------------------------------------------


@for_each_count
def _lock_due(ids: list[Slot]) -> Any:
    query = (
        Write.select()
        .where(
            Write.id.in_(ids) & (Write.state == WriteState.DUE) & (Write.held_by == "")
        )
        .order_by(Write.due_at, Write.id)
    )
    return query.for_update() if proxy.obj.for_update else query


def lock_due(elements: Sequence[Write]) -> list[Write]:
    """Those that are still due; nobody else claims them until the commit."""
    ids = [element.id for element in elements]
    return _lock_due(len(ids)).rows(**listed(ids)) if ids else []


def lock_due_of(invoice_id: int) -> None:
    """What is due for an invoice, of any kind: nobody claims it until the commit."""
    query = Write.select(Write.id).where(
        (Write.invoice == invoice_id) & (Write.state == WriteState.DUE)
    )
    list(query.for_update() if proxy.obj.for_update else ())


@for_each_count
def _claim(ids: list[Slot], intent: Slot) -> Any:
    return Write.update(state=WriteState.CLAIMED, intent=intent).where(
        Write.id.in_(ids)
    )


def claim(elements: Sequence[Write], intent: Intent) -> None:
    """Tie the elements to the intent."""
    ids = [element.id for element in elements]
    if ids:
        _claim(len(ids)).changed(**listed(ids), intent=intent.id)


@statement
def _elements(intent: Slot) -> Any:
    return (
        Write.select()
        .where((Write.intent == intent) & (Write.state == WriteState.CLAIMED))
        .order_by(Write.id)
    )


def elements(intent: Intent) -> list[Write]:
    """What the intent is to write and has no outcome yet."""
    rows: list[Write] = _elements.rows(intent=intent.id)
    for row in rows:
        row.intent = intent
    return rows


def numbers_of(elements: Sequence[Write]) -> dict[int, str]:
    """The invoice number of each element, by the element's id."""
    return _of_invoices(elements, "number")


def xero_ids_of(elements: Sequence[Write]) -> dict[int, str]:
    """Xero's id of each element's invoice, by the element's id."""
    return _of_invoices(elements, "xero_id")


def _of_invoices(elements: Sequence[Write], column: str) -> dict[int, str]:
    ids = sorted({element.invoice_id for element in elements})
    rows = _invoices(len(ids)).rows(**listed(ids)) if ids else []
    held = {row.id: getattr(row, column) or "" for row in rows}
    return {element.id: held[element.invoice_id] for element in elements}


@for_each_count
def _invoices(ids: list[Slot]) -> Any:
    columns = Invoice.id, Invoice.number, Invoice.xero_id
    return Invoice.select(*columns).where(Invoice.id.in_(ids))


# -- outcomes --------------------------------------------------------------------------


@statement
def _finish(write: Slot, state: Slot, reason: Slot) -> Any:
    return Write.update(state=state, reason=reason, due_at=None).where(
        Write.id == write
    )


def finish(write: Write, state: WriteState, reason: str = "") -> None:
    """It is done, or refused for a reason that a person should read."""
    _finish.changed(write=write.id, state=state, reason=reason)


@statement
def _due_again(write: Slot, due_at: Slot, failures: Slot, data: Slot) -> Any:
    return Write.update(
        state=WriteState.DUE,
        intent=None,
        due_at=due_at,
        tries=Write.tries + failures,
        data=data,
    ).where(Write.id == write)


def due_again(
    write: Write,
    at: datetime,
    *,
    failed: bool = False,
    data: Any = None,
) -> None:
    """Back among what is due, for another intent."""
    _due_again.changed(
        write=write.id,
        due_at=at,
        failures=int(failed),
        data=write.data if data is None else data,
    )


def wait(write: Write) -> None:
    """It is due when whoever it waits for says so (``due_again``)."""
    Write.update(due_at=None).where(Write.id == write.id).execute()


def keep(write: Write, data: Any) -> None:
    """What is to be remembered of it, whatever its state."""
    Write.update(data=data).where(Write.id == write.id).execute()


@statement
def _limit_batch(write: Slot, limit: Slot) -> Any:
    return Write.update(batch_limit=limit).where(Write.id == write)


def limit_batch(write: Write, limit: int) -> None:
    """At most so many together the next time."""
    _limit_batch.changed(write=write.id, limit=limit)
    write.batch_limit = limit


def _of(tenant: str | Slot, kind: str | Slot) -> Any:
    return (Write.tenant == tenant) & (Write.kind == kind)
