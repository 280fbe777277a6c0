"""A member's contact over the years: changed here, changed there, and never lost."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.contacts import deciding
from core.contacts.resolution import Known
from core.db import (
    contact_decisions,
    contact_links,
    contact_reads,
    positions,
    problems,
    profiles,
)
from core.db import contacts as mirror
from core.db.contact_decisions import Decision
from core.db.database import transaction
from core.matching.contact import MirrorContact
from core.members import Member
from tests.messages import Data, cancelled, member, member_updated, renewal_due
from tests.world import World

#: Changes of contacts are read together, within a minute of the webhook.
NOTICED = timedelta(seconds=61)


def now(world: World) -> str:
    return world.clock.now().isoformat()


def said(world: World, who: Data) -> Data:
    """``member.updated``, which happened now."""
    return member_updated(who, time=now(world))


def renewed(world: World, who: Data, year: int = 2028) -> Data:
    """A renewal of this year, which fell due now."""
    asked = renewal_due(who, subject=f"renewal-{year}-{who['id']}")
    return {**asked, "time": now(world)}


def known(world: World, **details: Any) -> tuple[Data, str]:
    """A member who has been invoiced before, and their contact."""
    who = member(**details)
    invoice = world.invoice(world.invoiced(renewal_due(who)))
    world.advance(NOTICED)
    world.quiet()
    contact_id: str = invoice["Contact"]["ContactID"]
    return who, contact_id


def update(world: World, who: Data) -> Data:
    """The platform says so; its answer."""
    asked = said(world, who)
    world.publish(asked)
    answer: Data = world.hear_answer(asked, "message.done")
    world.quiet()
    return answer


def edit(world: World, contact_id: str, **fields: Any) -> None:
    """Finance edits it in Xero, which is noticed."""
    world.jump(1)
    world.xero.control.edit_contact(contact_id, **fields)
    world.advance(NOTICED)
    world.quiet()


def contact(world: World, contact_id: str) -> Data:
    (found,) = [c for c in world.ledger["contacts"] if c["ContactID"] == contact_id]
    return dict(found)


def mirrored(contact_id: str) -> MirrorContact:
    """The contact as the books have it."""
    found = mirror.get("main", contact_id)
    assert found is not None
    return found


def changes(world: World, who: Data) -> list[tuple[str, Any, Any, str]]:
    """What ``contact.changed`` has told of a member, in order."""
    return [
        (one["field"], one["old"], one["new"], one["outcome"])
        for told in world.told("contact.changed", who["id"])
        for one in told["data"]["changes"]
    ]


def edits(who: Data) -> list[tuple[str, Any, Any, Any, str]]:
    """What was overruled of a member."""
    return [
        (row.field, row.agreed, row.platform, row.xero, row.winner)
        for row in profiles.edits("main", who["id"])
    ]


def problems_of(who: Data) -> list[str]:
    """The kinds of the open problems that name this member."""
    return [p.kind for p in problems.open_problems() if p.cause.endswith(who["id"])]


def contact_calls(world: World) -> int:
    by_endpoint: dict[str, int] = world.ledger["calls"]["by_endpoint"]
    return sum(n for name, n in by_endpoint.items() if "/Contacts" in name)


# -- member.updated --------------------------------------------------------------------


def test_what_the_platform_changes_reaches_xero_and_nothing_else(world: World) -> None:
    who, contact_id = known(world, phone="+27 82 555 0101")
    before = contact_calls(world)
    renamed = {**who, "name": f"Thandi Botha {who['id']}", "phone": "+27 82 555 0202"}
    answer = update(world, renamed)
    assert answer["data"] == {"outcome": "updated", "invoice": None}
    there = contact(world, contact_id)
    assert (there["Name"], there["ContactNumber"]) == (renamed["name"], who["id"])
    phones = {p["PhoneType"]: p["PhoneNumber"] for p in there["Phones"]}
    assert phones["DEFAULT"] == "+27 82 555 0202"
    sent = world.exchanges("POST", "/Contacts")[-1]
    assert b"EmailAddress" not in sent.body
    # A look before it writes, and one write.
    assert contact_calls(world) == before + 2
    world.advance(NOTICED)
    world.quiet()
    assert contact_calls(world) == before + 2
    assert (changes(world, who), edits(who)) == ([], [])


def test_an_address_is_replaced_and_a_number_taken_away(world: World) -> None:
    address = {"line1": "12 Long Street", "line2": "Unit 4", "city": "Cape Town"}
    who, contact_id = known(world, address=address, tax_number="4012345678")
    moved = {**who, "address": {"line1": "1 Main Road", "city": "Paarl"}}
    update(world, {**moved, "tax_number": ""})
    there = contact(world, contact_id)
    (street,) = [a for a in there["Addresses"] if a["AddressType"] == "STREET"]
    assert (street["AddressLine1"], street["City"]) == ("1 Main Road", "Paarl")
    assert street["AddressLine2"] == ""
    assert there.get("TaxNumber", "") == ""


def test_what_is_not_said_stays(world: World) -> None:
    who, contact_id = known(world, tax_number="4012345678")
    without = {"id": who["id"], "name": who["name"], "email": "new@example.co.za"}
    update(world, without)
    there = contact(world, contact_id)
    assert there["TaxNumber"] == "4012345678"
    assert there["EmailAddress"] == "new@example.co.za"


def test_what_xero_has_already_costs_no_call(world: World) -> None:
    who, _ = known(world)
    before = contact_calls(world)
    answer = update(world, {**who, "email": who["email"].upper()})
    assert answer["data"]["outcome"] == "unchanged"
    assert contact_calls(world) == before


def test_an_older_message_does_not_take_a_newer_one_back(world: World) -> None:
    who, contact_id = known(world)
    old = said(world, {**who, "email": "old@example.co.za"})
    world.jump(60)
    update(world, {**who, "email": "newest@example.co.za"})
    world.publish(old)
    answer = world.hear_answer(old, "message.done")
    assert answer["data"]["outcome"] == "overtaken"
    world.quiet()
    assert contact(world, contact_id)["EmailAddress"] == "newest@example.co.za"


def test_a_member_without_a_contact_is_remembered(world: World) -> None:
    who = member()
    first = {**who, "phone": "+27 82 555 0303"}
    assert update(world, first)["data"]["outcome"] == "remembered"
    late = renewal_due({**who, "email": "older@example.co.za"})
    number = world.invoiced({**late, "time": "2026-11-01T08:00:00Z"})
    made = world.contact(world.invoice(number))
    assert made["EmailAddress"] == who["email"]
    phones = {p["PhoneType"]: p["PhoneNumber"] for p in made["Phones"]}
    assert phones["DEFAULT"] == "+27 82 555 0303"


def test_a_member_whom_xero_knows_by_number_is_found(world: World) -> None:
    who = member()
    values = {"Name": who["name"], "ContactNumber": who["id"]}
    (contact_id,) = world.xero.control.seed_contacts([values])
    world.advance(NOTICED)
    world.quiet()
    assert update(world, who)["data"]["outcome"] == "updated"
    assert contact(world, contact_id)["EmailAddress"] == who["email"]
    assert edits(who) == []


def test_an_update_that_xero_refuses_is_held_and_tried_again(world: World) -> None:
    who, contact_id = known(world)
    others = [f"Lerato {who['id']}", f"Lerato {who['id']} ({who['id']})"]
    taken = world.xero.control.seed_contacts([{"Name": name} for name in others])
    world.advance(NOTICED)
    asked = said(world, {**who, "name": others[0]})
    world.publish(asked)
    held = world.hear_answer(asked, "message.held")
    world.quiet()
    assert held["data"]["cause"] == f"contact_update:main:{who['id']}"
    assert problems_of(who) == ["contact_update_refused"]
    world.xero.control.archive_contact(taken[0])
    update(world, {**who, "name": others[0], "phone": "+27 82 555 0404"})
    assert contact(world, contact_id)["Name"] == others[0]
    assert world.answers(asked["id"]) == [
        "message.accepted",
        "message.held",
        "message.done",
    ]
    assert problems_of(who) == []


def nobody_may_be_called(world: World, name: str, who: Data) -> None:
    """Others have both this name and what the member would be called instead."""
    others = [name, f"{name} ({who['id']})"]
    world.xero.control.seed_contacts([{"Name": other} for other in others])


def refused_later(world: World, who: Data, name: str) -> Data:
    """An update to a name that Xero will refuse, which is on its way there."""
    nobody_may_be_called(world, name, who)
    for _ in range(2):
        world.xero.control.fault("slow", method="POST", path="/Contacts", delay_s=0.7)
    asked = said(world, {**who, "name": name})
    world.publish(asked)
    world.wait(
        lambda: world.is_under_way("POST", "/Contacts"), "the update is on its way"
    )
    world.jump(1)
    return asked


def test_a_correction_reaches_xero_though_the_mistake_is_on_its_way(
    world: World,
) -> None:
    who, contact_id = known(world)
    mistaken = refused_later(world, who, f"Lindiwe {who['id']}")
    right = {**who, "name": f"Good {who['id']}", "email": "right@example.co.za"}
    asked = renewed(world, right)
    world.publish(asked)
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    world.quiet()
    there = contact(world, contact_id)
    assert (there["Name"], there["EmailAddress"]) == (right["name"], right["email"])
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    assert sent["to"] == "right@example.co.za"
    assert world.answers(mistaken["id"]) == ["message.accepted", "message.done"]
    assert problems_of(who) == []


def test_what_finance_edits_while_a_refused_update_is_on_its_way_is_told(
    world: World,
) -> None:
    who, contact_id = known(world)
    mistaken = refused_later(world, who, f"Nomsa {who['id']}")
    world.xero.control.edit_contact(contact_id, EmailAddress="finance@example.co.za")
    world.wait(lambda: contact_reads.next_due("main") is not None, "the webhook")
    world.jump(NOTICED)
    world.wait(
        lambda: mirrored(contact_id).email == "finance@example.co.za",
        "the edit is read",
    )
    assert world.answers(mistaken["id"]) == ["message.accepted"]
    world.hear_answer(mistaken, "message.held")
    world.quiet()
    assert changes(world, who) == [
        ("email", who["email"], "finance@example.co.za", "changed")
    ]
    assert problems_of(who) == ["contact_update_refused"]


def test_the_same_mistake_again_is_held_with_an_open_problem(world: World) -> None:
    """It was taken back in between, so that nothing was wrong any more."""
    who, _ = known(world)
    nobody_may_be_called(world, f"Palesa {who['id']}", who)
    mistake = {**who, "name": f"Palesa {who['id']}"}
    first = said(world, mistake)
    world.publish(first)
    world.hear_answer(first, "message.held")
    world.jump(1)
    update(world, who)
    assert problems_of(who) == []
    world.jump(1)
    again = said(world, mistake)
    world.publish(again)
    world.hear_answer(again, "message.held")
    world.quiet()
    assert problems_of(who) == ["contact_update_refused"]


def test_a_name_that_is_taken_gets_the_members_id_and_rests(world: World) -> None:
    who, contact_id = known(world)
    world.xero.control.seed_contacts([{"Name": f"Zanele {who['id']}"}])
    renamed = {**who, "name": f"Zanele {who['id']}"}
    update(world, renamed)
    assert contact(world, contact_id)["Name"] == f"Zanele {who['id']} ({who['id']})"
    before = contact_calls(world)
    assert update(world, renamed)["data"]["outcome"] == "unchanged"
    assert contact_calls(world) == before


# -- what other messages say -----------------------------------------------------------


def test_known_unchanged_members_cost_no_contact_call(world: World) -> None:
    some = [known(world)[0] for _ in range(3)]
    before = contact_calls(world)
    for who in some:
        world.invoiced(renewed(world, who))
    world.advance(NOTICED)
    world.quiet()
    assert contact_calls(world) == before


def test_an_invoice_is_mailed_to_the_address_that_its_message_says(
    world: World,
) -> None:
    who, _ = known(world)
    world.xero.control.fault("slow", method="POST", path="/Contacts", delay_s=0.5)
    number = world.invoiced(renewed(world, {**who, "email": "moved@example.co.za"}))
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    assert sent["to"] == "moved@example.co.za"


def test_a_cancellation_may_say_something_of_its_member_too(world: World) -> None:
    who, contact_id = known(world)
    asked = renewed(world, who)
    world.invoiced(asked)
    undo = {**cancelled(asked), "time": now(world)}
    undo["data"]["member"] = {**who, "email": "gone@example.co.za"}
    world.publish(undo)
    world.hear_answer(undo, "invoice.voided")
    world.wait(
        lambda: contact(world, contact_id)["EmailAddress"] == "gone@example.co.za",
        "the new address",
    )


# -- edits in Xero ---------------------------------------------------------------------


def test_what_finance_changes_is_told_once_with_old_and_new(world: World) -> None:
    who, contact_id = known(world)
    edit(world, contact_id, EmailAddress="finance@example.co.za")
    assert changes(world, who) == [
        ("email", who["email"], "finance@example.co.za", "changed")
    ]
    (told,) = world.told("contact.changed", who["id"])
    assert told["data"]["member_id"] == who["id"]
    assert told["data"]["contact_id"] == contact_id
    world.advance(timedelta(hours=1, seconds=5))
    world.quiet()
    assert len(changes(world, who)) == 1


def test_terms_and_taxes_are_xeros_and_told(world: World) -> None:
    who, contact_id = known(world)
    world.advance(timedelta(hours=1, seconds=5))
    world.quiet()
    terms = {"Sales": {"Day": 30, "Type": "DAYSAFTERBILLDATE"}}
    edit(world, contact_id, PaymentTerms=terms, AccountsReceivableTaxType="OUTPUT3")
    found = {field: (new, how) for field, _, new, how in changes(world, who)}
    assert found == {
        "payment_terms": (terms, "changed"),
        "sales_tax_type": ("OUTPUT3", "changed"),
    }


def test_another_spelling_in_xero_is_no_news(world: World) -> None:
    who, contact_id = known(world, phone="+27 82 555 0101")
    split = {"PhoneCountryCode": "27", "PhoneAreaCode": "82", "PhoneNumber": "5550101"}
    edit(
        world,
        contact_id,
        Phones=[{"PhoneType": "DEFAULT", **split}],
        EmailAddress=who["email"].upper(),
    )
    before = contact_calls(world)
    assert changes(world, who) == []
    assert update(world, {**who})["data"]["outcome"] == "unchanged"
    assert contact_calls(world) == before


def test_many_edits_at_once_are_read_in_one_call(world: World) -> None:
    some = [known(world) for _ in range(4)]
    before = contact_calls(world)
    world.jump(1)
    for who, contact_id in some:
        number = f"9{who['id']}"
        world.xero.control.edit_contact(contact_id, TaxNumber=number)
    world.advance(NOTICED)
    world.quiet()
    assert [changes(world, who)[0][0] for who, _ in some] == ["tax_number"] * 4
    assert contact_calls(world) == before + 1


# -- conflicts -------------------------------------------------------------------------


def test_a_conflict_goes_to_the_platform_and_finance_can_see_it(world: World) -> None:
    """Finance edits, and before anybody has noticed the platform edits too."""
    who, contact_id = known(world)
    world.jump(1)
    world.xero.control.edit_contact(contact_id, EmailAddress="finance@example.co.za")
    answer = update(world, {**who, "email": "member@example.co.za"})
    assert answer["data"]["outcome"] == "updated"
    assert contact(world, contact_id)["EmailAddress"] == "member@example.co.za"
    assert edits(who) == [
        (
            "email",
            who["email"],
            "member@example.co.za",
            "finance@example.co.za",
            "platform",
        )
    ]
    assert changes(world, who) == [
        ("email", "finance@example.co.za", "member@example.co.za", "restored")
    ]
    before = contact_calls(world)
    world.advance(NOTICED)
    world.quiet()
    assert contact_calls(world) == before


def test_edits_of_different_fields_both_stand(world: World) -> None:
    who, contact_id = known(world, phone="+27 82 555 0101")
    world.jump(1)
    world.xero.control.edit_contact(contact_id, TaxNumber="4099999999")
    update(world, {**who, "phone": "+27 82 555 0505"})
    there = contact(world, contact_id)
    phones = {p["PhoneType"]: p["PhoneNumber"] for p in there["Phones"]}
    assert (phones["DEFAULT"], there["TaxNumber"]) == ("+27 82 555 0505", "4099999999")
    assert changes(world, who) == [("tax_number", "", "4099999999", "changed")]
    assert edits(who) == []


def test_a_first_link_goes_to_the_platform_and_is_recorded(world: World) -> None:
    who = member(phone="+27 82 555 0606")
    old = {"Name": "As she was", "ContactNumber": who["id"], "EmailAddress": ""}
    (contact_id,) = world.xero.control.seed_contacts([old])
    world.advance(NOTICED)
    world.quiet()
    number = world.invoiced(renewal_due(who))
    there = contact(world, contact_id)
    assert (there["Name"], there["EmailAddress"]) == (who["name"], who["email"])
    assert edits(who) == [("name", None, who["name"], "As she was", "platform")]
    assert changes(world, who) == []
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    assert sent["to"] == who["email"]


# -- merged ----------------------------------------------------------------------------


def test_a_merge_moves_the_member_however_often(world: World) -> None:
    who, first = known(world)
    names = [f"Doppelganger {who['id']} {n}" for n in (1, 2)]
    second, third = world.xero.control.seed_contacts([{"Name": n} for n in names])
    world.advance(NOTICED)
    world.jump(1)
    world.xero.control.merge_contacts(first, second)
    world.xero.control.merge_contacts(second, third)
    world.advance(NOTICED)
    world.quiet()
    assert ("contact_id", first, third, "merged") in changes(world, who)
    *_, moved = contact_decisions.of_member("main", who["id"])
    assert (moved.decision, moved.contact_id) == (Decision.MERGED, third)
    number = world.invoiced(renewed(world, who))
    invoice = world.invoice(number)
    assert invoice["Contact"]["ContactID"] == third
    # The survivor's details were never agreed with anybody: the platform's hold.
    assert contact(world, third)["EmailAddress"] == who["email"]
    assert contact(world, third)["Name"] == who["name"]
    assert problems_of(who) == []


def test_whoever_decides_on_a_merged_contact_follows_it(world: World) -> None:
    """A message that comes between the reading and what follows from it."""
    who, first = known(world)
    (second,) = world.xero.control.seed_contacts([{"Name": f"Twin {who['id']}"}])
    world.advance(NOTICED)
    world.quiet()
    payer, policy = Member.model_validate(who), world.settings.tenants["main"]
    merged = mirrored(first)
    with transaction():
        away = replace(merged, status="ARCHIVED", merged_to=second)
        mirror.put("main", [away])
        found = deciding.resolve("main", payer, policy, world.clock.now())
    assert found == Known(second)
    assert contact_links.contact_of("main", who["id"]) == second
    world.wait(lambda: changes(world, who) != [], "it is told")
    assert ("contact_id", first, second, "merged") in changes(world, who)


def test_a_merge_into_another_members_contact_is_a_persons_to_decide(
    world: World,
) -> None:
    one, lost = known(world)
    other, kept = known(world)
    world.jump(1)
    world.xero.control.merge_contacts(lost, kept)
    world.advance(NOTICED)
    world.quiet()
    assert problems_of(one) == ["contact_merged"]
    asked = renewed(world, one)
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    number = world.invoiced(renewed(world, other))
    assert world.invoice(number)["Contact"]["ContactID"] == kept


# -- archived and erased ---------------------------------------------------------------


def test_an_archived_contact_holds_until_it_is_restored(world: World) -> None:
    who, contact_id = known(world)
    world.jump(1)
    world.xero.control.archive_contact(contact_id)
    world.advance(NOTICED)
    assert update(world, {**who, "email": "away@example.co.za"})["data"]["outcome"] == (
        "remembered"
    )
    asked = renewed(world, {**who, "email": "away@example.co.za"})
    world.publish(asked)
    held = world.hear_answer(asked, "message.held")
    assert held["data"]["reason"] == f"the contact of member {who['id']} is archived"
    world.jump(1)
    world.xero.control.edit_contact(contact_id, ContactStatus="ACTIVE")
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    assert sent["to"] == "away@example.co.za"
    assert [change[0] for change in changes(world, who)] == ["status", "status"]
    assert problems_of(who) == []


def test_an_erased_contact_is_never_restored_nor_updated(world: World) -> None:
    who, contact_id = known(world)
    world.jump(1)
    world.xero.control.erase_contact(contact_id)
    world.advance(NOTICED)
    asked = renewed(world, {**who, "email": "again@example.co.za"})
    world.publish(asked)
    held = world.hear_answer(asked, "message.held")
    assert "to be erased" in held["data"]["reason"]
    world.quiet()
    assert contact(world, contact_id)["EmailAddress"] == who["email"]
    assert contact(world, contact_id)["ContactStatus"] == "GDPRREQUEST"


def test_a_platform_that_has_read_may_change_it_back(world: World) -> None:
    who, contact_id = known(world)
    edit(world, contact_id, EmailAddress="finance@example.co.za")
    (told,) = world.told("contact.changed", who["id"])
    world.advance(4)  # how far the platform has read is noted every three seconds
    world.wait(
        lambda: positions.acknowledged_at("platform", told["id"]) is not None,
        "a note that the platform has read it",
    )
    world.jump(1)
    update(world, {**who, "email": "finance@example.co.za"})
    world.jump(1)
    update(world, who)
    assert contact(world, contact_id)["EmailAddress"] == who["email"]
    assert len(changes(world, who)) == 1
    assert edits(who) == []


def test_a_late_message_does_not_take_finances_edit_back(world: World) -> None:
    who, contact_id = known(world)
    late = said(world, {**who, "phone": "+27 82 555 0707"})
    edit(world, contact_id, EmailAddress="finance@example.co.za")
    world.publish(late)
    world.hear_answer(late, "message.done")
    world.quiet()
    there = contact(world, contact_id)
    phones = {p["PhoneType"]: p["PhoneNumber"] for p in there["Phones"]}
    assert phones["DEFAULT"] == "+27 82 555 0707"
    assert there["EmailAddress"] == "finance@example.co.za"
    assert edits(who) == []


def test_a_restart_between_the_look_and_the_update_loses_nothing(world: World) -> None:
    who, contact_id = known(world)
    world.xero.control.fault("503", method="POST", path="/Contacts")
    asked = said(world, {**who, "email": "after@example.co.za"})
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contact_updates"), "an unknown outcome")
    world.stop_daemon()
    world.start_daemon()
    world.advance(timedelta(minutes=9))
    world.hear_answer(asked, "message.done")
    assert contact(world, contact_id)["EmailAddress"] == "after@example.co.za"


def test_an_e_mail_waits_for_an_address_that_xero_refuses(world: World) -> None:
    who, _ = known(world)
    others = [f"Sipho {who['id']}", f"Sipho {who['id']} ({who['id']})"]
    world.xero.control.seed_contacts([{"Name": name} for name in others])
    world.advance(NOTICED)
    moved = {**who, "name": others[0], "email": "moved@example.co.za"}
    asked = renewed(world, moved)
    world.publish(asked)
    raised = world.hear_answer(asked, "invoice.raised")
    world.quiet()
    number = raised["data"]["invoice"]["number"]
    assert world.emails(number) == 0
    assert problems_of(who) == ["contact_update_refused"]
    # Corrected in the platform: nothing else has to be done.
    update(world, {**moved, "name": f"Sipho the Second {who['id']}"})
    world.hear_answer(asked, "invoice.emailed")
    (sent,) = [e for e in world.ledger["emails"] if e["invoice_number"] == number]
    assert sent["to"] == "moved@example.co.za"
    assert problems_of(who) == []
