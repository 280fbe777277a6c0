"""Whatever becomes of a call, Xero ends with one of each, and so do our books."""

import json
from datetime import timedelta

import pytest

from core.db.intents import IntentState
from core.db.models import Intent, Lane, Write
from core.db.writes import WriteState
from core.writing import KEY_IS_OVER_AFTER, RESEND_AFTER
from tests.messages import TOTAL, cancelled, member, renewal_due
from tests.world import World

KEY_ENDS = KEY_IS_OVER_AFTER + timedelta(seconds=1)
RESENT = RESEND_AFTER[0] + timedelta(seconds=1)


def intents_of(subject: str, world: World) -> list[Intent]:
    """Those that raised this subject's invoice, or tried to."""
    reference = f'"Reference":"membership:{subject}"'.encode()
    intents = Intent.select().where(Intent.kind == "invoices").order_by(Intent.id)
    return [intent for intent in intents if reference in bytes(intent.body)]


def in_xero(world: World, subject: str) -> list[dict[str, object]]:
    reference = f"membership:{subject}"
    return [i for i in world.invoices if i["Reference"] == reference]


def nothing_is_open(world: World) -> bool:
    open_states = [WriteState.DUE, WriteState.CLAIMED]
    unknown = [IntentState.OPEN, IntentState.UNKNOWN]
    return not (
        Write.select().where(Write.state.in_(open_states)).exists()
        or Intent.select().where(Intent.state.in_(unknown)).exists()
    )


def test_a_lost_reply_is_asked_for_again_under_the_same_key(world: World) -> None:
    world.xero.control.fault("reply_lost", method="PUT", path="/Invoices")
    asked = renewal_due()
    subject = asked["subject"]
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    assert world.told("invoice.raised", subject) == []
    world.advance(RESENT)
    world.hear("invoice.emailed", subject)
    assert len(in_xero(world, subject)) == 1
    (intent,) = intents_of(subject, world)
    keys = [e.key for e in world.exchanges("PUT", "/Invoices")]
    assert keys.count(intent.idempotency_key) == 2


@pytest.mark.parametrize("kind", ["reply_lost", "half_reply"])
def test_a_contact_is_created_once_though_its_reply_is_lost(
    world: World, kind: str
) -> None:
    world.xero.control.fault(kind, method="PUT", path="/Contacts")
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "an unknown outcome")
    world.advance(RESENT)
    world.hear("invoice.emailed", asked["subject"])
    assert world.contact_numbers().count(asked["data"]["member"]["id"]) == 1


@pytest.mark.parametrize("kind", ["reply_lost", "half_reply"])
def test_an_email_is_sent_once_though_its_reply_is_lost(
    world: World, kind: str
) -> None:
    asked = renewal_due()
    world.xero.control.fault(kind, method="POST", path="/Invoices/*/Email")
    world.publish(asked)
    raised = world.hear("invoice.raised", asked["subject"])
    if kind == "reply_lost":  # a 204 has no body to be halved
        world.wait(lambda: world.has_unknown("emails"), "an unknown outcome")
        world.advance(RESENT)
    world.hear("invoice.emailed", asked["subject"])
    number = raised["data"]["invoice"]["number"]
    assert world.emails(number) == 1


def test_a_void_is_told_once_though_its_reply_is_lost(world: World) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.xero.control.fault("reply_lost", method="POST", path="/Invoices")
    undo = cancelled(asked)
    world.publish(undo)
    world.wait(lambda: world.has_unknown("voids"), "an unknown outcome")
    world.advance(RESENT)
    assert world.hear_answer(undo, "invoice.voided")
    world.quiet()
    assert world.invoice(number)["Status"] == "VOIDED"
    assert len(world.told("invoice.voided", asked["subject"])) == 1
    assert nothing_is_open(world)


def test_a_500_after_the_commit_is_looked_up_when_its_key_is_over(
    world: World,
) -> None:
    world.xero.control.fault("500_after", method="PUT", path="/Invoices")
    asked = renewal_due()
    subject = asked["subject"]
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    puts, gets = world.calls("PUT /Invoices"), world.calls("GET /Invoices")
    world.advance(timedelta(minutes=5))
    world.quiet()
    assert world.calls("PUT /Invoices") == puts
    assert world.told("invoice.raised", subject) == []
    world.advance(KEY_ENDS)
    world.hear("invoice.emailed", subject)
    assert len(in_xero(world, subject)) == 1
    assert world.calls("PUT /Invoices") == puts
    assert world.looked_up("InvoiceNumbers") == 1
    assert world.calls("GET /Invoices") > gets


