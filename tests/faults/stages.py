"""Where scenarios begin: everything is ready for one kind of write, and nothing of it
has been sent yet. A stage is reached once, by the daemon itself, and kept.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.db import outbox, writes
from core.db.models import ContactRead, Inbox
from core.waking import LaneName
from core.webhook_events import WebhookEvent
from core.webhook_receiving import WebhookReceiver
from sandbox.xero import contacts, payments
from sandbox.xero.fields import Fields
from sandbox.xero.tokens import ACCESS_LIFETIME
from tests.faults.lab import STREAM_IN, Lab, State
from tests.faults.plan import Plan
from tests.messages import TOTAL, cancelled, member, member_updated, renewal_due


class Kind(StrEnum):
    """What is about to happen."""

    CONTACTS = "contacts"
    UPDATES = "updates"  # of contacts that were made before
    INVOICES = "invoices"
    EMAILS = "emails"
    VOIDS = "voids"
    READS = "reads"  # payments were made, and their webhooks have come
    TOKEN = "token"  # noqa: S105 invoices, and the access token is no longer good
    LIFE = "life"  # a message stands in the stream, and all follows


class Sort(StrEnum):
    """What is special about one element of a batch."""

    PLAIN = "plain"
    NAMESAKE = "namesake"  # another contact has the name
    ARCHIVED = "archived"  # its contact was archived in Xero a moment ago
    POISON = "poison"  # Xero can't read its price and refuses the whole call
    UNMAILABLE = "unmailable"  # its contact has no address for e-mail
    PAID = "paid"  # it was paid before its cancellation
    ERASED = "erased"  # its contact was erased a moment ago, and can't be updated
    EDITED = "edited"  # finance has given its contact a number a moment ago


@dataclass(frozen=True, slots=True)
class Wish:
    """What the platform asked for about one member."""

    asked: Mapping[str, Any]
    sort: Sort
    total: Decimal
    undo: Mapping[str, Any] | None = None
    update: Mapping[str, Any] | None = None

    @property
    def member_id(self) -> str:
        number: str = self.asked["data"]["member"]["id"]
        return number

    @property
    def reference(self) -> str:
        return f"membership:{self.asked['subject']}"


@dataclass(frozen=True, slots=True)
class Stage:
    """A place to begin from, any number of times."""

    kind: Kind
    wishes: Sequence[Wish]
    state: State = field(repr=False)


#: What may run until the stage is reached.
_BEFORE = {
    Kind.CONTACTS: (),
    Kind.UPDATES: (LaneName.CONTACTS, LaneName.INVOICES),
    Kind.INVOICES: (LaneName.CONTACTS,),
    Kind.TOKEN: (LaneName.CONTACTS,),
    Kind.EMAILS: (LaneName.CONTACTS, LaneName.INVOICES),
    Kind.VOIDS: (LaneName.CONTACTS, LaneName.INVOICES, LaneName.EMAILS),
    Kind.READS: (LaneName.CONTACTS, LaneName.INVOICES, LaneName.EMAILS),
    Kind.LIFE: (),
}
_ALWAYS = (LaneName.REFERENCE, LaneName.MIRROR, LaneName.SWEEP)

#: Which sorts mean something for which kind, in the order in which they are mixed in.
SORTS = {
    Kind.CONTACTS: (Sort.NAMESAKE,),
    Kind.UPDATES: (Sort.ERASED, Sort.EDITED),
    Kind.INVOICES: (Sort.ARCHIVED, Sort.POISON),
    Kind.TOKEN: (Sort.ARCHIVED,),
    Kind.EMAILS: (Sort.UNMAILABLE,),
    Kind.VOIDS: (Sort.PAID,),
    Kind.READS: (),
    Kind.LIFE: (Sort.NAMESAKE,),
}

#: The tax number that finance knows.
FINANCES = "4012345678"

UNREADABLE = Decimal("1150000000000000.00")


def reach(lab: Lab, beginning: State, kind: Kind, sorts: Sequence[Sort]) -> Stage:
    """Let the daemon come as far as this kind; one element of each sort."""
    is_mailed = kind in (Kind.EMAILS, Kind.LIFE)
    lab.go_back(replace(beginning, is_mailed=is_mailed), Plan())
    wishes = [_wish(sort) for sort in sorts]
    for wish in wishes:
        if wish.sort is Sort.NAMESAKE:
            name = wish.asked["data"]["member"]["name"]
            contacts.create(lab.xero, Fields({"Name": name}))
    _publish(lab, [wish.asked for wish in wishes])
    if kind is Kind.LIFE:
        return Stage(kind, wishes, lab.state())
    _run(lab, _BEFORE[kind])
    wishes = _go_on(lab, kind, wishes)
    for wish in wishes:
        _spoil(lab, wish)
    if kind is Kind.TOKEN:
        lab.pass_time(ACCESS_LIFETIME)
    return Stage(kind, wishes, lab.state())


def _go_on(lab: Lab, kind: Kind, wishes: list[Wish]) -> list[Wish]:
    """What comes after the invoices, up to what is about to happen."""
    match kind:
        case Kind.VOIDS:
            wishes = [_with_undo(lab, wish) for wish in wishes]
            _publish(lab, [wish.undo for wish in wishes if wish.undo])
            _run(lab, ())
        case Kind.UPDATES:
            wishes = [replace(wish, update=_update(wish)) for wish in wishes]
            _publish(lab, [wish.update for wish in wishes if wish.update])
            _run(lab, (LaneName.CONTACT_READS,))
        case Kind.READS:
            _pay_all(lab, wishes)
        case _:
            pass
    return wishes


def _wish(sort: Sort) -> Wish:
    who = member()
    if sort is Sort.POISON:
        return Wish(renewal_due(who, category="unreadable"), sort, UNREADABLE)
    return Wish(renewal_due(who), sort, Decimal(TOTAL))


def _update(wish: Wish) -> Mapping[str, Any]:
    """Married, moved, and with another address."""
    who = dict(wish.asked["data"]["member"])
    moved = {"line1": "12 Long Street", "city": "Cape Town"}
    name, email = f"{who['name']} Botha", f"botha{who['id']}@example.co.za"
    return member_updated({**who, "name": name, "email": email, "address": moved})


def _with_undo(lab: Lab, wish: Wish) -> Wish:
    if wish.sort is Sort.PAID:
        _pay(lab, wish)
    return Wish(wish.asked, wish.sort, wish.total, cancelled(dict(wish.asked)))


def _publish(lab: Lab, messages: Sequence[Mapping[str, Any]]) -> None:
    for message in messages:
        lab.redis.xadd(STREAM_IN, {"event": json.dumps(message)})


def _run(lab: Lab, more: Sequence[LaneName]) -> None:
    """Until these lanes have nothing more to do."""
    lab.allowed = frozenset((*_ALWAYS, *more))
    lab.run_until(lambda: not lab.redis.xlen(STREAM_IN) and _is_through(lab, more))


def _is_through(lab: Lab, more: Sequence[LaneName]) -> bool:
    waiting = Inbox.select().where(Inbox.state == "accepted").exists()
    busy = [lane for lane in more if writes.is_pending("main", lane)]
    unread = ContactRead.select().exists()
    return not waiting and not busy and not unread and not outbox.unsent(1)


def _pay_all(lab: Lab, wishes: Sequence[Wish]) -> None:
    """In Xero, whose webhooks arrive."""
    lab.pass_time(timedelta(minutes=1))
    events = [_pay(lab, wish) for wish in wishes]
    lab.allowed = frozenset(_ALWAYS)
    WebhookReceiver(lab.process.turns, lab.clock, lab.metrics).store(events)


def _pay(lab: Lab, wish: Wish) -> WebhookEvent:
    """By hand, in Xero; what its webhook says."""
    books = lab.xero
    (invoice,) = [
        one for one in books.invoices.values() if one.reference == wish.reference
    ]
    fields = {
        "Invoice": {"InvoiceID": invoice.document_id},
        "Account": {"Code": "090"},
        "Amount": wish.total,
    }
    paid_at = payments.create(books, Fields(fields)).updated_at
    return WebhookEvent(
        tenant_id=books.tenant_id,
        category="INVOICE",
        event_type="UPDATE",
        resource_id=invoice.document_id,
        event_at=paid_at,
    )


def _spoil(lab: Lab, wish: Wish) -> None:
    """What happens in Xero just before the call."""
    books = lab.xero
    if wish.sort is Sort.ARCHIVED:
        contacts.archive(books, contacts.find(books, wish.member_id))
    if wish.sort is Sort.ERASED:
        contacts.erase(books, contacts.find(books, wish.member_id))
    if wish.sort is Sort.EDITED:
        contact = contacts.find(books, wish.member_id)
        contacts.update(books, contact, Fields({"TaxNumber": FINANCES}))
    if wish.sort is Sort.UNMAILABLE:
        contact = contacts.find(books, wish.member_id)
        contacts.update(books, contact, Fields({"EmailAddress": ""}))
