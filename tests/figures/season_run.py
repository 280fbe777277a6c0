"""Seasons in simulated time: planned, sent out, and held against their plan.

A process of its own, so that its books are nobody else's: prints what it measured as
one line of JSON. The parts are the daemon's own, and so are Redis and the sandbox with
Xero's limits; the clock moves when nobody has anything to do.
"""

import argparse
import json
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from core.contact_fields import as_xero_has_it, is_empty
from core.contact_fields import said as of_member
from core.db import seasons
from core.db.models import CallCount, Invoice, Payment
from core.db.seasons import SeasonState
from core.members import Member
from core.quota import Purpose
from core.seasons.bill import Bill, bill
from core.seasons.carrying_out import Seasons
from core.seasons.pacing import pace_of
from core.seasons.planning import Plan, Planner, blocks
from core.webhook_events import WebhookEvent
from core.webhook_receiving import WebhookReceiver
from sandbox import Limits
from sandbox.platform.people import people
from sandbox.xero import contacts as sandbox_contacts
from sandbox.xero import payments as sandbox_payments
from sandbox.xero.books import Event
from sandbox.xero.fields import Fields
from tests.faults.lab import LIFTED, OWN_LIFTED, Lab
from tests.messages import Data, renewal_due
from tests.servers import running_redis
from tests.world import PRICES_CSV

SEED = 5
DAY = timedelta(days=1)

#: Xero's Starter tier, and the reserve of a fifth that is the default.
STARTER = Limits(day=1_000)
STARTER_QUOTA = {"minute": 60, "day": 1_000, "emails_per_day": 1_000}

#: Before the season the daemon has run for so long.
WARM_UP = timedelta(days=2)

#: Nothing takes longer; whatever does turns in a circle.
ENDS_WITHIN = timedelta(days=60)

QUIET = structlog.make_filtering_bound_logger(logging.CRITICAL)


class Rehearsal:
    """A body's season on a simulated clock, with people who pay meanwhile.

    Args:
        lab: the daemon, Xero and Redis.
        payments_per_day: at random moments, each of an invoice that was e-mailed.
    """

    def __init__(self, lab: Lab, payments_per_day: int, dice: random.Random) -> None:
        self.lab = lab
        self.dice = dice
        self.per_day = payments_per_day
        self.next_payment = lab.clock.now() + self._pause()
        #: When each payment was made, by its id.
        self.paid_at: dict[str, datetime] = {}
        self._unpaid: list[str] = []
        self._mailed = 0
        self._events: list[WebhookEvent] = []
        lab.xero.announce = self._note

    def _note(self, event: Event) -> None:
        self._events.append(
            WebhookEvent(
                event.tenant_id, event.category, event.type, event.resource_id, event.at
            )
        )

    def _pause(self) -> timedelta:
        """Payments come by chance, as many a day as were expected."""
        if not self.per_day:
            return ENDS_WITHIN
        return timedelta(seconds=self.dice.expovariate(self.per_day / 86_400))

    def run(self, is_over: Any) -> None:
        """Until then, and nobody has anything more to do."""
        lab, began = self.lab, self.lab.clock.now()
        while True:
            worked = lab.round()
            lab.way.calls.clear()
            worked = self._deliver() or worked
            if worked:
                continue
            if is_over():
                return
            if lab.clock.now() - began > ENDS_WITHIN:
                raise TimeoutError("the season has not ended")
            if self.next_payment <= lab.clock.now():
                self._pay()
            else:
                lab.move_on(at_most=self.next_payment)

    def _deliver(self) -> bool:
        """Xero's webhooks, of our own writes too."""
        if not self._events:
            return False
        events, self._events = self._events, []
        process = self.lab.process
        receiver = WebhookReceiver(process.turns, self.lab.clock, self.lab.metrics)
        receiver.store(events)
        return True

    def _pay(self) -> None:
        """Somebody whose invoice has come pays it in full."""
        books = self.lab.xero
        self._unpaid += [mail.invoice_id for mail in books.emails[self._mailed :]]
        self._mailed = len(books.emails)
        if self._unpaid:
            number = self.dice.randrange(len(self._unpaid))
            invoice_id = self._unpaid.pop(number)
            fields = {
                "Invoice": {"InvoiceID": invoice_id},
                "Account": {"Code": "090"},
                "Amount": books.invoices[invoice_id].amount_due,
            }
            payment = sandbox_payments.create(books, Fields(fields))
            self.paid_at[payment.payment_id] = self.lab.clock.now()
        self.next_payment = self.lab.clock.now() + self._pause()


