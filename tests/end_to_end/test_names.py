"""A name is one active contact's in Xero; newcomers who have it too are told apart."""

from datetime import timedelta
from typing import Any

from core.db.models import MemberContact, Problem
from core.writing import KEY_IS_OVER_AFTER
from tests.messages import Data, member, renewal_due
from tests.world import World

#: Changes of contacts are read together, within a minute of the webhook.
NOTICED = timedelta(seconds=61)


def add(world: World, *contacts: Data) -> list[str]:
    """Made in Xero by hand, and noticed; their ids."""
    ids = world.xero.control.seed_contacts(list(contacts))
    world.advance(NOTICED)
    world.quiet()
    return ids


def name_of(world: World, who: Data) -> str:
    """What a member's contact is called in Xero; there is only one."""
    (found,) = [
        c for c in world.ledger["contacts"] if c.get("ContactNumber") == who["id"]
    ]
    return str(found["Name"])


def evidence_of(who: Data) -> dict[str, Any]:
    link = MemberContact.get(MemberContact.member_id == who["id"])
    evidence: dict[str, Any] = link.evidence
    return evidence


def candidates() -> list[Data]:
    """Who has the name, as the open problem shows it."""
    found = Problem.get(Problem.closed_at.is_null())
    listed: list[Data] = found.detail["candidates"]
    return listed


def names_sent(world: World, who: Data) -> list[str]:
    return [
        c["Name"] for c in world.sent("Contacts") if c["ContactNumber"] == who["id"]
    ]


def test_why_a_newcomer_has_another_name_is_kept_with_the_link(world: World) -> None:
    who = member()
    (other,) = add(world, {"Name": who["name"], "EmailAddress": "other@example.org"})
    world.invoiced(renewal_due(who))
    assert name_of(world, who) == f"{who['name']} ({who['id']})"
    (clash,) = evidence_of(who)["names_taken"]
    assert clash["name"] == who["name"]
    assert "already assigned to another contact" in clash["reason"]
    (holder,) = clash["held_by"]
    assert (holder["contact_id"], holder["email"]) == (other, "other@example.org")


def test_nothing_is_kept_where_the_name_was_free(world: World) -> None:
    who = member()
    world.invoiced(renewal_due(who))
    assert "names_taken" not in evidence_of(who)


def test_newcomers_of_one_name_in_one_batch_are_told_apart(world: World) -> None:
    """Fifteen of them, three to a name; the first of each keeps it."""
    some = [member(name=f"Sipho Dlamini {n % 5} of the batch") for n in range(15)]
    before = world.calls("PUT /Contacts")
    asked = [renewal_due(who) for who in some]
    world.publish(*asked)
    for one in asked:
        world.hear_answer(one, "invoice.emailed")
    names = [name_of(world, who) for who in some]
    assert len(set(names)) == 15
    for who, name in zip(some, names, strict=True):
        assert name in (who["name"], f"{who['name']} ({who['id']})")
    kept = [who for who, name in zip(some, names, strict=True) if name == who["name"]]
    assert sorted(who["name"] for who in kept) == sorted({w["name"] for w in some})
    assert world.calls("PUT /Contacts") - before <= 4
    first = next(who for who in kept if who["name"] == some[0]["name"])
    (second,) = [w for w in some if w["name"] == first["name"] and w != first][:1]
    (holder,) = evidence_of(second)["names_taken"][0]["held_by"]
    assert holder["member_id"] == first["id"]


def test_a_name_of_the_greatest_length_is_cut_and_keeps_the_number(
    world: World,
) -> None:
    who = member()
    who["name"] = f"{who['id']} ".ljust(255, "N")
    add(world, {"Name": who["name"]})
    world.invoiced(renewal_due(who))
    name = name_of(world, who)
    assert len(name) == 255
    assert name.endswith(f"N ({who['id']})")


def test_a_name_that_differs_by_its_case_alone_is_taken(world: World) -> None:
    who = member()
    add(world, {"Name": who["name"].upper()})
    world.invoiced(renewal_due(who))
    assert name_of(world, who) == f"{who['name']} ({who['id']})"
    (holder,) = evidence_of(who)["names_taken"][0]["held_by"]
    assert holder["name"] == who["name"].upper()


def test_a_name_that_differs_by_its_accents_is_another_if_xero_says_so(
    world: World,
) -> None:
    who = member()
    who["name"] = f"Zoë {who['id']}"
    add(world, {"Name": f"Zoe {who['id']}", "EmailAddress": "zoe@example.org"})
    world.invoiced(renewal_due(who))
    assert name_of(world, who) == who["name"]


def test_the_name_of_an_archived_contact_is_free(world: World) -> None:
    who = member()
    (former,) = add(world, {"Name": who["name"], "EmailAddress": "gone@example.org"})
    world.xero.control.archive_contact(former)
    world.advance(NOTICED)
    world.invoiced(renewal_due(who))
    assert name_of(world, who) == who["name"]


def test_a_lost_answer_under_the_second_name_makes_no_third(world: World) -> None:
    who = member()
    add(world, {"Name": who["name"]})
    world.xero.control.fault(
        "reply_lost", method="PUT", path="/Contacts", after=1, times=9
    )
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "no answer to the second")
    world.xero.control.clear_faults()
    world.jump(KEY_IS_OVER_AFTER)
    world.hear_answer(asked, "invoice.emailed")
    assert name_of(world, who) == f"{who['name']} ({who['id']})"
    assert world.problems() == []


def test_a_contact_that_finance_has_just_made_for_the_member_is_taken(
    world: World,
) -> None:
    """Its name and its number are taken, and both are the member's own."""
    who = member()
    world.quiet()
    world.xero.control.webhook_faults(drop=1)
    (made,) = world.xero.control.seed_contacts(
        [{"Name": who["name"], "ContactNumber": who["id"]}]
    )
    asked = renewal_due(who)
    world.publish(asked)
    world.wait(lambda: world.has_unknown("contacts"), "a number that is taken")
    world.jump(KEY_IS_OVER_AFTER)
    number = world.hear_answer(asked, "invoice.raised")["data"]["invoice"]["number"]
    assert world.invoice(number)["Contact"]["ContactID"] == made
    assert names_sent(world, who) == [who["name"]]
    assert name_of(world, who) == who["name"]


def test_where_the_second_name_is_taken_too_a_person_decides(world: World) -> None:
    who = member()
    first, second = add(
        world,
        {"Name": who["name"], "EmailAddress": "first@example.org"},
        {"Name": f"{who['name']} ({who['id']})", "EmailAddress": "second@example.org"},
    )
    asked = [renewal_due(who, f"renewal-{n}-{who['id']}") for n in (1, 2)]
    world.publish(*asked)
    for one in asked:
        world.hear_answer(one, "message.held")
    world.quiet()
    assert world.problems() == ["contact_name_taken"]
    assert [who["contact_id"] for who in candidates()] == [first, second]
    # Renamed, the first holder sets the name free: nothing else has to be done.
    world.xero.control.edit_contact(first, Name=f"Another {who['id']}")
    world.advance(NOTICED)
    for one in asked:
        world.hear_answer(one, "invoice.emailed")
    assert name_of(world, who) == who["name"]
    assert world.problems() == []
