"""What needs a person: one open problem per cause."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.db.models import Problem
from core.db.statement import Slot, statement


def open_problem(
    kind: str,
    cause: str,
    title: str,
    now: datetime,
    *,
    tenant: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Raise it, or count that its cause was seen once more."""
    seen_again = (
        Problem.update(seen=Problem.seen + 1, title=title, detail=dict(detail or {}))
        .where((Problem.cause == cause) & Problem.closed_at.is_null())
        .execute()
    )
    if not seen_again:
        Problem.insert(
            tenant=tenant,
            kind=kind,
            cause=cause,
            title=title,
            detail=dict(detail or {}),
            opened_at=now,
        ).on_conflict_ignore().execute()


@statement
def _close(cause: Slot, now: Slot) -> Any:
    return Problem.update(closed_at=now).where(
        (Problem.cause == cause) & Problem.closed_at.is_null()
    )


def close_problem(cause: str, now: datetime) -> bool:
    """Whether it was open."""
    return _close.changed(cause=cause, now=now) > 0


def open_problems(kind: str | None = None) -> list[Problem]:
    query = Problem.select().where(Problem.closed_at.is_null())
    if kind is not None:
        query = query.where(Problem.kind == kind)
    return list(query.order_by(Problem.id))
