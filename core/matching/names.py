"""Whether two names are one person's or one company's: pure, and it says why.

A name alone decides nothing. It is asked when a number or an address has already
brought two together, and answers in four steps: the same, compatible, unsure, different
(docs/contacts.md has the rules and examples, for finance).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from core.matching.name_parts import Name, Reading, taken_apart
from core.matching.name_words import may_be_called
from core.matching.normalising import number_key

#: Below this length one letter makes another name: Ann, Ian; Botha, Bothma is long.
_TYPO_FROM = 5


class Likeness(IntEnum):
    """How well two names go together; the more, the higher."""

    DIFFERENT = 0  # two people, or a company and somebody in it
    UNSURE = 1  # may be one: a surname changed, a nickname, a copy
    COMPATIBLE = 2  # one may well be the other, written shorter
    SAME = 3  # the same words


@dataclass(frozen=True, slots=True)
class Comparison:
    """How well they go together, and why, in words for a person."""

    likeness: Likeness
    why: str
    #: Only the surname differs: what marriage does, and an address or number can tell.
    is_surname_changed: bool = False


def compare(one: str, other: str, member_id: str = "") -> Comparison:
    """How two names go together; the order of the two does not matter.

    Args:
        one: a name.
        other: another.
        member_id: a number that may stand in a contact's name and means nothing there.
    """
    # The same answer for both orders, though texts of why are written from one side.
    first, second = sorted((one, other))
    return _compare(first, second, number_key(member_id))


def is_company(name: str) -> bool:
    """Whether the name says that it is no person's."""
    return taken_apart(name, "").is_company


@lru_cache(maxsize=8_192)
def _compare(one: str, other: str, number: str) -> Comparison:
    a, b = taken_apart(one, number), taken_apart(other, number)
    found = max(
        (_compare_kinds(x, y) for x in (a, *a.also) for y in (b, *b.also)),
        key=lambda comparison: comparison.likeness,
    )
    return _with_remarks(found, a, b)


def _with_remarks(found: Comparison, a: Name, b: Name) -> Comparison:
    remark = a.remark or b.remark
    if remark and a.remark != b.remark and found.likeness > Likeness.UNSURE:
        return Comparison(Likeness.UNSURE, f"{found.why}, but one says “{remark}”")
    return found


def _compare_kinds(a: Name, b: Name) -> Comparison:
    if not a.core or not b.core:
        return Comparison(Likeness.DIFFERENT, "a name without a word")
    if a.is_company and b.is_company:
        return _compare_companies(a, b)
    if a.is_company or b.is_company:
        company, other = (a, b) if a.is_company else (b, a)
        if len(other.core) == 1:  # Deloitte is nobody's whole name
            return _compare_companies(company, other)
        return _compare_person_with_company(other, company)
    if a.is_joint or b.is_joint:
        return _compare_joint(a, b)
    return _compare_people(a, b)


# -- companies -------------------------------------------------------------------------


def _compare_companies(a: Name, b: Name) -> Comparison:
    if a.joined == b.joined:
        if a.form == b.form:
            return Comparison(Likeness.SAME, "the same company name")
        if not a.form or not b.form:
            why = "the same company name, but for what it is by law"
            return Comparison(Likeness.COMPATIBLE, why)
        why = "the same company name, of two legal forms"
        return Comparison(Likeness.UNSURE, why)
    ours, theirs = set(a.core) - {"and", "the"}, set(b.core) - {"and", "the"}
    if ours == theirs:
        return Comparison(Likeness.COMPATIBLE, "the same words in another order")
    if ours and theirs and (ours <= theirs or theirs <= ours):
        return Comparison(Likeness.UNSURE, "one company name is part of the other")
    if _is_typo(a.joined, b.joined):
        return Comparison(Likeness.UNSURE, "company names one letter apart")
    return Comparison(Likeness.DIFFERENT, "two company names")


def _compare_person_with_company(person: Name, company: Name) -> Comparison:
    if person.joined == company.joined:
        return Comparison(Likeness.UNSURE, "a person's name, and a company called so")
    if _is_typo(person.joined, company.joined):
        return Comparison(Likeness.UNSURE, "names one letter apart, one a company's")
    surnames = {r.surname for r in person.readings if r.is_natural}
    if surnames & _runs(company.core):
        why = "a company that bears the person's surname"
        return Comparison(Likeness.UNSURE, why)
    return Comparison(Likeness.DIFFERENT, "a person and a company")


def _runs(core: Sequence[str]) -> set[str]:
    """Every run of words, joined: a surname may be several of them."""
    ends = range(len(core) + 1)
    return {"".join(core[i:j]) for i in ends for j in ends if j - i in (1, 2, 3, 4)}


def _compare_joint(a: Name, b: Name) -> Comparison:
    if a.joined == b.joined:
        return Comparison(Likeness.SAME, "the same words")
    joint, other = (a, b) if a.is_joint else (b, a)
    surnames = {r.surname for r in other.readings if r.is_natural}
    if other.is_joint or surnames & _runs(joint.core):
        return Comparison(Likeness.UNSURE, "a couple's name with the same surname")
    return Comparison(Likeness.DIFFERENT, "a couple of another name")


