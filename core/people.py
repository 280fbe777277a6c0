"""What the platform and Xero say of people, brought together field by field.

Whoever learns something of a member ends here: a message, a read of the contact, the
outcome of an update. Rows are locked in one order: the member's update (``write``),
then the member's profile, then the creation of a contact, then invoices; of several
members those of the lowest id first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from pydantic import ValidationError

from core import agreeing, answers, contact_messages
from core.agreeing import Field, Outcome, Step, Told
from core.contact_fields import SHARED, is_empty, said, same, shown
from core.db import (
    contact_links,
    contact_reads,
    contacts,
    inbox,
    outbox,
    positions,
    problems,
    profiles,
    writes,
)
from core.db.database import atomically
from core.db.models import Inbox, MemberProfile, Write
from core.db.writes import WriteState
from core.matching.contact import ACTIVE, MirrorContact
from core.members import Member
from core.settings import TenantSettings
from core.waking import LaneName


class Standing(Enum):
    """How far Xero has what the platform says."""

    NO_CONTACT = auto()  # none that is active: kept for later
    EQUAL = auto()
    DUE = auto()
    REFUSED = auto()  # Xero will not have it: a person must look


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of people.

    Args:
        at: the ``time`` that it bears.
        reader: the platform's group: what it has acknowledged it has read.
    """

    row: Inbox
    at: datetime
    members: Sequence[Member]
    reader: str


def lock(tenant: str, member_id: str) -> MemberProfile | None:
    """Nobody else learns anything of the member until the commit.

    Returns:
        The profile; None for a member of whom nothing was ever said.
    """
    writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    return profiles.lock(tenant, member_id)


def lock_new(tenant: str, member_id: str) -> MemberProfile:
    """As ``lock``, also for a member of whom nothing was ever said."""
    writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    return profiles.locked(tenant, member_id)


# -- hearing ---------------------------------------------------------------------------


def hear(
    tenant: str, member: Member, by: Said, policy: TenantSettings, now: datetime
) -> list[Step]:
    """A message says this of a member. Steps of the fields that were news."""
    profile = lock_new(tenant, member.id)
    held = profiles.fields_of(profile)
    order = (by.at, by.row.id)
    steps: list[Step] = []
    for name, value in said(member).items():
        before = held.get(name, Field())
        step = agreeing.hear(
            name,
            before,
            value,
            order,
            now,
            policy.winner(name),
            read_at=_read_at(by.reader, before),
        )
        held[name] = step.field
        if step.field != before:
            steps.append(step)
    _tell(profile, held, steps, _version(tenant, profile), now, by.row)
    profiles.save(profile, held)
    return steps


def _read_at(reader: str, held: Field) -> datetime | None:
    """When the platform had read what it was told last of this field."""
    if held.told_at is None:
        return None
    return positions.acknowledged_at(reader, held.told_by)


def hear_all(tenant: str, by: Said, policy: TenantSettings, now: datetime) -> None:
    """A message about something else names these people too."""
    for member in sorted(by.members, key=lambda member: member.id):
        hear(tenant, member, by, policy, now)
        reconcile(tenant, member.id, policy, now)


def newest(tenant: str, member: Member) -> Member:
    """The member as the newest messages say; one that comes late knows less."""
    profile = lock(tenant, member.id)
    return member if profile is None else newer(profile, member) or member


def newer(profile: MemberProfile, known: Member | None) -> Member | None:
    """The member as the newest messages say, beside what is known already.

    Returns:
        None: nothing was known, and what was said is not enough for a member.
    """
    before = (
        {"id": profile.member_id} if known is None else known.model_dump(mode="json")
    )
    held = profiles.fields_of(profile)
    told = {name: held[name].said for name in SHARED if name in held}
    given = {name: value for name, value in told.items() if not is_empty(value)}
    try:
        return Member.model_validate({**before, **given})
    except ValidationError:
        return known  # what finance has typed in Xero need not fit a message


# -- comparing -------------------------------------------------------------------------


