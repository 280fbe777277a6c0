"""Every column gives back exactly what was put in, on both kinds of database."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peewee import (
    BigAutoField,
    BlobField,
    BooleanField,
    CharField,
    DateField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from core.clock import NaiveTime
from core.db import processes, reference
from core.db.database import transaction
from core.db.fields import JsonField, MomentField, MoneyField
from core.db.models import TABLES, Process, Reference, Table
from core.drafts import Price
from tests.core.db.rows import NOW

#: The first whose type fits a column decides: what is derived before what it is from.
SAMPLES: tuple[tuple[type, Any], ...] = (
    (MomentField, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    (MoneyField, Decimal("12345678901234567890.1200")),
    (JsonField, {"ë": ["Nkosi", None, 1.5, True, {"b": "\u2028😀"}]}),
    (BlobField, b"\x00\xff"),
    (BooleanField, True),
    (DateField, date(2026, 2, 28)),
    (CharField, "ë😀"),
    (TextField, "a\nb\t'\"%s?"),
    (IntegerField, 2_147_483_647),
)


def filled(table: type[Table], first: dict[type[Any], Table]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in table._meta.fields.items():
        if isinstance(field, BigAutoField):
            continue
        if isinstance(field, ForeignKeyField):
            values[name] = first[field.rel_model]
            continue
        sample = next(value for kind, value in SAMPLES if isinstance(field, kind))
        longest = getattr(field, "max_length", None)
        values[name] = sample[:longest] if isinstance(sample, str) else sample
    return values


def test_every_column_of_every_table_keeps_its_value(books: None) -> None:
    first: dict[type[Any], Table] = {}
    # Inbox before Invoice before the rest: as the foreign keys want it.
    for table in TABLES:
        values = filled(table, first)
        with transaction():
            first[table] = table.create(**values)
        read = table.get_by_id(first[table].id)
        for name, value in values.items():
            got = getattr(read, name)
            got = bytes(got) if isinstance(got, memoryview) else got
            assert got == value, f"{table.__name__}.{name}"
            assert type(got) is type(value), f"{table.__name__}.{name}"


def test_every_optional_column_keeps_nothing_as_nothing(books: None) -> None:
    first: dict[type[Any], Table] = {}
    for table in TABLES:
        fields = table._meta.fields
        empty = {name: None for name, field in fields.items() if field.null}
        with transaction():
            first[table] = table.create(**{**filled(table, first), **empty})
        read = table.get_by_id(first[table].id)
        assert {name: getattr(read, name) for name in empty} == empty


MOMENTS = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 the zone is drawn beside it
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.timezones(),
)


@given(MOMENTS)
def test_a_moment_is_kept_to_the_microsecond_in_utc(moment: datetime) -> None:
    field = MomentField()
    kept = field.python_value(field.db_value(moment))
    # Compared in UTC: Python finds no repeated hour equal to that of another zone.
    assert kept == moment.astimezone(UTC)
    assert kept is not None
    assert kept.tzinfo is UTC


@given(MOMENTS, MOMENTS)
def test_moments_compare_as_their_columns_do(one: datetime, other: datetime) -> None:
    field = MomentField()
    kept = [field.db_value(one), field.db_value(other)]
    assert None not in kept
    is_earlier = one.astimezone(UTC) < other.astimezone(UTC)
    assert (kept[0] < kept[1]) == is_earlier  # type: ignore[operator]


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(NaiveTime):
        MomentField().db_value(datetime(2026, 11, 20))  # noqa: DTZ001 the point


def test_moments_of_any_zone_compare_inside_the_database(books: None) -> None:
    johannesburg = timezone(timedelta(hours=2))
    processes.beat("here", NOW.astimezone(johannesburg))
    at_most = [row.name for row in Process.select().where(Process.beat_at <= NOW)]
    before = list(Process.select().where(Process.beat_at < NOW))
    assert (at_most, before) == (["here"], [])


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_is_kept_to_the_last_digit(amount: Decimal) -> None:
    field = MoneyField()
    kept = field.python_value(field.db_value(amount))
    assert kept == amount


@pytest.mark.parametrize(
    "text", ["0.00", "0.10", "-0.01", "3150.00", "99999999999999999999.99", "1E+3"]
)
def test_money_in_the_books_is_no_float(books: None, text: str) -> None:
    price = Price("sku", NOW.date(), "ZAR", Decimal(text), "200", "OUTPUT3", "")
    with transaction():
        reference.put_prices("membership", [price], NOW)
    ((_, kept),) = reference.all_prices()
    assert kept == price
    assert "E" not in str(kept.unit_amount)
    if "E" not in text:
        assert str(kept.unit_amount) == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=8,
)


@given(JSON)
def test_json_comes_back_as_it_went(value: Any) -> None:
    field = JsonField()
    kept = field.python_value(field.db_value(value))
    assert kept == value


def test_json_has_one_spelling_for_one_value() -> None:
    field = JsonField()
    assert field.db_value({"b": 1, "a": "ë"}) == '{"a":"ë","b":1}'
    assert field.db_value({"a": "ë", "b": 1}) == '{"a":"ë","b":1}'


def test_json_that_no_other_language_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        JsonField().db_value({"amount": float("nan")})


def test_a_default_is_made_anew_for_each_row(books: None) -> None:
    with transaction():
        reference.put_reference("main", "accounts", [], NOW)
        reference.put_reference("main", "accounts", [{"Code": "200"}], NOW)
    (row,) = Reference.select()
    assert row.body == [{"Code": "200"}]
