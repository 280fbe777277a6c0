"""A platform and a Xero that edit the same members, and what must come of it."""

import json
import logging
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from bus.trimming import Trimmer
from core.contact_fields import SHARED, same, shown
from core.db import contact_links, lanes, profiles
from core.db.database import transaction
from core.waking import LaneName
from core.webhook_events import WebhookEvent
from core.webhook_receiving import WebhookReceiver
from core.xero_json import contact as parse_contact
from sandbox.xero import contacts
from sandbox.xero.books import Event
from sandbox.xero.errors import ElementRefused
from sandbox.xero.fields import Fields
from tests.faults.lab import STREAM_IN, STREAM_OUT, Lab, has_open_work
from tests.messages import Data, member, member_updated, renewal_due
from tests.servers import running_redis
from tests.world import PRICES_CSV

#: Some fields are the platform's and some are Xero's.
WINS = {
    "name": "platform",
    "email": "platform",
    "phone": "xero",
    "address": "platform",
    "tax_number": "xero",
    "company_number": "platform",
}

#: A sync that has not come to rest by then turns in a circle.
MOST_TURNS = 6

#: Between two things that happen; Xero and messages count milliseconds.
A_MOMENT = timedelta(milliseconds=7)

NAMES = ("Thandi Nkosi", "Sipho Dlamini", "Zoë du Plessis", "Lerato Mokoena")


def values_of(name: str, number: int, member_id: str) -> Any:
    """One of a few values of a field; some are empty, and names may be taken."""
    match name:
        case "name":
            return NAMES[number % len(NAMES)]
        case "email":
            return f"{'abcde'[number % 5]}{member_id}@example.co.za"
        case "phone":
            return ("", "+27 82 555 0101", "0215550102", "+27 11 555 0103")[number % 4]
        case "address":
            parts: tuple[Data, ...] = (
                {},
                {"line1": "12 Long Street"},
                {"city": "Paarl"},
            )
            return parts[number % 3]
        case _:
            return ("", "4012345678", "4087654321", "9001015009087")[number % 4]


@dataclass
class Since:
    """What was edited of one field since both sides last rested."""

    base: Any
    platform: list[Any] = field(default_factory=list)
    xero: list[Any] = field(default_factory=list)
    #: Something went on between the first edit and the rest.
    is_mixed: bool = False

    @property
    def is_edited(self) -> bool:
        return bool(self.platform or self.xero)


@dataclass
class Figures:
    """What a run has counted."""

    edits: int = 0
    conflicts: int = 0
    contact_calls: int = 0
    contact_writes: int = 0
    told: int = 0
    findings: list[str] = field(default_factory=list)