# -- people ----------------------------------------------------------------------------


def _compare_people(a: Name, b: Name) -> Comparison:
    found = max(
        (
            _compare_readings(x, y, a, b)
            for x in a.readings
            for y in b.readings
            if x.is_natural or y.is_natural
        ),
        key=lambda comparison: comparison.likeness,
    )
    is_same = a.joined == b.joined or sorted(a.core) == sorted(b.core)
    if is_same and found.likeness < Likeness.SAME:
        found = Comparison(Likeness.SAME, "the same words")
    return _unless_contradicted(found, a, b)


def _unless_contradicted(found: Comparison, a: Name, b: Name) -> Comparison:
    """Father and son, or husband and wife, may share all but a word."""
    if found.likeness < Likeness.UNSURE:
        return found
    if a.generation != b.generation:
        if a.generation and b.generation:
            return Comparison(Likeness.DIFFERENT, "junior and senior")
        return Comparison(Likeness.UNSURE, "one of them is junior or senior")
    if {a.gender, b.gender} == {"he", "she"}:
        is_one = _has_first_name(a) and _has_first_name(b)
        likeness = Likeness.UNSURE if is_one else Likeness.DIFFERENT
        return Comparison(likeness, "titles of a man and of a woman")
    return found


def _has_first_name(name: Name) -> bool:
    return any(_full(r.given[0]) for r in name.readings if r.is_natural and r.given)


def _compare_readings(x: Reading, y: Reading, a: Name, b: Name) -> Comparison:
    given = _compare_given(x.given, y.given)
    if _is_same_surname(x, y):
        return given
    is_former = _whole(y) == a.former != "" or _whole(x) == b.former != ""
    if is_former and given.likeness > Likeness.UNSURE:
        return Comparison(Likeness.COMPATIBLE, "the earlier surname is told")
    # A surname that merely might have changed tells nothing about other first names.
    is_told = x.is_natural and y.is_natural and _are_full(x.given, y.given)
    if not is_told or given.likeness < Likeness.COMPATIBLE:
        return Comparison(Likeness.DIFFERENT, "another surname")
    if _is_typo(x.surname, y.surname):
        return Comparison(Likeness.UNSURE, "surnames one letter apart", True)
    return Comparison(Likeness.UNSURE, "the same first names, another surname", True)


def _is_same_surname(x: Reading, y: Reading) -> bool:
    """Of two that have particles they must agree: v d Merwe is van der Merwe."""
    if _whole(x) == _whole(y):
        return True
    return x.surname == y.surname and _initials_of(x) == _initials_of(y) != ""


def _whole(reading: Reading) -> str:
    return reading.particles + reading.surname


def _initials_of(reading: Reading) -> str:
    return reading.particles and _SHORT.get(reading.particles, reading.particles)


#: How particles are abbreviated.
_SHORT = {"vander": "vd", "vanden": "vd", "vande": "vd"}


def _are_full(one: Sequence[str], other: Sequence[str]) -> bool:
    return bool(one and other) and _full(one[0]) and _full(other[0])


def _compare_given(one: tuple[str, ...], other: tuple[str, ...]) -> Comparison:
    """First names of two people with the same surname."""
    if not one or not other:
        return Comparison(Likeness.UNSURE, "the same surname, one without first names")
    if one == other:
        return Comparison(Likeness.SAME, "the same names")
    if _agree(one[0], other[0]):
        # zip: a second name may be left out.
        if all(_agree(x, y) for x, y in zip(one, other, strict=False)):
            return Comparison(Likeness.COMPATIBLE, "the same names, one shorter")
        return Comparison(Likeness.UNSURE, "the same first name, another second one")
    return _compare_called(one, other)


def _compare_called(one: tuple[str, ...], other: tuple[str, ...]) -> Comparison:
    """Another first name: perhaps what somebody is called."""
    if _are_full(one, other):
        if one[0] in other or other[0] in one:
            return Comparison(Likeness.UNSURE, "known by another of the first names")
        if may_be_called(one[0], other[0]):
            return Comparison(Likeness.UNSURE, "one first name is used for the other")
        if _is_typo(one[0], other[0]) or _is_beginning(one[0], other[0]):
            return Comparison(Likeness.UNSURE, "first names almost the same")
    return Comparison(Likeness.DIFFERENT, "the same surname, other first names")


def _full(word: str) -> bool:
    return len(word) > 1


def _agree(one: str, other: str) -> bool:
    """The same, or the initial of the other."""
    if len(one) == 1 or len(other) == 1:
        return one[0] == other[0]
    return one == other


def _is_beginning(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= 3 and long.startswith(short)


def _is_typo(one: str, other: str) -> bool:
    """One letter added, left out or changed, or two that stand side by side swapped."""
    short, long = sorted((one, other), key=len)
    if len(long) < _TYPO_FROM or len(long) - len(short) > 1:
        return False
    at = next((i for i, c in enumerate(short) if c != long[i]), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    is_swapped = short[at : at + 2] == long[at : at + 2][::-1]
    return short[at + 1 :] == long[at + 1 :] or (
        is_swapped and short[at + 2 :] == long[at + 2 :]
    )
