"""The edits of contacts that were overruled, for ``settled contacts conflicts``."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from core.contact_fields import ADDRESS_PARTS
from core.db import profiles


@dataclass(frozen=True, slots=True)
class OverruledEdit:
    """One field of one member on which both sides differed.

    Args:
        agreed: what both last had; None: nothing was ever agreed.
        winner: whose value holds: ``platform`` or ``xero``.
    """

    tenant: str
    member_id: str
    contact_id: str
    field: str
    agreed: Any
    platform: Any
    xero: Any
    winner: str
    decided_at: datetime

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "decided_at": self.decided_at.isoformat()}

    def cells(self) -> tuple[str, ...]:
        """As a row of the table."""
        values = (self.agreed, self.platform, self.xero)
        return (
            f"{self.decided_at:%Y-%m-%d %H:%M}",
            self.member_id,
            self.field,
            *(_readable(value) for value in values),
            "Xero" if self.winner == "xero" else self.winner,
        )


def overruled_edits(tenant: str, member_id: str | None) -> list[OverruledEdit]:
    """Oldest first; of one member, or of all."""
    columns = OverruledEdit.__dataclass_fields__
    return [
        OverruledEdit(**{name: getattr(row, name) for name in columns})
        for row in profiles.edits(tenant, member_id)
    ]


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(value[part] for part in ADDRESS_PARTS if value.get(part))
    return "" if value is None else str(value)
