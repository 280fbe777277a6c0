"""The judge believes nobody: each kind of difference, put in by hand, is named."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.db import contact_links, invoices
from core.db.database import close_books, migrate, open_books, transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice, MemberContact, Payment
from core.db.proxy import proxy
from core.facts import XeroPayment
from sandbox.platform import Platform, Season
from settled.demo.judge import Judge

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)

#: With two employers who pay for several, and somebody who pays nothing.
MEMBERS = 100


class Told:
    """What the platform has heard and done, without a Redis."""

    def __init__(self) -> None:
        self.platform = Platform("redis://127.0.0.1:1/0")
        self._count = 0

    def hear(self, type_: str, subject: str, **attributes: Any) -> None:
        self._count += 1
        message = {"id": f"out-{self._count}", "type": type_, "subject": subject}
        self.platform._take({**message, "data": {}, **attributes})


@dataclass
class Agreement:
    """A season after which everybody says the same; each test spoils one thing."""

    season: Season
    told: Told = field(default_factory=Told)
    ledger: dict[str, Any] = field(
        default_factory=lambda: {
            "invoices": [],
            "contacts": [],
            "payments": [],
            "emails": [],
        }
    )

    def differences(self) -> list[str]:
        return Judge(self.season, self.told.platform, self.ledger).differences()

    @property
    def invoice(self) -> dict[str, Any]:
        """Xero's invoice of the first wish, which is paid."""
        one: dict[str, Any] = self.ledger["invoices"][0]
        return one

    @property
    def wish(self) -> Any:
        return next(w for w in self.season.wishes if w["expect"] == "invoice")

    @property
    def free(self) -> Any:
        return next(w for w in self.season.wishes if w["expect"] == "free")

    @property
    def group(self) -> Any:
        return next(
            w for w in self.season.wishes if w["subject"].startswith("renewals-")
        )

    @property
    def number(self) -> str:
        return str(self.invoice["InvoiceNumber"])


def settle(agreement: Agreement) -> None:
    """Do for every wish what a correct system does; every other invoice is paid."""
    messages = {m["id"]: m for m in agreement.season.messages}
    for count, wish in enumerate(agreement.season.wishes):
        data = messages[wish["message_id"]]["data"]
        answer = {"inreplyto": wish["message_id"]}
        agreement.told.hear("message.accepted", wish["subject"], **answer)
        is_paid = wish["expect"] == "free" or count % 2 == 0
        if wish["expect"] == "invoice":
            raise_invoice(agreement, wish, data, count, is_paid=is_paid)
            agreement.told.hear("invoice.raised", wish["subject"], **answer)
        if is_paid:
            for item in data.get("items") or [wish]:
                agreement.told.hear("membership.renew", item["subject"])
    for bad in agreement.season.bad_messages:
        agreement.told.hear(
            "message.rejected", "", inreplyto=bad.message_id, data={"field": bad.field}
        )


def raise_invoice(
    agreement: Agreement, wish: Any, data: Any, count: int, *, is_paid: bool
) -> None:
    payer = data.get("bill_to") or data["member"]
    contact_id, number = f"contact-{count}", f"MEM-2026-{count:06d}"
    reference, total = f"membership:{wish['subject']}", Decimal(wish["total"])
    paid = total if is_paid else Decimal(0)
    status = "PAID" if is_paid else "AUTHORISED"
    agreement.ledger["contacts"].append(
        {
            "ContactID": contact_id,
            "ContactNumber": wish["member_id"],
            "Name": f"{payer['name']} {count}",
            "EmailAddress": payer["email"],
            "ContactStatus": "ACTIVE",
        }
    )
    agreement.ledger["invoices"].append(
        {
            "InvoiceID": f"invoice-{count}",
            "InvoiceNumber": number,
            "Reference": reference,
            "Status": status,
            "Total": str(total),
            "AmountPaid": str(paid),
            "CurrencyCode": wish["currency"],
            "Contact": {"ContactID": contact_id},
        }
    )
    agreement.ledger["emails"].append({"invoice_number": number})
    row = invoices.add(
        tenant="main",
        workflow="membership",
        reference=reference,
        state=InvoiceState.RAISED,
        number=number,
        payer_member_id=wish["member_id"],
        payer={},
        contact_id=contact_id,
        draft={},
        currency=wish["currency"],
        total=total,
        xero_id=f"invoice-{count}",
        xero_status=status,
        amount_paid=paid,
        created_at=NOW,
    )
    contact_links.link("main", wish["member_id"], contact_id, "created", {}, NOW)
    if is_paid:
        payment = XeroPayment(f"payment-{count}", paid, NOW.date(), "")
        invoices.record_payments(row, [payment], [], NOW)
        agreement.ledger["payments"].append(
            {"PaymentID": payment.payment_id, "Amount": str(paid)}
        )