def reconcile(
    tenant: str,
    member_id: str,
    policy: TenantSettings,
    now: datetime,
    *,
    is_fresh: bool = False,
    asked_by: Inbox | None = None,
) -> Standing:
    """Compare what the platform says with the contact, and do what follows.

    Only a contact that has just been read (``is_fresh``) may be updated, or what
    somebody has edited there a moment ago would be lost unseen. The message that asked
    (``asked_by``) is answered when Xero has what it says.
    """
    write = writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    profile = profiles.locked(tenant, member_id)
    contact = _contact_of(tenant, member_id)
    if contact is None:
        return Standing.NO_CONTACT
    before = profiles.fields_of(profile)
    if write is not None and write.state == WriteState.CLAIMED:
        # Its outcome says what of this is our own doing; then it is compared.
        _wait(profile, asked_by)
        profiles.save(profile, before)
        return Standing.DUE
    held = _with(profile, before, contact)
    due = _compare(tenant, profile, contact, held, policy, now)
    if not due:
        is_active = contact.status == ACTIVE
        _nothing_due(profile, before, write, now)
        _answer(profile, _outcome(before, held) if is_active else "remembered", now)
        profiles.save(profile, held)
        return Standing.EQUAL if is_active else Standing.NO_CONTACT
    _wait(profile, asked_by)
    profiles.save(profile, held)
    return _due(profile, due, write, now, is_fresh)


def _wait(profile: MemberProfile, asked_by: Inbox | None) -> None:
    if asked_by is not None:
        profile.waiting = [*profile.waiting, asked_by.id]


def _with(
    profile: MemberProfile, before: Mapping[str, Field], contact: MirrorContact
) -> dict[str, Field]:
    """The fields, which start anew with another contact."""
    if profile.contact_id == contact.contact_id:
        return dict(before)
    profile.contact_id = contact.contact_id
    profile.contact_status = contact.status
    return {name: agreeing.of_another_contact(held) for name, held in before.items()}


def _compare(
    tenant: str,
    profile: MemberProfile,
    contact: MirrorContact,
    held: dict[str, Field],
    policy: TenantSettings,
    now: datetime,
) -> dict[str, Any]:
    """Compare every field, tell and note what comes of it.

    Returns:
        What is to be written. Of an archived or erased contact nothing is: what the
        platform says is kept, and compared when it is active again.
    """
    steps: list[Step] = []
    if profile.contact_status != contact.status:
        was, profile.contact_status = profile.contact_status, contact.status
        told = Told("status", was, contact.status, Outcome.CHANGED, now)
        steps.append(Step(Field(), told=told))
    if contact.status == ACTIVE:
        for name, value in shown(contact).items():
            winner, before = policy.winner(name), held.get(name, Field())
            step = agreeing.compare(name, before, value, now, winner)
            held[name] = step.field
            steps.append(step)
    _tell(profile, held, steps, contact.updated_at, now, None)
    return _values_due(held) if contact.status == ACTIVE else {}


def _tell(
    profile: MemberProfile,
    held: dict[str, Field],
    steps: Sequence[Step],
    version: datetime | None,
    now: datetime,
    asked: Inbox | None,
) -> None:
    """Keep what was overruled, and tell the platform what holds."""
    tenant, member_id = profile.tenant, profile.member_id
    contact_id = profile.contact_id or ""
    for step in steps:
        if step.edit is not None:
            profiles.add_edit(tenant, member_id, contact_id, step.edit, now)
    told = [step.told for step in steps if step.told is not None]
    if not told:
        return
    message = contact_messages.changed(
        tenant, member_id, contact_id, version, told, asked
    )
    outbox.say([message], tenant=tenant, at=now)
    for one in told:
        if one.field in held and held[one.field].told_at is not None:
            held[one.field] = replace(held[one.field], told_by=message.id)


# -- what follows ----------------------------------------------------------------------


def _nothing_due(
    profile: MemberProfile,
    before: Mapping[str, Field],
    write: Write | None,
    now: datetime,
) -> None:
    tenant, member_id = profile.tenant, profile.member_id
    if write is not None and not write.data.get("restores"):
        writes.drop(tenant, LaneName.CONTACT_UPDATES, member_id)
        problems.close_problem(cause_of(tenant, member_id), now)
    if _values_due(before) or write is not None:
        writes.let_go_of(tenant, LaneName.EMAILS, member_id, now)


def _outcome(before: Mapping[str, Field], held: Mapping[str, Field]) -> str:
    """Whether Xero has what waited for it, or what Xero had holds."""
    is_overruled = any(
        field.is_overruled and not before.get(name, Field()).is_overruled
        for name, field in held.items()
    )
    return "overruled" if is_overruled else "updated"


def _answer(profile: MemberProfile, outcome: str, now: datetime) -> None:
    """Messages that waited have their answer."""
    for row in _waiting(profile):
        answer = answers.done(row, outcome, None)
        outbox.say([answer], tenant=profile.tenant, at=now, answers=row)
    if profile.waiting:
        profile.waiting = []


