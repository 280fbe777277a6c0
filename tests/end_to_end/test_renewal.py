"""The main job: a message in, an invoice out, a payment back."""

import json

import pytest

from core.db.models import Intent
from tests.messages import (
    PERIOD,
    PRICE,
    ROUNDED_TOTAL,
    TOTAL,
    again,
    group_renewal_due,
    member,
    renewal,
    renewal_due,
)
from tests.world import World


def test_a_renewal_is_invoiced_emailed_paid_and_renewed(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert world.answers(asked["id"]) == [
        "message.accepted",
        "invoice.raised",
        "invoice.emailed",
        "invoice.paid",
        "membership.renew",
    ]


def test_everything_about_an_invoice_is_in_order_and_in_reply(world: World) -> None:
    asked = renewal_due()
    world.pay(world.invoiced(asked))
    world.hear("membership.renew", asked["subject"])
    about = world.platform.answers(asked["id"])[1:]
    assert [told["sequence"] for told in about] == [1, 2, 3, 4]
    assert {told["subject"] for told in about} == {asked["subject"]}
    assert {told["tenant"] for told in about} == {"main"}


def test_the_invoice_is_booked_as_finance_wants_it(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    invoice = world.invoice(number)
    assert invoice["Type"] == "ACCREC"
    assert invoice["Status"] == "AUTHORISED"
    assert invoice["Reference"] == f"membership:{asked['subject']}"
    assert invoice["CurrencyCode"] == "ZAR"
    assert invoice["LineAmountTypes"] == "Exclusive"
    assert invoice["Total"] == TOTAL
    assert invoice["DateString"] == "2026-11-20T00:00:00"
    assert invoice["DueDateString"] == "2026-12-20T00:00:00"
    (line,) = invoice["LineItems"]
    assert line["AccountCode"] == "200"
    assert line["TaxType"] == "OUTPUT3"
    assert line["UnitAmount"] == PRICE
    assert line["Description"].startswith("Tax Practitioner: annual membership, ")


def test_numbers_are_ours_and_follow_each_other(world: World) -> None:
    first, second = world.invoiced(renewal_due()), world.invoiced(renewal_due())
    prefix, year, count = first.split("-")
    assert (prefix, year, len(count)) == ("MEM", "2026", 6)
    assert int(second.split("-")[2]) == int(count) + 1


def test_an_invoice_carries_nothing_of_the_contact_but_its_id(world: World) -> None:
    world.invoiced(renewal_due())
    sent = world.sent("Invoices")
    assert {tuple(invoice["Contact"]) for invoice in sent} == {("ContactID",)}


def test_what_xero_gets_is_what_the_intent_says_byte_for_byte(world: World) -> None:
    world.invoiced(renewal_due())
    stored = {intent.idempotency_key: bytes(intent.body) for intent in Intent.select()}
    sent = {
        exchange.key: exchange.body
        for method, path in (
            ("PUT", "/Contacts"),
            ("PUT", "/Invoices"),
            ("POST", "/Invoices/*/Email"),
        )
        for exchange in world.exchanges(method, path)
    }
    assert sent == stored


def test_the_raised_invoice_is_told_with_its_totals(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    told = world.hear("invoice.raised", asked["subject"])["data"]
    assert told["invoice"] == {
        "number": number,
        "xero_id": world.invoice(number)["InvoiceID"],
        "reference": f"membership:{asked['subject']}",
        "status": "AUTHORISED",
        "currency": "ZAR",
        "total": TOTAL,
        "amount_due": TOTAL,
        "issued_on": "2026-11-20",
        "due_on": "2026-12-20",
    }
    assert told["settles"] == [
        {
            "subject": asked["subject"],
            "charge": "renewal",
            "member_id": asked["data"]["member"]["id"],
        }
    ]


def test_the_action_says_all_that_the_platform_needs(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.pay(number)
    action = world.hear("membership.renew", asked["subject"])["data"]
    assert action["member_id"] == asked["data"]["member"]["id"]
    assert action["membership_id"] == asked["data"]["membership_id"]
    assert action["period"] == PERIOD
    assert action["amount"] == {"value": TOTAL, "currency": "ZAR"}
    assert action["invoice"]["number"] == number
    assert action["invoice"]["amount_due"] == "0.00"


def test_vat_is_rounded_half_up_on_each_line(world: World) -> None:
    number = world.invoiced(renewal_due(category="student"))
    assert world.invoice(number)["Total"] == ROUNDED_TOTAL
    assert world.problems() == []


def test_a_price_is_that_of_the_day_of_the_message(world: World) -> None:
    asked = renewal_due()
    # Half past midnight in Johannesburg; in UTC it is still the year before.
    early = {**asked, "time": "2025-12-31T22:30:00Z"}
    assert world.invoice(world.invoiced(early))["Total"] == TOTAL
    late = {**renewal_due(), "time": "2025-12-31T21:30:00Z"}
    assert world.invoice(world.invoiced(late))["Total"] == "3427.00"


def test_an_amount_that_agrees_with_the_price_is_fine(world: World) -> None:
    asked = renewal_due(amount={"value": PRICE, "currency": "ZAR"})
    assert world.invoice(world.invoiced(asked))["Total"] == TOTAL


def test_an_amount_that_differs_is_refused_and_named(world: World) -> None:
    asked = renewal_due(amount={"value": "3149.99", "currency": "ZAR"})
    world.publish(asked)
    refused = world.hear("message.rejected", asked["subject"])
    assert refused["data"]["field"] == "data.amount.value"
    assert refused["inreplyto"] == asked["id"]


def test_a_due_date_that_is_given_stands(world: World) -> None:
    number = world.invoiced(renewal_due(due_on="2027-02-28"))
    assert world.invoice(number)["DueDateString"] == "2027-02-28T00:00:00"


def test_nothing_to_pay_raises_no_invoice_and_acts_at_once(world: World) -> None:
    before = len(world.invoices)
    asked = renewal_due(category="honorary")
    world.publish(asked)
    action = world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert action["inreplyto"] == asked["id"]
    assert action["data"]["invoice"]["number"] is None
    assert len(world.invoices) == before
    assert world.answers(asked["id"]) == ["message.accepted", "membership.renew"]


def test_an_employer_pays_one_invoice_for_several(world: World) -> None:
    employer = member(name="Nkosi Advisory (Pty) Ltd")
    some = [renewal(), renewal(category="student")]
    asked = group_renewal_due(employer, *some)
    number = world.invoiced(asked)
    invoice = world.invoice(number)
    assert invoice["Total"] == "4020.20"
    assert len(invoice["LineItems"]) == 2
    assert world.contact(invoice)["ContactNumber"] == employer["id"]
    world.pay(number)
    for item in asked["data"]["items"]:
        action = world.hear("membership.renew", item["subject"])
        assert action["data"]["member_id"] == item["member"]["id"]
    assert len(world.told("invoice.paid", asked["subject"])) == 1


def test_a_member_whose_bill_another_pays(world: World) -> None:
    employer = member(name="Sithole Accountants Inc.")
    asked = renewal_due(bill_to=employer)
    number = world.invoiced(asked)
    assert world.contact(world.invoice(number))["ContactNumber"] == employer["id"]
    world.pay(number)
    action = world.hear("membership.renew", asked["subject"])
    assert action["data"]["member_id"] == asked["data"]["member"]["id"]


def test_the_same_message_again_gets_the_same_answers(world: World) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    world.quiet()
    before, calls = len(world.invoices), world.ledger["calls"]["total"]
    ids = [answer["id"] for answer in world.platform.answers(asked["id"])]
    repeats = world.platform.repeats
    world.publish(asked)
    world.wait(lambda: world.platform.repeats >= repeats + 2, "the answers again")
    world.quiet()
    assert [answer["id"] for answer in world.platform.answers(asked["id"])] == ids
    assert len(world.invoices) == before
    assert world.ledger["calls"]["total"] == calls


def test_what_was_free_is_answered_with_its_action_again(world: World) -> None:
    asked = renewal_due(category="honorary")
    world.publish(asked)
    renewed = world.hear_answer(asked, "membership.renew")
    world.quiet()
    world.publish(asked)
    world.wait(lambda: world.times_heard(renewed) == 2, "the action again")


def test_the_same_id_for_something_else_is_rejected(world: World) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    world.publish({**asked, "data": {**asked["data"], "category": "student"}})
    refused = world.hear("message.rejected", asked["subject"])
    assert refused["data"]["field"] == "id"
    assert refused["inreplyto"] == asked["id"]


def test_a_second_message_for_a_subject_is_told_the_first_invoice(
    world: World,
) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    before = len(world.invoices)
    second = again(asked)
    world.publish(second)
    done = world.hear_answer(second, "message.done")
    assert done["data"]["outcome"] == "already_invoiced"
    assert done["data"]["invoice"]["number"] == number
    world.quiet()
    assert len(world.invoices) == before


@pytest.mark.parametrize(
    "changed",
    [{"category": "student"}, {"due_on": "2027-01-31"}, {"bill_to": member("900001")}],
    ids=["category", "due date", "payer"],
)
def test_the_same_charge_with_other_content_is_rejected(
    world: World, changed: dict[str, object]
) -> None:
    asked = renewal_due()
    world.invoiced(asked)
    second = again(asked, data={**asked["data"], **changed})
    world.publish(second)
    assert world.hear_answer(second, "message.rejected")["data"]["field"] == "subject"
    assert world.answers(second["id"]) == ["message.accepted", "message.rejected"]


def test_a_charge_is_raised_again_only_when_that_is_asked_for(world: World) -> None:
    asked = renewal_due()
    first = world.invoiced(asked)
    world.xero.control.void_invoice(first)
    world.hear("invoice.voided", asked["subject"])
    plain = again(asked)
    world.publish(plain)
    world.hear_answer(plain, "message.done")
    anew = again(asked, data={**asked["data"], "reissue": True})
    second = world.invoiced(anew)
    assert second != first
    world.pay(second)
    renewed = world.hear("membership.renew", asked["subject"])
    assert renewed["inreplyto"] == anew["id"]


def test_fifty_at_once_cost_a_few_calls(world: World) -> None:
    before = world.calls("PUT /Invoices"), world.calls("PUT /Contacts")
    asked = [renewal_due() for _ in range(50)]
    world.publish(*asked)
    for one in asked:
        world.hear("invoice.raised", one["subject"])
    assert world.calls("PUT /Invoices") - before[0] <= 5
    assert world.calls("PUT /Contacts") - before[1] <= 5


def test_the_invoice_points_to_nothing_that_costs_a_call(world: World) -> None:
    world.invoiced(renewal_due())
    endpoints = world.ledger["calls"]["by_endpoint"]
    assert not [name for name in endpoints if "Online" in name or "History" in name]


def test_the_body_that_is_stored_is_canonical_json(world: World) -> None:
    world.invoiced(renewal_due())
    intent = Intent.select().where(Intent.kind == "invoices").get()
    body = bytes(intent.body)
    parsed = json.loads(body)
    assert (
        body
        == json.dumps(
            parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    )


def test_a_long_subject_comes_back_whole(world: World) -> None:
    subject = "renewal-" + "9" * 247
    asked = renewal_due(subject=subject)
    number = world.invoiced(asked)
    assert len(world.invoice(number)["Reference"]) <= 255
    world.pay(number)
    world.hear("membership.renew", subject)
    told = {answer["subject"] for answer in world.platform.answers(asked["id"])}
    assert told == {subject}