class TwoSides:
    """Some members, each of whom is a contact, and everybody who may edit them."""

    def __init__(self, lab: Lab, members: int = 5) -> None:
        self.lab = lab
        self.figures = Figures()
        self.events: list[Event] = []
        self._held: list[Data] = []
        self._edited_at: dict[tuple[str, str], datetime] = {}
        self._renewals = 0
        lab.xero.announce = self.events.append
        self.platform: dict[str, dict[str, Any]] = {}
        for _ in range(members):
            who = member()
            details = {
                "phone": "",
                "address": {},
                "tax_number": "",
                "company_number": "",
            }
            self.platform[who["id"]] = {**who, **details}
            self.publish(renewal_due(who))
        self._sync()
        self.since = {
            (who, name): Since(self.platform[who][name])
            for who in self.platform
            for name in SHARED
        }
        self._last_time = 0

    # -- what may happen -------------------------------------------------------------

    def platform_edits(self, who: str, name: str, value: Any, hold: bool) -> None:
        """Told by ``member.updated``, now or late."""
        now = self._moment()
        self.platform[who][name] = value
        self._edited_at[who, name] = now
        self.since[who, name].platform.append(value)
        self.figures.edits += 1
        said = member_updated(dict(self.platform[who]), time=now.isoformat())
        self._hold_or_publish(said, hold)

    def platform_renews(self, who: str, hold: bool) -> None:
        """Which says what the platform has, too."""
        now = self._moment()
        self._renewals += 1
        subject = f"renewal-{self._renewals}-{who}"
        asked = renewal_due(dict(self.platform[who]), subject=subject)
        self._hold_or_publish({**asked, "time": now.isoformat()}, hold)

    def xero_edits(self, who: str, name: str, value: Any) -> None:
        self._moment()
        contact = contacts.find(self.lab.xero, who)
        try:
            contacts.update(self.lab.xero, contact, Fields(_as_a_person(name, value)))
        except ElementRefused:
            return  # the name is taken
        self.since[who, name].xero.append(value)
        self.figures.edits += 1

    def publish_held(self, chance: random.Random) -> None:
        """Messages that were late, in any order."""
        chance.shuffle(self._held)
        while self._held:
            self.publish(self._held.pop())

    def deliver_webhooks(self, chance: random.Random, *, lossy: bool = False) -> None:
        """In any order, some twice, and some never."""
        events = [self._webhook(event) for event in self.events]
        self.events.clear()
        if lossy:
            events = [event for event in events if chance.random() < 0.7]
        events += [event for event in events if chance.random() < 0.2]
        chance.shuffle(events)
        receiver = WebhookReceiver(
            self.lab.process.turns, self.lab.clock, self.lab.metrics
        )
        for event in events:
            receiver.store([event])

    def sweep(self) -> None:
        """Contacts that changed are read soon."""
        now = self.lab.clock.now()
        with transaction():
            lanes.ask("main", LaneName.MIRROR, now, now)

    def work(self) -> None:
        """Whatever can be done now is done; the platform need not read yet."""
        self._mix()
        self.lab.work()
        self._count_calls()

    def platform_reads(self) -> int:
        """It acts on what it has been told; how much that was."""
        self._mix()
        heard = 0
        while messages := self._unread():
            for message in messages:
                heard += self._take_over(message)
        Trimmer(self.lab.redis, STREAM_OUT, ["platform"], self.lab.clock).trim()
        return heard

    # -- the end ---------------------------------------------------------------------

    def rest(self, chance: random.Random) -> None:
        """All that is late arrives; then both sides must be as they should be."""
        calm = {key for key, one in self.since.items() if not one.is_mixed}
        self.publish_held(chance)
        self.deliver_webhooks(chance)
        self.come_to_rest()
        found = [*self._differences(calm), *self._restlessness()]
        self.figures.findings.extend(found)
        for (who, name), one in self.since.items():
            is_conflict = bool(one.platform and one.xero)
            self.figures.conflicts += is_conflict
            self.since[who, name] = Since(self.platform[who][name])

    def come_to_rest(self) -> None:
        """A sweep, and all that follows."""
        self.sweep()
        self._sync()

    def _sync(self) -> None:
        for _ in range(MOST_TURNS):
            self.lab.run_until(lambda: not has_open_work())
            self._count_calls()
            if not self.platform_reads():
                return
        self.figures.findings.append("the platform is told and told")

    def _differences(self, calm: set[tuple[str, str]]) -> Iterator[str]:
        for who, details in self.platform.items():
            raw = contacts.full_shape(contacts.find(self.lab.xero, who), self.lab.xero)
            there = shown(parse_contact(json.loads(json.dumps(raw, default=str))))
            for name in SHARED:
                key = who, name
                if not _equal(who, name, details[name], there[name]):
                    yield f"{key}: {details[name]!r} and {there[name]!r} in Xero"
                elif not self._is_right(key, details[name], key in calm):
                    yield f"{key}: {details[name]!r} after {self.since[key]}"

    def _is_right(self, key: tuple[str, str], value: Any, is_calm: bool) -> bool:
        """Whether an edit holds that the rules let win."""
        who, name = key
        one = self.since[key]
        platform = one.platform[-1] if one.platform else one.base
        xero = one.xero[-1] if one.xero else one.base
        by_platform = not same(name, platform, one.base)
        by_xero = not same(name, xero, one.base)
        if by_platform and by_xero and is_calm:
            allowed = [platform if WINS[name] == "platform" else xero]
        elif (by_platform and by_xero) or (one.is_mixed and one.platform and one.xero):
            allowed = [platform, xero]  # whoever edited later knew of the other
        else:
            allowed = [xero if by_xero else platform]
        return any(_equal(who, name, wanted, value) for wanted in allowed) or (
            # The platform's old value, which it said before it had said the new one.
            by_platform and _is_overruled(who, name, platform, value)
        )

    def _restlessness(self) -> Iterator[str]:
        """Everything once more: nothing is written and nothing told."""
        before = self.figures.contact_writes, self.figures.told
        self.deliver_webhooks(random.Random(0))  # noqa: S311 must be repeatable
        self.come_to_rest()
        after = self.figures.contact_writes, self.figures.told
        if after != before:
            yield f"it does not rest: {before} became {after}"

    # -- the platform's and Xero's ways ----------------------------------------------

    def _moment(self) -> datetime:
        self.lab.pass_time(A_MOMENT)
        return self.lab.clock.now()

    def _mix(self) -> None:
        for one in self.since.values() if hasattr(self, "since") else ():
            one.is_mixed |= one.is_edited

    def _hold_or_publish(self, message: Data, hold: bool) -> None:
        if hold:
            self._held.append(message)
        else:
            self.publish(message)

    def publish(self, message: Mapping[str, Any]) -> None:
        self.lab.redis.xadd(STREAM_IN, {"event": json.dumps(message)})

    def _webhook(self, event: Event) -> WebhookEvent:
        return WebhookEvent(
            tenant_id=event.tenant_id,
            category=event.category,
            event_type=event.type,
            resource_id=event.resource_id,
            event_at=event.at,
        )

    def _unread(self) -> list[Data]:
        read: Any = self.lab.redis.xreadgroup(
            "platform", "reader", {STREAM_OUT: ">"}, count=100
        )
        streams = read.items() if isinstance(read, dict) else read or []
        entries = [entry for _, found in streams for entry in found]
        if entries and isinstance(entries[0], list):
            entries = [entry for batch in entries for entry in batch]
        for entry_id, _ in entries:
            self.lab.redis.xack(STREAM_OUT, "platform", entry_id)
        return [json.loads(fields[b"event"]) for _, fields in entries]

    def _take_over(self, message: Data) -> int:
        """As docs/messages.md says: unless it was edited here since."""
        if message["type"] != "contact.changed":
            return 0
        self.figures.told += 1
        who = message["data"]["member_id"]
        for change in message["data"]["changes"]:
            edited_at = self._edited_at.get((who, change["field"]))
            as_of = datetime.fromisoformat(change["as_of"])
            is_ours = edited_at is not None and edited_at > as_of
            if change["field"] in SHARED and not is_ours:
                self.platform[who][change["field"]] = change["new"]
        return 1

    def _count_calls(self) -> None:
        calls = [c for c in self.lab.way.calls if c.path.endswith("/Contacts")]
        self.figures.contact_calls += len(calls)
        self.figures.contact_writes += sum(call.method != "GET" for call in calls)
        self.lab.way.calls.clear()


