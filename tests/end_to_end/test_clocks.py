"""Clocks differ, and jump: what Xero says is put in order by what Xero says of it."""

import threading
from datetime import datetime, timedelta

import pytest

from core.db import invoices, lanes
from core.db.database import transaction
from core.db.models import InvoiceRead
from core.db.reads import EMAIL_ECHO_WITHIN
from core.waking import LaneName
from sandbox import AdjustableClock
from tests.end_to_end.conftest import MakeWorld
from tests.messages import renewal_due


class AheadClock:
    """The clock of a host that may be ahead of everybody else's for a while."""

    def __init__(self, clock: AdjustableClock) -> None:
        self.clock = clock
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return self.clock.now() + self.ahead

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return self.clock.wait(event, timeout_s)


@pytest.mark.parametrize(
    "ahead", [timedelta(seconds=7), timedelta(hours=1)], ids=["7 s", "1 h"]
)
def test_what_is_paid_after_a_clock_was_ahead_is_told_at_once(
    make_world: MakeWorld, ahead: timedelta
) -> None:
    world = make_world()
    world.stop_daemon()
    host = world.daemon_clock = AheadClock(world.clock)
    world.start_daemon()
    asked = renewal_due()
    number = world.invoiced(asked)
    host.ahead = ahead
    world.pay(number, "1000.00")
    world.hear("invoice.part_paid", asked["subject"])
    world.quiet()
    host.ahead = timedelta(0)
    world.pay(number, "2622.50")
    world.hear("membership.renew", asked["subject"])


def test_an_older_answer_that_comes_later_changes_nothing(
    make_world: MakeWorld,
) -> None:
    """The sweep's; meanwhile the webhook's read has shown more."""
    world = make_world()
    asked = renewal_due()
    number = world.invoiced(asked)
    world.advance(EMAIL_ECHO_WITHIN)
    world.sweep()
    reads = world.looked_up("IDs")
    world.xero.control.webhook_faults(drop=1)
    world.pay(number, "1000.00")
    world.quiet()
    world.xero.control.fault("slow", method="GET", path="/Invoices", delay_s=30)
    due_at = lanes.due_at("main", LaneName.SWEEP)
    assert due_at is not None
    world.jump(due_at - world.clock.now())
    world.wait(lambda: world.is_under_way("GET", "/Invoices"), "the sweep")
    world.pay(number, "2622.50")
    world.hear("membership.renew", asked["subject"])
    world.jump(30)
    for _ in range(2):
        world.advance(2)
    world.quiet()
    types = [r.type for r in world.platform.received if r.subject == asked["subject"]]
    told = ["invoice.part_paid", "invoice.paid", "membership.renew"]
    assert types[types.index("invoice.emailed") + 1 :] == told
    assert world.row(number).is_settled
    assert world.looked_up("IDs") == reads + 2
    assert not InvoiceRead.select().exists()


def test_a_payment_that_seems_older_than_it_is_is_told_all_the_same(
    make_world: MakeWorld,
) -> None:
    """Xero's own time went back, of all things: only waiting makes it certain."""
    world = make_world()
    asked = renewal_due()
    number = world.invoiced(asked)
    world.pay(number, "1000.00")
    world.hear("invoice.part_paid", asked["subject"])
    world.quiet()
    row, sweep_at = world.row(number), lanes.due_at("main", LaneName.SWEEP)
    assert sweep_at is not None
    with transaction():
        later = sweep_at + timedelta(hours=1)
        invoices.change(row, xero_updated_at=later, read_answered_at=sweep_at)
    world.xero.control.webhook_faults(drop=1)
    world.pay(number, "2622.50")
    world.sweep()
    assert world.told("invoice.paid", asked["subject"]) == []
    reads = world.looked_up("IDs")
    for _ in range(30):
        world.advance(10)
    world.hear("membership.renew", asked["subject"])
    world.quiet()
    assert world.looked_up("IDs") <= reads + 8
    assert not InvoiceRead.select().where(InvoiceRead.xero_id == row.xero_id).exists()
