"""How far a member's contact is decided, for an invoice that wants one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """It is this one.

    Args:
        others_wait: for this decision; the caller lets them go on after its own.
    """

    contact_id: str
    others_wait: bool = False


@dataclass(frozen=True, slots=True)
class Creating:
    """A contact is being created, or restored; the invoice waits for it."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A person must say which contact it is."""

    cause: str
    reason: str


Resolution = Known | Creating | Undecided
