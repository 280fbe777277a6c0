"""What must hold is measured: each gauge moves with its own breach and no other."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from peewee import PostgresqlDatabase

from core.db import (
    adoptions,
    inbox,
    intents,
    invariants,
    invoices,
    lanes,
    outbox,
    positions,
    profiles,
    reference,
    writes,
)
from core.db.inbox import InboxState
from core.db.intents import IntentState
from core.db.invoices import InvoiceState
from core.db.models import Invoice, MemberProfile
from core.db.proxy import proxy
from core.facts import XeroPayment
from core.invariants import Invariants
from core.metrics import Metrics
from core.waking import LaneName
from sandbox import AdjustableClock
from tests.core.db.conftest import books, migrated_url  # noqa: F401 fixtures
from tests.core.db.rows import NOW, envelope, intent, invoice, outbound

Values = Callable[[], dict[str, float]]

PAID = "invoice.paid"

WITHOUT_ACTION = {
    "invoices_astray/settled_without_action": 1,
    "invoices_astray_oldest_seconds/settled_without_action": 60,
}


class Due:
    """A lane's work that is due at a moment."""

    def __init__(self, at: datetime | None) -> None:
        self.at = at

    def next_due(self, tenant: str) -> datetime | None:
        return self.at


class NoQuota:
    """What is left of Xero's limits is measured elsewhere."""

    def measure(self) -> None: ...


class Runner:
    def __init__(self) -> None:
        self.works = {name: Due(None) for name in LaneName}


@pytest.fixture
def runner(books: None) -> Runner:  # noqa: F811 the fixture above
    reference.put_tenant("main", "x-tenant", "SAIT", NOW)
    lanes.ensure("main", [name.value for name in LaneName])
    return Runner()


@pytest.fixture
def values(runner: Any) -> Values:
    """Every gauge that is not zero, a minute after NOW."""

    def measured() -> dict[str, float]:
        clock = AdjustableClock(NOW + timedelta(seconds=60))
        metrics = Metrics()
        measured = Invariants(("platform",), runner, NoQuota(), clock, metrics)
        measured.measure()
        return {
            "/".join((sample.name.removeprefix("settled_"), *sample.labels.values())): (
                round(sample.value)
            )
            for family in metrics.registry.collect()
            if family.type == "gauge"
            for sample in family.samples
            if sample.value and not sample.name.endswith("_created")
        }

    return measured


def test_of_empty_books_nothing_is_measured(values: Values) -> None:
    assert values() == {}


def test_a_message_that_nobody_handled_is_unanswered(values: Values) -> None:
    inbox.add_accepted(envelope(), "main", "{}", NOW)
    assert values() == {"inbox_oldest_seconds": 60, "message_unanswered_seconds": 60}


@pytest.mark.parametrize("state", [InvoiceState.WAITING, InvoiceState.READY])
def test_an_invoice_that_is_not_in_xero_is_unanswered(
    values: Values, state: InvoiceState
) -> None:
    invoice(state=state)
    assert values() == {"message_unanswered_seconds": 60}


def update(message_id: str, came_at: datetime, *told: str) -> int:
    """A message about a member that is handled, and what was told of it."""
    row = inbox.add_accepted(envelope(message_id), "main", "{}", came_at)
    assert row is not None
    inbox.finish(row.id, InboxState.DONE)
    for message_type in ("message.accepted", *told):
        said = outbound(message_id, type=message_type)
        outbox.say([said], tenant="main", at=NOW, answers=row)
    for sent in outbox.unsent():
        outbox.mark_sent({sent.id: "0-0"})
    return int(row.id)


def test_what_xero_has_not_yet_of_a_member_is_unanswered(values: Values) -> None:
    soon = NOW + timedelta(seconds=20)
    held = update("m-1", NOW, "message.held")
    others = [update(f"m-{count}", soon) for count in (2, 3)]
    update("m-4", NOW, "message.done")
    for count in range(3):
        profiles.locked("main", str(count))
    for member_id, waiting in ("1", [held]), ("2", others):
        profile = profiles.locked("main", member_id)
        profile.waiting = waiting
        profiles.save(profile, {})
    assert values() == {"message_unanswered_seconds": 40}


def test_who_waits_is_found_by_an_index(values: Values) -> None:
    is_postgres = isinstance(proxy.obj, PostgresqlDatabase)
    for count in range(2_000):
        profiles.locked("main", str(count))
    if is_postgres:
        proxy.execute_sql("ANALYZE member_profile")
    found = MemberProfile.select(MemberProfile.waiting).where(invariants.HAS_WAITING)
    explain = "EXPLAIN" if is_postgres else "EXPLAIN QUERY PLAN"
    plan = proxy.execute_sql(f"{explain} {found.sql()[0]}").fetchall()
    assert "member_profile_waiting" in str(plan)


def test_an_invoice_counts_from_the_day_on_which_it_may_be_raised(
    values: Values,
) -> None:
    invoice(raise_at=NOW + timedelta(seconds=20))
    invoice(raise_at=NOW + timedelta(days=20))
    invoice(state=InvoiceState.HELD)
    assert values() == {"message_unanswered_seconds": 40}


