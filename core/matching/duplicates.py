"""Contacts in Xero that finance should look at, and which to merge into which.

Pure: values in, findings out. Xero has no call that merges contacts, so that the plan
is a list for a person at Xero's own screen.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations

from core.matching.contact import ACTIVE, MirrorContact
from core.matching.contradictions import contradiction
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
    """Something to look at.

    Args:
        conflict: of a duplicate that would be sure but for a third contact: which two
            of its group are not one.
    """

    kind: str  # duplicate, or what the audit calls it
    is_sure: bool
    contact: MirrorContact
    why: str
    member_id: str = ""
    other: MirrorContact | None = None
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """One contact that is to go, into one that is to stay."""

    merge: MirrorContact
    into: MirrorContact
    why: str
    keep_because: str
    #: Why a person must find out first who is who; such a merge is not certain.
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
    for one, other in _pairs(active, usage):
        key = one.contact_id, other.contact_id
        if key in found or _are_two_members(one, other, usage):
            continue
        alike = _alike(one, other, usage.tag_domains)
        if alike is not None:
            is_sure, why = alike
            found[key] = Finding("duplicate", is_sure, one, why, other=other)
    return sorted(_doubted(list(found.values()), usage), key=_by_certainty)


def _doubted(found: Sequence[Finding], usage: Usage) -> Iterator[Finding]:
    """None is sure where others of its group speak against each other."""
    conflicts = {
        contact_id: conflict
        for group in _groups(found)
        if (conflict := group.conflict(usage))
        for contact_id in group.contacts
    }
    for finding in found:
        conflict = conflicts.get(finding.contact.contact_id, "")
        if conflict and finding.is_sure:
            yield replace(finding, is_sure=False, conflict=conflict)
        else:
            yield finding


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
    contacts: Sequence[MirrorContact], usage: Usage
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
                yield from _pairs_of_one_name(together, usage)


def _pairs_of_one_name(
    crowd: Sequence[MirrorContact], usage: Usage
) -> Iterator[tuple[MirrorContact, MirrorContact]]:
    """Those of one name; of very many the first with each of the others.

    The first is then one that is tied to nobody: it fits all of them, so that two of
    them who are not one are seen to be in one group.
    """
    named = defaultdict(list)
    for contact in crowd:
        named[contact.name_key].append(contact)
    for namesakes in named.values():
        if len(namesakes) <= _CROWD:
            yield from combinations(namesakes, 2)
            continue
        free = (each for each in namesakes if not _is_tied(each, usage))
        first = next(free, namesakes[0])
        for contact in namesakes:
            if contact is not first:
                one, other = sorted((first, contact), key=lambda each: each.contact_id)
                yield one, other


def _is_tied(contact: MirrorContact, usage: Usage) -> bool:
    return contact.contact_id in usage.owners or bool(contact.contact_number)


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

    Likely duplicates that are not sure are left out: a merge can't be undone. Where
    only others of their group speak against them, each has the conflict.
    """
    return [merge for group in _groups(found) for merge in _merges(group, usage)]


@dataclass(slots=True)
class _Group:
    contacts: dict[str, MirrorContact] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)  # found to be one

    def add(self, finding: Finding, other: MirrorContact) -> None:
        keys = sorted((finding.contact.name_key, other.name_key))
        self.names.add((keys[0], keys[1]))
        for contact in (finding.contact, other):
            self.contacts[contact.contact_id] = contact
            self.why.setdefault(contact.contact_id, finding.why)

    def join(self, other: "_Group") -> None:
        self.contacts.update(other.contacts)
        self.why.update(other.why)
        self.names.update(other.names)

    def conflict(self, usage: Usage) -> str:
        return contradiction(
            list(self.contacts.values()),
            usage.owners,
            lambda one, other: (min(one, other), max(one, other)) in self.names,
        )


def _groups(found: Sequence[Finding]) -> list[_Group]:
    """Contacts that are one with each other, directly or by a third."""
    group_of: dict[str, _Group] = {}
    for finding in found:
        other = finding.other
        if other is None or not (finding.is_sure or finding.conflict):
            continue
        pair = (finding.contact, other)
        groups = [group_of.get(each.contact_id) or _Group() for each in pair]
        joined = groups[0]
        if groups[1] is not joined:
            joined.join(groups[1])
        joined.add(finding, other)
        group_of.update(dict.fromkeys(joined.contacts, joined))
    return list({id(group): group for group in group_of.values()}.values())


def _merges(group: _Group, usage: Usage) -> Iterator[Merge]:
    kept, *others = sorted(
        group.contacts.values(), key=lambda contact: _worth(contact, usage)
    )
    conflict = group.conflict(usage)
    told = f"{conflict}; find out first who each of them is" if conflict else ""
    for contact in others:
        why = group.why[contact.contact_id]
        yield Merge(contact, kept, why, _keep_because(kept, contact, usage), told)


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
