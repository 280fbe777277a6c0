"""A renewal season: what the platform sends, and what a correct system makes of it."""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from sandbox.clock import AdjustableClock
from sandbox.platform.people import Member, employers, people
from sandbox.platform.prices import CURRENCY, price_of, prices_csv

SOURCE = "/platform"
RENEWAL = "membership.renewal_due"

_ZONE = ZoneInfo("Africa/Johannesburg")
_CATEGORIES = ("tax_practitioner", "tax_technician", "student", "master", "honorary")
_WEIGHTS = (52, 22, 16, 8, 2)
_EXISTING_PERCENT = 40

#: One employer for so many members; each pays for two to four.
_MEMBERS_PER_EMPLOYER = 50
_HUGE_BYTES = 2 * 1024 * 1024

Expectation = Literal["invoice", "free", "reject", "hold"]


class Wish(TypedDict):
    """What a correct system must do with one message.

    ``free`` means no invoice, but the action at once. The total is a decimal string,
    VAT included. For a group, member_id is the employer's and subject the group's.
    """

    message_id: str
    subject: str
    member_id: str
    expect: Expectation
    total: str
    currency: str


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message that must be rejected, as raw content of the field `event`.

    Attributes:
        field: what is to blame, as a path from the top of the message; None where it
            is not one field.
    """

    raw: bytes
    why: str
    message_id: str | None = None
    field: str | None = None


class Season:
    """A season of a size, deterministic by its seed.

    Attributes:
        messages: CloudEvents, one for each member who pays and one for each employer.
        bad_messages: what must be rejected without disturbing the rest.
        existing_contacts: contacts that Xero already has, with Xero's field names;
            seed them with Control.seed_contacts.
        wishes: what a correct system does, one for each of ``messages``.
    """

    def __init__(
        self,
        members: int,
        seed: int = 1,
        *,
        now: datetime | None = None,
        year: int = 2027,
        ambiguous: int = 0,
    ) -> None:
        self.seed = seed
        self.year = year
        self._now = now or AdjustableClock().now()
        self._source = random.Random(seed)  # noqa: S311  must be repeatable
        self._round = 0
        self.members = people(members, self._source)
        self._categories = {
            m.member_id: self._source.choices(_CATEGORIES, _WEIGHTS)[0]
            for m in self.members
        }
        self._ensure_free()
        self._held = frozenset(m.member_id for m in self.members[:ambiguous])
        self.existing_contacts = self._existing_contacts()
        self.messages: list[dict[str, Any]] = []
        self.wishes: list[Wish] = []
        self._write_messages()
        self.bad_messages = self._bad_messages()

    def prices_csv(self) -> str:
        """Return the price table that the wishes were computed from."""
        return prices_csv()

    def wish(self, message_id: str) -> Wish:
        """Return the wish of one message."""
        return next(w for w in self.wishes if w["message_id"] == message_id)

    def again(self) -> "Season":
        """Return the same season with new message ids: nothing new may come of it."""
        twin = object.__new__(Season)
        twin.__dict__.update(self.__dict__)
        twin._round = self._round + 1
        ids = {m["id"]: twin._id(str(m["subject"])) for m in self.messages}
        twin.messages = [m | {"id": ids[m["id"]]} for m in self.messages]
        twin.wishes = [
            {**wish, "message_id": ids[wish["message_id"]]} for wish in self.wishes
        ]
        return twin

    # -- messages ------------------------------------------------------------------

    def _ensure_free(self) -> None:
        """Let a zero total occur in every season that is not tiny."""
        if len(self.members) >= 10 and "honorary" not in self._categories.values():
            self._categories[self.members[-1].member_id] = "honorary"

    def _write_messages(self) -> None:
        groups = self._groups()
        grouped = {m.member_id for _, group in groups for m in group}
        for member in self.members:
            if member.member_id not in grouped:
                self._write_single(member)
        for employer, group in groups:
            self._write_group(employer, group)

    def _groups(self) -> list[tuple[dict[str, Any], list[Member]]]:
        payable = [
            m
            for m in self.members
            if self._categories[m.member_id] != "honorary"
            and m.member_id not in self._held
        ]
        groups = []
        for employer in employers(
            len(self.members) // _MEMBERS_PER_EMPLOYER, self._source
        ):
            size = self._source.randint(2, 4)
            group = self._source.sample(payable, min(size, len(payable)))
            payable = [m for m in payable if m not in group]
            groups.append((employer, group))
        return [(employer, group) for employer, group in groups if len(group) > 1]

    def _write_single(self, member: Member) -> None:
        subject = self._subject(member)
        message = self._event(subject, {"member": member.shape} | self._item(member))
        total = self._total(member)
        expect: Expectation = "invoice" if total else "free"
        if member.member_id in self._held:
            expect = "hold"
        self.messages.append(message)
        self._wish(message, member.member_id, expect, total)

    def _write_group(self, employer: dict[str, Any], group: list[Member]) -> None:
        subject = f"renewals-{self.year}-{employer['id']}"
        items = [
            {"subject": self._subject(m), "member": m.shape} | self._item(m)
            for m in group
        ]
        message = self._event(subject, {"bill_to": employer, "items": items})
        total = sum((self._total(m) for m in group), Decimal(0))
        self.messages.append(message)
        self._wish(message, str(employer["id"]), "invoice", total)

    def _wish(
        self,
        message: dict[str, Any],
        member_id: str,
        expect: Expectation,
        total: Decimal,
    ) -> None:
        self.wishes.append(
            {
                "message_id": message["id"],
                "subject": message["subject"],
                "member_id": member_id,
                "expect": expect,
                "total": str(total),
                "currency": CURRENCY,
            }
        )

    def _item(self, member: Member) -> dict[str, Any]:
        return {
            "membership_id": f"M-{member.member_id}",
            "category": self._categories[member.member_id],
            "period": {"from": f"{self.year}-03-01", "to": f"{self.year + 1}-02-28"},
        }

    def _event(self, subject: str, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": self._id(subject),
            "source": SOURCE,
            "type": RENEWAL,
            "subject": subject,
            "time": self._now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": data,
        }

    def _subject(self, member: Member) -> str:
        return f"renewal-{self.year}-{member.member_id}"

    def _id(self, subject: str) -> str:
        # Derived, so that a season is the same wherever its seed is used.
        seeded = random.Random(f"{self.seed}/{self._round}/{subject}")  # noqa: S311
        return str(UUID(int=seeded.getrandbits(128), version=4))

    def _total(self, member: Member) -> Decimal:
        on = self._now.astimezone(_ZONE).date()
        return price_of(self._categories[member.member_id], on).total

    # -- contacts ------------------------------------------------------------------

    def _existing_contacts(self) -> list[dict[str, Any]]:
        """Return contacts for some members, each to be found in another way."""
        contacts: list[dict[str, Any]] = []
        taken: set[str] = set()
        for place, member in enumerate(self.members):
            if member.member_id in self._held:
                contacts += _two_alike(member, taken)
                continue
            key = member.name.casefold()
            if self._source.randrange(100) >= _EXISTING_PERCENT or key in taken:
                continue
            taken.add(key)
            contacts.append(_existing(member, place % 3))
        return contacts

    # -- bad messages --------------------------------------------------------------

    def _bad_messages(self) -> list[BadMessage]:
        if not self.members:
            return []
        return [
            BadMessage(b'{"specversion":"1.0","id":"broken', "not JSON"),
            BadMessage(b"[1, 2, 3]", "not an object"),
            self._bad("unknown type", None, type="membership.renewal_dew"),
            self._bad("missing field", "data.membership_id", drop="membership_id"),
            self._bad("wrong type", "data.category", data={"category": ["student"]}),
            self._bad(
                "bad date",
                "data.period.to",
                data={"period": {"from": f"{self.year}-03-01", "to": "2027-02-30"}},
            ),
            self._bad(
                "negative amount",
                "data.amount.value",
                data={"amount": {"value": "-100.00", "currency": CURRENCY}},
            ),
            self._bad("huge", None, data={"note": "x" * _HUGE_BYTES}),
        ]

    def _bad(
        self,
        why: str,
        field: str | None,
        *,
        data: dict[str, Any] | None = None,
        drop: str | None = None,
        **attributes: Any,
    ) -> BadMessage:
        member = self.members[0]
        subject = f"renewal-{self.year}-bad-{why.replace(' ', '-')}"
        content = {"member": member.shape} | self._item(member) | (data or {})
        content = {k: v for k, v in content.items() if k != drop}
        event = self._event(subject, content) | attributes
        return BadMessage(json.dumps(event).encode(), why, event["id"], field)


def _existing(member: Member, way: int) -> dict[str, Any]:
    """Return a contact that is found by number, account number, or mail and name."""
    contact: dict[str, Any] = {
        "Name": member.name,
        "FirstName": member.first_name,
        "LastName": member.last_name,
        "EmailAddress": member.email,
    }
    if way == 0:
        contact["ContactNumber"] = member.member_id
    elif way == 1:
        contact["AccountNumber"] = member.member_id
    return contact


def _two_alike(member: Member, taken: set[str]) -> list[dict[str, Any]]:
    """Return two contacts that both claim to be this member."""
    taken.add(member.name.casefold())
    return [
        {
            "Name": f"{member.name} {suffix}",
            "EmailAddress": member.email,
            "AccountNumber": member.member_id,
        }
        for suffix in ("(1)", "(2)")
    ]
