"""Answering ``season.plan_requested``: a plan by message."""

import json
from datetime import timedelta
from typing import Any

from core import answers
from core.clock import Clock
from core.db import inbox, outbox
from core.db.database import transaction
from core.db.inbox import InboxState
from core.db.models import Inbox
from core.errors import Refused
from core.messages import Envelope, OutboundMessage, canonical, validated
from core.money import plain
from core.plan_requests import PlanRequested
from core.quota import QuotaCounter
from core.seasons.bill import Bill, NeverEnds, bill
from core.seasons.pacing import pace_of
from core.seasons.planning import Outcome, Plan, Planned, Planner, blocks
from core.settings import Settings

PLANNED = "season.planned"

#: A plan of the longest season takes a minute.
PLANNED_WITHIN = timedelta(minutes=10)

#: Obstacles that an answer lists, so that it is no longer than what was asked.
LISTED_AT_MOST = 200


class PlanAnswering:
    """Answers them; Xero is not asked."""

    def __init__(
        self, settings: Settings, planner: Planner, counter: QuotaCounter, clock: Clock
    ) -> None:
        self.settings = settings
        self.planner = planner
        self.counter = counter
        self.clock = clock

    def answer(self, row: Inbox, envelope: Envelope) -> None:
        """Plan when every part is here; until then it is only kept.

        Raises:
            Refused: the limits leave a season nothing.
        """
        asked = validated(PlanRequested, envelope.data)
        parts = _parts(row, asked)
        if len(parts) < asked.parts:
            self._say(row, "part_kept")
            return
        with transaction():  # or it would be woken again, and planned twice
            inbox.postpone(row.id, self.clock.now() + PLANNED_WITHIN)
        plan = self.planner.plan(row.tenant, [b for _, b in sorted(_bodies(parts))])
        left = self.counter.remaining(row.tenant, self.settings.quota.policy())
        now = self.clock.now()
        pace = pace_of(self.settings, row.tenant, left, asked.awaited_per_day, now)
        try:
            cost = bill(blocks(plan.sent), pace)
        except NeverEnds as error:
            raise Refused(str(error)) from None
        self._say(row, "planned", _planned(row, plan, cost))

    def _say(self, row: Inbox, outcome: str, *more: OutboundMessage) -> None:
        now = self.clock.now()
        with transaction():
            if inbox.finish(row.id, InboxState.DONE):
                said = [*more, answers.done(row, outcome, None)]
                outbox.say(said, tenant=row.tenant, at=now, answers=row)


def _parts(row: Inbox, asked: PlanRequested) -> dict[int, PlanRequested]:
    """Those of this request that have come so far, the newest of each number.

    Whoever is the last to be handled has them all; earlier plans have used theirs up.
    """
    found = {}
    for other in [*outbox.unanswered_by(PLANNED, inbox.done_about(row)), row]:
        part = PlanRequested.model_validate(json.loads(other.body)["data"])
        if part.parts == asked.parts:
            found[part.part] = part
    return found


def _bodies(parts: dict[int, PlanRequested]) -> list[tuple[tuple[int, int], bytes]]:
    """Each message with its place: the part's number, and where it stands in it."""
    return [
        ((number, place), canonical(message).encode())
        for number, part in parts.items()
        for place, message in enumerate(part.messages)
    ]


def _planned(row: Inbox, plan: Plan, cost: Bill) -> OutboundMessage:
    blocked = [e for e in plan.planned if e.outcome is Outcome.OBSTACLE]
    return OutboundMessage(
        type=PLANNED,
        subject=row.subject or row.message_id,
        data={
            "plan": plan.digest,
            "outcomes": dict(plan.outcomes),
            "obstacles": dict(plan.obstacles),
            "totals": {code: plain(total) for code, total in plan.totals.items()},
            "calls": dict(cost.calls),
            "ends_at": cost.ends_at.isoformat(),
            "days": [
                {"day": str(day), "calls": calls, "emails": mail, "messages": count}
                for day, calls, mail, count in cost.days
            ],
            "blocked": [_blocked(each) for each in blocked[:LISTED_AT_MOST]],
        },
        fact=(row.source, row.message_id),
        in_reply_to=row.message_id,
    )


def _blocked(each: Planned) -> dict[str, Any]:
    return {
        "id": each.message_id,
        "subject": each.subject,
        "obstacle": each.obstacle and each.obstacle.value,
        "field": each.field,
        "reason": each.reason,
    }
