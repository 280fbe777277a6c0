"""What happens between the look at an invoice and its adoption is not lost."""

import contextlib

import pytest

from core.adopting import Adopting, AdoptionRaced
from core.db import inbox, reference
from core.db.database import transaction
from core.db.models import Adoption, Invoice, Payment
from core.errors import XeroWait
from core.patience import Patience
from core.quota import Purpose
from core.sweeping import CURSOR
from tests.core.db.crowd import together
from tests.end_to_end.adoption import (
    adopt,
    adopting,
    by_hand,
    ignored,
    known_to_xero,
    line,
    look,
)
from tests.messages import Data, member, renewal_due
from tests.world import World


class Killed(Exception):
    """The process ends here."""


def made(world: World) -> tuple[str, Data]:
    asked = renewal_due()
    return by_hand(world, asked["data"]["member"]), asked


def explained(world: World, asked: Data) -> None:
    world.publish(asked)
    world.hear_answer(asked, "message.done")
    world.quiet()


@pytest.mark.parametrize("webhook", [True, False])
def test_a_payment_between_the_look_and_the_adoption_is_acted_on(
    world: World, webhook: bool
) -> None:
    number, asked = made(world)
    looked = look(world, line(number, asked))
    if not webhook:
        world.xero.control.webhook_faults(drop=1)
    world.pay(number)
    world.advance(11)  # where a webhook told of it, it was read and was not ours
    world.quiet()
    adopting(world).take_over(looked, "finance", ignored)
    explained(world, asked)
    world.hear("membership.renew", asked["subject"])
    world.sweep()
    assert len(world.told("membership.renew", asked["subject"])) == 1


def test_a_sweep_between_the_two_does_not_hide_the_payment(world: World) -> None:
    """It saw the payment on an invoice that was not ours yet, and went on."""
    number, asked = made(world)
    looked = look(world, line(number, asked))
    world.xero.control.webhook_faults(drop=1)
    world.pay(number)
    for _ in range(3):
        world.sweep()
    adopting(world).take_over(looked, "finance", ignored)
    explained(world, asked)
    world.hear("membership.renew", asked["subject"])


def test_a_sweep_that_is_under_way_does_not_hide_it_either(world: World) -> None:
    number, asked = made(world)
    looked = look(world, line(number, asked))
    world.xero.control.webhook_faults(drop=1)
    world.pay(number)
    before = reference.cursor("main", CURSOR)
    adopting(world).take_over(looked, "finance", ignored)
    # The sweep that had begun before ends now.
    with transaction():
        assert not reference.advance_cursor("main", CURSOR, before, world.clock.now())
    world.quiet()
    explained(world, asked)
    world.hear("membership.renew", asked["subject"])


def test_an_older_read_changes_nothing(world: World) -> None:
    number, asked = made(world)
    payment_id = world.pay(number)
    looked = look(world, line(number, asked))
    adopting(world).take_over(looked, "finance", ignored)
    row = world.row(number)
    (finding,) = looked.findings
    assert row.read_answered_at == finding.read_at
    (payment,) = Payment.select().where(Payment.invoice == row.id)
    assert payment.payment_id == payment_id


def test_a_message_that_is_faster_is_not_overruled(world: World) -> None:
    number, asked = made(world)
    looked = look(world, line(number, asked))
    ours = world.invoiced(asked)
    with pytest.raises(AdoptionRaced, match=f"line 2, subject: .* by {ours}"):
        adopting(world).take_over(looked, "finance", ignored)
    assert Invoice.get_or_none(Invoice.number == number) is None


def test_two_at_once_adopt_it_once(world: World) -> None:
    number, asked = made(world)
    mine, theirs = look(world, line(number, asked)), look(world, line(number, asked))
    adopting(world).take_over(mine, "finance", ignored)
    adopting(world).take_over(theirs, "ops", ignored)
    (adoption,) = Adoption.select().where(Adoption.invoice == world.row(number).id)
    assert adoption.adopted_by == "finance"


def test_two_at_once_for_different_subjects_do_not_both_get_it(world: World) -> None:
    number, asked = made(world)
    mine = look(world, line(number, asked))
    theirs = look(world, line(number, asked, subject="renewal-other"))
    adopting(world).take_over(mine, "finance", ignored)
    with pytest.raises(AdoptionRaced, match="was adopted as"):
        adopting(world).take_over(theirs, "ops", ignored)