def test_a_500_before_the_commit_is_created_under_another_key(world: World) -> None:
    world.xero.control.fault("500_before", method="PUT", path="/Invoices")
    asked = renewal_due()
    subject = asked["subject"]
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    looks = world.looked_up("InvoiceNumbers")
    world.advance(KEY_ENDS)
    world.hear("invoice.emailed", subject)
    assert len(in_xero(world, subject)) == 1
    assert world.looked_up("InvoiceNumbers") == looks + 1
    first, second = intents_of(subject, world)
    assert first.idempotency_key != second.idempotency_key
    # The number was allotted before the first call and is kept.
    assert bytes(first.body) == bytes(second.body)


@pytest.mark.parametrize("kind", ["500_before", "500_after", "503"])
def test_contacts_after_a_500_are_looked_up_in_one_read(
    world: World, kind: str
) -> None:
    world.xero.control.fault(kind, method="PUT", path="/Contacts")
    some = [renewal_due() for _ in range(3)]
    world.publish(*some)
    world.wait(lambda: world.has_unknown("contacts"), "an unknown outcome")
    world.quiet()
    world.jump(KEY_ENDS)
    for asked in some:
        world.hear("invoice.emailed", asked["subject"])
    numbers = world.contact_numbers()
    ids = [asked["data"]["member"]["id"] for asked in some]
    assert [numbers.count(member_id) for member_id in ids] == [1, 1, 1]
    assert world.problems() == []


@pytest.mark.parametrize("kind", ["500_before", "500_after"])
def test_an_email_after_a_500_goes_out_once(world: World, kind: str) -> None:
    world.xero.control.fault(kind, method="POST", path="/Invoices/*/Email")
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.has_unknown("emails"), "an unknown outcome")
    world.advance(KEY_ENDS)
    told = world.hear("invoice.emailed", asked["subject"])
    number = told["data"]["invoice"]["number"]
    assert world.emails(number) == 1


@pytest.mark.parametrize("kind", ["500_before", "500_after"])
def test_a_void_after_a_500_is_settled(world: World, kind: str) -> None:
    asked = renewal_due()
    number = world.invoiced(asked)
    world.xero.control.fault(kind, method="POST", path="/Invoices")
    undo = cancelled(asked)
    world.publish(undo)
    world.wait(lambda: world.has_unknown("voids"), "an unknown outcome")
    world.advance(KEY_ENDS)
    world.hear_answer(undo, "invoice.voided")
    world.quiet()
    assert world.invoice(number)["Status"] == "VOIDED"
    assert nothing_is_open(world)


def test_half_a_reply_is_no_answer(world: World) -> None:
    world.xero.control.fault("half_reply", method="PUT", path="/Invoices")
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    world.advance(RESENT)
    world.hear("invoice.emailed", asked["subject"])
    assert len(in_xero(world, asked["subject"])) == 1


def test_a_connection_that_is_refused_has_sent_nothing(world: World) -> None:
    world.xero.control.fault("refuse", method="PUT", path="/Invoices", times=2)
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    world.advance(RESENT)
    world.wait(lambda: world.calls("PUT /Invoices") >= 0, "another try")
    world.advance(RESEND_AFTER[1] + timedelta(seconds=1))
    world.hear("invoice.emailed", asked["subject"])
    assert len(in_xero(world, asked["subject"])) == 1


