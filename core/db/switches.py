"""What a person has switched on, for one tenant each."""

from datetime import datetime
from typing import Any

from core.db.models import Switch
from core.db.statement import Slot, statement


@statement
def _get(tenant: Slot, name: Slot) -> Any:
    return Switch.select().where((Switch.tenant == tenant) & (Switch.name == name))


def on_since(tenant: str, name: str, now: datetime) -> datetime | None:
    """Since when it is on; None: it is off."""
    row = _get.first(tenant=tenant, name=name)
    if row is None or (row.until is not None and row.until <= now):
        return None
    moment: datetime = row.changed_at
    return moment


def turn_on(
    tenant: str, name: str, by: str, now: datetime, until: datetime | None = None
) -> None:
    """On until it is turned off, or until this moment."""
    values = {Switch.until: until, Switch.changed_at: now, Switch.changed_by: by}
    Switch.insert({Switch.tenant: tenant, Switch.name: name, **values}).on_conflict(
        conflict_target=[Switch.tenant, Switch.name], update=values
    ).execute()


def turn_off(tenant: str, name: str) -> bool:
    """Whether it was on."""
    return bool(
        Switch.delete()
        .where((Switch.tenant == tenant) & (Switch.name == name))
        .execute()
    )
