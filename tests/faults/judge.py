"""Whether a scenario ended as it must: Xero's ledger and the platform's stream decide.

The daemon's own books are asked only for what they claim to have finished.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.db import problems
from sandbox.xero import contacts
from sandbox.xero.books import Books
from sandbox.xero.invoices import Invoice
from tests.faults.lab import STREAM_OUT, Lab, has_open_work
from tests.faults.stages import FINANCES, Kind, Sort, Stage, Wish

#: How long Xero remembers an idempotency key (facts/xero.md, section 2).
KEY_LIVES = timedelta(minutes=6)

#: Xero will have none of these; the platform is told that a person looks into it.
REFUSED = (Sort.ARCHIVED, Sort.POISON)


@dataclass(frozen=True, slots=True)
class Expected:
    """What one wish must have led to."""

    invoices: int
    status: str
    emails: int
    told: Counter[str]


def judge(lab: Lab, stage: Stage) -> list[str]:
    """Everything that is not as it must be; empty: the daemon kept its promise."""
    return [
        *_ledger(lab.xero, stage, _may_be_mailed_twice(lab)),
        *_stream(_heard(lab), stage),
        *_books(lab),
    ]


def _may_be_mailed_twice(lab: Lab) -> bool:
    """The declared exception (docs/write-protocol.md, "Its limits").

    A process that stands still between its last check and the socket for longer than
    the key lives sends what another has sent meanwhile. Contacts and invoices have
    numbers that Xero takes once; an e-mail has nothing.
    """
    return lab.way.stood_still > KEY_LIVES


def expected(kind: Kind, wish: Wish) -> Expected:
    if wish.sort in REFUSED:
        return Expected(0, "", 0, Counter(["message.accepted", "message.held"]))
    told = Counter(["message.accepted", "invoice.raised"])
    is_mailed = kind in (Kind.EMAILS, Kind.LIFE) and wish.sort is not Sort.UNMAILABLE
    told.update({"invoice.emailed": int(is_mailed)})
    status = "AUTHORISED"
    if kind is Kind.READS:
        status = "PAID"
        told.update(["invoice.paid", "membership.renew"])
    elif wish.sort is Sort.PAID:
        status = "PAID"  # which the daemon has not seen yet
    elif kind is Kind.VOIDS:
        status = "VOIDED"
        told.update(["invoice.voided"])
    return Expected(1, status, int(is_mailed), +told)


# -- Xero ------------------------------------------------------------------------------


def _ledger(books: Books, stage: Stage, may_be_mailed_twice: bool) -> Iterator[str]:
    by_reference: dict[str, list[Invoice]] = defaultdict(list)
    for invoice in books.invoices.values():
        by_reference[invoice.reference].append(invoice)
    emails = Counter(email.invoice_id for email in books.emails)
    if may_be_mailed_twice:
        emails = Counter(dict.fromkeys(emails, 1))
    for wish in stage.wishes:
        found = by_reference.pop(wish.reference, [])
        wanted = expected(stage.kind, wish)
        if len(found) != wanted.invoices:
            yield f"{wish.reference}: {len(found)} invoices, not {wanted.invoices}"
        for invoice in found[: wanted.invoices]:
            yield from _invoice(books, wish, wanted, invoice, emails)
    for reference in by_reference:
        yield f"{reference or 'an invoice'}: nobody asked for it"
    yield from _contacts(books, stage)


def _invoice(
    books: Books,
    wish: Wish,
    wanted: Expected,
    invoice: Invoice,
    emails: Counter[str],
) -> Iterator[str]:
    contact = books.contacts[invoice.contact_id]
    compared = (
        ("status", invoice.status, wanted.status),
        ("total", invoice.totals.total, wish.total),
        ("contact", contact.number, wish.member_id),
        ("lines", len(invoice.lines), 1),
        ("e-mails", emails[invoice.document_id], wanted.emails),
    )
    for what, seen, wished in compared:
        if seen != wished:
            yield f"{wish.reference}: {what} {seen}, not {wished}"


def _contacts(books: Books, stage: Stage) -> Iterator[str]:
    numbers = Counter(contact.number for contact in books.contacts.values())
    members = {wish.member_id for wish in stage.wishes}
    for member_id in members:
        if numbers[member_id] != 1:
            yield f"member {member_id}: {numbers[member_id]} contacts"
    for number in set(numbers) - members - {""}:
        yield f"contact {number}: nobody asked for it"
    for wish in stage.wishes:
        if wish.update is not None:
            yield from _details(books, wish, wish.update["data"]["member"])
    namesakes = sum(wish.sort is Sort.NAMESAKE for wish in stage.wishes)
    if numbers[""] != namesakes:
        yield f"{numbers['']} contacts without a number, not {namesakes}"


def _details(books: Books, wish: Wish, said: Mapping[str, Any]) -> Iterator[str]:
    """Whether the contact is as the platform said last, and as finance did."""
    contact = contacts.find(books, wish.member_id)
    if wish.sort is Sort.ERASED:
        said = wish.asked["data"]["member"]
    street = contact.addresses.get("STREET", {})
    compared = (
        ("name", contact.name, said["name"]),
        ("e-mail", contact.email, said["email"]),
        ("city", street.get("City", ""), said.get("address", {}).get("city", "")),
    )
    for what, seen, wished in compared:
        if seen != wished:
            yield f"member {wish.member_id}: {what} {seen}, not {wished}"
    if wish.sort is Sort.EDITED and contact.text.get("TaxNumber") != FINANCES:
        yield f"member {wish.member_id}: finance's tax number is gone"


# -- the platform ----------------------------------------------------------------------


def _heard(lab: Lab) -> list[dict[str, Any]]:
    """What the platform has read, in order, repeats and all."""
    entries: Any = lab.redis.xrange(STREAM_OUT)
    return [json.loads(fields[b"event"]) for _, fields in entries]


def _stream(heard: Sequence[dict[str, Any]], stage: Stage) -> Iterator[str]:
    once = {message["id"]: message for message in reversed(heard)}
    for message in heard:
        if once[message["id"]] != message:
            yield f"{message['type']} {message['id']} was said in two ways"
    yield from _subjects([once.pop(m["id"]) for m in heard if m["id"] in once], stage)


def _subjects(once: Sequence[dict[str, Any]], stage: Stage) -> Iterator[str]:
    """What was told of each subject, repeats dropped, in order."""
    told: dict[str, Counter[str]] = defaultdict(Counter)
    sequences: dict[str, list[int]] = defaultdict(list)
    for message in once:
        told[message["subject"]][message["type"]] += 1
        if "sequence" in message:
            sequences[message["subject"]].append(int(message["sequence"]))
    for wish in stage.wishes:
        yield from _told(stage.kind, wish, told.pop(wish.asked["subject"], Counter()))
        if wish.update is not None:
            answers = told.pop(wish.member_id, Counter())
            yield from _answered(wish, answers)
    for subject in told:
        yield f"{subject}: told of what nobody asked for"
    for subject, places in sequences.items():
        if places != list(range(1, len(places) + 1)):
            yield f"{subject}: sequence {places}"


def _answered(wish: Wish, told: Counter[str]) -> Iterator[str]:
    """What was told of a member: of the update, and once of what finance did."""
    accepted, done = "message.accepted", "message.done"
    wanted = {
        # Xero says no; or a look at what became of the call shows that it is erased.
        Sort.ERASED: ([accepted, "message.held"], [accepted, done, "contact.changed"]),
        Sort.EDITED: ([accepted, done, "contact.changed"],),
    }.get(wish.sort, ([accepted, done],))
    if told not in [Counter(one) for one in wanted]:
        yield f"member {wish.member_id}: told {dict(told)}, not {wanted}"


def _told(kind: Kind, wish: Wish, told: Counter[str]) -> Iterator[str]:
    wanted = Counter(expected(kind, wish).told)
    if wish.undo is not None:
        wanted["message.accepted"] += 1
        # Money that nobody had seen: the cancellation is for a person.
        wanted["message.held"] += int(wish.sort is Sort.PAID)
    wanted = +wanted
    if told != wanted:
        yield (
            f"{wish.reference}: too much {dict(told - wanted)}, "
            f"missing {dict(wanted - told)}"
        )


# -- the daemon's own books ------------------------------------------------------------


_OF_A_PERSON = {
    "invoice_refused",
    "email_refused",
    "void_refused",
    "contact_refused",
    "contact_name_taken",
    "contact_update_refused",
}


def _books(lab: Lab) -> Iterator[str]:
    if has_open_work():
        yield "the books have open work"
    for problem in problems.open_problems():
        if problem.kind not in _OF_A_PERSON:
            yield f"a person is needed: {problem.title}"
