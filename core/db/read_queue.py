"""What is to be read from Xero: a row for each thing, once however often asked for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from peewee import EXCLUDED, Case

from core.db.models import Table
from core.db.statement import Slot, Statement, statement

ReadT = TypeVar("ReadT", bound=Table)


class ReadQueue(Generic[ReadT]):
    """The things of one kind that are to be read.

    Args:
        model: its table: ``tenant``, ``asked`` (how often), ``event_at`` (the latest
            event that told of it), ``due_at``.
        key: the column with Xero's id.
        insists: the column that says that an echo is no answer; once asked for so, it
            stays so until it is answered.
        more: other columns of whoever asks first.
    """

    def __init__(self, model: type[ReadT], key: str, insists: str, *more: str) -> None:
        self._model: Any = model
        self._key = key
        self._insists = insists
        columns = ("tenant", key, "event_at", insists, "due_at", *more)
        self._ask = Statement(self._asked, columns)
        self._due = statement(self._until)
        self._deferred = statement(self._after)
        self._next = statement(self._first)
        self._answered = statement(self._as_asked)

    def ask(self, **values: Any) -> None:
        """Read it not before ``due_at``; asked for twice, it is read once."""
        self._ask.first(**values)

    def due(self, tenant: str, now: datetime, limit: int) -> list[ReadT]:
        """Reads that are due, the longest due first."""
        return self._due.rows(tenant=tenant, now=now, limit=limit)

    def deferred(self, tenant: str, now: datetime, limit: int) -> list[ReadT]:
        """Reads that could wait and that ride along in a call that is made anyway."""
        return self._deferred.rows(tenant=tenant, now=now, limit=limit)

    def next_due(self, tenant: str) -> datetime | None:
        """When the next read is due; None: none is asked for."""
        row = self._next.first(tenant=tenant)
        return row.due_at if row else None

    def answered(self, reads: Sequence[ReadT]) -> None:
        """Done with these, except where somebody has asked once more meanwhile."""
        rows: list[Any] = sorted(reads, key=lambda read: str(getattr(read, self._key)))
        for row in rows:  # in the order of those who ask for many
            self._answered.changed(read=row.id, asked=row.asked)

    def _asked(self, **values: Slot) -> Any:
        # One statement: between a look and a write the lane may take the row away.
        new, old = EXCLUDED, self._model
        insists = getattr(old, self._insists)
        does_insist = getattr(new, self._insists)
        is_later = old.event_at.is_null() | (new.event_at > old.event_at)
        is_sooner = new.due_at < old.due_at
        return old.insert(**values).on_conflict(
            conflict_target=[old.tenant, getattr(old, self._key)],
            update={
                old.asked: old.asked + 1,
                old.due_at: Case(None, [(is_sooner, new.due_at)], old.due_at),
                old.event_at: Case(None, [(is_later, new.event_at)], old.event_at),
                insists: Case(None, [(does_insist, True)], insists),
            },
        )

    def _until(self, tenant: Slot, now: Slot, limit: Slot) -> Any:
        row = self._model
        query = row.select().where((row.tenant == tenant) & (row.due_at <= now))
        return query.order_by(row.due_at, row.id).limit(limit)

    def _after(self, tenant: Slot, now: Slot, limit: Slot) -> Any:
        row = self._model
        query = row.select().where((row.tenant == tenant) & (row.due_at > now))
        return query.order_by(row.due_at, row.id).limit(limit)

    def _first(self, tenant: Slot) -> Any:
        row = self._model
        query = row.select().where(row.tenant == tenant)
        return query.order_by(row.due_at).limit(1)

    def _as_asked(self, read: Slot, asked: Slot) -> Any:
        row = self._model
        return row.delete().where((row.id == read) & (row.asked == asked))
