"""A wrong run on the platform bills nobody before a person has looked at it."""

from datetime import timedelta

from core.db import problems, switches
from core.db.database import transaction
from core.db.models import Inbox
from core.email_writes import EMAILS_PAUSED
from core.retrying import held_by, reject_messages, retry_problem
from tests.end_to_end.conftest import MakeWorld
from tests.messages import cancelled, renewal_due
from tests.world import World

CAUSE = "guard:main:membership:membership.renewal_due"


def guarded(make_world: MakeWorld, **limits: object) -> World:
    return make_world(tables={"plugins": {"membership": limits}})


def approve(world: World) -> None:
    with transaction():
        (problem,) = problems.open_problems("too_many_invoices")
        retry_problem(problem, world.clock.now(), world.settings)


def test_more_invoices_in_an_hour_than_usual_wait_for_a_person(
    make_world: MakeWorld,
) -> None:
    world = guarded(make_world, guard_invoices_per_hour=3)
    asked = [renewal_due() for _ in range(6)]
    for one in asked:
        world.accepts(one)
    assert len(world.invoices) == 3
    held = world.hear_answer(asked[-1], "message.held")
    assert held["data"]["cause"] == CAUSE
    assert world.problems() == ["too_many_invoices"]
    approve(world)
    world.hear_all(6, "invoice.emailed")
    world.quiet()
    assert world.problems() == []


def test_what_was_approved_lets_the_rest_of_the_run_pass(
    make_world: MakeWorld,
) -> None:
    world = guarded(make_world, guard_invoices_per_hour=1)
    for _ in range(3):
        world.accepts(renewal_due())
    approve(world)
    world.accepts(renewal_due())
    world.hear_all(4, "invoice.emailed")
    world.advance(timedelta(hours=25))
    first, second = renewal_due(), renewal_due()
    for one in (first, second):
        world.accepts({**one, "time": world.clock.now().isoformat()})
    world.hear_answer(second, "message.held")


def test_an_hour_later_as_many_pass_again(make_world: MakeWorld) -> None:
    world = guarded(make_world, guard_invoices_per_hour=2)
    for _ in range(2):
        world.invoiced(renewal_due())
    world.advance(timedelta(hours=1, seconds=1))
    for _ in range(2):
        world.invoiced(renewal_due())
    assert world.problems() == []


def test_the_sum_of_an_hour_is_guarded_too(make_world: MakeWorld) -> None:
    world = guarded(make_world, guard_sum_per_hour="8000.00")
    for _ in range(2):
        world.invoiced(renewal_due())  # 3,622.50 each
    third = renewal_due()
    world.publish(third)
    held = world.hear_answer(third, "message.held")
    assert "more than 8000.00 ZAR within an hour" in held["data"]["reason"]


def test_a_repeat_is_answered_although_the_guard_is_closed(
    make_world: MakeWorld,
) -> None:
    world = guarded(make_world, guard_invoices_per_hour=1)
    first = renewal_due()
    world.invoiced(first)
    again = {**first, "id": "once more"}
    world.publish(again)
    done = world.hear_answer(again, "message.done")
    assert done["data"]["outcome"] == "already_invoiced"


def test_what_was_cancelled_while_it_waited_is_not_invoiced(
    make_world: MakeWorld,
) -> None:
    world = guarded(make_world, guard_invoices_per_hour=1)
    world.invoiced(renewal_due())
    asked = renewal_due()
    world.publish(asked)
    world.hear_answer(asked, "message.held")
    undo = cancelled(asked)
    world.publish(undo)
    world.hear_answer(undo, "message.done")
    approve(world)
    world.quiet()
    assert len(world.invoices) == 1


def test_what_nobody_wants_is_rejected(make_world: MakeWorld) -> None:
    world = guarded(make_world, guard_invoices_per_hour=1)
    world.invoiced(renewal_due())
    asked = [renewal_due() for _ in range(2)]
    world.publish(*asked)
    for one in asked:
        world.hear_answer(one, "message.held")
    with transaction():
        reject_messages(held_by(CAUSE), "a wrong run", world.clock.now())
    for one in asked:
        refused = world.hear_answer(one, "message.rejected")
        assert refused["data"]["reason"] == "a wrong run"
    world.quiet()
    assert world.problems() == []
    assert len(world.invoices) == 1


def test_e_mails_can_be_paused_alone(make_world: MakeWorld) -> None:
    world = make_world()
    with transaction():
        switches.turn_on("main", EMAILS_PAUSED, "finance", world.clock.now())
    asked = renewal_due()
    world.publish(asked)
    world.hear_answer(asked, "invoice.raised")
    world.advance(timedelta(hours=2))
    assert world.ledger["emails"] == []
    with transaction():
        assert switches.turn_off("main", EMAILS_PAUSED)
    world.jump(61)
    world.hear_answer(asked, "invoice.emailed")


def test_only_what_the_guard_holds_is_rejected_with_it(make_world: MakeWorld) -> None:
    world = guarded(make_world, guard_invoices_per_hour=1)
    world.invoiced(renewal_due())
    asked = [renewal_due() for _ in range(2)]
    world.publish(*asked)
    for one in asked:
        world.hear_answer(one, "message.held")
    with transaction():
        of_a_season = Inbox.message_id == asked[0]["id"]
        Inbox.update(held_for="season:9:membership.renewal_due").where(
            of_a_season
        ).execute()
        assert reject_messages(held_by(CAUSE), "a wrong run", world.clock.now()) == 1
    world.hear_answer(asked[1], "message.rejected")
    world.quiet()
    assert "message.rejected" not in world.answers(asked[0]["id"])
