from typing import Any

import pytest

from sandbox import Refused, Sandbox, SimulatedClock
from tests.sandbox.caller import Caller, line
from tests.sandbox.receiver import Receiver

DAY_S = 86_400


def until(clock: SimulatedClock, xero: Sandbox, status: str) -> None:
    """Let time pass until the subscription has a status."""
    clock.start_jumping()
    try:
        while xero.control.webhooks()["status"] != status:
            pass
    finally:
        clock.stop_jumping()


@pytest.fixture
def subscribed(app: Caller, receiver: Receiver) -> Receiver:
    assert app.xero.subscribe_webhooks(receiver.url)["status"] == "ok"
    return receiver


def test_intent_to_receive_sends_good_and_bad_signatures(
    xero: Sandbox, receiver: Receiver
) -> None:
    answer = xero.subscribe_webhooks(receiver.url)
    assert answer["status"] == "ok"
    assert answer["key"] == xero.webhook_key
    assert set(receiver.signatures) == {True, False}
    assert len(receiver.signatures) > 2
    probe = receiver.posts[0]
    assert probe["events"] == []
    assert (probe["firstEventSequence"], probe["lastEventSequence"]) == (0, 0)


def test_whoever_accepts_bad_signatures_does_not_pass(
    xero: Sandbox, receiver: Receiver
) -> None:
    receiver.checks_signature = False
    assert xero.subscribe_webhooks(receiver.url)["status"] == "intent"


def test_whoever_answers_with_a_body_does_not_pass(
    xero: Sandbox, receiver: Receiver
) -> None:
    receiver.body = b"OK"
    assert xero.subscribe_webhooks(receiver.url)["status"] == "intent"


def test_nobody_there_does_not_pass(xero: Sandbox) -> None:
    assert xero.subscribe_webhooks("http://127.0.0.1:9/x")["status"] == "intent"


def test_a_key_of_ones_own_signs(xero: Sandbox, receiver: Receiver) -> None:
    receiver.key = "a key that the daemon was given"
    answer = xero.subscribe_webhooks(receiver.url, receiver.key)
    assert (answer["status"], answer["key"]) == ("ok", receiver.key)


def test_an_address_is_needed(xero: Sandbox) -> None:
    with pytest.raises(Refused, match="url"):
        xero.control.subscribe_webhooks(None)  # type: ignore[arg-type]