def test_a_raised_invoice_without_an_id_is_astray(values: Values) -> None:
    invoice(state=InvoiceState.RAISED, raised_at=NOW)
    invoice(state=InvoiceState.RAISED, raised_at=NOW, xero_id="an-id")
    assert values() == {
        "invoices_astray/raised_without_id": 1,
        "invoices_astray_oldest_seconds/raised_without_id": 60,
    }


def paid(**changed: Any) -> Invoice:
    """A payment stands on it, and nothing is owed any more."""
    amount = Decimal(100)
    row = invoice(
        state=InvoiceState.RAISED,
        is_settled=True,
        amount_paid=amount,
        read_answered_at=NOW,
        **changed,
    )
    payment = XeroPayment(f"payment-{row.id}", amount, NOW.date(), "")
    invoices.record_payments(row, [payment], [], NOW)
    return row


def is_told(row: Invoice) -> None:
    """What the hook leads to is committed together with this."""
    fact = f"paid-{row.id}"
    outbox.say([outbound(fact, type=PAID)], tenant="main", at=NOW, invoice=row)


def is_sent() -> None:
    """All of it, and the platform has confirmed it."""
    outbox.mark_sent({row.id: "1-0" for row in outbox.unsent()})
    positions.note_group("platform", "1-0", NOW)


def test_a_paid_invoice_of_which_nothing_was_said_is_astray(values: Values) -> None:
    paid(xero_id="one")
    is_told(paid(xero_id="two"))
    is_sent()
    assert values() == WITHOUT_ACTION


def test_what_is_said_of_a_paid_invoice_and_not_sent_is_astray(values: Values) -> None:
    is_told(paid(xero_id="one"))
    assert values() == {**WITHOUT_ACTION, "outbox_oldest_seconds": 60}


def test_a_hook_that_asks_for_nothing_leaves_nothing_astray(values: Values) -> None:
    is_told(paid(xero_id="one"))
    is_sent()
    assert values() == {}


def test_who_owes_nothing_and_has_not_paid_is_not_astray(values: Values) -> None:
    by_credit = {"is_settled": True, "amount_paid": Decimal("0.00")}
    invoice(state=InvoiceState.RAISED, xero_id="one", **by_credit)
    invoice(state=InvoiceState.FREE, is_settled=True)
    assert values() == {}


def test_a_free_invoice_whose_hook_was_not_carried_out_is_astray(
    values: Values,
) -> None:
    invoice(state=InvoiceState.FREE)
    assert values() == WITHOUT_ACTION


@pytest.mark.parametrize(
    ("was_settled", "found"), [(True, {}), (False, WITHOUT_ACTION)]
)
def test_what_was_paid_before_it_was_adopted_needs_no_action(
    values: Values, was_settled: bool, found: dict[str, float]
) -> None:
    row = paid(xero_id="one")
    adoptions.add(row, "r-1", "renewal", NOW, was_settled=was_settled, by="finance")
    assert values() == found


def test_what_redis_has_not_is_unsent_and_what_nobody_confirmed_unacknowledged(
    values: Values,
) -> None:
    for fact, at in (("a", 0), ("b", 10), ("c", 30)):
        when = NOW + timedelta(seconds=at)
        outbox.say([outbound(fact)], tenant="main", at=when)
    first, second, _ = outbox.unsent()
    outbox.mark_sent({first.id: "1763625600000-9", second.id: "1763625600000-10"})
    positions.note_group("platform", "1763625600000-9", NOW)
    assert values() == {
        "outbox_unacknowledged_seconds/platform": 50,
        "outbox_oldest_seconds": 30,
    }


def test_an_unknown_intent_has_an_age(values: Values) -> None:
    lost = intent()
    intents.move(lost, lost.holder, IntentState.UNKNOWN, due_at=NOW)
    assert values() == {"intents_unknown": 1, "intents_unknown_oldest_seconds": 60}


@pytest.mark.parametrize(
    ("state", "stranded"),
    [(IntentState.OPEN, 0), (IntentState.DONE, 1), (IntentState.RELEASED, 1)],
)
def test_an_element_is_stranded_when_its_call_ended_without_it(
    values: Values, state: IntentState, stranded: int
) -> None:
    row = invoices.load(invoice(state=InvoiceState.RAISED, xero_id="an-id").id)
    writes.add("main", LaneName.EMAILS, str(row.id), NOW, invoice=row)
    call = intent(kind="emails")
    writes.claim(writes.due("main", LaneName.EMAILS, NOW, 1), call)
    if state is not IntentState.OPEN:
        intents.move(call, call.holder, state)
    assert values() == ({"writes_stranded": stranded} if stranded else {})


def test_a_lane_rests_and_is_behind(values: Values, runner: Runner) -> None:
    lanes.park("main", LaneName.READS, NOW + timedelta(minutes=5), "429: minute")
    lanes.park("main", LaneName.SWEEP, NOW + timedelta(seconds=5), "over")
    runner.works[LaneName.READS] = Due(NOW + timedelta(seconds=15))
    runner.works[LaneName.EMAILS] = Due(NOW + timedelta(days=1))
    assert values() == {"lanes_parked/reads": 1, "lane_behind_seconds/reads": 45}
