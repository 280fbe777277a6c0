"""Creating contacts: ContactNumber is the member's id, up to fifty in a call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from core import mirror, people
from core.calls import Admit, XeroAnswer
from core.clock import Clock
from core.contact_fields import as_xero_has_it, is_empty, said, same, shown
from core.contacts import creating, deciding_anew
from core.db import contact_reads, contacts, writes
from core.db.database import transaction
from core.db.models import Intent, Write
from core.db.writes import WriteState
from core.matching.contact import ACTIVE, MirrorContact
from core.members import Member
from core.messages import canonical
from core.names_taken import QUARANTINE, distinct_name
from core.paging import ARCHIVED_TOO, Place, read_all
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName, Waker, lane_of
from core.write_kind import ABSENT, Outcome, Prepared, WriteKind
from core.xero_json import contact as parse_contact
from core.xero_json import errors as errors_of

log = structlog.get_logger()

#: What Xero says when another contact has the name (facts/xero.md, section 5), and of a
#: ContactNumber in the same words.
TAKEN = "already assigned to another contact"
OF_A_NAME = "The contact name "

#: A look-up reads what changed since before the call, by clocks that may differ.
BEFORE_THE_CALL = timedelta(minutes=10)


#: What is to be read, and could not be read for a while, is read within this.
READS_TAKE = timedelta(seconds=3)


class CreateContacts(WriteKind):
    name = LaneName.CONTACTS.value
    purpose = Purpose.BULK
    batch = 50

    def __init__(self, settings: Settings, waker: Waker, clock: Clock) -> None:
        self.settings = settings
        self.waker = waker
        self.clock = clock

    def still_wanted(
        self, tenant: str, due: Sequence[Write], now: datetime
    ) -> Sequence[Write]:
        """Without members of whom the mirror has learned a contact while they waited.

        They may have waited for hours, for a limit of Xero's that kept us from reading
        too: then what is to be read goes first, and each waits for it once.
        """
        if self._reads_first(tenant, due, now):
            return []
        policy = self.settings.tenants[tenant]
        return [
            element
            for element in due
            if not deciding_anew.spare(tenant, _member(element), policy, now)
        ]

    def _reads_first(self, tenant: str, due: Sequence[Write], now: datetime) -> bool:
        fresh = [element for element in due if "has_waited" not in element.data]
        unknown = contact_reads.of_unknown(tenant) if fresh else []
        if not unknown and not (fresh and mirror.is_overdue(tenant, now)):
            return False
        with transaction():
            for element in writes.lock_due(fresh):
                data = {**element.data, "has_waited": True}
                writes.due_again(element, now + READS_TAKE, data=data)
        with transaction():
            for read in sorted(unknown, key=lambda read: str(read.contact_id)):
                contact_reads.ask(tenant, read.contact_id, now, is_needed=True)
        for lane in (LaneName.CONTACT_READS, LaneName.MIRROR):
            self.waker.lane(tenant, lane)
        return True

    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        body = {"Contacts": [self._body(element) for element in elements]}
        return Prepared("PUT", "Contacts", canonical(body).encode(), elements)

    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        by_number = {
            raw.get("ContactNumber"): raw for raw in answer.json.get("Contacts") or []
        }
        found = {
            element.id: _outcome(by_number[element.key])
            for element in elements
            if element.key in by_number
        }
        # A number that is taken is perhaps our own, from a call whose answer was lost:
        # unknown, until Xero has been asked.
        return {
            element_id: outcome
            for element_id, outcome in found.items()
            if not _is_number_taken(outcome)
        }

    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        """What the mirror has, and what has changed since: mostly one read.

        ContactNumber is no filter. A number that is taken may have been so for long.
        """
        wanted = {element.key for element in elements}
        changed: dict[str, MirrorContact] = {}
        read_all(
            admit,
            "look_up_contacts",
            "Contacts",
            Place(_since(intent)),
            ARCHIVED_TOO,
            lambda page: changed.update(
                (contact.contact_id, contact)
                for contact in map(parse_contact, page.rows)
            ),
        )
        known = [
            contact
            for contact in contacts.numbered(intent.tenant, wanted)
            if contact.contact_id not in changed
        ]
        by_number = {
            contact.contact_number: contact for contact in (*known, *changed.values())
        }
        return {
            element.id: Outcome(by_number[element.key], is_found=True)
            if element.key in by_number
            else ABSENT
            for element in elements
        }

    def lock(self, elements: Sequence[Write]) -> None:
        lock_members(elements)

    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        if not outcome.errors:
            # First, because it waits for whoever has just asked for this contact.
            writes.finish(element, WriteState.DONE)
            if outcome.is_found and not _is_as_sent(element, outcome.record):
                self._found(element, outcome.record, now)
            else:
                self._created(element, outcome.record, now)
        elif reason := taken_name(outcome):
            self._name_is_taken(element, reason, now)
        else:
            reason = "; ".join(outcome.errors)
            self._give_up(element, reason)
            creating.refused_by_xero(element.tenant, _member(element), reason, now)

    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], answered_at: datetime
    ) -> None:
        for tenant, is_awaited in {(e.tenant, e.is_awaited) for e, _ in outcomes}:
            lane = lane_of(LaneName.INVOICES, is_awaited=is_awaited)
            self.waker.lane(tenant, lane)
        self.waker.relay()

    def _created(self, element: Write, contact: MirrorContact, now: datetime) -> None:
        tenant, sent = element.tenant, _member(element)
        names_taken = element.data.get("names_taken", ())
        creating.created(tenant, sent, contact, now, names_taken=names_taken)
        people.reconcile(tenant, sent.id, self.settings.tenants[tenant], now)
        log.info("contact.created", member_id=element.key, intent=element.intent_id)

    def _found(self, element: Write, contact: MirrorContact, now: datetime) -> None:
        """Edited or archived since, or made by others: one like any other in Xero."""
        tenant, sent = element.tenant, _member(element)
        contacts.put(tenant, [contact])
        if contact.status == ACTIVE:
            people.found(tenant, sent, _values(element), contact)
        deciding_anew.decide_anew(tenant, sent.id, self.settings.tenants[tenant], now)
        log.info("contact.found", member_id=element.key, intent=element.intent_id)

    def _name_is_taken(self, element: Write, reason: str, now: datetime) -> None:
        """The second name, if the tenant wants one and it has not been tried."""
        tenant, member = element.tenant, _member(element)
        pattern = self.settings.tenants[tenant].name_taken
        clash = creating.name_clash(tenant, _name(element), reason)
        names_taken = [*element.data.get("names_taken", ()), clash]
        if pattern != QUARANTINE and len(names_taken) == 1:
            name = distinct_name(pattern, member.name, member.id)
            again = {**element.data, "name": name, "names_taken": names_taken}
            writes.due_again(element, now, data=again)
            log.info("contact.name_taken", member_id=member.id)
            return
        names = [clash["name"] for clash in names_taken]
        held = [clash["name"] for clash in names_taken if clash["held_by"]]
        self._give_up(element, reason, wanted_names=names, held_names=held)
        creating.name_taken(tenant, member, names_taken, now)

    def _give_up(self, element: Write, reason: str, **why: Any) -> None:
        """Whoever has it tried again wants the member's own name first."""
        writes.finish(element, WriteState.REFUSED, reason)
        writes.keep(element, {"member": element.data["member"], **why})

    def _body(self, element: Write) -> dict[str, Any]:
        return {"ContactNumber": element.key, **as_xero_has_it(_values(element))}


