"""Updating contacts: only what has changed, up to fifty in a call, told apart by id."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from core import people
from core.calls import IDS_TOGETHER, Admit, XeroAnswer
from core.clock import Clock
from core.contact_fields import answered, as_xero_has_it, same, shown
from core.contact_lookup import by_id, look_up
from core.contact_writes import lock_members, taken_name
from core.contacts import deciding_anew, waiting
from core.db import contact_reads, contacts, writes
from core.db.models import Intent, Write
from core.db.writes import WriteState
from core.matching.contact import ACTIVE, MirrorContact
from core.messages import canonical
from core.names_taken import QUARANTINE, distinct_name
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName, Waker
from core.write_kind import ABSENT, HALVE, TRIES, Outcome, Prepared, WriteKind
from core.xero_json import contact as parse_contact
from core.xero_json import errors as errors_of

log = structlog.get_logger()

#: An update that has waited for longer since its contact was read, for a limit of
#: Xero's, might overwrite an edit that nobody has weighed.
READ_IS_GOOD_FOR = timedelta(minutes=1)

#: A look-up's answer for a contact that is there and does not show what was sent.
NOT_THERE = "the update is not in Xero"


class UpdateContacts(WriteKind):
    """An element's key is the member's id."""

    name = LaneName.CONTACT_UPDATES.value
    purpose = Purpose.BULK
    #: As many as one read tells of: what became of a call is found by one.
    batch = IDS_TOGETHER

    def __init__(self, settings: Settings, waker: Waker, clock: Clock) -> None:
        self.settings = settings
        self.waker = waker
        self.clock = clock

    def still_wanted(
        self, tenant: str, due: Sequence[Write], now: datetime
    ) -> Sequence[Write]:
        """Those whose contact was read a moment ago; the others are read once more."""
        ids = [element.data["contact_id"] for element in due]
        told_at = contact_reads.told_at(tenant, ids) if ids else {}
        old = {e.id: e for e in due if _is_read_first(e, told_at, now)}
        for element in old.values():
            people.read_first(tenant, element.key, now)
        if old:
            self.waker.lane(tenant, LaneName.CONTACT_READS)
        return [element for element in due if element.id not in old]

    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        body = {"Contacts": [_body(element) for element in elements]}
        return Prepared("POST", "Contacts", canonical(body).encode(), elements)

    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        raws = by_id(answer)
        return {
            element.id: Outcome(parse_contact(raw), errors_of(raw))
            for element in elements
            if (raw := raws.get(element.data["contact_id"])) is not None
        }

    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        """Read by their ids; an update is there when every field of it is."""
        ids = {element.data["contact_id"] for element in elements}
        there = look_up(admit, "look_up_contact_updates", ids)
        found = {
            element.id: _if_landed(element, there.get(element.data["contact_id"]))
            for element in elements
        }
        if intent.reason.startswith(HALVE):
            # Nothing was done, nor said of any one of them: they come back in halves.
            return {i: ABSENT if o.errors else o for i, o in found.items()}
        return found

    def lock(self, elements: Sequence[Write]) -> None:
        lock_members(elements)

    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        tenant = element.tenant
        policy = self.settings.tenants[tenant]
        if not outcome.errors:
            # First, because it waits for whoever has just asked for this update.
            writes.finish(element, WriteState.DONE)
            self._landed(element, outcome.record, now)
            log.info("contact.updated", member_id=element.key, intent=element.intent_id)
        elif outcome.errors == (NOT_THERE,) and element.tries + 1 < TRIES:
            writes.due_again(element, now, failed=True)
            self._weigh_anew(element, outcome.record, now)
            return
        elif taken_name(outcome) and (name := self._other_name(element)):
            writes.due_again(element, now, data={**element.data, "name": name})
            return
        else:
            reason = "; ".join(outcome.errors)
            writes.finish(element, WriteState.REFUSED, reason)
            people.refused(tenant, element.key, element, reason, policy, now)
        deciding_anew.decide_anew(tenant, element.key, policy, now)

    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], answered_at: datetime
    ) -> None:
        for tenant in {element.tenant for element, _ in outcomes}:
            self.waker.lane(tenant, LaneName.CONTACT_READS)
            self.waker.lane(tenant, LaneName.EMAILS)
            self.waker.lane(tenant, LaneName.INVOICES)
        self.waker.relay()

    def _landed(self, element: Write, contact: MirrorContact, now: datetime) -> None:
        tenant, member_id = element.tenant, element.key
        contact = answered(contact, contacts.get(tenant, contact.contact_id))
        contacts.put(tenant, [contact])
        contact_reads.forget(tenant, contact.contact_id, contact.updated_at)
        people.landed(tenant, member_id, element.data["fields"], contact)
        policy = self.settings.tenants[tenant]
        people.reconcile(tenant, member_id, policy, now, is_fresh=True)
        if element.data.get("restores"):
            waiting.invoice_again(tenant, member_id, contact.contact_id, now)

    def _weigh_anew(
        self, element: Write, contact: MirrorContact, now: datetime
    ) -> None:
        """It is not in Xero, or somebody has edited it there since: they may win."""
        contacts.put(element.tenant, [contact])
        policy = self.settings.tenants[element.tenant]
        people.reconcile(element.tenant, element.key, policy, now, is_fresh=True)

    def _other_name(self, element: Write) -> str:
        """As for a newcomer whose name is taken; empty: a person decides."""
        tenant, member_id = element.tenant, element.key
        contact = contacts.get(tenant, element.data["contact_id"])
        kept = contact.name if contact is not None else ""
        name = element.data["fields"].get("name", kept)
        pattern = self.settings.tenants[tenant].name_taken
        is_left = pattern != QUARANTINE and "name" not in element.data
        return distinct_name(pattern, name, member_id) if is_left else ""


def _is_read_first(
    element: Write, told_at: Mapping[str, datetime], now: datetime
) -> bool:
    """Whether somebody may have edited what the update would overwrite."""
    if element.data.get("restores"):
        return False  # it overwrites nothing
    read_at = element.data.get("read_at")
    if read_at is None or now - datetime.fromisoformat(read_at) > READ_IS_GOOD_FOR:
        return True
    contact_id = element.data["contact_id"]
    if contact_id not in told_at:
        return False
    shown_at = contacts.updated_at(element.tenant, contact_id)
    return shown_at is not None and told_at[contact_id] > shown_at


def _body(element: Write) -> dict[str, Any]:
    body = {
        "ContactID": element.data["contact_id"],
        **as_xero_has_it(element.data["fields"]),
    }
    if "name" in element.data:
        body["Name"] = element.data["name"]
    if element.data.get("restores"):
        body["ContactStatus"] = ACTIVE
    return body


def _if_landed(element: Write, raw: Mapping[str, Any] | None) -> Outcome:
    """Adopted only when Xero shows all that was sent."""
    if raw is None:
        return ABSENT
    contact = parse_contact(raw)
    sent = dict(element.data["fields"])
    if "name" in element.data:
        sent["name"] = element.data["name"]
    there = shown(contact)
    is_there = all(same(name, value, there[name]) for name, value in sent.items())
    is_active = contact.status == ACTIVE or not element.data.get("restores")
    landed = is_there and is_active
    return Outcome(contact) if landed else Outcome(contact, (NOT_THERE,))