def _equal(who: str, name: str, ours: Any, theirs: Any) -> bool:
    """Both mean the same; a name that is taken in Xero bears the member's id there."""
    if name == "name" and str(theirs).endswith(f" ({who})"):
        theirs = str(theirs).removesuffix(f" ({who})")
        ours = str(ours).removesuffix(f" ({who})")
    return same(name, ours, theirs)


def _is_overruled(who: str, name: str, platform: Any, xero: Any) -> bool:
    """Whether Xero's value holds by the rules, and people can see it."""
    return WINS[name] == "xero" and any(
        same(name, edit.platform, platform) and same(name, edit.xero, xero)
        for edit in profiles.edits("main", who)
        if edit.field == name
    )


def _as_a_person(name: str, value: Any) -> dict[str, Any]:
    """How Xero's own form writes it: a number in its three parts."""
    match name:
        case "name":
            return {"Name": value}
        case "email":
            return {"EmailAddress": value}
        case "phone":
            country, area, number = _split(value)
            parts = {"PhoneCountryCode": country, "PhoneAreaCode": area}
            return {
                "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": number, **parts}]
            }
        case "address":
            street = {"AddressLine1": value.get("line1", ""), "AddressLine2": ""}
            city = {"City": value.get("city", ""), "Region": ""}
            return {"Addresses": [{"AddressType": "STREET", **street, **city}]}
        case "company_number":
            return {"CompanyNumber": value}
        case _:
            return {"TaxNumber": value}


def _split(number: str) -> tuple[str, str, str]:
    digits = number.replace(" ", "")
    if digits.startswith("+27"):
        return "27", digits[3:5], digits[5:]
    return "", digits[:3], digits[3:]


# -- running ---------------------------------------------------------------------------


@contextmanager
def opened_lab() -> Iterator[Lab]:
    """A lab whose tenant declares ``WINS``, and that has read Xero once."""
    with running_redis() as redis, tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices.csv"
        prices.write_text(PRICES_CSV, encoding="utf-8")
        quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
        structlog.configure(wrapper_class=quiet)
        lab = Lab(str(redis.socket), Path(folder), {"wins": WINS})
        lab.begin()
        yield lab


def random_edits(count: int, seed: int = 1, *, members: int = 8) -> Figures:
    """So many edits on both sides with sync in between, and what came of them."""
    chance = random.Random(seed)  # noqa: S311 must be repeatable
    with opened_lab() as lab:
        sides = TwoSides(lab, members)
        start = sides.figures.contact_calls, sides.figures.contact_writes
        while sides.figures.edits < count:
            for _ in range(chance.randint(1, 8)):
                happen(sides, chance)
            sides.rest(chance)
        sides.figures.contact_calls -= start[0]
        sides.figures.contact_writes -= start[1]
        sides.figures.findings.extend(shared_contacts())
    return sides.figures


def happen(sides: TwoSides, chance: random.Random) -> None:
    """Something, mostly an edit."""
    who = chance.choice(list(sides.platform))
    name = chance.choice(SHARED)
    value = values_of(name, chance.randrange(20), who)
    match chance.randrange(12):
        case 0 | 1 | 2 | 3:
            sides.platform_edits(who, name, value, hold=chance.random() < 0.3)
        case 4 | 5 | 6 | 7:
            sides.xero_edits(who, name, value)
        case 8:
            sides.deliver_webhooks(chance, lossy=True)
        case 9:
            sides.work()
        case 10:
            sides.platform_reads()
        case _:
            if chance.random() < 0.2:
                sides.platform_renews(who, hold=chance.random() < 0.5)
            else:
                sides.sweep()


def shared_contacts() -> Iterator[str]:
    """Contacts that are two members', which no history may lead to."""
    links = contact_links.everything("main")
    if len({link.contact_id for link in links}) != len(links):
        yield "two members share a contact"
