"""Money that reaches an invoice is acted on exactly once, however it is seen."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from core.db import invoices
from core.db.database import transaction
from sandbox.xero.webhooks import sign
from tests.messages import TOTAL, renewal_due
from tests.world import World


def facts(world: World, subject: str) -> list[str]:
    """What was told of an invoice after it had been e-mailed."""
    types = [r.type for r in world.platform.received if r.subject == subject]
    return types[types.index("invoice.emailed") + 1 :]


def test_part_of_it_is_told_and_renews_nothing(world: World) -> None:
    asked = renewal_due()
    world.pay(world.invoiced(asked), "1000.00")
    told = world.hear("invoice.part_paid", asked["subject"])["data"]
    world.quiet()
    assert told["amount"] == {"value": "1000.00", "currency": "ZAR"}
    assert told["invoice"]["amount_due"] == "2622.50"
    assert facts(world, asked["subject"]) == ["invoice.part_paid"]


def test_paid_in_two_parts_renews_once(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.pay(number, "1000.00")
    world.hear("invoice.part_paid", asked["subject"])
    world.pay(number, "2622.50")
    paid = world.hear("invoice.paid", asked["subject"])["data"]
    world.quiet()
    assert paid["amount"]["value"] == "2622.50"
    assert facts(world, asked["subject"]) == [
        "invoice.part_paid",
        "invoice.paid",
        "membership.renew",
    ]


def test_two_payments_that_are_seen_together_are_both_told(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.xero.control.webhook_faults(drop=2)
    world.pay(number, "622.50")
    world.pay(number, "3000.00")
    world.sweep()
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert facts(world, asked["subject"]) == [
        "invoice.part_paid",
        "invoice.paid",
        "membership.renew",
    ]


def test_a_payment_that_is_removed_is_confirmed_and_suspends(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    payment_id = world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    reads = world.looked_up("IDs")
    world.xero.control.delete_payment(payment_id)
    removed = world.hear("invoice.payment_removed", asked["subject"])["data"]
    suspended = world.hear("membership.suspend", asked["subject"])["data"]
    world.quiet()
    assert world.looked_up("IDs") == reads + 2
    assert removed["amount"]["value"] == TOTAL
    assert removed["invoice"]["amount_due"] == TOTAL
    assert suspended["reason"] == "payment_removed"
    assert world.platform.standing[asked["subject"]] == "suspended"


def test_a_part_payment_that_is_removed_suspends_nothing(world: World) -> None:
    asked = renewal_due()
    payment_id = world.pay(world.invoiced(asked), "100.00")
    world.hear("invoice.part_paid", asked["subject"])
    world.quiet()
    world.xero.control.delete_payment(payment_id)
    world.hear("invoice.payment_removed", asked["subject"])
    world.quiet()
    assert world.told("membership.suspend", asked["subject"]) == []


def test_paid_again_after_a_removal_renews_again(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    payment_id = world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    world.xero.control.delete_payment(payment_id)
    world.hear("membership.suspend", asked["subject"])
    world.pay(number)
    first, second = world.hear_all(2, "membership.renew", asked["subject"])
    assert first["id"] != second["id"]
    assert world.platform.standing[asked["subject"]] == "renewed"


def test_a_payment_that_is_replaced_is_told_in_its_order(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    payment_id = world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    world.xero.control.fault("slow", method="GET", path="/Invoices", delay_s=30)
    world.xero.control.delete_payment(payment_id)
    world.wait(lambda: world.is_under_way("GET", "/Invoices"), "the first look")
    world.pay(number)
    world.jump(30)
    world.hear_all(2, "membership.renew", asked["subject"])
    world.quiet()
    assert facts(world, asked["subject"])[2:] == [
        "invoice.payment_removed",
        "membership.suspend",
        "invoice.paid",
        "membership.renew",
    ]


@pytest.mark.parametrize("faults", [{"duplicate": 2}, {"reorder": True}])
def test_doubled_or_disordered_webhooks_change_nothing(
    world: World, faults: dict[str, Any]
) -> None:
    some = [renewal_due() for _ in range(3)]
    numbers = [world.invoiced(asked) for asked in some]
    world.quiet()
    world.xero.control.webhook_faults(**faults)
    for number in numbers:
        world.pay(number, "1.00")
        world.pay(number)
    for asked in some:
        world.hear("membership.renew", asked["subject"])
    world.quiet()
    for asked in some:
        told = facts(world, asked["subject"])
        assert told.count("invoice.paid") == 1
        assert told.count("membership.renew") == 1


def test_the_same_webhook_an_hour_later_is_not_read_again(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    invoice = world.invoice(number)
    body = world.webhook(invoice["InvoiceID"], "2026-11-20T08:00:01.000")
    reads = world.looked_up("IDs")
    for _ in range(2):
        world.deliver(body)
    world.quiet()
    assert world.looked_up("IDs") == reads
    assert facts(world, asked["subject"]) == ["invoice.paid", "membership.renew"]


def test_a_webhook_that_is_lost_is_made_up_for_by_the_sweep(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.quiet()
    world.xero.control.webhook_faults(drop=1)
    world.pay(number)
    world.quiet()
    assert facts(world, asked["subject"]) == []
    world.sweep()
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert facts(world, asked["subject"]) == ["invoice.paid", "membership.renew"]


def test_a_removal_that_no_webhook_told_is_confirmed_as_well(world: World) -> None:
    asked = renewal_due()
    payment_id = world.pay(world.invoiced(asked))
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    world.xero.control.webhook_faults(drop=1)
    world.xero.control.delete_payment(payment_id)
    world.sweep()
    world.hear("membership.suspend", asked["subject"])
    world.quiet()
    assert facts(world, asked["subject"])[2:] == [
        "invoice.payment_removed",
        "membership.suspend",
    ]


def test_many_payments_at_once_cost_one_read_for_forty(world: World) -> None:
    some = [renewal_due() for _ in range(40)]
    world.publish(*some)
    told = [world.hear("invoice.emailed", asked["subject"]) for asked in some]
    world.advance(timedelta(minutes=6))
    world.quiet()
    reads = world.looked_up("IDs")
    world.xero.control.webhook_faults(delay_s=5)
    for one in told:
        world.pay(one["data"]["invoice"]["number"])
    world.jump(5)
    for asked in some:
        world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert world.looked_up("IDs") - reads <= 3
    world.xero.control.webhook_faults()


def nothing_to_read(world: World) -> int:
    """A sweep, and whatever it wants to look at once more; the reads so far."""
    world.sweep()
    world.advance(60)
    world.quiet()
    return world.looked_up("IDs")


def test_our_own_writes_are_not_read_back(world: World) -> None:
    reads = nothing_to_read(world)
    world.invoiced(renewal_due())
    world.quiet()
    assert world.looked_up("IDs") == reads


def test_the_echo_of_an_email_that_is_under_way_is_not_read_at_once(
    world: World,
) -> None:
    reads = nothing_to_read(world)
    world.xero.control.fault("slow", method="POST", path="/Invoices/*/Email", delay_s=5)
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.is_under_way("POST", "/Invoices/*/Email"), "the e-mail")
    world.wait(lambda: not world.ledger["webhooks"]["pending"], "its webhook")
    world.jump(5)
    world.hear("invoice.emailed", asked["subject"])
    world.quiet()
    assert world.looked_up("IDs") == reads


def test_what_follows_an_email_is_looked_at_within_five_minutes(world: World) -> None:
    world.sweep()
    reads = world.looked_up("IDs")
    # As with Xero, webhooks come after the answers to the calls that they are about.
    world.xero.control.webhook_faults(delay_s=1)
    world.invoiced(renewal_due())
    world.advance(timedelta(minutes=4))
    world.quiet()
    assert world.looked_up("IDs") == reads
    world.advance(timedelta(minutes=2))
    world.quiet()
    assert world.looked_up("IDs") == reads + 1


def test_an_invoice_of_others_is_read_once_and_never_again(world: World) -> None:
    number = world.invoiced(renewal_due())
    contact_id = world.invoice(number)["Contact"]["ContactID"]
    stranger = world.raise_by_hand(contact_id)
    world.advance(timedelta(seconds=11))
    world.quiet()
    reads = world.looked_up("IDs")
    world.pay(stranger)
    world.advance(timedelta(seconds=11))
    world.quiet()
    assert world.looked_up("IDs") == reads


def test_an_invoice_that_was_taken_for_others_is_ours_all_the_same(
    world: World,
) -> None:
    """A look at the moment in which it was raised may have come too early."""
    asked = renewal_due()
    number = world.invoiced(asked)
    with transaction():
        invoices.remember_foreign("main", [world.invoice(number)["InvoiceID"]])
    payment_id = world.pay(number)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    world.xero.control.delete_payment(payment_id)
    world.hear("membership.suspend", asked["subject"])


def test_a_credit_is_told_and_a_problem_if_it_settles_all(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.xero.control.credit(number)
    told = world.hear("invoice.credited", asked["subject"])["data"]
    world.quiet()
    assert told["amount"]["value"] == TOTAL
    assert world.told("membership.renew", asked["subject"]) == []
    assert world.problems() == ["settled_by_credit"]


def test_a_forged_webhook_is_refused_and_stores_nothing(world: World) -> None:
    number = world.invoiced(renewal_due())
    world.quiet()
    body = world.webhook(world.invoice(number)["InvoiceID"], "2030-01-01T00:00:00")
    answer = httpx.post(
        f"{world.daemon.public.url}/webhooks/xero",
        content=body,
        headers={"x-xero-signature": sign("another key", body)},
    )
    reads = world.looked_up("IDs")
    world.quiet()
    assert answer.status_code == 401
    assert answer.content == b""
    assert world.looked_up("IDs") == reads
