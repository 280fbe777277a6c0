"""Statements that peewee writes once.

Writing the SQL of a query takes peewee ten times as long as SQLite needs to run it, so
what runs for every message is written once, with a slot for each value:

    @statement
    def _claim(tenant: Slot, name: Slot, now: Slot) -> Any:
        return Lane.update(woken_at=now).where(_this(tenant, name))

    _claim.changed(tenant=tenant, name=name, now=now)
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from peewee import Context, ForeignKeyAccessor, ForeignKeyField, Node

from core.db.fields import JsonField, MomentField, MoneyField
from core.db.proxy import proxy

_CONVERTERS: Mapping[type, Callable[[Any], Any]] = {
    datetime: MomentField().db_value,
    Decimal: MoneyField().db_value,
    dict: JsonField().db_value,
    list: JsonField().db_value,
}


ValueT = TypeVar("ValueT")

#: Values of a list in one statement.
_AT_ONCE = 500


class Slot(Node):
    """Where a value goes that is not known yet."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __sql__(self, ctx: Context) -> Context:
        # ``ctx.value`` would take it for a part of the query and ask it again.
        ctx._values.append(self)  # type: ignore[attr-defined]  # not in its stubs
        return ctx.literal(ctx.state.param or "?")


class Statement:
    """One query. Its SQL is written when it first runs, for each kind of database."""

    def __init__(
        self, build: Callable[..., Any], names: Sequence[str] | None = None
    ) -> None:
        self._build = build
        names = names or list(inspect.signature(build).parameters)
        self._slots = {name: Slot(name) for name in names}
        self._written: dict[type, tuple[Any, str, list[Any]]] = {}

    def rows(self, **values: Any) -> list[Any]:
        """The rows of a SELECT, or those that RETURNING names, as model instances."""
        model, sql, places = self._for_this_database()
        cursor = proxy.execute_sql(sql, _filled(places, values))
        by_column = model._meta.columns
        fields = [by_column[column[0]] for column in cursor.description]
        return [_instance(model, fields, row) for row in cursor.fetchall()]

    def first(self, **values: Any) -> Any:
        """The first row, or None."""
        return next(iter(self.rows(**values)), None)

    def one(self, **values: Any) -> Any:
        """The first row.

        Raises:
            DoesNotExist: of its model; there is none.
        """
        row = self.first(**values)
        if row is None:
            model, _, _ = self._for_this_database()
            raise model.DoesNotExist(values)
        return row

    def value(self, **values: Any) -> Any:
        """The first column of the first row as the database has it, or None."""
        _, sql, places = self._for_this_database()
        row = proxy.execute_sql(sql, _filled(places, values)).fetchone()
        return None if row is None else row[0]

    def changed(self, **values: Any) -> int:
        """How many rows were inserted, updated or deleted."""
        _, sql, places = self._for_this_database()
        count: int = proxy.execute_sql(sql, _filled(places, values)).rowcount
        return count

    def _for_this_database(self) -> tuple[Any, str, list[Any]]:
        database = type(proxy.obj)
        if database not in self._written:
            query = self._build(**self._slots)
            sql, places = query.sql()
            self._written[database] = (query.model, sql, places)
        return self._written[database]


def statement(build: Callable[..., Any]) -> Statement:
    return Statement(build)


def listed(values: Sequence[Any]) -> dict[str, Any]:
    """Values for the slots of a statement that was made for so many of them."""
    return {f"item_{number}": value for number, value in enumerate(values)}


def for_each_count(build: Callable[..., Any]) -> Callable[[int], Statement]:
    """A statement with a list in it (IN), written once for each length of the list.

    Args:
        build: given the slots of the list first, then its own named ones.
    """
    own = list(inspect.signature(build).parameters)[1:]

    @cache
    def of(count: int) -> Statement:
        items = list(listed(range(count)))

        def with_items(**slots: Slot) -> Any:
            return build([slots.pop(item) for item in items], **slots)

        return Statement(with_items, [*items, *own])

    return of


def rows_in_parts(
    of: Callable[[int], Statement], values: Sequence[Any], **others: Any
) -> Iterator[Any]:
    """The rows for a list of any length."""
    for some in in_parts(values):
        yield from of(len(some)).rows(**listed(some), **others)


def in_parts(values: Sequence[ValueT]) -> Iterator[Sequence[ValueT]]:
    """All of them, as many at once as one statement should have."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def insert(model: Any, **values: Any) -> Any:
    """A new row, as it stands in the database.

    Raises:
        IntegrityError: a unique key is taken.
    """
    return _insertion(model, tuple(values), False).one(**by_field(model, values))


def insert_once(model: Any, **values: Any) -> Any:
    """A new row, or None where a unique key is taken."""
    return _insertion(model, tuple(values), True).first(**by_field(model, values))


def by_id(model: Any, row_id: int) -> Any:
    """The row with this id.

    Raises:
        DoesNotExist: of its model; there is none.
    """
    return _by_id(model).one(row_id=row_id)


@cache
def _by_id(model: Any) -> Statement:
    return Statement(lambda row_id: model.select().where(model.id == row_id))


class _RowAccessor(ForeignKeyAccessor):
    """Follows a reference when it is first asked for."""

    def get_rel_instance(self, instance: Any) -> Any:
        row_id = instance.__data__.get(self.name)
        if row_id is not None and self.name not in instance.__rel__:
            instance.__rel__[self.name] = by_id(self.rel_model, row_id)
        return instance.__rel__.get(self.name)


if TYPE_CHECKING:  # its stubs tell what each reference leads to
    RowField = ForeignKeyField
else:

    class RowField(ForeignKeyField):
        """A reference to a row of another table."""

        accessor_class = _RowAccessor


@cache
def _insertion(model: Any, columns: tuple[str, ...], is_once: bool) -> Statement:
    def build(**slots: Slot) -> Any:
        query = model.insert(**slots).returning(model)
        return query.on_conflict_ignore() if is_once else query

    return Statement(build, columns)


def by_field(model: Any, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """As each column wants it; a row stands for its id."""
    return {name: getattr(model, name).db_value(v) for name, v in values.items()}


def _instance(model: Any, fields: Sequence[Any], row: Sequence[Any]) -> Any:
    """As peewee's own cursor makes it, which asks every column what it is each time."""
    instance = model(__no_default__=True)
    instance.__data__.update(
        (field.name, None if value is None else field.python_value(value))
        for field, value in zip(fields, row, strict=True)
    )
    return instance


def _filled(places: list[Any], values: Mapping[str, Any]) -> list[Any]:
    return [
        _stored(values[place.name]) if isinstance(place, Slot) else _stored(place)
        for place in places
    ]


def _stored(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    convert = _CONVERTERS.get(type(value))
    return value if convert is None else convert(value)
