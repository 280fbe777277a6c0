"""The e-mails that Xero has sent for us: a ledger of 24 hours."""

from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from core.db.models import Invoice, Write
from core.db.statement import Slot, statement
from core.db.writes import WriteState
from core.waking import LaneName

#: Xero's Date header counts whole seconds, and clocks differ.
DAY = timedelta(hours=24, seconds=5)


def _by_us(tenant: Any, since: Any, *columns: Any) -> Any:
    """Not by whoever made an invoice that we took over."""
    of_email = (Write.invoice == Invoice.id) & (Write.kind == LaneName.EMAILS)
    return (
        Invoice.select(*columns)
        .join(Write, on=of_email)
        .where(
            (Invoice.tenant == tenant)
            & (Invoice.emailed_at > since)
            & (Write.state == WriteState.DONE)
        )
    )


@statement
def _sent(tenant: Slot, since: Slot) -> Any:
    return _by_us(tenant, since, fn.COUNT(Invoice.id))


def sent_since(tenant: str, since: datetime) -> int:
    return int(_sent.value(tenant=tenant, since=since))


@statement
def _under_way(tenant: Slot) -> Any:
    return Write.select(fn.COUNT(Write.id)).where(
        (Write.tenant == tenant)
        & (Write.kind == LaneName.EMAILS)
        & (Write.state == WriteState.CLAIMED)
    )


def in_a_day(tenant: str, now: datetime) -> int:
    """Sent in the last 24 hours, or on their way."""
    return sent_since(tenant, now - DAY) + int(_under_way.value(tenant=tenant))


def room_at(tenant: str, most: int, now: datetime) -> datetime | None:
    """When one more may be sent; None: now."""
    too_many = in_a_day(tenant, now) - most + 1
    if too_many <= 0:
        return None
    oldest = (
        _by_us(tenant, now - DAY, Invoice.emailed_at)
        .order_by(Invoice.emailed_at)
        .offset(too_many - 1)
        .limit(1)
    )
    rows = list(oldest)
    # Else those on their way fill it: one of them ends in a moment.
    return rows[0].emailed_at + DAY if rows else now + timedelta(seconds=1)
