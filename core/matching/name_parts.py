"""What a name is made of: surname, first names, titles, what it is by law.

There may be several ways to read a person's name; all of them are given.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from core.matching.name_words import (
    BORN,
    DEGREES,
    GENERATIONS,
    LEGAL_FORMS,
    ORGANISATIONS,
    PARTICLES,
    TITLES,
    WARNINGS,
)
from core.matching.normalising import number_key, plain, words

_TRADING_AS = re.compile(r"\s(?:t/a|trading as|h/a|handelende as)\s", re.IGNORECASE)
_PARENTHESES = re.compile(r"[(\[]([^)\]]*)[)\]]")
#: CA(SA), MTP(SA): what South African bodies call their members.
_DESIGNATION = re.compile(r"\b[A-Za-z]{2,5}\(SA\)")
#: Botha, CC is somebody; Botha CC is a close corporation.
_INITIALS_CC = re.compile(r",\s*c\.?\s*c\.?\s*$", re.IGNORECASE)
_HYPHEN = re.compile("(\\w)[-\u2010-\u2015\u2212](?=\\w)")
_V_D = re.compile(r"(?<!\S)v\s+d(?!\S)")
_CAPITALS = re.compile(r"\b[A-Z]{2}\b")
_NO_NAMES = frozenset(TITLES) | DEGREES | frozenset(GENERATIONS) | WARNINGS


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a person's name."""

    surname: str
    particles: str
    given: tuple[str, ...]
    is_natural: bool = True  # the surname last, or before a comma


@dataclass(frozen=True, slots=True)
class Name:
    """A name, taken apart."""

    core: tuple[str, ...]  # its words without titles, legal forms and remarks
    readings: tuple[Reading, ...] = ()
    former: str = ""  # an earlier surname that it tells
    is_company: bool = False
    is_joint: bool = False  # a couple's
    form: frozenset[str] = frozenset()
    gender: str = ""
    generation: str = ""
    remark: str = ""
    also: tuple["Name", ...] = field(default=())  # what it trades as

    @property
    def joined(self) -> str:
        return "".join(self.core)


@lru_cache(maxsize=8_192)
def taken_apart(name: str, number: str) -> Name:
    """The parts of a name, into which a member's ``number`` may have been stamped."""
    first, *others = _TRADING_AS.split(_without_number(name, number))
    if others:
        also = tuple(replace(_one(other), is_company=True) for other in others)
        return replace(_one(first), also=also)
    return _one(first)


def _without_number(name: str, number: str) -> str:
    """The member's own number, stamped into the name of the contact, says nothing."""
    if not number:
        return name
    return " ".join(
        part
        for part in name.split()
        if not any(map(str.isdigit, part)) or number_key(part) != number
    )


def _one(name: str) -> Name:
    bare, remarks = _without_parentheses(_DESIGNATION.sub(" ", name))
    form, core = _without_form(words(bare))
    if _INITIALS_CC.search(bare):
        form = frozenset()
    if form or ORGANISATIONS.intersection(core):
        warning = " ".join(word for word in remarks if word in WARNINGS)
        return Name(core, is_company=True, form=form, remark=warning)
    return _person(bare, remarks)


def _without_parentheses(name: str) -> tuple[str, tuple[str, ...]]:
    """(Pty) belongs to a name; (old), (née Smit) and (2) are remarks."""
    inside = [words(text) for text in _PARENTHESES.findall(name)]
    if any(LEGAL_FORMS.keys() & set(group) for group in inside):
        return name, ()
    return _PARENTHESES.sub(" ", name), tuple(w for group in inside for w in group)


def _without_form(core: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    end = len(core)
    while end > 1 and core[end - 1] in LEGAL_FORMS:
        end -= 1
    return frozenset(LEGAL_FORMS[word] for word in core[end:]), core[:end]


def _person(bare: str, remarks: tuple[str, ...]) -> Name:
    before, _, behind = bare.partition(",")
    last, first = _tokens(before), _tokens(behind)
    told, born = _split_former((*first, *last, *remarks))
    surname, given = _names_of(last), _names_of(first)
    # Mr Miss is somebody as well.
    names = given + surname or [*last[-1:]]
    has_comma = bool(surname and given)
    marks = [t for t in told if t in WARNINGS or any(map(str.isdigit, t))]
    return Name(
        core=tuple(names),
        readings=tuple(_readings(_initials(given, bare), _initials(surname, bare)))
        if has_comma
        else tuple(_readings_in_line(_initials(names, bare))),
        former="".join(born),
        is_joint="and" in names,
        gender=next((TITLES[t] for t in told if TITLES.get(t)), ""),
        generation=next((GENERATIONS[t] for t in told if t in GENERATIONS), ""),
        remark=" ".join(marks),
    )


def _tokens(text: str) -> list[str]:
    """Words; a hyphen joins what it stands between: Smith-Jones is one surname."""
    spelled = plain(text).replace("&", " and ").replace("+", " and ")
    joined = _HYPHEN.sub(r"\1", spelled)
    tokens = "".join(c if c.isalnum() else " " for c in joined)
    return ["and" if t == "en" else t for t in _V_D.sub(" vd ", tokens).split()]


def _split_former(told: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What stands before and behind a née."""
    at = next((n for n, token in enumerate(told) if token in BORN), None)
    return (told, ()) if at is None else (told[:at], told[at + 1 :])


def _names_of(tokens: Sequence[str]) -> list[str]:
    """Without titles, degrees, generations, remarks and what stands behind a née."""
    tokens, _ = _split_former(tokens)
    return [t for t in tokens if t not in _NO_NAMES and not any(map(str.isdigit, t))]


def _initials(names: Sequence[str], written: str) -> list[str]:
    """JP is J P: two capitals in a name of small letters, or letters nobody can say."""
    is_mixed = not written.isupper()
    capitals = {plain(w) for w in _CAPITALS.findall(written)} if is_mixed else set()
    return [
        part
        for name in names
        for part in (name if _is_initials(name, capitals) else (name,))
    ]


def _is_initials(name: str, capitals: set[str]) -> bool:
    if name in PARTICLES or not 2 <= len(name) <= 3:
        return False
    return not set(name) & set("aeiouy") or (len(name) == 2 and name in capitals)


def _readings(given: Sequence[str], surname: Sequence[str]) -> Iterator[Reading]:
    """Of a name with a comma there is one."""
    begins = _after_particles(surname)
    yield Reading("".join(surname[begins:]), "".join(surname[:begins]), tuple(given))


def _readings_in_line(names: Sequence[str]) -> Iterator[Reading]:
    """Jan van der Merwe; van der Merwe Jan; Anna Smith Jones of the Smith Joneses."""
    if not names:
        return
    begins = len(names) - 1
    while begins and names[begins - 1] in PARTICLES:
        begins -= 1
    particles = "".join(names[begins:-1])
    yield Reading(names[-1], particles, tuple(names[:begins]))
    if len(names) >= 3 and not particles:
        yield Reading("".join(names[-2:]), "", tuple(names[:-2]))
    leading = _after_particles(names)
    if leading < len(names) - 1:
        yield Reading(
            names[leading],
            "".join(names[:leading]),
            tuple(names[leading + 1 :]),
            is_natural=leading > 0,
        )


def _after_particles(names: Sequence[str]) -> int:
    """Where the surname itself begins; a particle alone is a surname."""
    count = 0
    while count < len(names) - 1 and names[count] in PARTICLES:
        count += 1
    return count
