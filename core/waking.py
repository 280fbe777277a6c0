"""Telling somebody to look. Only a hint: lost, late or doubled, nothing changes."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class LaneName(StrEnum):
    """One kind of Xero work; each tenant has one lane of each."""

    REFERENCE = "reference"
    MIRROR = "mirror"
    CONTACTS = "contacts"
    CONTACT_UPDATES = "contact_updates"
    CONTACT_READS = "contact_reads"
    INVOICES = "invoices"
    EMAILS = "emails"
    VOIDS = "voids"
    READS = "reads"
    SWEEP = "sweep"


class Waker(Protocol):
    def lane(self, tenant: str, lane: LaneName) -> None:
        """There may be work in this lane."""
        ...

    def messages(self, inbox_ids: Sequence[int]) -> None:
        """These messages may be handled."""
        ...

    def relay(self) -> None:
        """There are messages to be sent."""
        ...
