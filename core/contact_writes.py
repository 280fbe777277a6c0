"""Creating contacts: ContactNumber is the member's id, up to fifty in a call."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from core import contacts, people
from core.calls import Admit, XeroAnswer
from core.clock import Clock
from core.contact_fields import as_xero_has_it, is_empty, said
from core.db import writes
from core.db.models import Intent, Write
from core.db.writes import WriteState
from core.members import Member
from core.messages import canonical
from core.paging import ARCHIVED_TOO, Place, read_all
from core.quota import Purpose
from core.settings import Settings
from core.waking import LaneName, Waker
from core.writing import ABSENT, Outcome, Prepared
from core.xero_json import contact as parse_contact
from core.xero_json import errors as errors_of

log = structlog.get_logger()

#: What Xero says when another active contact has the name (facts/xero.md, section 5).
NAME_TAKEN = "already assigned to another contact"

#: Xero's limit for a contact's name.
NAME_LENGTH = 255

#: A look-up reads what changed since before the call, by clocks that may differ.
BEFORE_THE_CALL = timedelta(minutes=10)


class CreateContacts:
    """Implements ``core.writing.WriteKind``."""

    name = LaneName.CONTACTS.value
    purpose = Purpose.BULK
    batch = 50

    def __init__(self, settings: Settings, waker: Waker, clock: Clock) -> None:
        self.settings = settings
        self.waker = waker
        self.clock = clock

    def check(self, tenant: str) -> None:
        """Nothing but the quota limits contacts."""

    def allot(
        self, tenant: str, elements: Sequence[Write], now: datetime
    ) -> Mapping[int, str]:
        return {}

    def prepare(
        self, elements: Sequence[Write], allotted: Mapping[int, str], now: datetime
    ) -> Prepared:
        body = {"Contacts": [self._body(element) for element in elements]}
        return Prepared("PUT", "Contacts", canonical(body).encode())

    def outcomes(
        self, elements: Sequence[Write], answer: XeroAnswer
    ) -> Mapping[int, Outcome]:
        by_number = {
            raw.get("ContactNumber"): raw for raw in answer.json.get("Contacts") or []
        }
        return {
            element.id: _outcome(by_number[element.key])
            for element in elements
            if element.key in by_number
        }

    def look_up(
        self, admit: Admit, intent: Intent, elements: Sequence[Write]
    ) -> Mapping[int, Outcome]:
        """What changed since, mostly in one read: ContactNumber is no filter."""
        by_number: dict[str, Mapping[str, Any]] = {}
        read_all(
            admit,
            "look_up_contacts",
            "Contacts",
            Place((intent.sent_at or intent.created_at) - BEFORE_THE_CALL),
            ARCHIVED_TOO,
            lambda page: by_number.update(
                (raw["ContactNumber"], raw)
                for raw in page.rows
                if raw.get("ContactNumber")
            ),
        )
        return {
            element.id: Outcome(record=parse_contact(by_number[element.key]))
            if element.key in by_number
            else ABSENT
            for element in elements
        }

    def record(self, element: Write, outcome: Outcome, now: datetime) -> None:
        if not outcome.errors:
            # First, because it waits for whoever has just asked for this contact.
            writes.finish(element, WriteState.DONE)
            sent, policy = _member(element), self.settings.tenants[element.tenant]
            contacts.created(element.tenant, sent, outcome.record, now)
            people.reconcile(element.tenant, sent.id, policy, now)
            log.info("contact.created", member_id=element.key, intent=element.intent_id)
        elif NAME_TAKEN in outcome.errors[0] and "name" not in element.data:
            name = self._other_name(element)
            writes.due_again(element, now, data={**element.data, "name": name})
        else:
            reason = "; ".join(outcome.errors)
            writes.finish(element, WriteState.REFUSED, reason)
            contacts.refused_by_xero(element.tenant, _member(element), reason, now)

    def recorded(
        self, outcomes: Sequence[tuple[Write, Outcome]], sent_at: datetime
    ) -> None:
        for tenant in {element.tenant for element, _ in outcomes}:
            self.waker.lane(tenant, LaneName.INVOICES)
        self.waker.relay()

    def _body(self, element: Write) -> dict[str, Any]:
        member = _member(element)
        values = {f: value for f, value in said(member).items() if not is_empty(value)}
        values["name"] = element.data.get("name", member.name)
        return {"ContactNumber": member.id, **as_xero_has_it(values)}

    def _other_name(self, element: Write) -> str:
        """The newcomer's name where Xero has another contact of the same name."""
        member = _member(element)
        pattern = self.settings.tenants[element.tenant].name_taken
        return pattern.format(name=member.name, member_id=member.id)[:NAME_LENGTH]


def _outcome(raw: Mapping[str, Any]) -> Outcome:
    return Outcome(record=parse_contact(raw), errors=errors_of(raw))


def _member(element: Write) -> Member:
    return Member.model_validate(element.data["member"])
