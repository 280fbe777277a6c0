"""Which contact a member is: deterministic, and it says why.

Stored link, then ContactNumber, then AccountNumber, then tax or company number, then
exact e-mail with a compatible name, otherwise none. The first rule that finds anything
decides. Two candidates are never guessed between, and one that fits only perhaps is a
person's to judge (docs/contacts.md).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from core.contact_names import Comparison, Likeness, compare, is_company
from core.members import Member
from core.name_words import ROLES
from core.normalising import email_key as key_of_email
from core.normalising import (
    is_of_company,
    is_real_number,
    is_written,
    number_key,
    same_mailbox,
    shape,
)
from core.normalising import name_key as key_of_name

ACTIVE, ARCHIVED, ERASED = "ACTIVE", "ARCHIVED", "GDPRREQUEST"


class MatchRule(StrEnum):
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
    tax_number: str = ""
    company_number: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name_key(self) -> str:
        return key_of_name(self.name)

    @property
    def email_key(self) -> str:
        return key_of_email(self.email)


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
    pass


Match = Matched | Ambiguous | NoMatch


@dataclass(frozen=True, slots=True)
class _Fit:
    """What a rule says of one contact that it finds.

    Args:
        is_sure: whether it is the member by this rule, or only perhaps.
        is_weak: its number is spelled otherwise, and nothing else agrees.
    """

    is_sure: bool
    why: str
    is_weak: bool = False


class _Look:
    """A member beside one contact."""

    def __init__(
        self, member: Member, contact: MirrorContact, known: Circumstances
    ) -> None:
        self.member = member
        self.contact = contact
        self.known = known
        self.owner = known.taken.get(contact.contact_id, member.id)

    @property
    def is_taken(self) -> bool:
        return self.owner != self.member.id

    @property
    def is_unlinked(self) -> bool:
        return self.contact.contact_id in self.known.unlinked

    @cached_property
    def names(self) -> Comparison:
        return compare(self.member.name, self.contact.name, self.member.id)

    @cached_property
    def has_email(self) -> bool:
        domains = self.known.tag_domains
        return same_mailbox(self.member.email, self.contact.email, domains)

    @property
    def has_name(self) -> bool:
        return self.names.likeness >= Likeness.COMPATIBLE

    @property
    def agrees(self) -> bool:
        """Something besides a number speaks for it."""
        return self.has_name or self.has_email

    @property
    def words(self) -> str:
        """What the name and the address say, for a person."""
        email = "the same e-mail" if self.has_email else "another e-mail"
        return f"{self.names.why}; {email if self.contact.email else 'no e-mail'}"

    @property
    def is_another_kind(self) -> bool:
        """One is a company, the other somebody who may work there."""
        return is_company(self.member.name) != is_company(self.contact.name)

    @property
    def is_office_mailbox(self) -> bool:
        return key_of_email(self.member.email).partition("@")[0] in ROLES

    @property
    def number_of_another(self) -> str:
        """Its Contact Number, if it looks like a member's and is not this one's."""
        return self._number_of_another(self.contact.contact_number)

    @property
    def account_of_another(self) -> str:
        return self._number_of_another(self.contact.account_number)

    def _number_of_another(self, number: str) -> str:
        ours = self.member.id
        is_another = shape(number) == shape(ours) and not is_written(number, ours)
        return number if is_another else ""

    @property
    def is_contradicted_by_tax(self) -> bool:
        """Two people of one name and address, as their tax numbers say."""
        ours, theirs = self.member.tax_number or "", self.contact.tax_number
        return (
            is_real_number(ours)
            and is_real_number(theirs)
            and number_key(ours) != number_key(theirs)
            and is_of_company(ours) == is_of_company(theirs)
        )


def _by_link(look: _Look) -> _Fit | None:
    if look.contact.contact_id != look.known.linked_to:
        return None
    return _Fit(True, "it was tied to this member before")


def _by_contact_number(look: _Look) -> _Fit | None:
    number = look.contact.contact_number
    why = f"its Contact Number is {number}; {look.words}"
    if is_written(number, look.member.id):
        is_weak = number.strip() != look.member.id and not look.agrees
        return _Fit(True, why, is_weak)
    return _but_for_zeros(look, number, look.member.id, why)


def _by_account_number(look: _Look) -> _Fit | None:
    """People type it, so it is believed where the name or the address agrees."""
    number = look.contact.account_number
    why = f"its Account Number is {number}; {look.words}"
    if not is_written(number, look.member.id):
        return _but_for_zeros(look, number, look.member.id, why)
    if look.number_of_another and not look.is_taken:
        return _Fit(False, f"{why}; but its Contact Number is another member's")
    is_weak = number.strip() != look.member.id and not look.agrees
    is_sure = look.has_email or look.names.likeness >= Likeness.UNSURE
    return _Fit(is_sure, why, is_weak)


def _by_tax_number(look: _Look) -> _Fit | None:
    member, contact = look.member, look.contact
    pairs = (
        ("Tax Number", member.tax_number or "", contact.tax_number),
        ("Company Number", member.company_number or "", contact.company_number),
    )
    fits = (_by_official_number(look, *pair) for pair in pairs)
    return next((fit for fit in fits if fit is not None), None)


def _by_official_number(
    look: _Look, field_name: str, ours: str, theirs: str
) -> _Fit | None:
    if not is_real_number(ours):
        return None
    why = f"its {field_name} is {theirs}; {look.words}"
    if not is_written(ours, theirs):
        return _but_for_zeros(look, theirs, ours, why)
    if look.number_of_another and not look.is_taken:
        return _Fit(False, f"{why}; but its Contact Number is another member's")
    if look.has_name or look.names.is_surname_changed:
        return _Fit(True, why)
    is_staff = look.is_another_kind or is_of_company(ours)
    if look.names.likeness is Likeness.DIFFERENT and is_staff:
        return None  # people give their employer's
    return _Fit(False, why)


def _by_email(look: _Look) -> _Fit | None:
    if not look.has_email or _is_somebody_else(look):
        return None
    doubt = _doubt_of(look)
    if doubt:
        return _Fit(False, f"{look.words}; but {doubt}")
    if look.has_name:
        return _Fit(True, look.words)
    if look.names.likeness is Likeness.UNSURE or _bears_our_company(look):
        return _Fit(False, look.words)
    return None


def _is_somebody_else(look: _Look) -> bool:
    """Families, and firms and their staff, share an address."""
    changed = look.is_another_kind or look.names.is_surname_changed
    if look.is_office_mailbox and changed and not look.has_name:
        return True
    # Father and son may share name and address; the number says whose it is.
    number = look.number_of_another
    is_theirs = look.is_taken and is_written(number, look.owner)
    return bool(number) and (is_theirs or look.names.likeness < Likeness.SAME)


def _doubt_of(look: _Look) -> str:
    """What speaks against a contact whose address and name both fit."""
    if not look.has_name:
        return ""
    if look.number_of_another:
        return "its Contact Number looks like another member's"
    if look.account_of_another:
        return "its Account Number looks like another member's"
    if look.is_contradicted_by_tax:
        return "it has another tax number"
    return ""


def _bears_our_company(look: _Look) -> bool:
    """A contact in the name of a practice, with its owner's own address."""
    company = look.member.company
    if not company or look.is_office_mailbox or not look.is_another_kind:
        return False
    return compare(company, look.contact.name).likeness >= Likeness.COMPATIBLE