def test_after_a_crash_the_same_file_goes_on(world: World) -> None:
    some = [renewal_due() for _ in range(5)]
    ids = known_to_xero(world, *(asked["data"]["member"] for asked in some))
    numbers = [world.raise_by_hand(contact_id) for contact_id in ids]
    lines = [
        line(number, asked, n)
        for n, (number, asked) in enumerate(zip(numbers, some, strict=True), start=2)
    ]

    def killed(done: int) -> None:
        raise Killed

    looked = look(world, *lines)
    with pytest.raises(Killed):
        adopting(world, together=2).take_over(looked, "finance", killed)
    assert look(world, *lines).counts() == {"adopted before": 2, "open": 3}
    assert adopt(world, *lines) == 3
    assert look(world, *lines).counts() == {"adopted before": 5}


def test_with_one_line_that_was_overtaken_its_whole_step_is_undone(
    world: World,
) -> None:
    some = [made(world) for _ in range(2)]
    lines = [line(*one, n) for n, one in enumerate(some, start=2)]
    looked = look(world, *lines)
    world.invoiced(some[1][1])
    with pytest.raises(AdoptionRaced, match="line 3"):
        adopting(world).take_over(looked, "finance", ignored)
    assert Invoice.get_or_none(Invoice.number == some[0][0]) is None


def test_a_contact_that_has_become_anothers_is_not_taken_away(world: World) -> None:
    number, asked = made(world)
    looked = look(world, line(number, asked))
    other = member()
    world.xero.control.edit_contact(
        world.invoice(number)["Contact"]["ContactID"], AccountNumber=other["id"]
    )
    world.advance(61)
    world.quiet()
    world.invoiced(renewal_due(other))
    with pytest.raises(AdoptionRaced, match=f"its contact is {other['id']}'s"):
        adopting(world).take_over(looked, "finance", ignored)
    assert inbox.held() == []


def test_at_the_same_moment_it_is_adopted_once(world: World) -> None:
    some = [made(world) for _ in range(3)]
    lines = [line(*one, n) for n, one in enumerate(some, start=2)]
    looked = [look(world, *lines) for _ in range(4)]

    def take_over(who: int) -> int:
        return adopting(world).take_over(looked[who], f"person {who}", ignored)

    together(4, take_over)
    numbers = [number for number, _ in some]
    rows = list(Invoice.select().where(Invoice.number.in_(numbers)))
    assert len(rows) == 3
    adoptions = Adoption.select().where(Adoption.invoice.in_(rows))
    assert len({adoption.adopted_by for adoption in adoptions}) == 1


def test_the_message_at_the_same_moment_leads_to_one_invoice(world: World) -> None:
    """Whoever is first: the other hears of it."""
    some = [made(world) for _ in range(6)]
    looked = [look(world, line(*one)) for one in some]

    def adopt_each(which: int) -> bool:
        if which == 0:
            world.publish(*(asked for _, asked in some))
            return True
        for found in looked:
            with contextlib.suppress(AdoptionRaced):
                adopting(world).take_over(found, "finance", ignored)
        return True

    together(2, adopt_each)
    for number, asked in some:
        world.hear_answer(asked, "message.accepted")
        world.quiet()
        references = [i["Reference"] for i in world.invoices]
        raised = references.count(f"membership:{asked['subject']}")
        was_adopted = Invoice.get_or_none(Invoice.number == number) is not None
        assert raised + was_adopted == 1
        if was_adopted:
            world.pay(number)
            world.hear("membership.renew", asked["subject"])


def test_a_limit_of_xeros_is_waited_for(world: World) -> None:
    number, asked = made(world)
    world.quiet()
    waited: list[XeroWait] = []

    def wait(until: XeroWait) -> None:
        waited.append(until)
        world.jump(until.until - world.clock.now())

    world.xero.control.fault(
        "429_minute", method="GET", path="/Invoices", retry_after_s=20
    )
    daemon = world.daemon
    places = Patience(daemon.door, "main", Purpose.HOUSEKEEPING, wait)
    patient = Adopting(
        "main", world.settings, daemon.registry, daemon.tables, places, world.clock
    )
    assert patient.look([line(number, asked)], ignored).counts() == {"open": 1}
    assert waited
