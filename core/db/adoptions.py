"""Which invoices were adopted: made by hand, or before us, and ours from then on."""

from datetime import datetime
from typing import Any

from core.db.models import Adoption, Invoice
from core.db.statement import Slot, insert, statement


def add(
    invoice: Invoice,
    subject: str,
    charge: str,
    now: datetime,
    *,
    was_settled: bool,
    by: str,
) -> None:
    """Args: was_settled: its action counts as carried out."""
    insert(
        Adoption,
        invoice=invoice,
        subject=subject,
        charge=charge,
        was_settled=was_settled,
        adopted_at=now,
        adopted_by=by,
    )


@statement
def _of(invoice: Slot) -> Any:
    return Adoption.select().where(Adoption.invoice == invoice)


def of(invoice: Invoice) -> Adoption | None:
    """What was said of it when it was adopted; None: we raised it."""
    row: Adoption | None = _of.first(invoice=invoice.id)
    return row
