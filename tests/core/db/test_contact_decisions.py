"""Whatever the daemon, Xero and people do in any order: nothing shared or stuck."""

import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from core.contacts import (
    creating,
    deciding,
    deciding_anew,
    desk,
    explaining,
    waiting,
)
from core.contacts.desk import NotDecided, Person
from core.contacts.evidence import cause_of
from core.contacts.importing import Row, import_links
from core.contacts.resolution import Known, Undecided
from core.db import contact_links, contacts, invoices, problems, writes
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice, Write
from core.db.writes import WriteState
from core.matching.contact import MirrorContact
from core.members import Member
from core.settings import Settings
from core.waking import LaneName
from tests.core.db.crowd import together
from tests.core.db.rows import NOW, invoice

FINANCE = Person("finance", "they know")
SETTINGS = Settings()
POLICY = SETTINGS.tenants["main"]

#: A family at one address, of whom two bear one name.
MEMBERS = (
    Member(id="100001", name="Jan Botha", email="botha@example.org"),
    Member(id="100002", name="Jan Botha", email="botha@example.org"),
    Member(id="100003", name="Anna Botha", email="botha@example.org"),
    Member(id="100004", name="A Botha", email="anna@example.org"),
)
CONTACT_IDS = ("c-1", "c-2", "c-3", "c-4", "c-5")


def a_message_of(member: Member) -> None:
    """An invoice, and which contact it goes on."""
    row = invoice(
        payer_member_id=member.id,
        payer=member.model_dump(mode="json"),
        state=InvoiceState.WAITING,
    )
    resolution = deciding.resolve("main", member, POLICY, NOW)
    match resolution:
        case Known(contact_id, others_wait):
            waiting.make_ready(row, contact_id, NOW)
            if others_wait:
                waiting.go_on("main", member.id, resolution, NOW)
        case Undecided(cause, reason):
            waiting.hold(row, cause, reason, NOW)


