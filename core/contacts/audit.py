"""The audit of a tenant's contacts, with what the books know of their use."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from core.db import contacts, invoices
from core.matching.contact import ACTIVE
from core.matching.duplicates import Finding, Merge, Usage, duplicates, merge_plan
from core.matching.match import all_that_fit
from core.matching.verdict import Circumstances
from core.members import Member
from core.settings import Settings

#: Told of each member that was looked at.
Progress = Callable[[], None]


def findings(tenant: str, settings: Settings, progress: Progress) -> list[Finding]:
    """Everything that finance should look at, the surest of each kind first."""
    usage = _usage(tenant, settings)
    members = _members(tenant)
    looked = sorted(
        _look_alikes(tenant, members, usage, progress), key=lambda f: not f.is_sure
    )
    found = map(_with_conflict, duplicates(contacts.everything(tenant), usage))
    return [*_out_of_use(tenant, usage), *looked, *found]


def _with_conflict(finding: Finding) -> Finding:
    if not finding.conflict:
        return finding
    return replace(finding, why=f"{finding.why}; but not certain: {finding.conflict}")


def plan_merges(tenant: str, settings: Settings) -> list[Merge]:
    usage = _usage(tenant, settings)
    return merge_plan(duplicates(contacts.everything(tenant), usage), usage)


def count_members(tenant: str) -> int:
    return len(_members(tenant))


def _usage(tenant: str, settings: Settings) -> Usage:
    return Usage(
        owners={row.contact_id: row.member_id for row in contacts.links(tenant)},
        invoices=invoices.count_by_contact(tenant),
        tag_domains=settings.tenants[tenant].plus_tag_domains,
    )


def _members(tenant: str) -> list[Member]:
    payers = invoices.payers(tenant)
    return [Member.model_validate(payers[key]) for key in sorted(payers)]


def _out_of_use(tenant: str, usage: Usage) -> Iterator[Finding]:
    """Members whose contact can take no invoice."""
    for contact_id, contact in contacts.by_ids(tenant, usage.owners).items():
        if contact.status != ACTIVE:
            why = f"the member's contact is {contact.status}"
            if contact.merged_to:
                why = f"{why}, merged into {contact.merged_to}"
            owner = usage.owners[contact_id]
            yield Finding("archived", True, contact, why, member_id=owner)


def _look_alikes(
    tenant: str, members: list[Member], usage: Usage, progress: Progress
) -> Iterator[Finding]:
    """Contacts of nobody that look like a member who is invoiced elsewhere."""
    own = {member_id: key for key, member_id in usage.owners.items()}
    known = Circumstances(taken=usage.owners, tag_domains=usage.tag_domains)
    for member in members:
        progress()
        if member.id not in own:
            continue
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
