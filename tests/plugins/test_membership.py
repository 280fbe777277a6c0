"""The rules of the membership workflow: values in, a draft or a refusal out."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.drafts import (
    Decision,
    Incoming,
    InvoiceDraft,
    Price,
    Prices,
    RuleContext,
    Undo,
)
from core.errors import Refused
from core.messages import validated
from plugins.membership.messages import Cancelled, RenewalDue
from plugins.membership.rules import MembershipSettings, cancellation, renewal
from tests.messages import Data, member
from tests.messages import renewal as renewal_data


def price(
    sku: str, amount: str, on: str = "2026-01-01", currency: str = "ZAR"
) -> Price:
    day = date.fromisoformat(on)
    return Price(sku, day, currency, Decimal(amount), "200", "OUTPUT3", sku.title())


PRICES = Prices(
    "membership",
    (
        price("student", "300.00", on="2025-01-01"),
        price("student", "345.83"),
        price("master", "4365.90"),
        price("master", "250.00", currency="USD"),
    ),
)


def context(on: str = "2026-11-20", **settings: Any) -> RuleContext:
    day = date.fromisoformat(on)
    return RuleContext(day, "ZAR", PRICES, MembershipSettings(**settings))


def decide(data: Mapping[str, Any], where: RuleContext | None = None) -> Decision:
    read = validated(RenewalDue, data)
    message = Incoming("message-1", "membership.renewal_due", "renewal-1", read)
    return renewal(message, where or context())


def draft(data: Mapping[str, Any], where: RuleContext | None = None) -> InvoiceDraft:
    decision = decide(data, where)
    assert isinstance(decision, InvoiceDraft)
    return decision


def money(value: str, currency: str = "ZAR") -> Data:
    return {"value": value, "currency": currency}


def test_a_renewal_is_one_line_at_the_price_of_its_category() -> None:
    (line,) = draft(renewal_data(category="student")).lines
    assert (line.quantity, line.unit_amount) == (Decimal(1), Decimal("345.83"))
    assert (line.account_code, line.tax_type) == ("200", "OUTPUT3")


def test_the_line_says_what_for_whom_and_when() -> None:
    who = member("100001", name="Zoë Botha")
    (line,) = draft(renewal_data(who, category="student")).lines
    assert line.description == (
        "Student, 2027-03-01 to 2028-02-28: Zoë Botha (M-100001)"
    )


@pytest.mark.parametrize(
    ("on", "amount"),
    [("2025-12-31", "300.00"), ("2026-01-01", "345.83"), ("2030-01-01", "345.83")],
)
def test_the_price_is_the_latest_that_is_in_force(on: str, amount: str) -> None:
    (line,) = draft(renewal_data(category="student"), context(on)).lines
    assert line.unit_amount == Decimal(amount)


def test_before_the_first_price_there_is_none() -> None:
    with pytest.raises(Refused) as refused:
        decide(renewal_data(category="master"), context("2025-06-30"))
    assert refused.value.field == "data.category"


def test_an_amount_must_be_that_of_the_price() -> None:
    made = draft(renewal_data(category="student", amount=money("345.83")))
    assert made.lines[0].unit_amount == Decimal("345.83")
    with pytest.raises(Refused) as refused:
        decide(renewal_data(category="student", amount=money("345.82")))
    assert refused.value.field == "data.amount.value"


def test_an_amount_is_the_price_where_the_settings_say_so() -> None:
    data = renewal_data(category="student", amount=money("12.00"))
    (line,) = draft(data, context(amount="message")).lines
    assert line.unit_amount == Decimal("12.00")


@pytest.mark.parametrize("policy", ["rule", "message"])
def test_a_negative_amount_is_refused_whatever_the_settings_say(policy: str) -> None:
    with pytest.raises(Refused) as refused:
        decide(
            renewal_data(category="student", amount=money("-1.00")),
            context(amount=policy),
        )
    assert refused.value.field == "data.amount.value"


def test_the_currency_is_that_of_the_amount() -> None:
    made = draft(renewal_data(category="master", amount=money("250.00", "USD")))
    assert made.currency == "USD"
    assert draft(renewal_data(category="master")).currency == "ZAR"


def test_a_currency_without_a_price_is_refused() -> None:
    with pytest.raises(Refused, match="no membership price for student in USD"):
        decide(renewal_data(category="student", amount=money("20.00", "USD")))


def group(*items: Data, **more: Any) -> Data:
    listed = [{"subject": f"renewal-{n}", **item} for n, item in enumerate(items)]
    return {"bill_to": member("900001"), "items": listed, **more}


def test_a_group_is_one_draft_on_its_payer() -> None:
    made = draft(
        group(renewal_data(category="student"), renewal_data(category="master"))
    )
    assert made.payer.id == "900001"
    assert [settled.subject for settled in made.settles] == ["renewal-0", "renewal-1"]
    assert [line.unit_amount for line in made.lines] == [
        Decimal("345.83"),
        Decimal("4365.90"),
    ]


def test_a_fault_in_a_group_says_in_which_of_its_items() -> None:
    with pytest.raises(Refused) as refused:
        decide(group(renewal_data(category="student"), renewal_data(category="gold")))
    assert refused.value.field == "data.items.1.category"


def test_a_group_in_two_currencies_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        decide(
            group(
                renewal_data(category="master", amount=money("250.00", "USD")),
                renewal_data(category="master", amount=money("4365.90")),
            )
        )
    assert refused.value.field == "data.items"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "data.member"),
        (group(), "data.items"),
        ({"items": [{"subject": "s", **renewal_data()}]}, "data.bill_to"),
        (group(renewal_data(), category="student"), "data.items"),
        (group(renewal_data(), amount=money("1.00")), "data.items"),
    ],
)
def test_one_membership_or_several(data: Data, field: str) -> None:
    with pytest.raises(Refused) as refused:
        validated(RenewalDue, data)
    assert refused.value.field == field


def test_the_details_come_back_to_the_hooks() -> None:
    (settled,) = draft(renewal_data(member("7"), category="student")).settles
    assert settled.details == {
        "membership_id": "M-7",
        "category": "student",
        "period": {"from": "2027-03-01", "to": "2028-02-28"},
    }


def test_a_cancellation_undoes_the_renewal_of_its_subject() -> None:
    read = validated(Cancelled, {"membership_id": "M-7"})
    message = Incoming("message-1", "membership.cancelled", "renewal-7", read)
    assert cancellation(message, context()) == Undo("renewal-7", "renewal")
