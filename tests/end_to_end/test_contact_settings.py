"""What a tenant declares about its contacts."""

import json
from datetime import timedelta
from typing import Any

import pytest

from core.calls import IDS_TOGETHER
from core.db import contact_decisions, profiles, writes
from core.db.contact_decisions import Decision
from core.db.models import Write
from core.waking import LaneName
from core.writing import KEY_IS_OVER_AFTER
from tests.end_to_end.conftest import MakeWorld
from tests.end_to_end.test_contact_desk import link, unlink
from tests.messages import Data, cancelled, member, member_updated, renewal_due
from tests.world import World

NOTICED = timedelta(seconds=61)


def declaring(make_world: MakeWorld, **tenant: Any) -> World:
    return make_world(tables={"tenants": {"main": tenant}})


def known(world: World, **details: Any) -> tuple[Data, str]:
    """A member who has been invoiced before, and their contact."""
    who = member(**details)
    invoice = world.invoice(world.invoiced(renewal_due(who)))
    world.advance(NOTICED)
    world.quiet()
    return who, str(invoice["Contact"]["ContactID"])


def contact(world: World, contact_id: str) -> Data:
    (found,) = [c for c in world.ledger["contacts"] if c["ContactID"] == contact_id]
    return dict(found)


def renewed(world: World, who: Data) -> Data:
    asked = renewal_due(who, subject=f"renewal-2028-{who['id']}")
    return {**asked, "time": world.clock.now().isoformat()}


def test_an_archived_contact_is_restored_and_invoiced(make_world: MakeWorld) -> None:
    world = declaring(make_world, archived_contact="restore")
    who, contact_id = known(world)
    world.xero.control.archive_contact(contact_id)
    world.advance(NOTICED)
    world.quiet()
    number = world.invoiced(renewed(world, {**who, "email": "back@example.co.za"}))
    there = contact(world, contact_id)
    assert there["ContactStatus"] == "ACTIVE"
    assert there["EmailAddress"] == "back@example.co.za"
    assert world.invoice(number)["Contact"]["ContactID"] == contact_id
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    assert sent["to"] == "back@example.co.za"
    assert world.problems() == []
    decided = contact_decisions.of_member("main", who["id"])
    assert [row.decision for row in decided] == [Decision.CREATED, Decision.RESTORED]
    told = [t["data"]["changes"] for t in world.told("contact.changed", who["id"])]
    assert [(c["field"], c["new"]) for (c,) in told] == [
        ("status", "ARCHIVED"),
        ("status", "ACTIVE"),
    ]


def test_a_contact_that_is_archived_before_we_know_of_it_is_restored(
    make_world: MakeWorld,
) -> None:
    """The answer to its creation was lost."""
    world = declaring(make_world, archived_contact="restore")
    world.xero.control.fault("500_after", method="PUT", path="/Contacts")
    who = member()
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "an unknown outcome")
    world.jump(1)
    (made,) = world.ledger["contacts"]
    world.xero.control.archive_contact(made["ContactID"])
    world.jump(KEY_IS_OVER_AFTER + timedelta(seconds=1))
    world.hear_answer(asked, "invoice.emailed")
    assert contact(world, made["ContactID"])["ContactStatus"] == "ACTIVE"
    assert len(world.ledger["contacts"]) == 1


def test_a_contact_whose_name_was_taken_is_restored_with_the_members_id(
    make_world: MakeWorld,
) -> None:
    world = declaring(make_world, archived_contact="restore")
    who, contact_id = known(world)
    world.xero.control.archive_contact(contact_id)
    world.xero.control.seed_contacts([{"Name": who["name"]}])
    world.advance(NOTICED)
    world.quiet()
    world.invoiced(renewed(world, who))
    assert contact(world, contact_id)["Name"] == f"{who['name']} ({who['id']})"


def waiting_to_be_restored(world: World) -> tuple[Data, str, Data]:
    """A member, the archived contact, and a renewal while Xero is at its limit."""
    who, contact_id = known(world)
    world.xero.control.archive_contact(contact_id)
    world.advance(NOTICED)
    world.quiet()
    world.xero.control.fault(
        "429_minute", method="POST", path="/Contacts", times=50, retry_after_s=30
    )
    asked = renewed(world, who)
    world.accepts(asked)
    return who, contact_id, asked


def test_who_is_unlinked_before_the_contact_is_restored_waits_for_a_person(
    make_world: MakeWorld,
) -> None:
    world = declaring(make_world, archived_contact="restore")
    who, contact_id, asked = waiting_to_be_restored(world)
    unlink(world, who)
    world.hear_answer(asked, "message.held")
    assert world.problems() == ["contact_undecided"]
    world.xero.control.clear_faults()
    world.advance(timedelta(hours=2))
    world.quiet()
    assert contact(world, contact_id)["ContactStatus"] == "ARCHIVED"
    (other,) = world.xero.control.seed_contacts([{"Name": "The right one"}])
    world.advance(NOTICED)
    world.quiet()
    assert link(world, who, other) == 1
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    assert world.invoice(number)["Contact"]["ContactID"] == other
    assert world.problems() == []


