"""Contacts in Xero that finance should look at, and which to merge into which.

Pure: values in, findings out. Xero has no call that merges contacts, so that the plan
is a list for a person at Xero's own screen.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations

from core.matching.contact import ACTIVE, MirrorContact
from core.matching.names import Likeness, compare
from core.matching.normalising import (
    is_real_number,
    is_written,
    number_key,
    same_mailbox,
    shape,
)

#: An address or a name on more contacts than these tells them apart no more: only
#: contacts of the very same name are compared then, or info@ would take minutes.
_CROWD = 60

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at."""

    kind: str  # duplicate, member, archived
    is_sure: bool
    contact: MirrorContact
    why: str
    member_id: str = ""
    other: MirrorContact | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """One contact that is to go, into one that is to stay."""

    merge: MirrorContact
    into: MirrorContact
    why: str
    keep_because: str
    #: Two members: what is to go is a person's decision first.
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of how contacts are used.

    Args:
        owners: linked contacts, and the member of each.
        invoices: how many of our invoices stand on each.
    """

    owners: Mapping[str, str] = field(default_factory=dict)
    invoices: Mapping[str, int] = field(default_factory=dict)
    tag_domains: Sequence[str] = ()


def duplicates(contacts: Iterable[MirrorContact], usage: Usage) -> list[Finding]:
    """Pairs of contacts in use that are likely one, each pair once."""
    active = [contact for contact in contacts if contact.status == ACTIVE]
    found: dict[tuple[str, str], Finding] = {}
    for one, other in _pairs(active):
        key = one.contact_id, other.contact_id
        if key in found or _are_two_members(one, other, usage):
            continue
        alike = _alike(one, other, usage.tag_domains)
        if alike is not None:
            is_sure, why = alike
            found[key] = Finding("duplicate", is_sure, one, why, other=other)
    return sorted(found.values(), key=_by_certainty)


def _by_certainty(finding: Finding) -> tuple[bool, str, str]:
    return not finding.is_sure, finding.contact.name_key, finding.contact.contact_id


def _are_two_members(one: MirrorContact, other: MirrorContact, usage: Usage) -> bool:
    owners = {usage.owners.get(each.contact_id) for each in (one, other)}
    return None not in owners and len(owners) == 2


#: What two contacts must share to be compared at all.
_KEYS: tuple[Callable[[MirrorContact], str], ...] = (
    lambda contact: number_key(contact.contact_number),
    lambda contact: number_key(contact.account_number),
    lambda contact: number_key(contact.tax_number),
    lambda contact: number_key(contact.company_number),
    lambda contact: contact.email_key,
    lambda contact: " ".join(sorted(contact.name_key.split())),
)


def _pairs(
    contacts: Sequence[MirrorContact],
) -> Iterator[tuple[MirrorContact, MirrorContact]]:
    for key_of in _KEYS:
        sharing = defaultdict(list)
        for contact in sorted(contacts, key=lambda each: each.contact_id):
            if key := key_of(contact):
                sharing[key].append(contact)
        for together in sharing.values():
            if len(together) <= _CROWD:
                yield from combinations(together, 2)
            else:
                yield from _pairs_of_one_name(together)


def _pairs_of_one_name(
    crowd: Sequence[MirrorContact],
) -> Iterator[tuple[MirrorContact, MirrorContact]]:
    """The first of a name with each of the others: enough to name them all."""
    first: dict[str, MirrorContact] = {}
    for contact in crowd:
        before = first.setdefault(contact.name_key, contact)
        if before is not contact:
            yield before, contact


def _alike(
    one: MirrorContact, other: MirrorContact, tag_domains: Sequence[str]
) -> tuple[bool, str] | None:
    """Whether surely, and why; None: they are two."""
    names = compare(one.name, other.name)
    has_name = names.likeness >= Likeness.COMPATIBLE
    has_email = same_mailbox(one.email, other.email, tag_domains)
    if is_written(one.contact_number, other.contact_number):
        return True, f"the same Contact Number {one.contact_number}; {names.why}"
    if _numbers_say_two(one, other):
        return None
    number = _shared_number(one, other)
    if number and (has_name or has_email or names.is_surname_changed):
        return True, f"the same {number}; {names.why}"
    if has_email and names.likeness >= Likeness.UNSURE:
        return has_name, f"the same e-mail {one.email}; {names.why}"
    if has_name and not (one.email and other.email):
        return False, f"{names.why}, and one of them has no e-mail"
    return None


def _shared_number(one: MirrorContact, other: MirrorContact) -> str:
    if is_written(one.account_number, other.account_number):
        return f"Account Number {one.account_number}"
    for name, ours, theirs in (
        ("Tax Number", one.tax_number, other.tax_number),
        ("Company Number", one.company_number, other.company_number),
    ):
        if is_real_number(ours) and is_written(ours, theirs):
            return f"{name} {ours}"
    return ""


def _numbers_say_two(one: MirrorContact, other: MirrorContact) -> bool:
    """Two Contact Numbers of one look are two members, whatever else they share."""
    ours, theirs = one.contact_number, other.contact_number
    return bool(ours and theirs) and shape(ours) == shape(theirs)


def merge_plan(found: Sequence[Finding], usage: Usage) -> list[Merge]:
    """For each group that is surely one: which contact stays, and why.

    Likely duplicates that are not sure are left out: a merge can't be undone.
    """
    return [
        merge
        for group in _groups([finding for finding in found if finding.is_sure])
        for merge in _merges(group, usage)
    ]


@dataclass(slots=True)
class _Group:
    contacts: dict[str, MirrorContact] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def _groups(found: Sequence[Finding]) -> list[_Group]:
    """Contacts that are one with each other, directly or by a third."""
    group_of: dict[str, _Group] = {}
    for finding in found:
        if finding.other is None:
            continue
        pair = (finding.contact, finding.other)
        groups = [group_of.get(each.contact_id) or _Group() for each in pair]
        joined = groups[0]
        if groups[1] is not joined:
            joined.contacts.update(groups[1].contacts)
            joined.why.update(groups[1].why)
        for contact in pair:
            joined.contacts[contact.contact_id] = contact
            joined.why.setdefault(contact.contact_id, finding.why)
        group_of.update(dict.fromkeys(joined.contacts, joined))
    return list({id(group): group for group in group_of.values()}.values())


def _merges(group: _Group, usage: Usage) -> Iterator[Merge]:
    kept, *others = sorted(
        group.contacts.values(), key=lambda contact: _worth(contact, usage)
    )
    owner = usage.owners.get(kept.contact_id)
    for contact in others:
        theirs = usage.owners.get(contact.contact_id)
        conflict = (
            f"member {theirs}'s, while the other is member {owner}'s: "
            "settle in the platform whether they are one"
            if theirs is not None and theirs != owner
            else ""
        )
        why = group.why[contact.contact_id]
        yield Merge(contact, kept, why, _keep_because(kept, contact, usage), conflict)


def _worth(contact: MirrorContact, usage: Usage) -> tuple[object, ...]:
    """The smallest stays: linked, used, numbered, complete, long unchanged."""
    return (
        contact.contact_id not in usage.owners,
        -usage.invoices.get(contact.contact_id, 0),
        not contact.contact_number,
        -_filled(contact),
        contact.updated_at or _LONG_AGO,
        contact.contact_id,
    )


def _filled(contact: MirrorContact) -> int:
    return sum(
        bool(value)
        for value in (
            contact.email,
            contact.account_number,
            contact.tax_number,
            contact.company_number,
        )
    )


def _keep_because(kept: MirrorContact, gone: MirrorContact, usage: Usage) -> str:
    ours, theirs = (usage.invoices.get(c.contact_id, 0) for c in (kept, gone))
    if kept.contact_id in usage.owners:
        return f"is member {usage.owners[kept.contact_id]}'s"
    if ours > theirs:
        return f"has {ours} of our invoices, the other {theirs}"
    if kept.contact_number and not gone.contact_number:
        return "has a Contact Number"
    if _filled(kept) > _filled(gone):
        return "is more complete"
    if (kept.updated_at or _LONG_AGO) < (gone.updated_at or _LONG_AGO):
        return "was not changed for longer"
    return "has the smaller id: nothing else tells them apart"
