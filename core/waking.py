"""Telling somebody to look. Only a hint: lost, late or doubled, nothing changes."""

from collections.abc import Mapping, Sequence
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
    SEASON = "season"
    #: The same as without the end of the name, of what somebody waits for.
    CONTACTS_AWAITED = "contacts_awaited"
    INVOICES_AWAITED = "invoices_awaited"
    EMAILS_AWAITED = "emails_awaited"


#: Kinds of writes that have a lane besides, for what somebody waits for: it stands
#: behind no call of a season, not even behind one that is under way.
AWAITED: Mapping[str, LaneName] = {
    LaneName.CONTACTS: LaneName.CONTACTS_AWAITED,
    LaneName.INVOICES: LaneName.INVOICES_AWAITED,
    LaneName.EMAILS: LaneName.EMAILS_AWAITED,
}


def lane_of(kind: str, *, is_awaited: bool) -> LaneName:
    """Which lane a write of this kind goes by."""
    return AWAITED[kind] if is_awaited and kind in AWAITED else LaneName(kind)


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
