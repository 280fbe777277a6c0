"""Money, totals, prices and days."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from core.business_days import day_of, start_of
from core.drafts import Line, Price, Prices, line_total
from core.errors import Refused
from core.messages import validated
from core.money import MoneyData, cents, plain

JOHANNESBURG = ZoneInfo("Africa/Johannesburg")


def line(amount: str, quantity: str = "1") -> Line:
    return Line("x", Decimal(quantity), Decimal(amount), "200", "OUTPUT3")


def price(amount: str, on: date) -> Price:
    return Price("master", on, "ZAR", Decimal(amount), "200", "OUTPUT3", "")


@pytest.mark.parametrize(
    ("amount", "rounded"), [("0.005", "0.01"), ("1.045", "1.05"), ("-0.005", "-0.01")]
)
def test_cents_are_rounded_half_up(amount: str, rounded: str) -> None:
    assert cents(Decimal(amount)) == Decimal(rounded)


def test_money_travels_without_exponent() -> None:
    assert plain(Decimal("1E+3")) == "1000.00"


@pytest.mark.parametrize(
    ("given", "total"),
    [
        (line("3260.00"), "3749.00"),
        (line("0.03"), "0.03"),
        (line("33.33", "3"), "114.99"),
    ],
)
def test_tax_is_rounded_for_each_line(given: Line, total: str) -> None:
    assert line_total(given, Decimal(15), "exclusive") == Decimal(total)


def test_an_inclusive_line_is_its_own_total() -> None:
    assert line_total(line("115.00"), Decimal(15), "inclusive") == Decimal("115.00")


@pytest.mark.parametrize("value", [12.5, "12,50", "1e3", "NaN", "", "12.505", None])
def test_money_in_a_message_is_a_decimal_string(value: object) -> None:
    with pytest.raises(Refused) as refused:
        validated(MoneyData, {"value": value, "currency": "ZAR"}, ("data", "amount"))
    assert refused.value.field == "data.amount.value"


def test_the_price_of_the_day_is_in_force() -> None:
    prices = Prices(
        "membership",
        (price("100", date(2026, 1, 1)), price("110", date(2027, 1, 1))),
    )
    assert prices.at("master", date(2026, 12, 31), "ZAR").unit_amount == 100
    assert prices.at("master", date(2027, 1, 1), "ZAR").unit_amount == 110


def test_a_day_before_the_first_price_has_none() -> None:
    prices = Prices("membership", (price("100", date(2026, 1, 1)),))
    with pytest.raises(Refused, match="no membership price for master in ZAR"):
        prices.at("master", date(2025, 12, 31), "ZAR", "data.category")


def test_half_past_midnight_in_johannesburg_is_not_yesterday() -> None:
    moment = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    assert day_of(moment, JOHANNESBURG) == date(2026, 11, 21)


def test_a_day_begins_at_its_own_midnight() -> None:
    begins = start_of(date(2026, 11, 21), JOHANNESBURG)
    assert begins == datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
