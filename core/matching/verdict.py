"""What matching says: the contact, nobody may guess, or none; and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.matching.contact import MirrorContact


class MatchRule(StrEnum):
    """How a member's contact was found: the rules in their order, and other ways."""

    LINK = "stored_link"
    CONTACT_NUMBER = "contact_number"
    ACCOUNT_NUMBER = "account_number"
    TAX_NUMBER = "tax_or_company_number"
    EMAIL_AND_NAME = "email_and_name"
    CREATED = "created"
    MERGED = "merged"  # Xero has merged the member's contact into it
    PERSON = "person"  # somebody has said so


class Doubt(StrEnum):
    """Why a person must decide."""

    SEVERAL = "several"
    ARCHIVED = "archived"
    ERASED = "erased"  # its person has asked Xero to forget them
    TAKEN = "taken"  # it is linked to another member
    UNSURE = "unsure"  # it fits only perhaps
    UNLINKED = "unlinked"  # a person has said once that it is not this member
    MISSING = "missing"  # the linked contact is not in the mirror


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the books know about the contacts and this member.

    Args:
        linked_to: the contact that this member is already tied to.
        taken: contacts that are tied to a member, and to whom.
        unlinked: contacts that a person has untied from this member.
        tag_domains: where jan+tax@… is the mailbox of jan@….
    """

    linked_to: str | None = None
    taken: Mapping[str, str] = field(default_factory=dict)
    unlinked: Collection[str] = ()
    tag_domains: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact that a rule has found."""

    contact: MirrorContact
    is_sure: bool
    why: str


@dataclass(frozen=True, slots=True)
class Matched:
    """It is this one, beyond doubt."""

    contact: MirrorContact
    rule: MatchRule
    why: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Nobody may guess."""

    candidates: tuple[Candidate, ...]
    rule: MatchRule
    reason: Doubt


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No rule finds any: a contact is to be created."""


Match = Matched | Ambiguous | NoMatch
