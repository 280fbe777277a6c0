"""The judge: the platform's wishes, Xero's ledger and our own books, field by field.

Believes none of the three: a difference between any two is a difference.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from core.db.models import Invoice, MemberContact, Payment
from sandbox.platform import Platform, Season

Ledger = Mapping[str, Any]


class Judge:
    def __init__(self, season: Season, platform: Platform, ledger: Ledger) -> None:
        self.season = season
        self.platform = platform
        self.ledger = ledger
        self.messages = {m["id"]: m for m in season.messages}
        self.invoices: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for invoice in ledger["invoices"]:
            self.invoices[invoice["Reference"]].append(invoice)
        self.contacts = {c["ContactID"]: c for c in ledger["contacts"]}

    def differences(self) -> list[str]:
        """Every difference, in words; empty when all agree."""
        return [
            *self._wishes(),
            *self._bad_messages(),
            *self._unwished(),
            *doubled(self.contacts.values()),
            *self._emails(),
            *self._books(),
            *self._actions(),
        ]

    def _wishes(self) -> Iterator[str]:
        for wish in self.season.wishes:
            subject = wish["subject"]
            answered = Counter(
                answer["type"] for answer in self.platform.answers(wish["message_id"])
            )
            if answered["message.accepted"] != 1:
                yield f"{subject}: accepted {answered['message.accepted']} times"
            found = self.invoices.get(f"membership:{subject}", [])
            if wish["expect"] == "invoice":
                yield from self._invoice(wish, found, answered)
            elif found:
                yield f"{subject}: {wish['expect']} was wished, and there is an invoice"

    def _invoice(
        self,
        wish: Mapping[str, Any],
        found: Sequence[Mapping[str, Any]],
        answered: Mapping[str, int],
    ) -> Iterator[str]:
        subject = wish["subject"]
        if len(found) != 1:
            yield f"{subject}: {len(found)} invoices in Xero"
            return
        (invoice,) = found
        if answered["invoice.raised"] != 1:
            yield f"{subject}: told as raised {answered['invoice.raised']} times"
        if Decimal(invoice["Total"]) != Decimal(wish["total"]):
            yield f"{subject}: total {invoice['Total']}, wished {wish['total']}"
        if invoice["CurrencyCode"] != wish["currency"]:
            yield f"{subject}: in {invoice['CurrencyCode']}"
        contact = self.contacts[invoice["Contact"]["ContactID"]]
        data = self.messages[wish["message_id"]]["data"]
        payer = data.get("bill_to") or data["member"]
        if not is_contact_of(contact, wish["member_id"], payer):
            yield f"{subject}: on another's contact"

    def _bad_messages(self) -> Iterator[str]:
        rejections = [r for r in self.platform.received if r.type == "message.rejected"]
        if len(rejections) != len(self.season.bad_messages):
            yield (
                f"{len(self.season.bad_messages)} bad messages, "
                f"{len(rejections)} rejected"
            )
        fields = {r.in_reply_to: r.message["data"]["field"] for r in rejections}
        for bad in self.season.bad_messages:
            if bad.message_id is not None and bad.field not in (
                None,
                fields.get(bad.message_id),
            ):
                yield (
                    f"{bad.why}: {bad.field} was to be blamed, "
                    f"not {fields.get(bad.message_id)}"
                )

    def _unwished(self) -> Iterator[str]:
        wished = {f"membership:{w['subject']}" for w in self.season.wishes}
        for reference in set(self.invoices) - wished:
            yield f"{reference}: an invoice that nobody wished for"

    def _emails(self) -> Iterator[str]:
        sent = Counter(email["invoice_number"] for email in self.ledger["emails"])
        for invoice in self.ledger["invoices"]:
            if sent[invoice["InvoiceNumber"]] != 1:
                number = invoice["InvoiceNumber"]
                yield f"{number}: e-mailed {sent[number]} times"

    def _books(self) -> Iterator[str]:
        """Our own rows against Xero's."""
        theirs = {i["InvoiceNumber"]: i for i in self.ledger["invoices"]}
        ours = {row.number: row for row in Invoice.select() if row.number is not None}
        yield from _only_in("Xero", theirs, ours)
        yield from _only_in("our books", ours, theirs)
        for number in theirs.keys() & ours.keys():
            yield from _invoice_differs(ours[number], theirs[number])
        paid = {p["PaymentID"]: Decimal(p["Amount"]) for p in self.ledger["payments"]}
        booked = {row.payment_id: row.amount for row in Payment.select()}
        if paid != booked:
            yield f"{len(paid)} payments in Xero, {len(booked)} in our books"
        for link in MemberContact.select():
            if link.contact_id not in self.contacts:
                yield f"member {link.member_id} is tied to a contact that is not there"

    def _actions(self) -> Iterator[str]:
        """Each paid or free subject once, and nothing else."""
        due = Counter(self._subjects_due())
        done = Counter(action["subject"] for action in self.platform.actions)
        for subject in sorted(due.keys() | done.keys()):
            if due[subject] != done[subject]:
                yield f"{subject}: {done[subject]} actions, {due[subject]} due"

    def _subjects_due(self) -> Iterator[str]:
        for wish in self.season.wishes:
            found = self.invoices.get(f"membership:{wish['subject']}", [])
            is_paid = any(invoice["Status"] == "PAID" for invoice in found)
            if is_paid or wish["expect"] == "free":
                items = self.messages[wish["message_id"]]["data"].get("items")
                yield from (i["subject"] for i in items or [wish])


def is_contact_of(
    contact: Mapping[str, Any], member_id: str, payer: Mapping[str, Any]
) -> bool:
    """By number, or by the e-mail and name of the member who was to be found."""
    numbers = (contact.get("ContactNumber"), contact.get("AccountNumber"))
    return member_id in numbers or (
        contact["EmailAddress"].lower() == payer["email"].lower()
        and contact["Name"].casefold() == payer["name"].casefold()
    )


def doubled(contacts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Two active contacts with one number, or with one name."""
    standing = [c for c in contacts if c["ContactStatus"] == "ACTIVE"]
    for key in ("ContactNumber", "Name"):
        counts = Counter(c[key] for c in standing if c.get(key))
        yield from (f"{n} contacts with {key} {v}" for v, n in counts.items() if n > 1)


def _only_in(where: str, these: Iterable[str], those: Iterable[str]) -> Iterator[str]:
    for number in sorted(set(these) - set(those)):
        yield f"{number}: only in {where}"


def _invoice_differs(ours: Invoice, theirs: Mapping[str, Any]) -> Iterator[str]:
    pairs = {
        "id": (ours.xero_id, theirs["InvoiceID"]),
        "status": (ours.xero_status, theirs["Status"]),
        "total": (ours.total, Decimal(theirs["Total"])),
        "paid": (ours.amount_paid, Decimal(theirs["AmountPaid"])),
        "contact": (ours.contact_id, theirs["Contact"]["ContactID"]),
        "reference": (ours.reference, theirs["Reference"]),
    }
    for what, (mine, xeros) in pairs.items():
        if mine != xeros:
            yield f"{ours.number}: {what} {mine} in our books, {xeros} in Xero"