def _due(
    profile: MemberProfile,
    due: Mapping[str, Any],
    write: Write | None,
    now: datetime,
    is_fresh: bool,
) -> Standing:
    """Update the contact; e-mails wait, so that they go to the new address."""
    tenant, member_id = profile.tenant, profile.member_id
    contact_id = str(profile.contact_id)
    data = {"contact_id": contact_id, "fields": dict(due)}
    state = write.state if write is not None and _asks(write, data) else None
    if write is not None and state == WriteState.REFUSED:
        _give_up(profile, write.reason, now)
        return Standing.REFUSED
    writes.hold_back(tenant, LaneName.EMAILS, member_id)
    if is_fresh:
        _ask(tenant, member_id, write, data, now)
    elif state != WriteState.DUE:
        writes.cancel(tenant, LaneName.CONTACT_UPDATES, member_id)
        contact_reads.ask(tenant, contact_id, now, is_needed=True)
    return Standing.DUE


def _ask(
    tenant: str,
    member_id: str,
    write: Write | None,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    """Ask for an update of a contact that has just been read."""
    as_of = {"read_at": now.isoformat()}
    if write is None:
        asked = {**data, **as_of}
        writes.add(tenant, LaneName.CONTACT_UPDATES, member_id, now, data=asked)
    elif write.state == WriteState.DUE and _asks(write, data):
        writes.due_again(write, write.due_at or now, data={**write.data, **as_of})
    else:
        writes.ask_anew(write, now, {**data, **as_of})


def _asks(write: Write, data: Mapping[str, Any]) -> bool:
    """Whether it is the same that was asked for, under whatever name, and when."""
    said_then = {k: v for k, v in write.data.items() if k not in ("name", "read_at")}
    return bool(said_then == data)


@atomically
def read_first(tenant: str, member_id: str, now: datetime) -> None:
    """What is due to be updated was read too long ago: it waits for another read."""
    write = writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    if write is not None and write.state == WriteState.DUE:
        writes.wait(write)
        contact_reads.ask(tenant, write.data["contact_id"], now, is_needed=True)


def restore(tenant: str, member_id: str, contact_id: str, now: datetime) -> str | None:
    """Ask Xero to make an archived contact active; why not, if it has refused that."""
    write = writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    data = {"contact_id": contact_id, "fields": {}, "restores": True}
    if write is not None and write.state == WriteState.CLAIMED:
        return None  # an update is on its way; its outcome asks again
    if write is not None and write.state == WriteState.REFUSED and _asks(write, data):
        return str(write.reason)
    _ask(tenant, member_id, write, data, now)
    return None


def part(tenant: str, member_id: str, now: datetime) -> bool:
    """The member is not that contact any more; False: an update of it is on its way."""
    write = writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    if write is not None and write.state == WriteState.CLAIMED:
        return False
    writes.drop(tenant, LaneName.CONTACT_UPDATES, member_id)
    writes.let_go_of(tenant, LaneName.EMAILS, member_id, now)
    problems.close_problem(cause_of(tenant, member_id), now)
    profile = profiles.lock(tenant, member_id)
    if profile is not None:
        _answer(profile, "remembered", now)
        profiles.save(profile, profiles.fields_of(profile))
    return True


# -- outcomes --------------------------------------------------------------------------


def created(tenant: str, sent: Member, contact: MirrorContact) -> None:
    """A contact was made of what was said then; it is agreed."""
    profile = profiles.locked(tenant, sent.id)
    values, before = shown(contact), profiles.fields_of(profile)
    given = said(sent)
    held = {
        name: agreeing.created(before.get(name, Field()), given.get(name), values[name])
        for name in SHARED
    }
    profile.contact_id, profile.contact_status = contact.contact_id, contact.status
    profiles.save(profile, {**before, **held})


def found(
    tenant: str, sent: Member, values: Mapping[str, Any], contact: MirrorContact
) -> None:
    """A contact was perhaps made of these values: agreed is what it shows of them.

    Of the rest nobody has agreed on anything.
    """
    profile, given, there = profiles.locked(tenant, sent.id), said(sent), shown(contact)
    before = profiles.fields_of(profile)
    held = {}
    for name in SHARED:
        field = before.get(name, Field())
        if name in values and same(name, values[name], there[name]):
            held[name] = agreeing.created(field, given[name], there[name])
        else:
            held[name] = agreeing.of_another_contact(field)
    profile.contact_id, profile.contact_status = contact.contact_id, contact.status
    profiles.save(profile, {**before, **held})


def landed(
    tenant: str, member_id: str, sent: Mapping[str, Any], contact: MirrorContact
) -> None:
    """The contact has taken these values; the member's update is ours already."""
    profile = profiles.locked(tenant, member_id)
    held, values = profiles.fields_of(profile), shown(contact)
    if profile.contact_id != contact.contact_id:
        return  # the member has another contact by now
    for name, value in sent.items():
        held[name] = agreeing.land(name, held[name], value, values[name])
    profiles.save(profile, held)


def refused(
    tenant: str,
    member_id: str,
    write: Write,
    reason: str,
    policy: TenantSettings,
    now: datetime,
) -> None:
    """Xero will not have the update, which is compared with what is said by now.

    Where that is still the same, whoever waits for it is told why.
    """
    standing = reconcile(tenant, member_id, policy, now)
    if standing is Standing.NO_CONTACT and write.data.get("restores"):
        _give_up(profiles.locked(tenant, member_id), reason, now)


def retry(tenant: str, member_id: str, policy: TenantSettings, now: datetime) -> bool:
    """What Xero refused is compared and asked for anew; False: it refused nothing."""
    write = writes.lock(tenant, LaneName.CONTACT_UPDATES, member_id)
    if write is None or write.state != WriteState.REFUSED:
        return False
    if write.data.get("restores"):
        return writes.ask_again(tenant, LaneName.CONTACT_UPDATES, member_id, now)
    writes.drop(tenant, LaneName.CONTACT_UPDATES, member_id)
    reconcile(tenant, member_id, policy, now)
    return True


def _give_up(profile: MemberProfile, reason: str, now: datetime) -> None:
    """A person must look: whoever waits is told why, and e-mails that may go go."""
    tenant, member_id = profile.tenant, profile.member_id
    cause, held = cause_of(tenant, member_id), profiles.fields_of(profile)
    problems.open_problem(
        "contact_update_refused",
        cause,
        f"Xero does not update the contact of member {member_id}: {reason}",
        now,
        tenant=tenant,
    )
    _hold_waiting(profile, cause, reason, now)
    if not held.get("email", Field()).is_due:
        writes.let_go_of(tenant, LaneName.EMAILS, member_id, now)


def _hold_waiting(
    profile: MemberProfile, cause: str, reason: str, now: datetime
) -> None:
    for row in _waiting(profile):
        answer = answers.held(row, cause, reason)
        outbox.say([answer], tenant=profile.tenant, at=now, answers=row)


# -- asking ----------------------------------------------------------------------------


def status_of(tenant: str, member_id: str) -> str:
    """The contact's status when it was last compared; empty: it never was."""
    profile = profiles.lock(tenant, member_id)
    return "" if profile is None else str(profile.contact_status)


def when_to_mail(tenant: str, member_id: str, now: datetime) -> datetime | None:
    """Now, or None: as soon as the payer's contact is as the platform says."""
    profile = profiles.lock(tenant, member_id)
    if profile is None:
        return now
    due = _values_due(profiles.fields_of(profile))
    if not due or profile.contact_status != ACTIVE:
        return now
    is_given_up = writes.is_refused(tenant, LaneName.CONTACT_UPDATES, member_id)
    return now if is_given_up and "email" not in due else None


def is_overruled(tenant: str, member: Member) -> bool:
    """Whether Xero's value holds in the place of one that the platform says here."""
    profile = profiles.lock(tenant, member.id)
    held = {} if profile is None else profiles.fields_of(profile)
    return any(held[name].is_overruled for name in said(member) if name in held)


def cause_of(tenant: str, member_id: str) -> str:
    return f"contact_update:{tenant}:{member_id}"


def _values_due(held: Mapping[str, Field]) -> dict[str, Any]:
    """What is still to be written to Xero."""
    return {f: held[f].said for f in SHARED if f in held and held[f].is_due}


def _contact_of(tenant: str, member_id: str) -> MirrorContact | None:
    contact_id = contact_links.contact_of(tenant, member_id)
    return None if contact_id is None else contacts.get(tenant, contact_id)


def _version(tenant: str, profile: MemberProfile) -> datetime | None:
    return contacts.updated_at(tenant, profile.contact_id or "")


def _waiting(profile: MemberProfile) -> list[Inbox]:
    return [inbox.load(row) for row in profile.waiting]