def test_nobody_is_restored_for_what_is_not_wanted_any_more(
    make_world: MakeWorld,
) -> None:
    world = declaring(make_world, archived_contact="restore")
    who, contact_id, asked = waiting_to_be_restored(world)
    undo = cancelled(asked)
    world.publish(undo)
    world.hear_answer(undo, "message.done")
    world.xero.control.clear_faults()
    world.advance(NOTICED)
    world.quiet()
    assert contact(world, contact_id)["ContactStatus"] == "ARCHIVED"
    wanted = renewal_due(who, subject=f"renewal-2029-{who['id']}")
    number = world.invoiced({**wanted, "time": world.clock.now().isoformat()})
    assert world.invoice(number)["Contact"]["ContactID"] == contact_id


def test_a_message_about_a_member_alone_restores_nobody(make_world: MakeWorld) -> None:
    world = declaring(make_world, archived_contact="restore")
    who, contact_id = known(world)
    world.xero.control.archive_contact(contact_id)
    world.advance(NOTICED)
    world.quiet()
    said = member_updated({**who, "email": "away@example.co.za"})
    world.publish(said)
    answer = world.hear_answer(said, "message.done")
    assert answer["data"]["outcome"] == "remembered"
    world.quiet()
    assert contact(world, contact_id)["ContactStatus"] == "ARCHIVED"


def test_an_erased_contact_is_held_although_archived_ones_are_restored(
    make_world: MakeWorld,
) -> None:
    world = declaring(make_world, archived_contact="restore")
    who, contact_id = known(world)
    world.xero.control.erase_contact(contact_id)
    world.advance(NOTICED)
    world.quiet()
    asked = renewed(world, who)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    world.quiet()
    assert contact(world, contact_id)["ContactStatus"] == "GDPRREQUEST"
    assert world.problems() == ["contact_undecided"]
    assert world.calls("POST /Contacts") == 0


def test_an_invoice_that_was_waiting_for_its_day_is_taken_back_and_goes_on(
    make_world: MakeWorld,
) -> None:
    """Its contact is archived before the day, and restored in Xero afterwards."""
    world = make_world()
    who, contact_id = known(world)
    asked = renewed(world, who)
    asked["data"]["raise_on"] = "2026-11-23"
    world.accepts(asked)
    world.xero.control.archive_contact(contact_id)
    world.advance(NOTICED)
    world.hear_answer(asked, "message.held")
    world.quiet()
    world.xero.control.edit_contact(contact_id, ContactStatus="ACTIVE")
    world.advance(NOTICED)
    world.quiet()
    assert world.problems() == []
    world.advance(timedelta(days=3))
    world.advance_until(
        lambda: (
            "invoice.emailed" in world.answers(asked["id"])
            or bool(world.told("invoice.emailed", asked["subject"]))
        ),
        "the e-mail",
    )


