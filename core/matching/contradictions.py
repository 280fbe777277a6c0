"""What speaks against a group of contacts being one, though each fits the next.

A merge can't be undone: where a contact fits two that are not one with each other,
nobody can say into which of the two it belongs.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

from core.matching.contact import MirrorContact
from core.matching.names import Likeness, compare
from core.matching.normalising import (
    is_of_company,
    is_real_number,
    number_key,
    number_written,
    shape,
)

#: So many names that nobody has compared each with each other are no one's.
_NAMES_AT_MOST = 60

#: The numbers that members are known by.
_MEMBER_NUMBERS: Mapping[str, Callable[[MirrorContact], str]] = {
    "Contact Number": lambda contact: contact.contact_number,
    "Account Number": lambda contact: contact.account_number,
}
_OFFICIAL_NUMBERS: Mapping[str, Callable[[MirrorContact], str]] = {
    "Tax Number": lambda contact: contact.tax_number,
    "Company Number": lambda contact: contact.company_number,
}


def contradiction(
    group: Sequence[MirrorContact],
    owners: Mapping[str, str],
    is_compared: Callable[[str, str], bool],
) -> str:
    """Why these are two or more, for a person; empty: nothing speaks against one.

    Args:
        group: contacts that are one with each other, directly or by a third.
        owners: linked contacts, and the member of each.
        is_compared: whether two contacts of these names were found to be one.
    """
    some = sorted(group, key=lambda contact: contact.contact_id)
    found = (_two_owners, _two_numbers, _number_of_another)
    reasons = (reason for find in found for reason in find(some, owners))
    return next(reasons, "") or next(_two_names(some, is_compared), "")


def are_alike(one: str, other: str) -> bool:
    """Whether two numbers look like numbers of one kind: M-999 and M-1009."""
    return shape(one) == shape(other) or _kind(one) == _kind(other)


def _kind(number: str) -> str:
    return re.sub(r"\d+", "9", number_written(number))


def _are_two(one: str, other: str) -> bool:
    """Two numbers of one kind; leading zeros make no other number."""
    return are_alike(one, other) and number_key(one) != number_key(other)


_Owners = Mapping[str, str]


def _two_owners(group: Sequence[MirrorContact], owners: _Owners) -> Iterator[str]:
    first: dict[str, str] = {}
    for contact in group:
        if contact.contact_id in owners:
            first.setdefault(owners[contact.contact_id], contact.contact_id)
    for (one, at), (other, there) in combinations(first.items(), 2):
        yield f"members {one} ({at}) and {other} ({there})"


def _two_numbers(group: Sequence[MirrorContact], _: _Owners) -> Iterator[str]:
    for label, number_of in _MEMBER_NUMBERS.items():
        yield from _pairs_of(label, _distinct(group, number_of), _are_two)
    for label, number_of in _OFFICIAL_NUMBERS.items():
        numbers = _distinct(group, number_of)
        real = {each: at for each, at in numbers.items() if is_real_number(each)}
        yield from _pairs_of(label, real, _are_two_official)


def _are_two_official(one: str, other: str) -> bool:
    is_one_kind = is_of_company(one) == is_of_company(other)
    return is_one_kind and number_key(one) != number_key(other)


def _pairs_of(
    label: str, numbers: Mapping[str, str], are_two: Callable[[str, str], bool]
) -> Iterator[str]:
    for (one, at), (other, there) in combinations(numbers.items(), 2):
        if are_two(one, other):
            yield f"two {label}s, {one} ({at}) and {other} ({there})"


def _distinct(
    group: Sequence[MirrorContact], number_of: Callable[[MirrorContact], str]
) -> dict[str, str]:
    """Each number once, and the first contact that has it."""
    found: dict[str, tuple[str, str]] = {}
    for contact in group:
        number = number_of(contact)
        if key := number_key(number):
            found.setdefault(key, (number, contact.contact_id))
    return dict(found.values())


def _number_of_another(
    group: Sequence[MirrorContact], owners: _Owners
) -> Iterator[str]:
    """A number that looks like a member's id beside the contact of another member."""
    linked = [contact for contact in group if contact.contact_id in owners]
    for contact in linked[:1]:  # several of one member are the same for this
        owner = owners[contact.contact_id]
        own = {number_key(number_of(contact)) for number_of in _MEMBER_NUMBERS.values()}
        for label, number_of in _MEMBER_NUMBERS.items():
            for number, at in _distinct(group, number_of).items():
                if number_key(number) not in own and _are_two(owner, number):
                    yield f"member {owner} ({contact.contact_id}) and the " + (
                        f"{label} {number} ({at})"
                    )


def _two_names(
    group: Sequence[MirrorContact], is_compared: Callable[[str, str], bool]
) -> Iterator[str]:
    """Jan and Johan Botha, whom J Botha has brought together."""
    first: dict[str, MirrorContact] = {}
    for contact in group:
        first.setdefault(contact.name_key, contact)
    if len(first) > _NAMES_AT_MOST:
        yield f"{len(first)} names"
        return
    for one, other in combinations(first.values(), 2):
        names = compare(one.name, other.name)
        if names.likeness < Likeness.COMPATIBLE and not is_compared(
            one.name_key, other.name_key
        ):
            yield (
                f"{one.name} ({one.contact_id}) and {other.name} "
                f"({other.contact_id}): {names.why}"
            )
