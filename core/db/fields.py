"""Columns that keep the same value on SQLite and on PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from peewee import SQL, BigAutoField, BigIntegerField, NodeList, TextField

from core.clock import require_utc
from core.messages import canonical

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class IdField(BigAutoField):
    """Ids that are never given twice.

    Left alone, SQLite gives the highest id again after its row was deleted, and whoever
    still holds it means another row without knowing.
    """

    def ddl(self, ctx: Any) -> Any:
        column = super().ddl(ctx)
        is_sqlite = ctx.state.field_types.get(self.field_type) == "INTEGER"
        return NodeList((column, SQL("AUTOINCREMENT"))) if is_sqlite else column


class MomentField(BigIntegerField):
    """An aware UTC moment, kept as microseconds since 1970 so that it compares."""

    def db_value(self, value: Any) -> int | None:
        if isinstance(value, datetime):
            return (require_utc(value) - _EPOCH) // _MICROSECOND
        return None if value is None else int(value)

    def python_value(self, value: Any) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))


class MoneyField(TextField):
    """A Decimal, kept as text: SQLite would make a float of it."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else format(Decimal(value), "f")

    def python_value(self, value: Any) -> Decimal | None:
        return None if value is None else Decimal(value)


class JsonField(TextField):
    """JSON in its canonical spelling."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else canonical(value)

    def python_value(self, value: Any) -> Any:
        return None if value is None else json.loads(value)