@pytest.fixture(scope="module")
def settled_season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agreement]:
    folder = tmp_path_factory.mktemp("judged")
    open_books(f"sqlite:///{folder / 'books.db'}")
    migrate()
    agreement = Agreement(Season(MEMBERS))
    with transaction():
        settle(agreement)
    yield agreement
    close_books()


@pytest.fixture
def agreed(settled_season: Agreement) -> Agreement:
    """A ledger of its own for each test; the rest is put back by who changes it."""
    return Agreement(
        settled_season.season,
        settled_season.told,
        copy.deepcopy(settled_season.ledger),
    )


def test_when_all_agree_nothing_differs(agreed: Agreement) -> None:
    assert agreed.differences() == []
    assert len(agreed.ledger["invoices"]) > MEMBERS * 0.9
    assert {"invoice", "free"} <= {w["expect"] for w in agreed.season.wishes}
    assert agreed.group["expect"] == "invoice"


# -- Xero's ledger -------------------------------------------------------------------

Spoil = Callable[[Agreement], None]


def twice(agreed: Agreement) -> None:
    other = {**agreed.invoice, "InvoiceNumber": "MEM-2026-900000"}
    agreed.ledger["invoices"].append(other)


def missing(agreed: Agreement) -> None:
    agreed.ledger["invoices"].remove(agreed.invoice)


def unwished(agreed: Agreement) -> None:
    other = {"Reference": "membership:nobody-asked", "InvoiceNumber": "MEM-2026-900000"}
    agreed.ledger["invoices"].append({**agreed.invoice, **other})


def not_free(agreed: Agreement) -> None:
    agreed.invoice["Reference"] = f"membership:{agreed.free['subject']}"


def total(agreed: Agreement) -> None:
    agreed.invoice["Total"] = "1.00"


def currency(agreed: Agreement) -> None:
    agreed.invoice["CurrencyCode"] = "USD"


def contact(agreed: Agreement) -> None:
    agreed.invoice["Contact"] = {"ContactID": agreed.ledger["contacts"][1]["ContactID"]}


def status(agreed: Agreement) -> None:
    agreed.invoice["Status"] = "AUTHORISED"


def paid_amount(agreed: Agreement) -> None:
    agreed.invoice["AmountPaid"] = "1.00"


def invoice_id(agreed: Agreement) -> None:
    agreed.invoice["InvoiceID"] = "another"


def number(agreed: Agreement) -> None:
    agreed.invoice["InvoiceNumber"] = "BY-HAND-1"


def no_email(agreed: Agreement) -> None:
    del agreed.ledger["emails"][0]


def two_emails(agreed: Agreement) -> None:
    agreed.ledger["emails"].append(agreed.ledger["emails"][0])


def payment_missing(agreed: Agreement) -> None:
    del agreed.ledger["payments"][0]


def payment_amount(agreed: Agreement) -> None:
    agreed.ledger["payments"][0]["Amount"] = "1.00"


def contact_number_twice(agreed: Agreement) -> None:
    first = agreed.ledger["contacts"][0]
    other = {**first, "ContactID": "another", "Name": "Somebody Else"}
    agreed.ledger["contacts"].append(other)


