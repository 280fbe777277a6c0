"""What the platform wishes of each workflow, and what has become of it so far."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sandbox.platform import Received, Season, Wish

Message = dict[str, Any]


class Fate(StrEnum):
    """What happens to a workflow after it was asked for."""

    FREE = "free"  # nothing to pay, so the action follows at once
    LEFT = "left"  # nobody pays
    PAID = "paid"
    IN_PARTS = "in_parts"
    TAKEN_BACK = "taken_back"  # paid, and the payment is removed
    CANCELLED_EARLY = "cancelled_early"  # as soon as it was accepted
    CANCELLED_LATE = "cancelled_late"  # after it was e-mailed


_FATES = {
    Fate.LEFT: 20,
    Fate.PAID: 50,
    Fate.IN_PARTS: 8,
    Fate.TAKEN_BACK: 6,
    Fate.CANCELLED_EARLY: 8,
    Fate.CANCELLED_LATE: 8,
}

CANCELLED = frozenset({Fate.CANCELLED_EARLY, Fate.CANCELLED_LATE})

#: After one of these nothing more is due to a message.
_REFUSALS = frozenset({"message.rejected", "message.held"})


@dataclass(slots=True)
class Workflow:
    """One wish, from the message to the last thing that is to be told.

    Attributes:
        cancel: the message that cancels it, once it has been published.
        told: how many messages of each type have come about it, each id once; the
            answers to its cancellation are counted apart.
        paid: amounts, as we paid them in Xero, by the ids of the payments.
    """

    wish: Wish
    message: Message
    fate: Fate
    told: Counter[str] = field(default_factory=Counter)
    told_of_cancel: Counter[str] = field(default_factory=Counter)
    cancel: Message | None = None
    number: str = ""
    paid: dict[str, str] = field(default_factory=dict)
    is_taken_back: bool = False

    @property
    def subjects(self) -> list[str]:
        """Each thing that is paid for: an employer's several, or the one."""
        items = self.message["data"].get("items") or [{"subject": self.wish["subject"]}]
        return [item["subject"] for item in items]

    @property
    def payer(self) -> Mapping[str, Any]:
        data = self.message["data"]
        payer: Mapping[str, Any] = data.get("bill_to") or data["member"]
        return payer

    @property
    def standing(self) -> frozenset[str]:
        """The payments that must stand on its invoice at the end."""
        return frozenset() if self.is_taken_back else frozenset(self.paid)

    @property
    def is_finished(self) -> bool:
        """Whether all has been told that is due, or that nothing will be."""
        told = self.told
        if not told["message.accepted"]:
            return bool(_REFUSALS & told.keys())
        if _REFUSALS & (told.keys() | self.told_of_cancel.keys()):
            return True
        match self.fate:
            case Fate.CANCELLED_EARLY | Fate.CANCELLED_LATE:
                ends = {"message.done", "invoice.voided"}
                return bool(ends & self.told_of_cancel.keys())
            case Fate.LEFT:
                return bool(told["invoice.emailed"])
            case Fate.TAKEN_BACK:
                return told["membership.suspend"] >= len(self.subjects)
            case _:
                return told["membership.renew"] >= len(self.subjects)

    def hear(self, received: Received) -> None:
        """Count what has come for the first time."""
        is_of_cancel = (
            self.cancel is not None and received.in_reply_to == self.cancel["id"]
        )
        (self.told_of_cancel if is_of_cancel else self.told)[received.type] += 1
        invoice = received.message["data"].get("invoice") or {}
        self.number = self.number or invoice.get("number") or ""

    def cancellation(self) -> Message:
        """The message that undoes it."""
        self.cancel = {
            **self.message,
            "id": f"cancel-{self.message['id']}",
            "type": "membership.cancelled",
            "time": datetime.now(UTC).isoformat(),  # noqa: TID251 a platform's own clock
            "data": {"membership_id": self.message["data"]["membership_id"]},
        }
        return self.cancel


def workflows(season: Season) -> Iterator[Workflow]:
    """One for each wish of a season, its fate decided by the season's seed."""
    chance = random.Random(season.seed)  # noqa: S311 must be repeatable
    messages = {message["id"]: message for message in season.messages}
    for wish in season.wishes:
        message = messages[wish["message_id"]]
        (fate,) = chance.choices(list(_FATES), list(_FATES.values()))
        if wish["expect"] == "free":
            fate = Fate.FREE
        elif "items" in message["data"] and fate in CANCELLED:
            fate = Fate.PAID  # part of an invoice can't be undone
        yield Workflow(wish, message, fate)