def _but_for_zeros(look: _Look, theirs: str, ours: str, why: str) -> _Fit | None:
    """Spreadsheets eat leading zeros: it counts only if something else agrees.

    100 and 00100 may also be two members, so that a contact of another name and
    another address is not a candidate at all.
    """
    if not number_key(ours) or number_key(theirs) != number_key(ours):
        return None
    if look.agrees:
        return _Fit(True, f"{why}; but for leading zeros")
    if look.names.likeness is Likeness.UNSURE:
        return _Fit(False, f"{why}; but for leading zeros")
    return None


Rule = Callable[[_Look], _Fit | None]

RULES: Mapping[MatchRule, Rule] = {
    MatchRule.LINK: _by_link,
    MatchRule.CONTACT_NUMBER: _by_contact_number,
    MatchRule.ACCOUNT_NUMBER: _by_account_number,
    MatchRule.TAX_NUMBER: _by_tax_number,
    MatchRule.EMAIL_AND_NAME: _by_email,
}


def match(
    member: Member,
    contacts: Sequence[MirrorContact],
    known: Circumstances,
    rules: Mapping[MatchRule, Rule] = RULES,
) -> Match:
    """Decide.

    Args:
        member: who is to be invoiced.
        contacts: every contact that any rule could pick, and what those were merged
            into; their order does not matter.
        known: what is tied to whom.
        rules: all of them, in their order.
    """
    by_id = {contact.contact_id: contact for contact in contacts}
    looks = [_Look(member, by_id[key], known) for key in sorted(by_id)]
    if known.linked_to is not None and known.linked_to not in by_id:
        return Ambiguous((), MatchRule.LINK, Doubt.MISSING)
    for name, rule in rules.items():
        found = list(_found(looks, name, rule, by_id))
        if found:
            return _judge(found, name, member, known)
    return NoMatch()


