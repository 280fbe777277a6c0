"""Where ``name_taken`` is ``quarantine``, a person decides who is called what."""

import pytest

from tests.end_to_end.conftest import MakeWorld
from tests.end_to_end.test_names import NOTICED, add, candidates, name_of, names_sent
from tests.messages import member, renewal_due
from tests.world import World

QUARANTINE = {"tenants": {"main": {"name_taken": "quarantine"}}}


@pytest.fixture
def strict(make_world: MakeWorld) -> World:
    """Its finance team wants to decide itself."""
    return make_world(tables=QUARANTINE)


def test_in_quarantine_nobody_is_called_anything_else(strict: World) -> None:
    who, namesake = member(), member()
    namesake["name"] = who["name"].title().swapcase()
    strict.invoiced(renewal_due(namesake))
    asked = [renewal_due(who, f"renewal-{n}-{who['id']}") for n in (1, 2)]
    strict.publish(*asked)
    for one in asked:
        strict.hear_answer(one, "message.held")
    strict.quiet()
    assert strict.problems() == ["contact_name_taken"]
    (holder,) = candidates()
    assert holder["member_id"] == namesake["id"]
    assert names_sent(strict, who) == [who["name"]]
    # One decision: it is somebody else, and is called otherwise from now on.
    strict.xero.control.edit_contact(holder["contact_id"], Name="Thandi the elder")
    strict.advance(NOTICED)
    for one in asked:
        strict.hear_answer(one, "invoice.emailed")
    strict.quiet()
    assert name_of(strict, who) == who["name"]
    assert strict.problems() == []


def test_in_quarantine_the_holder_of_the_name_may_turn_out_to_be_the_member(
    strict: World,
) -> None:
    who = member()
    (holder,) = add(strict, {"Name": who["name"], "EmailAddress": "old@example.org"})
    asked = renewal_due(who)
    strict.publish(asked)
    strict.hear_answer(asked, "message.held")
    strict.xero.control.edit_contact(holder, ContactNumber=who["id"])
    strict.advance(NOTICED)
    number = strict.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    assert strict.invoice(number)["Contact"]["ContactID"] == holder
    strict.quiet()
    assert strict.problems() == []


def test_a_holder_whom_we_do_not_know_is_asked_for_only_once(strict: World) -> None:
    """Whatever else changes in Xero; until we know the holder, and it gives way."""
    who = member()
    (other,) = add(strict, {"Name": f"Not {who['name']}"})
    strict.xero.control.webhook_faults(drop=9)
    (holder,) = strict.xero.control.seed_contacts([{"Name": who["name"]}])
    strict.xero.control.webhook_faults()
    asked = renewal_due(who)
    strict.publish(asked)
    strict.hear_answer(asked, "message.held")
    strict.xero.control.edit_contact(other, Name=f"Never {who['name']}")
    strict.advance(NOTICED)
    strict.quiet()
    assert names_sent(strict, who) == [who["name"]]
    strict.xero.control.edit_contact(holder, EmailAddress="elder@example.org")
    strict.advance(NOTICED)
    strict.quiet()
    assert names_sent(strict, who) == [who["name"]]
    strict.xero.control.edit_contact(holder, Name=f"{who['name']} the elder")
    strict.advance(NOTICED)
    strict.hear_answer(asked, "invoice.emailed")
    strict.quiet()
    assert name_of(strict, who) == who["name"]
    assert strict.problems() == []
