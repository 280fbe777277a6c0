"""The rules of matching, in their order: what each says of one contact.

Stored link, then ContactNumber, then AccountNumber, then tax or company number, then
exact e-mail with a compatible name (docs/contacts.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.matching.look import Look
from core.matching.names import Likeness, compare
from core.matching.normalising import (
    is_of_company,
    is_real_number,
    is_written,
    number_key,
)
from core.matching.verdict import MatchRule


@dataclass(frozen=True, slots=True)
class Fit:
    """What a rule says of one contact that it finds.

    Args:
        is_sure: whether it is the member by this rule, or only perhaps.
        is_weak: its number is spelled otherwise, and nothing else agrees.
    """

    is_sure: bool
    why: str
    is_weak: bool = False


def _by_link(look: Look) -> Fit | None:
    if look.contact.contact_id != look.known.linked_to:
        return None
    return Fit(True, "it was tied to this member before")


def _by_contact_number(look: Look) -> Fit | None:
    number = look.contact.contact_number
    why = f"its Contact Number is {number}; {look.words}"
    if is_written(number, look.member.id):
        is_weak = number.strip() != look.member.id and not look.agrees
        return Fit(True, why, is_weak)
    return _but_for_zeros(look, number, look.member.id, why)


def _by_account_number(look: Look) -> Fit | None:
    """People type it, so it is believed where the name or the address agrees."""
    number = look.contact.account_number
    why = f"its Account Number is {number}; {look.words}"
    if not is_written(number, look.member.id):
        return _but_for_zeros(look, number, look.member.id, why)
    if look.number_of_another and not look.is_taken:
        return Fit(False, f"{why}; but its Contact Number is another member's")
    is_weak = number.strip() != look.member.id and not look.agrees
    is_sure = look.has_email or look.names.likeness >= Likeness.UNSURE
    return Fit(is_sure, why, is_weak)


def _by_tax_number(look: Look) -> Fit | None:
    member, contact = look.member, look.contact
    pairs = (
        ("Tax Number", member.tax_number or "", contact.tax_number),
        ("Company Number", member.company_number or "", contact.company_number),
    )
    fits = (_by_official_number(look, *pair) for pair in pairs)
    return next((fit for fit in fits if fit is not None), None)


def _by_official_number(
    look: Look, field_name: str, ours: str, theirs: str
) -> Fit | None:
    if not is_real_number(ours):
        return None
    why = f"its {field_name} is {theirs}; {look.words}"
    if not is_written(ours, theirs):
        return _but_for_zeros(look, theirs, ours, why)
    if look.number_of_another and not look.is_taken:
        return Fit(False, f"{why}; but its Contact Number is another member's")
    if look.has_name or look.names.is_surname_changed:
        return Fit(True, why)
    is_staff = look.is_another_kind or is_of_company(ours)
    if look.names.likeness is Likeness.DIFFERENT and is_staff:
        return None  # people give their employer's
    return Fit(False, why)


def _by_email(look: Look) -> Fit | None:
    if not look.has_email or _is_somebody_else(look):
        return None
    doubt = _doubt_of(look)
    if doubt:
        return Fit(False, f"{look.words}; but {doubt}")
    if look.has_name:
        return Fit(True, look.words)
    if look.names.likeness is Likeness.UNSURE or _bears_our_company(look):
        return Fit(False, look.words)
    return None


def _is_somebody_else(look: Look) -> bool:
    """Families, and firms and their staff, share an address."""
    changed = look.is_another_kind or look.names.is_surname_changed
    if look.is_office_mailbox and changed and not look.has_name:
        return True
    # Father and son may share name and address; the number says whose it is.
    number = look.number_of_another
    is_theirs = look.is_taken and is_written(number, look.owner)
    return bool(number) and (is_theirs or look.names.likeness < Likeness.SAME)


def _doubt_of(look: Look) -> str:
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


def _bears_our_company(look: Look) -> bool:
    """A contact in the name of a practice, with its owner's own address."""
    company = look.member.company
    if not company or look.is_office_mailbox or not look.is_another_kind:
        return False
    return compare(company, look.contact.name).likeness >= Likeness.COMPATIBLE


def _but_for_zeros(look: Look, theirs: str, ours: str, why: str) -> Fit | None:
    """Spreadsheets eat leading zeros: it counts only if something else agrees.

    100 and 00100 may also be two members, so that a contact of another name and
    another address is not a candidate at all.
    """
    if not number_key(ours) or number_key(theirs) != number_key(ours):
        return None
    if look.agrees:
        return Fit(True, f"{why}; but for leading zeros")
    if look.names.likeness is Likeness.UNSURE:
        return Fit(False, f"{why}; but for leading zeros")
    return None


Rule = Callable[[Look], Fit | None]


RULES: Mapping[MatchRule, Rule] = {
    MatchRule.LINK: _by_link,
    MatchRule.CONTACT_NUMBER: _by_contact_number,
    MatchRule.ACCOUNT_NUMBER: _by_account_number,
    MatchRule.TAX_NUMBER: _by_tax_number,
    MatchRule.EMAIL_AND_NAME: _by_email,
}