def test_an_event_names_the_resource_and_nothing_else(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    contact = app.contact()
    clock.advance(0.25)
    (event,) = subscribed.wait_for_events(1)
    contact_id = contact["ContactID"]
    assert event == {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Contacts/{contact_id}",
        "resourceId": contact_id,
        "tenantId": app.tenant_id,
        "tenantType": "ORGANISATION",
        "eventCategory": "CONTACT",
        "eventType": "CREATE",
        "eventDateUtc": "2026-11-20T08:00:00.000",
    }


def test_a_delivery_says_its_sequences(app: Caller, subscribed: Receiver) -> None:
    app.put("Contacts", {"Contacts": [{"Name": n} for n in ("A", "B", "C")]})
    subscribed.wait_for_events(3)
    (post,) = subscribed.deliveries
    assert (post["firstEventSequence"], post["lastEventSequence"]) == (1, 3)
    assert post["entropy"]


def test_one_post_carries_at_most_a_hundred_events(
    app: Caller, subscribed: Receiver
) -> None:
    app.put("Contacts", {"Contacts": [{"Name": f"M {n}"} for n in range(120)]})
    subscribed.wait_for_events(120)
    assert [len(post["events"]) for post in subscribed.deliveries] == [100, 20]


def test_our_own_writes_are_told_too(app: Caller, subscribed: Receiver) -> None:
    invoice = app.invoice()
    app.post("Invoices", {"InvoiceID": invoice["InvoiceID"], "Reference": "x"})
    app.post(f"Invoices/{invoice['InvoiceID']}/Email")
    (made,) = app.pay(invoice).json()["Payments"]
    app.post(f"Payments/{made['PaymentID']}", {"Status": "DELETED"})
    subscribed.wait_for_events(6)
    assert subscribed.kinds() == [
        ("CONTACT", "CREATE"),
        ("INVOICE", "CREATE"),
        ("INVOICE", "UPDATE"),  # the edit
        ("INVOICE", "UPDATE"),  # the e-mail
        ("INVOICE", "UPDATE"),  # the payment
        ("INVOICE", "UPDATE"),  # its removal
    ]


def test_a_second_email_changes_nothing_and_tells_nothing(
    app: Caller, subscribed: Receiver
) -> None:
    path = f"Invoices/{app.invoice()['InvoiceID']}/Email"
    app.post(path)
    app.post(path)
    app.contact("Last")
    subscribed.wait_for(lambda r: len(r.events) >= 4)
    assert subscribed.kinds()[1:] == [
        ("INVOICE", "CREATE"),
        ("INVOICE", "UPDATE"),
        ("CONTACT", "CREATE"),
    ]


def test_a_payment_by_hand_is_told_with_the_invoices_time(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    invoice = app.invoice(InvoiceNumber="A")
    subscribed.wait_for_events(2)
    clock.advance(90)
    paid = app.xero.control.pay("A")
    event = subscribed.wait_for_events(3)[-1]
    assert event["resourceId"] == invoice["InvoiceID"]
    assert event["eventDateUtc"] == "2026-11-20T08:01:30.000"
    assert paid["paid_at"] == "2026-11-20T08:01:30.000Z"


def test_credit_notes_are_told_with_type_and_status(
    app: Caller, subscribed: Receiver
) -> None:
    app.invoice(InvoiceNumber="A", LineItems=[line(1000, TaxType="NONE")])
    app.xero.control.credit("A")
    subscribed.wait_for_events(5)
    notes = [e for e in subscribed.events if e["eventCategory"] == "CREDITNOTE"]
    assert [e["eventType"] for e in notes] == ["CREATE", "UPDATE"]
    assert [e["data"] for e in notes] == [
        {"Type": "ACCRECCREDIT", "Status": "AUTHORISED"},
        {"Type": "ACCRECCREDIT", "Status": "PAID"},
    ]
    assert subscribed.kinds()[-1] == ("INVOICE", "UPDATE")


def test_refused_elements_are_not_told(app: Caller, subscribed: Receiver) -> None:
    app.put("Contacts", {"Contacts": [{"Name": "<bad>"}, {"Name": "Good"}]})
    subscribed.wait_for_events(1)
    assert subscribed.kinds() == [("CONTACT", "CREATE")]


def test_without_a_subscription_nothing_is_kept(
    app: Caller, receiver: Receiver
) -> None:
    app.contact()
    app.xero.subscribe_webhooks(receiver.url)
    app.contact("Second")
    assert len(receiver.wait_for_events(1)) == 1


def test_a_failed_delivery_is_tried_again_at_once(
    app: Caller, subscribed: Receiver
) -> None:
    subscribed.status = 500
    app.contact()
    subscribed.wait_for(lambda r: len(r.deliveries) >= 2)
    first, second = subscribed.deliveries[:2]
    assert first == second
    assert app.xero.control.webhooks()["status"] == "retry"


def test_after_that_it_is_tried_again_in_fifteen_minutes(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    subscribed.status = 500
    app.contact()
    subscribed.wait_for(lambda r: app.xero.control.webhooks()["failed"] == 2)
    subscribed.status = 200
    clock.advance(899)
    app.contact("Meanwhile")
    assert len(subscribed.deliveries) == 2
    clock.advance(1)
    subscribed.wait_for(lambda r: len(r.deliveries) == 4)
    assert app.xero.control.webhooks()["status"] == "ok"
    assert [e["eventType"] for e in subscribed.events[-2:]] == ["CREATE", "CREATE"]


def test_a_slow_answer_is_a_failed_delivery(clock: SimulatedClock) -> None:
    with (
        Sandbox(clock=clock, webhook_timeout_s=0.2) as xero,
        Caller(xero) as app,
        Receiver(xero.webhook_key) as receiver,
    ):
        xero.subscribe_webhooks(receiver.url)
        receiver.delay_s = 0.4
        app.contact()
        receiver.wait_for(lambda r: len(r.deliveries) >= 2)
        assert xero.control.webhooks()["failed"] >= 1


def test_the_real_patience_is_five_seconds() -> None:
    from sandbox.xero.webhooks import DELIVERY_TIMEOUT_S

    assert DELIVERY_TIMEOUT_S == 5


def test_after_a_day_of_failures_the_subscription_is_disabled(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    subscribed.status = 500
    app.contact()
    began = clock.now()
    until(clock, app.xero, "disabled")
    lasted_s = (clock.now() - began).total_seconds()
    assert 0.95 * DAY_S <= lasted_s <= 1.05 * DAY_S
    assert 8 <= len(subscribed.deliveries) <= 12


def test_events_of_a_disabled_time_are_replayed_in_order(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    app.xero.control.disable_webhooks()
    ids = []
    for name in ("First", "Second", "Third"):
        ids.append(app.contact(name)["ContactID"])
        clock.advance(60)
    assert subscribed.deliveries == []
    assert app.xero.control.webhooks()["pending"] == 3
    probes = len(subscribed.signatures)
    assert app.xero.control.enable_webhooks()["status"] == "ok"
    assert len(subscribed.signatures) > probes
    assert [e["resourceId"] for e in subscribed.wait_for_events(3)] == ids


def test_events_are_kept_for_thirty_one_days(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    app.xero.control.disable_webhooks()
    app.contact("Old")
    clock.advance(DAY_S)
    app.renew()
    young = app.contact("Young")["ContactID"]
    clock.advance(30 * DAY_S + 1)
    app.xero.control.enable_webhooks()
    assert [e["resourceId"] for e in subscribed.wait_for_events(1)] == [young]


def test_enabling_fails_while_the_address_does_not_answer(
    app: Caller, subscribed: Receiver
) -> None:
    app.xero.control.disable_webhooks()
    subscribed.checks_signature = False
    assert app.xero.control.enable_webhooks()["status"] == "disabled"


def test_a_duplicate_delivery_can_be_asked_for(
    app: Caller, subscribed: Receiver
) -> None:
    app.xero.control.webhook_faults(duplicate=1)
    app.contact()
    subscribed.wait_for(lambda r: len(r.deliveries) == 2)
    first, second = subscribed.deliveries
    assert first == second


def test_every_delivery_can_be_repeated_until_that_is_cleared(
    app: Caller, subscribed: Receiver
) -> None:
    app.xero.control.webhook_faults(repeat=2)
    app.contact("First")
    subscribed.wait_for(lambda r: len(r.deliveries) == 3)
    app.contact("Second")
    subscribed.wait_for(lambda r: len(r.deliveries) == 6)
    app.xero.control.clear_faults()
    app.contact("Third")
    subscribed.wait_for(lambda r: len(r.deliveries) == 7)
    assert [subscribed.deliveries.count(one) for one in subscribed.deliveries] == [
        *(3, 3, 3),
        *(3, 3, 3),
        1,
    ]


def test_a_dropped_event_can_be_asked_for(app: Caller, subscribed: Receiver) -> None:
    app.xero.control.webhook_faults(drop=1)
    app.contact("Dropped")
    kept = app.contact("Kept")["ContactID"]
    assert [e["resourceId"] for e in subscribed.wait_for_events(1)] == [kept]


def test_another_order_can_be_asked_for(app: Caller, subscribed: Receiver) -> None:
    app.xero.control.webhook_faults(reorder=True)
    answer = app.put("Contacts", {"Contacts": [{"Name": n} for n in "ABC"]})
    ids: list[Any] = [c["ContactID"] for c in answer.json()["Contacts"]]
    assert [e["resourceId"] for e in subscribed.wait_for_events(3)] == ids[::-1]


def test_a_late_delivery_can_be_asked_for(
    app: Caller, subscribed: Receiver, clock: SimulatedClock
) -> None:
    app.xero.control.webhook_faults(delay_s=120)
    app.contact()
    clock.advance(119)
    assert app.xero.control.webhooks()["pending"] == 1
    clock.advance(1)
    assert len(subscribed.wait_for_events(1)) == 1