def test_an_invoice_of_a_merged_contact_is_raised_on_the_survivor(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    who, lost = known(world)
    asked = renewed(world, who)
    asked["data"]["raise_on"] = "2026-11-23"
    world.accepts(asked)
    (kept,) = world.xero.control.seed_contacts([{"Name": "The survivor"}])
    world.jump(1)
    world.xero.control.merge_contacts(lost, kept)
    world.advance(NOTICED)
    world.quiet()
    world.advance(timedelta(days=3))
    world.advance_until(
        lambda: bool(world.told("invoice.raised", asked["subject"])), "the invoice"
    )
    number = world.hear("invoice.raised", asked["subject"])["data"]["invoice"]["number"]
    assert world.invoice(number)["Contact"]["ContactID"] == kept


def test_xero_wins_where_the_tenant_says_so(make_world: MakeWorld) -> None:
    world = declaring(make_world, wins={"email": "xero"})
    who, contact_id = known(world)
    world.jump(1)
    world.xero.control.edit_contact(contact_id, EmailAddress="finance@example.co.za")
    told_at = world.clock.now().isoformat()
    said = member_updated({**who, "email": "member@example.co.za"}, time=told_at)
    world.publish(said)
    # What finance did is only seen when the contact is looked at before the update.
    answer = world.hear_answer(said, "message.done")
    world.quiet()
    assert answer["data"]["outcome"] == "overruled"
    assert contact(world, contact_id)["EmailAddress"] == "finance@example.co.za"
    (edit,) = profiles.edits("main", who["id"])
    assert (edit.platform, edit.xero) == (
        "member@example.co.za",
        "finance@example.co.za",
    )
    (told,) = world.told("contact.changed", who["id"])
    (change,) = told["data"]["changes"]
    assert (change["outcome"], change["new"]) == ("overruled", "finance@example.co.za")
    assert world.calls("POST /Contacts") == 0


@pytest.mark.parametrize("lost_webhooks", [0, 9])
def test_an_update_that_has_waited_is_weighed_again(
    make_world: MakeWorld, lost_webhooks: int
) -> None:
    """Finance edits while Xero takes no calls, and Xero wins."""
    world = declaring(make_world, wins={"email": "xero"})
    who, contact_id = known(world)
    for_hours = {"times": 1, "retry_after_s": 4 * 3600}
    world.xero.control.fault("429_day", method="POST", path="/Contacts", **for_hours)
    moved = {**who, "email": "platform@example.co.za"}
    asked = member_updated(moved, time=world.clock.now().isoformat())
    world.accepts(asked)
    world.jump(600)
    world.xero.control.webhook_faults(drop=lost_webhooks)
    world.xero.control.edit_contact(contact_id, EmailAddress="finance@example.co.za")
    world.jump(timedelta(hours=4))
    answer = world.hear_answer(asked, "message.done")
    world.quiet()
    assert answer["data"]["outcome"] == "overruled"
    assert contact(world, contact_id)["EmailAddress"] == "finance@example.co.za"
    (row,) = profiles.edits("main", who["id"])
    assert (row.platform, row.xero, row.winner) == (
        "platform@example.co.za",
        "finance@example.co.za",
        "xero",
    )


def test_an_update_that_has_waited_leaves_after_one_more_read(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    who, contact_id = known(world)
    for_hours = {"times": 1, "retry_after_s": 600}
    world.xero.control.fault("429_day", method="POST", path="/Contacts", **for_hours)
    moved = {**who, "email": "platform@example.co.za"}
    asked = member_updated(moved, time=world.clock.now().isoformat())
    world.accepts(asked)
    reads = world.calls("GET /Contacts")
    world.jump(601)
    world.hear_answer(asked, "message.done")
    world.quiet()
    assert contact(world, contact_id)["EmailAddress"] == "platform@example.co.za"
    assert world.calls("GET /Contacts") == reads + 1
    assert world.calls("POST /Contacts") == 2


def due_updates(world: World) -> list[Write]:
    """What may leave in the next call."""
    now = world.clock.now()
    return writes.due("main", LaneName.CONTACT_UPDATES, now, writes.BATCH_LIMIT)


def test_the_look_for_many_updates_keeps_its_addresses_short(
    make_world: MakeWorld,
) -> None:
    some = [member() for _ in range(50)]
    contacts = [
        {"Name": who["name"], "ContactNumber": who["id"], "EmailAddress": "a@b.example"}
        for who in some
    ]
    world = make_world(contacts=contacts)
    world.xero.control.fault(
        "429_minute", method="POST", path="/Contacts", times=99, retry_after_s=10
    )
    time = world.clock.now().isoformat()
    asked = [member_updated(who, time=time) for who in some]
    world.publish(*asked)
    for one in asked:
        world.hear_answer(one, "message.accepted")
    for _ in range(5):  # what the limit has kept from being read is read
        world.quiet()
        if len(due_updates(world)) == len(some):
            break
        world.advance(11)
    world.xero.control.clear_faults()
    world.xero.control.fault("500_after", method="POST", path="/Contacts")
    world.jump(11)
    world.wait(lambda: world.has_unknown("contact_updates"), "an unknown outcome")
    sent = [json.loads(call.body) for call in world.exchanges("POST", "/Contacts")]
    assert max(len(body["Contacts"]) for body in sent) == IDS_TOGETHER
    world.jump(KEY_IS_OVER_AFTER + timedelta(seconds=1))
    for one in asked:
        world.hear_answer(one, "message.done")
    looks = [e.query for e in world.exchanges("GET", "/Contacts") if "IDs=" in e.query]
    longest = max(looks, key=len)
    assert len(f"https://api.xero.com/api.xro/2.0/Contacts?{longest}") < 2_000


def test_a_crowd_of_edits_is_read_by_the_page(make_world: MakeWorld) -> None:
    crowd = [{"Name": f"Contact {n}", "ContactNumber": f"C-{n}"} for n in range(120)]
    world = make_world(contacts=crowd)
    before = world.calls("GET /Contacts")
    world.jump(1)
    for listed in world.ledger["contacts"]:
        world.xero.control.edit_contact(listed["ContactID"], TaxNumber="4012345678")
    world.advance(NOTICED)
    world.quiet()
    assert world.calls("GET /Contacts") == before + 1