def contact_name_twice(agreed: Agreement) -> None:
    first = agreed.ledger["contacts"][0]
    other = {**first, "ContactID": "another", "ContactNumber": "another"}
    agreed.ledger["contacts"].append(other)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (twice, "{subject}: 2 invoices in Xero"),
        (missing, "{subject}: 0 invoices in Xero"),
        (missing, "{number}: only in our books"),
        (unwished, "membership:nobody-asked: an invoice that nobody wished for"),
        (unwished, "MEM-2026-900000: only in Xero"),
        (not_free, "{free}: free was wished, and there is an invoice"),
        (total, "{subject}: total 1.00, wished {total}"),
        (total, "{number}: total {total} in our books, 1.00 in Xero"),
        (currency, "{subject}: in USD"),
        (contact, "{subject}: on another's contact"),
        (contact, "{number}: contact contact-0 in our books, contact-1 in Xero"),
        (status, "{number}: status PAID in our books, AUTHORISED in Xero"),
        (status, "{subject}: 1 actions, 0 due"),
        (paid_amount, "{number}: paid {total} in our books, 1.00 in Xero"),
        (invoice_id, "{number}: id invoice-0 in our books, another in Xero"),
        (number, "BY-HAND-1: only in Xero"),
        (number, "{number}: only in our books"),
        (no_email, "{number}: e-mailed 0 times"),
        (two_emails, "{number}: e-mailed 2 times"),
        (payment_missing, "{less} payments in Xero, {payments} in our books"),
        (payment_amount, "{payments} payments in Xero, {payments} in our books"),
        (contact_number_twice, "2 contacts with ContactNumber {member}"),
        (contact_name_twice, "2 contacts with Name {name}"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_falsified_ledger_is_found_out(
    agreed: Agreement, spoil: Spoil, named: str
) -> None:
    payments = len(agreed.ledger["payments"])
    words = {
        "subject": agreed.wish["subject"],
        "number": agreed.number,
        "free": agreed.free["subject"],
        "total": agreed.wish["total"],
        "member": agreed.wish["member_id"],
        "name": agreed.ledger["contacts"][0]["Name"],
        "payments": payments,
        "less": payments - 1,
    }
    spoil(agreed)
    assert named.format(**words) in agreed.differences()


def test_a_contact_is_also_known_by_its_mail_and_name(agreed: Agreement) -> None:
    first = agreed.ledger["contacts"][0]
    messages = {m["id"]: m for m in agreed.season.messages}
    member = messages[agreed.wish["message_id"]]["data"]["member"]
    first["ContactNumber"] = None
    assert f"{agreed.wish['subject']}: on another's contact" in agreed.differences()
    first["Name"] = member["name"].upper()
    assert agreed.differences() == []


def test_an_archived_contact_may_share_a_name(agreed: Agreement) -> None:
    contact_name_twice(agreed)
    agreed.ledger["contacts"][-1]["ContactStatus"] = "ARCHIVED"
    assert agreed.differences() == []


# -- our books -----------------------------------------------------------------------


@pytest.fixture
def undone(settled_season: Agreement) -> Iterator[None]:
    """Whatever the test writes into the books is taken back."""
    with proxy.atomic() as step:
        yield
        step.rollback()


@pytest.mark.usefixtures("undone")
def test_an_invoice_that_only_we_know_is_found(agreed: Agreement) -> None:
    row = Invoice.get(Invoice.number == agreed.number)
    Invoice.update(number="MEM-2026-900000").where(Invoice.id == row.id).execute()
    assert set(agreed.differences()) == {
        f"{agreed.number}: only in Xero",
        "MEM-2026-900000: only in our books",
    }


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("xero_id", "x", "id x in our books, invoice-0 in Xero"),
        ("xero_status", "VOIDED", "status VOIDED in our books, PAID in Xero"),
        ("contact_id", "x", "contact x in our books, contact-0 in Xero"),
        ("reference", "x", "reference x in our books, membership:"),
        ("amount_paid", Decimal(0), "paid 0 in our books, "),
        ("total", Decimal("0.01"), "total 0.01 in our books, "),
    ],
)
def test_a_column_of_ours_that_differs_is_found(
    agreed: Agreement, column: str, value: object, named: str
) -> None:
    Invoice.update(**{column: value}).where(Invoice.number == agreed.number).execute()
    (difference,) = agreed.differences()
    assert difference.startswith(f"{agreed.number}: {named}")


@pytest.mark.usefixtures("undone")
def test_a_payment_that_only_we_know_is_found(agreed: Agreement) -> None:
    row = Payment.select().first()
    Payment.update(payment_id="another").where(Payment.id == row.id).execute()
    (difference,) = agreed.differences()
    assert difference.endswith("in our books")


