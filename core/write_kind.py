"""What a kind of write must say of itself, so that the write protocol can run it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.calls import Admit, XeroAnswer
from core.db.models import Intent, Write
from core.quota import Purpose

#: An element that is still not in Xero after so many calls is a person's to look into.
TRIES = 5

#: How the reason of an intent begins whose batch Xero refused as a whole.
HALVE = "refused as a whole: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one element: Xero's record of it, or why it was refused.

    Args:
        is_found: the record was found in a look; nobody knows whether it is what the
            call made, or as the call made it.
    """

    record: Any = None
    errors: tuple[str, ...] = ()
    is_found: bool = False


#: A look-up's answer for an element that Xero does not have.
ABSENT = Outcome(errors=("absent",))


@dataclass(frozen=True, slots=True)
class Prepared:
    """The request of an intent, made in the transaction that claims its elements.

    Args:
        elements: those that it is about; none: there is nothing to send.
    """

    method: str
    path: str
    body: bytes
    elements: Sequence[Write]


class WriteKind(ABC):
    """One kind of write: how it is asked, how its answers are told apart.

    Args:
        name: of its lane, its elements and its intents.
        purpose: why its calls are made, for the quota.
        batch: elements in one call at most.
    """

    name: str
    purpose: Purpose
    batch: int

    def check(self, tenant: str, *, is_awaited: bool) -> None:  # noqa: B027 for most
        """Whether any may be made now; most are limited by the quota alone.

        Raises:
            XeroWait: none may, whatever the quota says.
        """

    def allot(
        self, tenant: str, elements: Sequence[Write], now: datetime
    ) -> Mapping[int, str]:
        """What must be taken in a transaction of its own before, by element id."""
        return {}

    def still_wanted(
        self, tenant: str, due: Sequence[Write], now: datetime
    ) -> Sequence[Write]:
        """Those that may leave as they stand: asked right before they are claimed.

        Of the others something else has been made, in transactions of its own.
        """
        return due

    @abstractmethod
    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        """The exact request; may note in the books what it says.

        What it leaves out is not due any more when this returns.
        """

    @abstractmethod
    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        """By element id, told apart by their own keys; a missing one is unknown."""

    @abstractmethod
    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        """What Xero has of these, in few reads; ABSENT for what it has not."""

    def lock(self, elements: Sequence[Write]) -> None:  # noqa: B027 as above
        """Take what outcomes of these change, in the one order, before any of them."""

    @abstractmethod
    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        """Write one outcome into the books; finishes the element or makes it due."""

    @abstractmethod
    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], answered_at: datetime
    ) -> None:
        """After the commit: tell others to look."""
