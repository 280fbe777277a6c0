"""The audit of a tenant's contacts, with what the books know of members and use."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from core.contacts import deciding
from core.contacts.contradicting import Contradictions
from core.contacts.evidence import reason_of
from core.contacts.members_known import members_known
from core.db import contact_links, contacts, invoices
from core.matching.contact import ACTIVE, MirrorContact
from core.matching.duplicates import Finding, Merge, Usage, duplicates, merge_plan
from core.matching.match import all_that_fit
from core.matching.verdict import Ambiguous, Circumstances, Matched, NoMatch
from core.members import Member
from core.settings import Settings, TenantSettings

#: Told of each member that was looked at.
Progress = Callable[[], None]

#: Of these there always are some: sponsors and suppliers are members of no body.
NOBODY = "nobody"


def findings(tenant: str, settings: Settings, progress: Progress) -> list[Finding]:
    """Everything that finance should look at, the surest of each kind first."""
    usage = _usage(tenant, settings)
    known = members_known(tenant)
    policy = settings.tenants[tenant]
    looked = [
        *_look_alikes(tenant, _linked(tenant, known, usage), usage, progress),
        *_unlinked(tenant, known, usage, policy, progress),
    ]
    everything = {each.contact_id: each for each in contacts.everything(tenant)}
    return [
        *_out_of_use(tenant, usage),
        *_contradicted(everything, known, usage),
        *sorted((f for f in looked if f.kind != NOBODY), key=_by_certainty),
        *map(_with_conflict, duplicates(everything.values(), usage)),
        *_of_nobody(everything, looked, usage),
    ]


def _by_certainty(finding: Finding) -> tuple[bool, bool]:
    return finding.kind != "undecided", not finding.is_sure


def _with_conflict(finding: Finding) -> Finding:
    if not finding.conflict:
        return finding
    return replace(finding, why=f"{finding.why}; but not certain: {finding.conflict}")


def plan_merges(tenant: str, settings: Settings) -> list[Merge]:
    """What to merge into what at Xero's own screen, one row for each contact to go."""
    usage = _usage(tenant, settings)
    return merge_plan(duplicates(contacts.everything(tenant), usage), usage)


def count_members(tenant: str) -> int:
    linked = {row.member_id for row in contact_links.everything(tenant)}
    return len(members_known(tenant).keys() | linked)


def _usage(tenant: str, settings: Settings) -> Usage:
    links = contact_links.everything(tenant)
    return Usage(
        owners={row.contact_id: row.member_id for row in links},
        invoices=invoices.count_by_contact(tenant),
        tag_domains=settings.tenants[tenant].plus_tag_domains,
    )


def _linked(tenant: str, known: Mapping[str, Member], usage: Usage) -> list[Member]:
    """Members who have a contact; of some no more is known than the contact's name."""
    shown = contacts.by_ids(tenant, usage.owners)
    found = []
    for contact_id, member_id in usage.owners.items():
        member = known.get(member_id)
        if member is None:
            name = shown[contact_id].name if contact_id in shown else ""
            # Unchecked: Xero takes names that no message may have.
            member = Member.model_construct(id=member_id, name=name, email="")
        found.append(member)
    return sorted(found, key=lambda member: member.id)


def _out_of_use(tenant: str, usage: Usage) -> Iterator[Finding]:
    """Members whose contact can take no invoice."""
    for contact_id, contact in contacts.by_ids(tenant, usage.owners).items():
        if contact.status != ACTIVE:
            why = f"the member's contact is {contact.status}"
            if contact.merged_to:
                why = f"{why}, merged into {contact.merged_to}"
            owner = usage.owners[contact_id]
            yield Finding("archived", True, contact, why, member_id=owner)


def _contradicted(
    everything: Mapping[str, MirrorContact], known: Mapping[str, Member], usage: Usage
) -> Iterator[Finding]:
    """Links that another member's Contact Number speaks against."""
    members = set(usage.owners.values())
    against = Contradictions(everything, known, members, set())
    for contact_id, member_id in sorted(usage.owners.items(), key=lambda each: each[1]):
        contact = everything.get(contact_id)
        if contact and (why := against.mistake(member_id, contact)):
            yield Finding("number", True, contact, f"linked, but {why}", member_id)


def _look_alikes(
    tenant: str, members: list[Member], usage: Usage, progress: Progress
) -> Iterator[Finding]:
    """Contacts of nobody that look like a member who has another one."""
    known = Circumstances(taken=usage.owners, tag_domains=usage.tag_domains)
    for member in members:
        progress()
        seen = set()
        for rule, found in all_that_fit(
            member, contacts.candidates(tenant, member, None), known
        ):
            contact = found.contact
            is_free = contact.contact_id not in usage.owners
            if is_free and contact.status == ACTIVE and contact.contact_id not in seen:
                seen.add(contact.contact_id)
                why = f"looks like the member by {rule}: {found.why}"
                yield Finding("member", found.is_sure, contact, why, member.id)


def _unlinked(
    tenant: str,
    known: Mapping[str, Member],
    usage: Usage,
    policy: TenantSettings,
    progress: Progress,
) -> Iterator[Finding]:
    """What will be decided of members who have no contact yet."""
    linked = set(usage.owners.values())
    for member in known.values():
        if member.id in linked:
            continue
        progress()
        match deciding.decide(tenant, member, policy):
            case Matched(contact, rule, why):
                why = f"will be the member's by {rule}: {why}"
                yield Finding(NOBODY, True, contact, why, member.id)
            case Ambiguous(candidates) as doubt:
                reason = reason_of(member.id, doubt)
                for found in candidates:
                    why = f"{reason}: {found.why}"
                    yield Finding("undecided", False, found.contact, why, member.id)
            case NoMatch():
                pass


def _of_nobody(
    everything: Mapping[str, MirrorContact], looked: list[Finding], usage: Usage
) -> Iterator[Finding]:
    """Contacts in use that no member has, those first whose they will be."""
    yield from (finding for finding in looked if finding.kind == NOBODY)
    named = {finding.contact.contact_id for finding in looked}
    for contact_id, contact in everything.items():
        is_free = contact_id not in usage.owners and contact_id not in named
        if is_free and contact.status == ACTIVE:
            yield Finding(NOBODY, False, contact, "linked to no member")