@pytest.mark.parametrize(
    ("kind", "retry_after_s"),
    [
        ("429_minute", 30),
        ("429_day", 40_000),
        ("429_concurrent", None),
        ("429_appminute", None),
    ],
)
def test_a_429_parks_the_lane_and_loses_nothing(
    world: World, kind: str, retry_after_s: int | None
) -> None:
    # A day's wait would let this world's token end; here it is the parking that counts.
    world.xero.control.fault(
        kind, method="PUT", path="/Invoices", retry_after_s=retry_after_s
    )
    asked = renewal_due()
    puts = world.calls("PUT /Invoices")
    world.publish(asked)
    world.wait(lambda: world.calls("PUT /Invoices") > puts, "the refused call")
    world.quiet()
    parked = Lane.get((Lane.tenant == "main") & (Lane.name == "invoices"))
    least = retry_after_s or {"429_concurrent": 1, "429_appminute": 10}[kind]
    assert parked.parked_until is not None
    left = parked.parked_until - world.clock.now()
    assert 0 < left.total_seconds() <= least
    assert parked.reason.startswith(f"429: {kind.removeprefix('429_')}")
    assert in_xero(world, asked["subject"]) == []
    world.jump(least + 1)
    world.hear("invoice.emailed", asked["subject"])
    assert len(in_xero(world, asked["subject"])) == 1
    assert [i.state for i in intents_of(asked["subject"], world)] == [
        IntentState.RELEASED,
        IntentState.DONE,
    ]


def test_one_refused_element_does_not_cost_its_neighbours(world: World) -> None:
    """The name of one is taken by the other: an ERROR in a mixed batch."""
    someone = member(name="Pieter Botha")
    namesake = member(name="Pieter Botha", email="other@example.co.za")
    some = [renewal_due(someone), renewal_due(namesake), renewal_due()]
    world.publish(*some)
    for asked in some:
        world.hear("invoice.emailed", asked["subject"])
    names = {c["ContactNumber"]: c["Name"] for c in world.ledger["contacts"]}
    found = sorted([names[someone["id"]], names[namesake["id"]]])
    assert found[0] == "Pieter Botha"
    assert found[1] in {f"Pieter Botha ({who['id']})" for who in (someone, namesake)}


def test_results_belong_to_their_keys_and_not_to_their_places(world: World) -> None:
    some = [renewal_due(category=c) for c in ("student", "master") for _ in range(4)]
    world.publish(*some)
    for asked in some:
        raised = world.hear("invoice.raised", asked["subject"])
        ours = raised["data"]["invoice"]
        theirs = world.invoice(ours["number"])
        assert theirs["Reference"] == f"membership:{asked['subject']}"
        assert theirs["InvoiceID"] == ours["xero_id"]
        assert world.contact(theirs)["ContactNumber"] == asked["data"]["member"]["id"]


def test_a_number_that_a_stranger_has_is_not_ours(world: World) -> None:
    number = world.invoiced(renewal_due())
    stem, _, count = number.rpartition("-")
    taken = f"{stem}-{int(count) + 1:06d}"
    world.xero.control.edit_invoice(number, InvoiceNumber=taken)
    asked = renewal_due()
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    world.advance(KEY_ENDS)
    raised = world.hear("invoice.raised", asked["subject"])
    assert raised["data"]["invoice"]["number"] == f"{stem}-{int(count) + 2:06d}"
    assert world.problems() == ["number_taken"]
    assert len(in_xero(world, asked["subject"])) == 1
    assert in_xero(world, asked["subject"])[0]["Total"] == TOTAL


def test_a_poison_element_ends_alone(world: World) -> None:
    """An amount that Xero can't read costs the whole batch a 400, again and again."""
    some = [renewal_due() for _ in range(40)]
    poison = renewal_due(category="unreadable")
    refused = world.calls("PUT /Invoices")
    world.xero.control.fault(
        "429_minute", method="PUT", path="/Invoices", times=3, retry_after_s=30
    )
    world.publish(*some[:20], poison, *some[20:])
    world.wait(lambda: world.calls("PUT /Invoices") > refused, "the first call")
    world.xero.control.clear_faults()
    world.advance(31)
    world.hear("message.held", poison["subject"])
    for asked in some:
        world.hear("invoice.raised", asked["subject"])
    assert all(len(in_xero(world, asked["subject"])) == 1 for asked in some)
    assert in_xero(world, poison["subject"]) == []
    assert world.problems() == ["invoice_refused"]


def test_what_was_stored_before_the_call_is_what_was_sent(world: World) -> None:
    world.invoiced(renewal_due())
    stored = {i.idempotency_key: bytes(i.body) for i in Intent.select()}
    for exchange in world.exchanges("PUT", "/Invoices"):
        assert exchange.key is not None
        assert exchange.body == stored[exchange.key]
        assert json.loads(exchange.body)["Invoices"]