@pytest.mark.usefixtures("undone")
def test_a_member_tied_to_no_contact_is_found(agreed: Agreement) -> None:
    row = MemberContact.select().first()
    MemberContact.update(contact_id="x").where(MemberContact.id == row.id).execute()
    assert agreed.differences() == [
        f"member {row.member_id} is tied to a contact that is not there"
    ]


# -- the platform --------------------------------------------------------------------


@pytest.fixture
def heard(agreed: Agreement) -> Iterator[dict[str, Any]]:
    """What the platform heard, by id; put back afterwards."""
    platform = agreed.told.platform
    received, actions = dict(platform._received), list(platform.actions)
    yield platform._received
    platform._received.clear()
    platform._received.update(received)
    platform.actions[:] = actions


def first(heard: dict[str, Any], type_: str, subject: str) -> str:
    return next(
        message_id
        for message_id, received in heard.items()
        if (received.type, received.subject) == (type_, subject)
    )


def test_a_message_that_was_never_accepted_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    subject = agreed.wish["subject"]
    del heard[first(heard, "message.accepted", subject)]
    assert agreed.differences() == [f"{subject}: accepted 0 times"]


def test_a_message_that_was_accepted_twice_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    wish = agreed.wish
    agreed.told.hear("message.accepted", wish["subject"], inreplyto=wish["message_id"])
    assert agreed.differences() == [f"{wish['subject']}: accepted 2 times"]


@pytest.mark.parametrize("times", [0, 2])
def test_an_invoice_that_was_not_told_once_is_found(
    agreed: Agreement, heard: dict[str, Any], times: int
) -> None:
    wish = agreed.wish
    if times:
        answer = {"inreplyto": wish["message_id"]}
        agreed.told.hear("invoice.raised", wish["subject"], **answer)
    else:
        del heard[first(heard, "invoice.raised", wish["subject"])]
    assert agreed.differences() == [f"{wish['subject']}: told as raised {times} times"]


def test_a_bad_message_that_was_not_rejected_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    bad = next(b for b in agreed.season.bad_messages if b.field)
    rejection = next(
        key
        for key, received in heard.items()
        if received.type == "message.rejected"
        and received.in_reply_to == bad.message_id
    )
    del heard[rejection]
    count = len(agreed.season.bad_messages)
    assert agreed.differences() == [
        f"{count} bad messages, {count - 1} rejected",
        f"{bad.why}: {bad.field} was to be blamed, not None",
    ]


def test_a_rejection_that_blames_the_wrong_field_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    bad = next(b for b in agreed.season.bad_messages if b.field)
    rejection = next(
        received
        for received in heard.values()
        if received.type == "message.rejected"
        and received.in_reply_to == bad.message_id
    )
    received = copy.deepcopy(rejection)
    received.message["data"]["field"] = "data.other"
    heard[received.message_id] = received
    assert agreed.differences() == [
        f"{bad.why}: {bad.field} was to be blamed, not data.other"
    ]


def test_an_action_that_was_not_done_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    action = agreed.told.platform.actions.pop()
    assert agreed.differences() == [f"{action['subject']}: 0 actions, 1 due"]


def test_an_action_that_was_done_twice_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    action = agreed.told.platform.actions[0]
    agreed.told.hear(action["type"], action["subject"])
    assert agreed.differences() == [f"{action['subject']}: 2 actions, 1 due"]


def test_an_action_that_nobody_paid_for_is_found(
    agreed: Agreement, heard: dict[str, Any]
) -> None:
    agreed.told.hear("membership.renew", "renewal-unpaid")
    assert agreed.differences() == ["renewal-unpaid: 1 actions, 0 due"]


def test_each_subject_of_an_employers_invoice_is_due_its_action(
    agreed: Agreement,
) -> None:
    """Paid or unpaid, the group itself is nobody's membership."""
    reference = f"membership:{agreed.group['subject']}"
    invoice = next(i for i in agreed.ledger["invoices"] if i["Reference"] == reference)
    messages = {m["id"]: m for m in agreed.season.messages}
    items = messages[agreed.group["message_id"]]["data"]["items"]
    is_paid = invoice["Status"] == "PAID"
    invoice["Status"] = "AUTHORISED" if is_paid else "PAID"
    done, due = (1, 0) if is_paid else (0, 1)
    found = agreed.differences()
    for item in items:
        assert f"{item['subject']}: {done} actions, {due} due" in found
