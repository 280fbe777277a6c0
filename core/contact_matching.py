"""Which contact a member is: deterministic, and it says why.

Stored link, then ContactNumber, then AccountNumber, then exact e-mail with the name,
otherwise none. The first rule that finds anything decides; two candidates are never
guessed between.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.members import Member


class MatchRule(StrEnum):
    LINK = "stored_link"
    CONTACT_NUMBER = "contact_number"
    ACCOUNT_NUMBER = "account_number"
    EMAIL_AND_NAME = "email_and_name"
    CREATED = "created"


@dataclass(frozen=True, slots=True)
class MirrorContact:
    """A contact as Xero last showed it.

    Args:
        details: what no rule matches by, under the names of ``contact_fields``.
    """

    contact_id: str
    name: str
    email: str
    contact_number: str
    account_number: str
    status: str
    merged_to: str | None
    updated_at: datetime | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name_key(self) -> str:
        return normal(self.name)

    @property
    def email_key(self) -> str:
        return self.email.strip().casefold()


@dataclass(frozen=True, slots=True)
class Matched:
    contact: MirrorContact
    rule: MatchRule


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Nobody may guess: several candidates, or one that can't be used.

    Args:
        reason: ``several``, ``archived`` or ``taken`` (linked to another member).
    """

    candidates: tuple[MirrorContact, ...]
    rule: MatchRule
    reason: str


@dataclass(frozen=True, slots=True)
class NoMatch:
    pass


Match = Matched | Ambiguous | NoMatch


def normal(name: str) -> str:
    """A name as it is compared: no case, no diacritics, single spaces."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(bare.split())


def match(
    member: Member,
    contacts: Sequence[MirrorContact],
    linked_to: str | None,
    taken: Mapping[str, str],
) -> Match:
    """Decide.

    Args:
        member: who is to be invoiced.
        contacts: every contact that any rule could pick, in a stable order.
        linked_to: the contact that this member is already tied to.
        taken: contacts that are tied to a member, and to whom.
    """
    email_key, name_key = member.email.strip().casefold(), normal(member.name)
    tests: tuple[tuple[MatchRule, Sequence[MirrorContact]], ...] = (
        (MatchRule.LINK, [c for c in contacts if c.contact_id == linked_to]),
        (
            MatchRule.CONTACT_NUMBER,
            [c for c in contacts if c.contact_number == member.id],
        ),
        (
            MatchRule.ACCOUNT_NUMBER,
            [c for c in contacts if c.account_number == member.id],
        ),
        (
            MatchRule.EMAIL_AND_NAME,
            [
                c
                for c in contacts
                if c.email_key == email_key
                and c.name_key == name_key
                # Father and son may share both; the number says whose it is.
                and c.contact_number in ("", member.id)
            ],
        ),
    )
    for rule, found in tests:
        if found:
            return _judge(member, rule, found, taken)
    return NoMatch()


def _judge(
    member: Member,
    rule: MatchRule,
    found: Sequence[MirrorContact],
    taken: Mapping[str, str],
) -> Match:
    active = [contact for contact in found if contact.status == "ACTIVE"]
    if len(active) > 1:
        return Ambiguous(tuple(active), rule, "several")
    if not active:
        return Ambiguous(tuple(found), rule, "archived")
    contact = active[0]
    if taken.get(contact.contact_id, member.id) != member.id:
        return Ambiguous((contact,), rule, "taken")
    return Matched(contact, rule)