def season(
    lab: Lab, members: Sequence[Data], payments_per_day: int
) -> Mapping[str, Any]:
    """Planned, sent out to its end, and what came of it."""
    dice = random.Random(SEED)  # noqa: S311 the same payments each time
    rehearsal = Rehearsal(lab, payments_per_day, dice)
    # It has been running for a while, and so knows when Xero's day ends.
    known_from = lab.clock.now() + WARM_UP
    rehearsal.run(lambda: lab.clock.now() >= known_from)
    asked = [renewal_due(member) for member in members]
    bodies = [json.dumps(message).encode() for message in asked]
    before = _writes(lab)
    began = time.monotonic()
    plan, cost = planned(lab, bodies, payments_per_day)
    plan_s = time.monotonic() - began
    plan_writes = _writes(lab) - before
    started_at = lab.clock.now()
    row = Seasons("main", lab.clock).start(
        "season", plan, cost, bodies, "figures", payments_per_day
    )

    def is_over() -> bool:
        found = seasons.find("main", "season")
        return found is not None and found.state == SeasonState.DONE

    rehearsal.run(is_over)
    ended = seasons.find("main", "season")
    assert ended is not None
    assert ended.ended_at is not None
    spent = seasons.calls_of(row)
    days = (ended.ended_at - started_at) / DAY
    return {
        "invoices": len(lab.xero.invoices),
        "emails": len(lab.xero.emails),
        "most_emails_in_a_day": _most_in_a_day(e.sent_at for e in lab.xero.emails),
        "plan_s": round(plan_s, 1),
        "plan_writes": plan_writes,
        "planned_days": (cost.ends_at - started_at) / DAY,
        "planned_calls": sum(cost.calls.values()),
        "days": days,
        "days_at_best": cost.days_at_best,
        "calls": sum(spent.values()),
        "planned_by_kind": dict(cost.calls),
        "calls_by_kind": spent,
        "calls_without_emails": sum(spent.values()) - spent.get("emails", 0),
        "limited": sum(lab.service.gatekeeper.limited.values()),
        "counted": sum(row.calls for row in CallCount.select()),
        "xero_counted": _xero_counted(lab),
        "by_purpose": _by_purpose(),
        "payments": len(rehearsal.paid_at),
        "payments_seen": Payment.select().count(),
        "payment_wait_s": max(_waits(rehearsal), default=0.0),
        "raised_twice": _raised_twice(),
    }


def planned(lab: Lab, bodies: Sequence[bytes], awaited: int) -> tuple[Plan, Bill]:
    planner = Planner(lab.settings, lab.registry, lab.tables, lab.clock)
    plan = planner.plan("main", bodies)
    process = lab.process
    left = process.counter.remaining("main", lab.settings.quota.policy())
    pace = pace_of(lab.settings, "main", left, awaited, lab.clock.now())
    return plan, bill(blocks(plan.sent), pace)


def _writes(lab: Lab) -> int:
    """Calls that Xero has had, reads too: a plan makes none."""
    return sum(lab.service.by_endpoint.values())


def _xero_counted(lab: Lab) -> int:
    """Calls about an organisation; tokens and connections are none."""
    counts = lab.service.by_endpoint
    return sum(n for name, n in counts.items() if not _is_identity(name))


def _is_identity(name: str) -> bool:
    return any(part in name for part in ("connect", "identity", ".well-known"))


def _by_purpose() -> Mapping[str, int]:
    counts: Counter[str] = Counter()
    for row in CallCount.select():
        counts[row.purpose] += row.calls
    return {purpose.value: counts[purpose.value] for purpose in Purpose}


def _waits(rehearsal: Rehearsal) -> Iterator[float]:
    """Seconds from each payment to the moment when it was in the books."""
    for row in Payment.select():
        made_at = rehearsal.paid_at[row.payment_id]
        yield (row.seen_at - made_at).total_seconds()


def _most_in_a_day(moments: Iterator[datetime]) -> int:
    ordered = sorted(moments)
    most, first = 0, 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - DAY:
            first += 1
        most = max(most, last - first + 1)
    return most


def _raised_twice() -> int:
    """References that two invoices bear."""
    counts = Counter(row.reference for row in Invoice.select(Invoice.reference))
    return sum(count > 1 for count in counts.values())


def measure(count: int, *, limited: bool, known: bool, payments: int) -> Any:
    some = list(_members(count))
    limits, quota = (STARTER, STARTER_QUOTA) if limited else (LIFTED, OWN_LIFTED)
    with running_redis() as redis, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prices.csv").write_text(PRICES_CSV, encoding="utf-8")
        lab = Lab(
            str(redis.socket),
            Path(folder),
            limits=limits,
            quota=quota,
            is_mailed=limited,
        )
        if known:
            for fields in _contacts(some):
                sandbox_contacts.create(lab.xero, Fields(fields))
        lab.begin()
        return season(lab, some, payments)


def _members(count: int) -> Iterator[Data]:
    """As the platform knows them; each with a name that nobody else has."""
    names: set[str] = set()
    for member in people(count, random.Random(SEED)):  # noqa: S311 always the same
        is_taken = member.name.casefold() in names
        names.add(member.name.casefold())
        name = f"{member.name} {member.member_id}" if is_taken else member.name
        yield {**member.shape, "name": name}


def _contacts(members: Sequence[Data]) -> Iterator[dict[str, Any]]:
    """Each by number, with all that the platform says of them."""
    for member in members:
        yield {**_details(member), "ContactNumber": member["id"]}


def _details(shape: Mapping[str, Any]) -> dict[str, Any]:
    """What Xero knows of a member who has not changed since the last season."""
    said = of_member(Member.model_validate(shape))
    return dict(as_xero_has_it({f: v for f, v in said.items() if not is_empty(v)}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--payments", type=int, default=300)
    parser.add_argument("--lifted", action="store_true", help="no limits, no e-mails")
    parser.add_argument("--unknown", action="store_true", help="no contact is in Xero")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=QUIET)
    said = measure(
        asked.members,
        limited=not asked.lifted,
        known=not asked.unknown,
        payments=asked.payments,
    )
    print(json.dumps(said))  # noqa: T201