def all_that_fit(
    member: Member, contacts: Sequence[MirrorContact], known: Circumstances
) -> list[tuple[MatchRule, Candidate]]:
    """What each rule but the link says of each contact, for people to see."""
    by_id = {contact.contact_id: contact for contact in contacts}
    looks = [_Look(member, by_id[key], known) for key in sorted(by_id)]
    return [
        (name, candidate)
        for name, rule in RULES.items()
        if name is not MatchRule.LINK
        for candidate in _found(looks, name, rule, by_id)
    ]


def _found(
    looks: Sequence[_Look],
    name: MatchRule,
    rule: Rule,
    by_id: Mapping[str, MirrorContact],
) -> Iterator[Candidate]:
    """What a rule finds; of contacts that were merged, what they were merged into."""
    fits = [(look, fit) for look in looks if (fit := _fit(look, name, rule))]
    is_any_strong = any(not fit.is_weak for _, fit in fits)
    seen = set()
    for look, fit in sorted(fits, key=lambda pair: not pair[1].is_sure):
        if fit.is_weak and is_any_strong:
            continue
        contact, why = _merged_into(look.contact, by_id), fit.why
        if contact is not look.contact:
            why = f"{why}; merged from {look.contact.contact_id}"
        if contact.contact_id not in seen:
            seen.add(contact.contact_id)
            yield Candidate(contact, fit.is_sure, why)


def _fit(look: _Look, name: MatchRule, rule: Rule) -> _Fit | None:
    """A perhaps is answered where the contact is another's, or a person said no."""
    fit = rule(look)
    if fit is None or (look.is_taken and not fit.is_sure):
        return None
    # Xero takes no second contact of one Contact Number, so none could be created.
    is_answered = look.is_unlinked and name is not MatchRule.CONTACT_NUMBER
    return None if is_answered else fit


def _merged_into(
    contact: MirrorContact, by_id: Mapping[str, MirrorContact]
) -> MirrorContact:
    """Merged twice or more: the last one. Itself, if that one is not known."""
    seen = {contact.contact_id}
    last = contact
    while last.merged_to and last.merged_to not in seen:
        following = by_id.get(last.merged_to)
        if following is None:
            return contact
        seen.add(following.contact_id)
        last = following
    return contact if last.merged_to else last


def _judge(
    found: Sequence[Candidate], rule: MatchRule, member: Member, known: Circumstances
) -> Match:
    sure = [candidate for candidate in found if candidate.is_sure]
    best = sure or found
    active = [each for each in best if each.contact.status == ACTIVE]
    reason = _doubt(best, active, member, known)
    if reason is not None:
        return Ambiguous(tuple(found), rule, reason)
    return Matched(active[0].contact, rule, active[0].why)


def _doubt(
    best: Sequence[Candidate],
    active: Sequence[Candidate],
    member: Member,
    known: Circumstances,
) -> Doubt | None:
    if len(active) > 1:
        return Doubt.SEVERAL
    if not active:
        is_erased = any(each.contact.status == ERASED for each in best)
        return Doubt.ERASED if is_erased else Doubt.ARCHIVED
    contact_id = active[0].contact.contact_id
    if known.taken.get(contact_id, member.id) != member.id:
        return Doubt.TAKEN
    if contact_id in known.unlinked:
        return Doubt.UNLINKED
    return None if active[0].is_sure else Doubt.UNSURE
