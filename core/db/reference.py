"""What changes seldom: tenants, reference data, prices, cursors, counted calls."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.db.models import CallCount, Cursor, PriceRow, Reference, Tenant
from core.db.proxy import proxy
from core.db.statement import Slot, insert_once, statement
from core.drafts import Price, Prices


def put_tenant(alias: str, xero_tenant_id: str, name: str, now: datetime) -> None:
    Tenant.insert(
        alias=alias, xero_tenant_id=xero_tenant_id, name=name, connected_at=now
    ).on_conflict(
        conflict_target=[Tenant.alias],
        update={
            Tenant.xero_tenant_id: xero_tenant_id,
            Tenant.name: name,
            Tenant.connected_at: now,
        },
    ).execute()


@statement
def _tenants() -> Any:
    return Tenant.select().order_by(Tenant.alias)


def tenants() -> list[Tenant]:
    return _tenants.rows()


@statement
def _tenant(alias: Slot) -> Any:
    return Tenant.select().where(Tenant.alias == alias)


def xero_tenant_id(alias: str) -> str | None:
    row = _tenant.first(alias=alias)
    return row.xero_tenant_id if row else None


def put_reference(tenant: str, kind: str, body: Any, now: datetime) -> None:
    Reference.insert(tenant=tenant, kind=kind, body=body, read_at=now).on_conflict(
        conflict_target=[Reference.tenant, Reference.kind],
        update={Reference.body: body, Reference.read_at: now},
    ).execute()


@statement
def _reference(tenant: Slot, kind: Slot) -> Any:
    return Reference.select().where(
        (Reference.tenant == tenant) & (Reference.kind == kind)
    )


def get_reference(tenant: str, kind: str) -> Reference | None:
    row: Reference | None = _reference.first(tenant=tenant, kind=kind)
    return row


def drop_reference(row: Reference) -> None:
    """Unless somebody has put it there again since it was read."""
    Reference.delete().where(
        (Reference.id == row.id) & (Reference.read_at == row.read_at)
    ).execute()


def put_prices(workflow: str, prices: Iterable[Price], now: datetime) -> None:
    """Add price rows; one for the same sku, day and currency is replaced."""
    for price in prices:
        values = {
            PriceRow.unit_amount: price.unit_amount,
            PriceRow.account_code: price.account_code,
            PriceRow.tax_type: price.tax_type,
            PriceRow.description: price.description,
            PriceRow.imported_at: now,
        }
        PriceRow.insert(
            {
                PriceRow.workflow: workflow,
                PriceRow.sku: price.sku,
                PriceRow.effective_on: price.effective_on,
                PriceRow.currency: price.currency,
                **values,
            }
        ).on_conflict(
            conflict_target=[
                PriceRow.workflow,
                PriceRow.sku,
                PriceRow.effective_on,
                PriceRow.currency,
            ],
            update=values,
        ).execute()


def prices(workflow: str) -> Prices:
    rows = PriceRow.select().where(PriceRow.workflow == workflow)
    return Prices(workflow, tuple(_price(row) for row in rows))


def all_prices() -> list[tuple[str, Price]]:
    query = PriceRow.select().order_by(
        PriceRow.workflow, PriceRow.sku, PriceRow.effective_on
    )
    return [(row.workflow, _price(row)) for row in query]


def _price(row: PriceRow) -> Price:
    return Price(
        sku=row.sku,
        effective_on=row.effective_on,
        currency=row.currency,
        unit_amount=row.unit_amount,
        account_code=row.account_code,
        tax_type=row.tax_type,
        description=row.description,
    )


def cursor(tenant: str, resource: str) -> datetime | None:
    """Everything that changed before this moment has been read; None: nothing yet."""
    row = Cursor.get_or_none(_of(tenant, resource))
    return row.read_until if row else None


def advance_cursor(
    tenant: str, resource: str, was: datetime | None, to: datetime
) -> bool:
    """Move it on; False if somebody has set it back since it was there."""
    if was is None:
        values = {"tenant": tenant, "resource": resource, "read_until": to}
        return insert_once(Cursor, **values) is not None
    moved = (
        Cursor.update(read_until=to)
        .where(_of(tenant, resource) & (Cursor.read_until == was))
        .execute()
    )
    return bool(moved)


def set_cursor_back(tenant: str, resource: str, to: datetime) -> None:
    """What has changed since then is read again.

    Whoever is reading at this moment notices it and does not move the cursor over it:
    it is a microsecond earlier than it was in any case.
    """
    place = {"tenant": tenant, "resource": resource}
    if insert_once(Cursor, **place, read_until=to) is not None:
        return
    query = Cursor.select().where(_of(tenant, resource))
    held = (query.for_update() if proxy.obj.for_update else query).get().read_until
    Cursor.update(read_until=min(held, to) - timedelta(microseconds=1)).where(
        _of(tenant, resource)
    ).execute()


def _of(tenant: str, resource: str) -> Any:
    return (Cursor.tenant == tenant) & (Cursor.resource == resource)


def move_cursor(tenant: str, resource: str, to: datetime) -> None:
    Cursor.insert(tenant=tenant, resource=resource, read_until=to).on_conflict(
        conflict_target=[Cursor.tenant, Cursor.resource],
        update={Cursor.read_until: to},
    ).execute()


@statement
def _count_call(
    tenant: Slot, hour: Slot, purpose: Slot, kind: Slot, status: Slot, at: Slot
) -> Any:
    return CallCount.insert(
        tenant=tenant,
        hour=hour,
        purpose=purpose,
        kind=kind,
        status=status,
        calls=1,
        last_at=at,
    ).on_conflict(
        conflict_target=[
            CallCount.tenant,
            CallCount.hour,
            CallCount.purpose,
            CallCount.kind,
            CallCount.status,
        ],
        update={CallCount.calls: CallCount.calls + 1, CallCount.last_at: at},
    )


def count_call(tenant: str, purpose: str, kind: str, status: str, at: datetime) -> None:
    _count_call.first(
        tenant=tenant,
        hour=at.replace(minute=0, second=0, microsecond=0),
        purpose=purpose,
        kind=kind,
        status=status,
        at=at,
    )


def calls(since: datetime | None = None) -> Sequence[CallCount]:
    query = CallCount.select()
    if since is not None:
        query = query.where(CallCount.hour >= since)
    return list(query.order_by(CallCount.hour, CallCount.purpose, CallCount.kind))


def calls_between(
    tenant: str, purposes: Sequence[str], start: datetime, end: datetime
) -> int:
    """Calls for these purposes in the hours that begin in this time."""
    rows = CallCount.select(CallCount.calls).where(
        (CallCount.tenant == tenant)
        & CallCount.purpose.in_(list(purposes))
        & (CallCount.hour >= start)
        & (CallCount.hour < end)
    )
    return sum(row.calls for row in rows)


def forget_calls(before: datetime) -> None:
    """Counts of earlier hours are history nobody asks for."""
    CallCount.delete().where(CallCount.hour < before).execute()


def last_call_at(tenant: str) -> datetime | None:
    row = (
        CallCount.select(CallCount.last_at)
        .where(CallCount.tenant == tenant)
        .order_by(CallCount.last_at.desc())
        .first()
    )
    return row.last_at if row else None
