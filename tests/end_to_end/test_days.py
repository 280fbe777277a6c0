"""Days are the organisation's own, and what is due later waits for its day."""

from datetime import UTC, datetime, timedelta

from tests.end_to_end.conftest import MakeWorld
from tests.messages import renewal_due

#: Half past midnight on the 20th in Johannesburg; in UTC it is still the 19th.
NIGHT = datetime(2026, 11, 19, 22, 30, tzinfo=UTC)


def test_half_past_midnight_is_not_yesterday(make_world: MakeWorld) -> None:
    world = make_world(started_at=NIGHT)
    invoice = world.invoice(world.invoiced(renewal_due()))
    assert invoice["DateString"] == "2026-11-20T00:00:00"
    assert invoice["DueDateString"] == "2026-12-20T00:00:00"


def test_what_is_to_be_raised_tomorrow_waits_until_midnight_there(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    today, tomorrow = renewal_due(raise_on="2026-11-20"), renewal_due()
    tomorrow["data"]["raise_on"] = "2026-11-21"
    world.publish(today, tomorrow)
    world.hear_answer(today, "invoice.emailed")
    # Eight in the morning in UTC: midnight in Johannesburg is fourteen hours away.
    world.advance(timedelta(hours=13, minutes=59))
    world.quiet()
    assert world.answers(tomorrow["id"]) == ["message.accepted"]
    world.advance(timedelta(minutes=2))
    world.hear_answer(tomorrow, "invoice.emailed")
    told = world.hear_answer(tomorrow, "invoice.raised")["data"]["invoice"]
    assert told["issued_on"] == "2026-11-21"
    assert told["due_on"] == "2026-12-21"


def test_a_number_belongs_to_the_year_in_which_it_is_sent(
    make_world: MakeWorld,
) -> None:
    world = make_world(started_at=datetime(2026, 12, 31, 8, 0, tzinfo=UTC))
    old, new = renewal_due(), renewal_due(raise_on="2027-01-01")
    world.publish(old, new)
    assert world.hear_answer(old, "invoice.emailed")["data"]["invoice"][
        "number"
    ].startswith("MEM-2026-")
    world.advance(timedelta(hours=15))
    number = world.hear_answer(new, "invoice.emailed")["data"]["invoice"]["number"]
    assert number == "MEM-2027-000001"


def test_a_day_that_is_locked_is_a_persons_to_look_into(make_world: MakeWorld) -> None:
    world = make_world()
    world.xero.control.set_organisation(PeriodLockDate="2026-12-31")
    asked = renewal_due()
    world.publish(asked)
    held = world.hear_answer(asked, "message.held")
    assert "lock" in held["data"]["reason"]
    assert world.problems() == ["invoice_refused"]