class Playing:
    """Random steps, each of which may happen at any moment."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 the same each time
        self.made = 0
        self.steps: tuple[Callable[[], None], ...] = (
            self.a_message_comes,
            self.a_message_comes,
            self.a_contact_changes,
            self.the_mirror_is_read,
            self.xero_creates,
            self.invoices_are_raised,
            self.xero_refuses_invoices,
            self.a_refused_one_is_tried_again,
            self.what_waits_is_cancelled,
            self.a_person_links,
            self.a_person_unlinks,
            self.a_person_wants_another,
        )

    def step(self) -> str:
        chosen = self.chance.choice(self.steps)
        # What a person decides in vain is undone as a whole.
        with suppress(NotDecided), transaction():
            chosen()
        return chosen.__name__

    def member(self) -> Member:
        return self.chance.choice(MEMBERS)

    def a_message_comes(self) -> None:
        a_message_of(self.member())

    def a_contact_changes(self) -> None:
        """Finance types, archives and merges as it likes."""
        pick = self.chance.choice
        contact_id = pick(CONTACT_IDS)
        merged = pick((None, None, None, *CONTACT_IDS))
        contacts.put(
            "main",
            [
                MirrorContact(
                    contact_id=contact_id,
                    name=pick(("Jan Botha", "J Botha", "Botha, Anna", "Anna Smit")),
                    email=pick(("botha@example.org", "anna@example.org", "")),
                    contact_number=pick(("", "", "", "100001", "100 003")),
                    account_number=pick(("", "", "", "100002")),
                    status="ARCHIVED"
                    if merged
                    else pick(("ACTIVE", "ACTIVE", "ARCHIVED")),
                    merged_to=merged,
                    updated_at=NOW,
                )
            ],
        )

    def the_mirror_is_read(self) -> None:
        deciding_anew.release_decided("main", POLICY, NOW)

    def xero_creates(self) -> None:
        for row in Write.select().where(
            (Write.kind == LaneName.CONTACTS) & (Write.state == WriteState.DUE)
        ):
            self.made += 1
            member = Member.model_validate(row.data["member"])
            made = MirrorContact(
                contact_id=f"made-{self.made}",
                name=member.name,
                email=member.email,
                contact_number=member.id,
                account_number="",
                status="ACTIVE",
                merged_to=None,
                updated_at=NOW,
            )
            writes.finish(row, WriteState.DONE)
            creating.created("main", member, made, NOW)

    def invoices_are_raised(self) -> None:
        for row in Invoice.select().where(Invoice.state == InvoiceState.READY):
            invoices.change(row, state=InvoiceState.RAISED)

    def xero_refuses_invoices(self) -> None:
        for row in Invoice.select().where(Invoice.state == InvoiceState.READY):
            asked = writes.pending("main", LaneName.INVOICES, str(row.id))
            assert asked is not None
            writes.finish(asked, WriteState.REFUSED, "the period is locked")
            invoices.change(row, state=InvoiceState.REFUSED)

    def a_refused_one_is_tried_again(self) -> None:
        refused = Invoice.select().where(Invoice.state == InvoiceState.REFUSED)
        for row in refused.limit(1):
            deciding_anew.raise_again(row, POLICY, NOW)

    def what_waits_is_cancelled(self) -> None:
        """Some of it, or all."""
        states = [InvoiceState.WAITING, InvoiceState.HELD]
        waits = Invoice.select().where(Invoice.state.in_(states))
        for row in waits.limit(self.chance.choice((1, 9))):
            invoices.change(row, state=InvoiceState.CANCELLED)
            waiting.let_lapse("main", row.payer_member_id, NOW)

    def a_person_links(self) -> None:
        contact_id = self.chance.choice(CONTACT_IDS)
        desk.link("main", self.member().id, contact_id, FINANCE, NOW, SETTINGS)

    def a_person_unlinks(self) -> None:
        desk.unlink("main", self.member().id, FINANCE, NOW, SETTINGS)

    def a_person_wants_another(self) -> None:
        desk.create("main", self.member().id, FINANCE, NOW, SETTINGS)


def check() -> None:
    links = {row.member_id: row.contact_id for row in contact_links.everything("main")}
    assert len(set(links.values())) == len(links)
    to_create = writes.all_pending("main", LaneName.CONTACTS)
    asked = {problem.cause for problem in problems.open_problems()}
    for row in Invoice.select():
        member = row.payer_member_id
        if row.state == InvoiceState.READY:
            assert row.contact_id == links[member]
            asked_for = writes.pending("main", LaneName.INVOICES, str(row.id))
            assert asked_for is not None, "nobody raises it"
            assert asked_for.state == WriteState.DUE, "nobody raises it"
        if row.state == InvoiceState.WAITING:
            assert member in to_create, "it waits for what nobody creates"
        if row.state == InvoiceState.HELD:
            assert cause_of("main", member) in asked, "nobody was asked"
    held = invoices.payers_in("main", InvoiceState.HELD)
    assert asked == {cause_of("main", each) for each in held}, "asked for nothing"
    standings = explaining.standings("main", undecided_only=True)
    assert {one.member_id for one in standings} <= held, "listed for nothing"
    wanted = held | invoices.payers_in("main", InvoiceState.WAITING)
    assert set(to_create) <= wanted, "created for nobody"


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_shared_and_nothing_is_stuck(books: None, seed: int) -> None:
    playing = Playing(seed)
    steps = []
    for _ in range(50):
        steps.append(playing.step())
        check()


def contact(contact_id: str, name: str, email: str) -> MirrorContact:
    return MirrorContact(contact_id, name, email, "", "", "ACTIVE", None, None)


def test_in_whatever_order_messages_come_each_gets_the_same_contact(
    books: None,
) -> None:
    """Where no two of them fit one contact; else a person is asked."""
    some = (MEMBERS[0], MEMBERS[2], MEMBERS[3])
    ends = set()
    for turn in range(len(some)):
        with transaction():
            for each in some:
                contact_links.unlink("main", each.id)
            contacts.put(
                "main",
                [
                    contact("c-1", "Botha, Jan", some[0].email),
                    contact("c-2", "Anna Botha", some[1].email),
                    contact("c-3", "Anna Botha", some[2].email),
                ],
            )
            for member in (*some[turn:], *some[:turn]):
                deciding.resolve("main", member, POLICY, NOW)
        links = contact_links.everything("main")
        ends.add(tuple(sorted((row.member_id, row.contact_id) for row in links)))
    assert ends == {(("100001", "c-1"), ("100003", "c-2"), ("100004", "c-3"))}


# -- at the same moment ----------------------------------------------------------------


def ask(member: Member) -> None:
    with transaction():
        a_message_of(member)


def decide(member: Member) -> None:
    with transaction():
        desk.link("main", member.id, "c-1", FINANCE, NOW, SETTINGS)


@pytest.mark.parametrize("turn", range(6))
def test_a_message_and_a_decision_at_once_leave_nothing_behind(
    books: None, turn: int
) -> None:
    """Whoever comes second sees what the first has done."""
    member = Member(id=f"20{turn}", name="Jan Botha", email="botha@example.org")
    with transaction():
        contacts.put(
            "main",
            [contact(each, "Jan Botha", member.email) for each in ("c-1", "c-2")],
        )
    works = [partial(ask, member)] * 3 + [partial(decide, member)]
    together(4, lambda n: works[n]())
    rows = list(Invoice.select())
    assert [(row.state, row.contact_id) for row in rows] == [("ready", "c-1")] * 3
    assert problems.open_problems() == []


@pytest.mark.parametrize("turn", range(6))
def test_an_unlinking_and_a_message_at_once_agree(books: None, turn: int) -> None:
    """No invoice leaves on a contact of which somebody has just said that it is not."""
    member = Member(id=f"30{turn}", name="Jan Botha", email="botha@example.org")
    with transaction():
        contacts.put("main", [contact("c-1", "Jan Botha", member.email)])
        desk.link("main", member.id, "c-1", FINANCE, NOW, SETTINGS)

    def untie() -> None:
        with suppress(NotDecided), transaction():
            desk.unlink("main", member.id, FINANCE, NOW, SETTINGS)

    works: list[Callable[[], None]] = [
        partial(ask, member),
        untie,
        partial(ask, member),
    ]
    together(3, lambda n: works[n]())
    check()
    linked_to = contact_links.contact_of("main", member.id)
    states = {(row.state, row.contact_id) for row in Invoice.select()}
    assert states == ({("ready", "c-1")} if linked_to else {("waiting", None)})


@pytest.mark.parametrize("turn", range(6))
def test_an_import_and_messages_at_once_agree(books: None, turn: int) -> None:
    some = [
        Member(id=f"40{n}", name=f"Botha {n}", email=f"b{n}@example.org")
        for n in range(6)
    ]
    with transaction():
        contacts.put("main", [contact(f"c-{n}", f"Nel {n}", "") for n in range(6)])

    def take_over() -> None:
        lines = [Row(n, each.id, f"c-{n}") for n, each in enumerate(some)]
        with transaction():
            import_links("main", lines, FINANCE, NOW, lambda _: None, is_dry=False)

    works: list[Callable[[], None]] = [
        take_over,
        *(partial(ask, member) for member in some),
    ]
    together(len(works), lambda n: works[n]())
    check()
    assert {row.state for row in Invoice.select()} == {"ready"}
    assert writes.all_pending("main", LaneName.CONTACTS) == {}
