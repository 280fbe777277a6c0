"""A season is planned before the first call, and goes out exactly as planned."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from core.db import seasons, switches
from core.db.database import transaction
from core.db.models import Season
from core.db.seasons import SeasonState
from core.email_writes import EMAILS_PAUSED
from core.messages import read_envelope
from core.quota import Left
from core.seasons.bill import Bill, bill
from core.seasons.carrying_out import SeasonRefused, Seasons, Undone
from core.seasons.pacing import pace_of
from core.seasons.planning import Plan, Planner, blocks
from sandbox import Limits
from tests.end_to_end.conftest import MakeWorld
from tests.messages import Data, cancelled, member, message, renewal_due
from tests.world import World

#: As Xero has them, so that a season takes its minutes.
LIMITED: dict[str, Any] = {
    "limits": Limits(),
    "tables": {"quota": {"minute": 60, "day": 5_000}},
}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


def plan_of(world: World, asked: Sequence[Data]) -> tuple[Plan, Bill, list[bytes]]:
    daemon = world.daemon
    planner = Planner(world.settings, daemon.registry, daemon.tables, world.clock)
    bodies = [json.dumps(each).encode() for each in asked]
    found = planner.plan("main", bodies)
    pace = pace_of(world.settings, "main", Left(), 0, world.clock.now())
    return found, bill(blocks(found.sent), pace), bodies


def them(world: World) -> Seasons:
    return Seasons("main", world.clock)


def start(world: World, asked: Sequence[Data], name: str = "2027") -> Season:
    plan, cost, bodies = plan_of(world, asked)
    return them(world).start(name, plan, cost, bodies, "finance", 0)


def state(name: str = "2027") -> str:
    found = seasons.find("main", name)
    assert found is not None
    return str(found.state)


def no_progress(done: int, of: int) -> None:
    """Nobody looks."""


def run_to_its_end(world: World) -> None:
    """Minute by minute."""
    for _ in range(60):
        world.quiet()
        if state() != SeasonState.RUNNING:
            return
        world.jump(20)
    raise AssertionError("the season has not ended")


# -- sent out --------------------------------------------------------------------------


def test_a_season_costs_what_its_plan_says(world: World) -> None:
    asked = [renewal_due() for _ in range(120)]
    _, cost, _ = plan_of(world, asked)
    before = world.ledger["calls"]["by_endpoint"].copy()
    started = start(world, asked)
    run_to_its_end(world)
    assert state() == SeasonState.DONE
    assert len(world.told("invoice.emailed")) == 120
    calls = world.ledger["calls"]["by_endpoint"]
    assert calls["PUT /Invoices"] - before.get("PUT /Invoices", 0) == 3
    assert calls["PUT /Contacts"] - before.get("PUT /Contacts", 0) == 3
    assert cost.calls == {
        "write_contacts": 3,
        "write_emails": 120,
        "write_invoices": 3,
    }
    spent = seasons.calls_of(started)
    assert {f"write_{kind}": n for kind, n in spent.items()} == cost.calls
    assert world.problems() == []


def test_what_is_due_first_goes_out_first(world: World) -> None:
    days = ["2027-03-31", "2026-12-31", "2027-01-31"]
    asked = [renewal_due(due_on=day) for day in (days[n % 3] for n in range(150))]
    start(world, asked)
    run_to_its_end(world)
    sent = [told["data"]["invoice"]["due_on"] for told in world.told("invoice.raised")]
    assert len(sent) == 150
    assert sent == sorted(sent)


def test_every_message_of_a_season_is_answered_like_any_other(world: World) -> None:
    asked = renewal_due()
    start(world, [asked])
    number = world.hear_answer(asked, "invoice.emailed")["data"]["invoice"]["number"]
    assert world.answers(asked["id"])[:2] == ["message.accepted", "invoice.raised"]
    world.pay(number)
    world.hear("membership.renew", asked["subject"])


def test_what_the_platform_sends_itself_meanwhile_is_not_sent_twice(
    world: World,
) -> None:
    asked = [renewal_due() for _ in range(3)]
    plan, cost, bodies = plan_of(world, asked)
    world.publish(asked[1])
    world.hear_answer(asked[1], "invoice.emailed")
    them(world).start("2027", plan, cost, bodies, "finance", 0)
    run_to_its_end(world)
    assert len(world.invoices) == 3


def test_a_price_that_changes_after_the_plan_stops_what_it_changes(
    world: World,
) -> None:
    asked = renewal_due()
    plan, cost, bodies = plan_of(world, [asked])
    world.stop_daemon()
    world.import_prices(
        "workflow,sku,effective_on,currency,unit_amount,account_code,tax_type,"
        "description\n"
        "membership,tax_practitioner,2026-01-01,ZAR,9999.00,200,OUTPUT3,Dear\n"
    )
    world.start_daemon()
    them(world).start("2027", plan, cost, bodies, "finance", 0)
    held = world.hear_answer(asked, "message.held")
    assert "another invoice than the season's plan" in held["data"]["reason"]
    assert world.problems() == ["season_differs"]
    assert world.invoices == []


def test_a_season_survives_a_restart(make_world: MakeWorld) -> None:
    world = make_world(**LIMITED)
    asked = [renewal_due() for _ in range(60)]
    start(world, asked)
    world.wait(lambda: bool(world.told("invoice.emailed")), "it goes out")
    world.stop_daemon()
    world.start_daemon()
    run_to_its_end(world)
    world.hear_all(60, "invoice.emailed")
    assert len(world.invoices) == 60


# -- one at a time ---------------------------------------------------------------------


def test_two_seasons_at_once_are_refused(world: World) -> None:
    start(world, [renewal_due(raise_on="2027-01-15")])
    with pytest.raises(SeasonRefused, match="has not ended"):
        start(world, [renewal_due()], "another")


def test_a_name_is_used_once(world: World) -> None:
    start(world, [renewal_due()])
    run_to_its_end(world)
    with pytest.raises(SeasonRefused, match="a season 2027 before"):
        start(world, [renewal_due()])


def test_a_season_of_nothing_is_refused(world: World) -> None:
    unpriced = renewal_due(category="astronaut")
    with pytest.raises(SeasonRefused, match="nothing of it"):
        start(world, [unpriced])


# -- pausing ---------------------------------------------------------------------------


def test_a_paused_season_sends_nothing_until_it_is_resumed(
    make_world: MakeWorld,
) -> None:
    world = make_world(**LIMITED)
    asked = [renewal_due() for _ in range(80)]
    start(world, asked)
    world.wait(lambda: bool(world.told("invoice.emailed")), "it goes out")
    them(world).pause("2027")
    world.quiet()
    sent = len(world.ledger["emails"])
    assert 0 < sent < 80
    for _ in range(10):
        world.advance(30)
    assert len(world.ledger["emails"]) == sent
    them(world).resume("2027")
    run_to_its_end(world)
    world.hear_all(80, "invoice.emailed")


def test_what_is_raised_while_a_season_is_being_paused_is_not_mailed(
    world: World,
) -> None:
    world.xero.control.fault("slow", method="PUT", path="/Invoices", delay_s=20)
    start(world, [renewal_due()])
    world.wait(lambda: world.is_under_way("PUT", "/Invoices"), "the call")
    them(world).pause("2027")
    world.jump(20)
    world.hear_all(1, "invoice.raised")
    world.quiet()
    assert world.ledger["emails"] == []
    them(world).resume("2027")
    run_to_its_end(world)
    assert len(world.ledger["emails"]) == 1


def test_only_a_running_season_is_paused(world: World) -> None:
    start(world, [renewal_due()])
    run_to_its_end(world)
    with pytest.raises(SeasonRefused, match="season 2027 is done"):
        them(world).pause("2027")
    with pytest.raises(SeasonRefused, match="no season 2028"):
        them(world).pause("2028")


# -- undone ----------------------------------------------------------------------------


def test_a_cancelled_season_leaves_what_xero_has(make_world: MakeWorld) -> None:
    world = make_world(**LIMITED)
    asked = [renewal_due() for _ in range(120)]
    start(world, asked)
    world.wait(lambda: bool(world.told("invoice.emailed")), "it goes out")
    undone = them(world).cancel("2027", no_progress)
    assert undone.unsent == 70
    for _ in range(6):
        world.advance(30)
    assert len(world.invoices) == 50
    assert len(world.ledger["emails"]) == 50
    assert state() == SeasonState.CANCELLED
    # Who was left out may be asked for again.
    world.invoiced(asked[-1])


def test_what_waits_for_its_day_is_taken_back(world: World) -> None:
    asked = [renewal_due(raise_on="2026-11-25"), renewal_due()]
    start(world, asked)
    world.hear_answer(asked[1], "invoice.emailed")
    world.quiet()
    undone = them(world).cancel("2027", no_progress)
    assert (undone.unsent, undone.taken_back) == (0, 1)
    done = world.hear_answer(asked[0], "message.done")
    assert done["data"]["outcome"] == "cancelled"


def test_a_voided_season_keeps_only_what_was_paid(world: World) -> None:
    asked = [renewal_due() for _ in range(5)]
    start(world, asked)
    world.hear_all(5, "invoice.emailed")
    run_to_its_end(world)
    paid = asked[2]
    told = world.hear("invoice.emailed", paid["subject"])
    world.pay(told["data"]["invoice"]["number"])
    world.hear("membership.renew", paid["subject"])
    before = world.calls("POST /Invoices")
    undone = them(world).void("2027", no_progress)
    assert undone == Undone(unsent=0, taken_back=0, voided=4, kept={"paid": 1})
    world.hear_all(4, "invoice.voided")
    world.quiet()
    statuses = sorted(invoice["Status"] for invoice in world.invoices)
    assert statuses == ["PAID", *["VOIDED"] * 4]
    assert world.calls("POST /Invoices") == before + 1
    assert state() == SeasonState.VOIDED
    again = them(world).void("2027", no_progress)
    assert (again.voided, again.kept) == (0, {"paid": 1})


# -- planned ---------------------------------------------------------------------------


def test_a_plan_writes_nothing(world: World) -> None:
    calls = world.ledger["calls"]["total"]
    plan_of(world, [renewal_due() for _ in range(20)])
    world.quiet()
    assert world.ledger["calls"]["total"] == calls
    assert world.ledger["invoices"] == []
    assert world.told("message.accepted") == []


def obstacles(plan: Plan) -> dict[int, str | None]:
    return {e.position: e.obstacle and e.obstacle.value for e in plan.planned}


def test_each_obstacle_is_named(world: World) -> None:
    before = renewal_due()
    world.invoiced(before)
    sent = renewal_due()
    world.publish(sent)
    world.hear_answer(sent, "invoice.emailed")
    twin = renewal_due()
    changed = {**before, "id": "again"}
    doubtful = member()
    shared = {"EmailAddress": doubtful["email"], "AccountNumber": doubtful["id"]}
    names = [f"{doubtful['name']} ({n})" for n in (1, 2)]
    world.xero.control.seed_contacts([{**shared, "Name": name} for name in names])
    world.advance(timedelta(seconds=61))
    world.quiet()
    asked = [
        renewal_due(),
        renewal_due(category="astronaut"),
        message("exam.entered", "entry-1", {}),
        changed,
        sent,
        twin,
        {**twin, "id": "the twin"},
        renewal_due(category="unbooked"),
        renewal_due(category="untaxed"),
        renewal_due(doubtful),
        {"id": "no message"},
    ]
    found, _, _ = plan_of(world, asked)
    assert obstacles(found) == {
        1: None,
        2: "rejected",
        3: "rejected",
        4: "already_invoiced",
        5: "sent_before",
        6: None,
        7: "twice",
        8: "account_unknown",
        9: "tax_unknown",
        10: "contact_undecided",
        11: "rejected",
    }
    assert found.planned[1].field == "data.category"
    assert found.planned[9].reason.startswith("2 contacts fit member")


def test_a_locked_date_is_an_obstacle(world: World) -> None:
    world.xero.control.set_organisation(PeriodLockDate="2026-12-31")
    world.advance(timedelta(days=1))
    world.quiet()
    found, _, _ = plan_of(world, [renewal_due(), renewal_due(raise_on="2027-01-01")])
    assert obstacles(found) == {1: "date_locked", 2: None}


def test_a_plan_says_what_each_invoice_would_be(world: World) -> None:
    known = renewal_due()
    world.invoiced(known)
    who = known["data"]["member"]
    again = renewal_due(who, subject="renewal-2028", raise_on="2026-12-01")
    new = renewal_due(due_on="2026-12-24")
    found, cost, _ = plan_of(world, [again, new, cancelled(known)])
    first, second, third = found.planned
    assert (first.contact, second.contact) == ("linked", "create")
    assert first.contact_id
    assert [f"{each.total:.2f}" for each in (first, second)] == ["3622.50", "3622.50"]
    assert str(first.due_on) == "2026-12-31"
    assert str(second.due_on) == "2026-12-24"
    assert third.outcome == "undo"
    assert [each.position for each in found.sent] == [2, 3, 1]
    assert {code: f"{total:.2f}" for code, total in found.totals.items()} == {
        "ZAR": "7245.00"
    }
    assert cost.calls["write_emails"] == 2


def test_a_plan_has_the_same_name_as_long_as_it_is_the_same(world: World) -> None:
    asked = [renewal_due() for _ in range(3)]
    first, _, _ = plan_of(world, asked)
    world.advance(timedelta(days=1))
    assert plan_of(world, asked)[0].digest == first.digest
    world.invoiced(asked[0])
    assert plan_of(world, asked)[0].digest != first.digest


def test_a_plan_is_made_by_message_too(world: World) -> None:
    asked = [renewal_due() for _ in range(4)]
    parts = [
        message(
            "season.plan_requested",
            "2027",
            {"messages": some, "part": number, "parts": 2, "awaited_per_day": 300},
        )
        for number, some in enumerate((asked[:2], [*asked[2:], {"id": "bad"}]), 1)
    ]
    world.publish(parts[1])
    kept = world.hear_answer(parts[1], "message.done")
    assert kept["data"]["outcome"] == "part_kept"
    world.publish(parts[0])
    planned = world.hear_answer(parts[0], "season.planned")
    world.quiet()
    data = planned["data"]
    assert data["outcomes"] == {"invoice": 4, "free": 0, "undo": 0, "obstacle": 1}
    assert data["calls"] == {
        "write_contacts": 1,
        "write_emails": 4,
        "write_invoices": 1,
    }
    assert [each["id"] for each in data["blocked"]] == ["bad"]
    own, _, _ = plan_of(world, [*asked, {"id": "bad"}])
    assert data["plan"] == own.digest
    assert world.invoices == []


def test_parts_that_do_not_fit_together_are_refused(world: World) -> None:
    data = {"messages": [renewal_due()], "part": 3, "parts": 2}
    asked = message("season.plan_requested", "2027", data)
    world.publish(asked)
    refused = world.hear_answer(asked, "message.rejected")
    assert refused["data"]["field"] == "data.part"


def test_what_is_held_back_is_not_due(world: World) -> None:
    start(world, [renewal_due(raise_on="2026-11-25")])
    world.quiet()
    them(world).pause("2027")
    with transaction():
        paused = seasons.paused("main")
    assert paused is not None
    world.advance(timedelta(days=6))
    assert world.invoices == []
    them(world).resume("2027")
    world.hear_all(1, "invoice.emailed")


# -- at the same moment ----------------------------------------------------------------


def test_what_is_handed_over_while_a_season_is_cancelled_is_not_invoiced(
    world: World,
) -> None:
    start(world, [renewal_due(raise_on="2026-11-25")])
    them(world).cancel("2027", no_progress)
    late = renewal_due()
    with transaction():
        row = world.daemon.accepting.take(
            read_envelope(late), "main", seasons.find("main", "2027")
        )
    assert row is not None
    world.daemon.waker.messages([row.id])
    refused = world.hear_answer(late, "message.rejected")
    assert refused["data"]["reason"] == "its season was cancelled"
    world.quiet()
    assert world.invoices == []


def test_what_is_on_its_way_when_a_season_is_voided_is_void_in_the_end(
    world: World,
) -> None:
    world.xero.control.fault("slow", method="PUT", path="/Invoices", delay_s=20)
    asked = renewal_due()
    start(world, [asked])
    world.wait(lambda: world.is_under_way("PUT", "/Invoices"), "the call")
    undone = them(world).void("2027", no_progress)
    assert undone.kept == {"on its way, and void then": 1}
    world.jump(20)
    world.hear("invoice.voided", asked["subject"])
    world.quiet()
    assert world.ledger["emails"] == []


def test_a_cancellation_may_be_run_again(world: World) -> None:
    start(world, [renewal_due(raise_on="2026-11-25") for _ in range(3)])
    world.quiet()
    assert them(world).cancel("2027", no_progress).taken_back == 3
    again = them(world).cancel("2027", no_progress)
    assert (again.unsent, again.taken_back) == (0, 0)


def test_paused_e_mails_hold_up_no_season(world: World) -> None:
    with transaction():
        switches.turn_on("main", EMAILS_PAUSED, "finance", world.clock.now())
    start(world, [renewal_due() for _ in range(70)])
    run_to_its_end(world)
    assert len(world.invoices) == 70
    assert world.ledger["emails"] == []


def test_parts_that_come_together_are_planned_once(world: World) -> None:
    parts = [
        message(
            "season.plan_requested",
            "2028",
            {"messages": [renewal_due()], "part": number, "parts": 3},
        )
        for number in (1, 2, 3)
    ]
    world.publish(*parts)
    for part in parts:
        world.hear_answer(part, "message.done")
    world.quiet()
    (told,) = world.told("season.planned")
    assert told["data"]["outcomes"]["invoice"] == 3


def test_an_outcome_is_found_though_bulk_has_to_wait_for_its_hours(
    make_world: MakeWorld,
) -> None:
    # It is ten o'clock there.
    world = make_world(tables={"quota": {"bulk_hours": "08:00-10:05"}})
    known = renewal_due()
    world.invoiced(known)
    world.xero.control.fault("500_after", method="PUT", path="/Invoices")
    asked = renewal_due(known["data"]["member"], subject="another")
    world.publish(asked)
    world.wait(lambda: world.has_unknown("invoices"), "an unknown outcome")
    world.jump(360)
    late = renewal_due(known["data"]["member"], subject="a third")
    world.publish(late)
    world.hear_answer(late, "message.accepted")
    world.jump(180)
    world.hear_answer(asked, "invoice.raised")
    world.quiet()
    assert "invoice.raised" not in world.answers(late["id"])