def _values(element: Write) -> dict[str, Any]:
    """What the contact is to say, by our fields."""
    given = said(_member(element)).items()
    values = {field: value for field, value in given if not is_empty(value)}
    return {**values, "name": _name(element)}


def _is_as_sent(element: Write, contact: MirrorContact) -> bool:
    """Whether a contact is what this call would have made."""
    there = shown(contact)
    return contact.status == ACTIVE and all(
        same(field, value, there[field]) for field, value in _values(element).items()
    )


def lock_members(elements: Sequence[Write]) -> None:
    """In the order of messages that name several: whoever they say something of."""
    for tenant, member_id in sorted({(e.tenant, e.key) for e in elements}):
        people.lock(tenant, member_id)


def _since(intent: Intent) -> datetime:
    """Before the call, and before what the mirror has not seen."""
    before: datetime = (intent.sent_at or intent.created_at) - BEFORE_THE_CALL
    read_until = mirror.read_until(intent.tenant)
    return before if read_until is None else min(before, read_until)


def _outcome(raw: Mapping[str, Any]) -> Outcome:
    return Outcome(record=parse_contact(raw), errors=errors_of(raw))


def taken_name(outcome: Outcome) -> str:
    """Xero's words for a name that another contact has; empty: it has none."""
    about = (e for e in outcome.errors if e.startswith(OF_A_NAME) and TAKEN in e)
    return next(about, "")


def _is_number_taken(outcome: Outcome) -> bool:
    return any(TAKEN in e and not e.startswith(OF_A_NAME) for e in outcome.errors)


def _name(element: Write) -> str:
    """What the contact is to be called, in this try."""
    return str(element.data.get("name", _member(element).name))


def _member(element: Write) -> Member:
    return Member.model_validate(element.data["member"])
