"""The books have changed: what was decided about members' contacts, once more."""

from datetime import datetime

from core import people
from core.contacts import deciding, waiting
from core.contacts.resolution import Known, Undecided
from core.db import contact_decisions, contact_links, invoices, writes
from core.db.database import atomically, transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice
from core.matching.verdict import Ambiguous, Doubt, Match, Matched
from core.members import Member
from core.settings import TenantSettings
from core.waking import LaneName


def release_decided(tenant: str, policy: TenantSettings, now: datetime) -> int:
    """After the mirror has changed: held invoices whose contact is clear go on.

    Each member in a transaction of its own: there may be thousands, and everybody else
    waits for a long one.

    Returns:
        How many members were decided.
    """
    count = 0
    for held in invoices.held_payers(tenant):
        with transaction():
            count += _release(tenant, held, policy, now)
    return count


def retry(tenant: str, member_id: str, policy: TenantSettings, now: datetime) -> None:
    """A person has mended something: decide anew, and ask Xero anew if it refused."""
    people.lock(tenant, member_id)
    writes.ask_again(tenant, LaneName.CONTACTS, member_id, now)
    held = invoices.of_payer(tenant, member_id, InvoiceState.HELD)
    if held:
        _release(tenant, held[-1], policy, now)


def raise_again(invoice: Invoice, policy: TenantSettings, now: datetime) -> bool:
    """A refused invoice goes on, on the contact that its payer has by now.

    Returns:
        Whether it was refused.
    """
    tenant, member = invoice.tenant, Member.model_validate(invoice.payer)
    people.lock(tenant, member.id)
    if invoices.load(invoice.id).state != InvoiceState.REFUSED:
        return False
    resolution = deciding.resolve(
        tenant, member, policy, now, is_awaited=invoice.is_awaited
    )
    invoice = invoices.lock(invoice.id)
    if invoice.state != InvoiceState.REFUSED:
        return True  # it has gone on already, by a merge that was met on the way
    if isinstance(resolution, Known):
        waiting.raise_again(invoice, resolution.contact_id, now)
        if resolution.others_wait:
            waiting.go_on(tenant, member.id, resolution, now)
        return True
    waiting.take_back(invoice, now)
    if isinstance(resolution, Undecided):
        waiting.hold(invoice, resolution.cause, resolution.reason, now)
    return True


def match_anew(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The member's link is gone: what is not in Xero is decided without it."""
    for invoice in waiting.locked(tenant, member_id, InvoiceState.REFUSED):
        waiting.take_back(invoice, now)
    retry(tenant, member_id, policy, now)
    decide_anew(tenant, member_id, policy, now)


def spare(tenant: str, member: Member, policy: TenantSettings, now: datetime) -> bool:
    """Whether a contact that is to be created is not, because one fits by now.

    Its invoices are decided anew. One that went to another member is no reason, nor is
    any where a person wants another contact.
    """
    if not _is_fitting(deciding.decide(tenant, member, policy)):
        return False
    return _take_back_creation(tenant, member.id, policy, now)


@atomically
def _take_back_creation(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> bool:
    people.lock(tenant, member_id)
    contact_links.lock_member(tenant, member_id)
    if contact_decisions.is_creation_wanted(tenant, member_id):
        return False
    if not writes.cancel(tenant, LaneName.CONTACTS, member_id):
        return False
    decide_anew(tenant, member_id, policy, now)
    return True


def _is_fitting(decision: Match) -> bool:
    if isinstance(decision, Ambiguous):
        return decision.reason is not Doubt.TAKEN
    return isinstance(decision, Matched)


def decide_anew(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The member's contact is not what it was: what waits for it is decided anew."""
    undecided = invoices.of_payer(tenant, member_id, InvoiceState.WAITING)
    if not undecided:
        return
    member = Member.model_validate(undecided[-1].payer)
    is_awaited = any(invoice.is_awaited for invoice in undecided)
    resolution = deciding.resolve(tenant, member, policy, now, is_awaited=is_awaited)
    if isinstance(resolution, Undecided):
        for invoice in waiting.locked(tenant, member_id, InvoiceState.WAITING):
            waiting.hold(invoice, resolution.cause, resolution.reason, now)
    else:
        waiting.go_on(tenant, member_id, resolution, now)


def take_back(
    tenant: str, member_id: str, policy: TenantSettings, now: datetime
) -> None:
    """The contact can't be invoiced now: what was not sent is decided anew."""
    for invoice in waiting.locked(tenant, member_id, InvoiceState.READY):
        if writes.cancel(tenant, LaneName.INVOICES, str(invoice.id)):
            invoices.change(invoice, state=InvoiceState.WAITING, contact_id=None)
    decide_anew(tenant, member_id, policy, now)


def _release(tenant: str, held: Invoice, policy: TenantSettings, now: datetime) -> bool:
    """Whether it is clear now; then all that this payer waits for goes on."""
    member = Member.model_validate(held.payer)
    resolution = deciding.resolve(
        tenant, member, policy, now, is_awaited=held.is_awaited
    )
    if isinstance(resolution, Undecided):
        return False
    waiting.go_on(tenant, member.id, resolution, now)
    return True
