"""Whatever the daemon, Xero and people do in any order: nothing shared or stuck."""

import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from core import contact_desk, contacts
from core.contact_desk import NotDecided, Person
from core.contact_matching import MirrorContact
from core.db import contacts as mirror
from core.db import invoices, problems, writes
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.models import Invoice, Write
from core.db.writes import WriteState
from core.members import Member
from core.settings import Settings
from core.waking import LaneName
from tests.core.db.rows import NOW, invoice

FINANCE = Person("finance", "they know")
SETTINGS = Settings()

#: A family at one address, of whom two bear one name.
MEMBERS = (
    Member(id="100001", name="Jan Botha", email="botha@example.org"),
    Member(id="100002", name="Jan Botha", email="botha@example.org"),
    Member(id="100003", name="Anna Botha", email="botha@example.org"),
    Member(id="100004", name="A Botha", email="anna@example.org"),
)
CONTACT_IDS = ("c-1", "c-2", "c-3", "c-4", "c-5")


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
            self.a_person_links,
            self.a_person_unlinks,
            self.a_person_wants_another,
        )

    def step(self) -> str:
        chosen = self.chance.choice(self.steps)
        with transaction():
            chosen()
        return chosen.__name__

    def member(self) -> Member:
        return self.chance.choice(MEMBERS)

    def a_message_comes(self) -> None:
        member = self.member()
        row = invoice(
            payer_member_id=member.id,
            payer=member.model_dump(mode="json"),
            state=InvoiceState.WAITING,
        )
        resolution = contacts.resolve("main", member, NOW, ())
        match resolution:
            case contacts.Known(contact_id, others_wait):
                contacts.make_ready(row, contact_id, NOW)
                if others_wait:
                    contacts.go_on("main", member.id, resolution, NOW)
            case contacts.Undecided(cause, reason):
                contacts.hold(row, cause, reason, NOW)

    def a_contact_changes(self) -> None:
        """Finance types, archives and merges as it likes."""
        pick = self.chance.choice
        contact_id = pick(CONTACT_IDS)
        merged = pick((None, None, None, *CONTACT_IDS))
        mirror.put(
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
        contacts.release_decided("main", NOW, ())

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
            contacts.created("main", member.id, made, NOW)

    def invoices_are_raised(self) -> None:
        for row in Invoice.select().where(Invoice.state == InvoiceState.READY):
            invoices.change(row, state=InvoiceState.RAISED)

    def a_person_links(self) -> None:
        contact_id = self.chance.choice(CONTACT_IDS)
        self._try(
            lambda: contact_desk.link(
                "main", self.member().id, contact_id, FINANCE, NOW
            )
        )

    def a_person_unlinks(self) -> None:
        self._try(
            lambda: contact_desk.unlink(
                "main", self.member().id, FINANCE, NOW, SETTINGS
            )
        )

    def a_person_wants_another(self) -> None:
        self._try(
            lambda: contact_desk.create(
                "main", self.member().id, FINANCE, NOW, SETTINGS
            )
        )

    def _try(self, decide: Callable[[], int]) -> None:
        with suppress(NotDecided):  # then nothing was changed
            decide()


def check() -> None:
    links = {row.member_id: row.contact_id for row in mirror.links("main")}
    assert len(set(links.values())) == len(links)
    creating = writes.all_pending("main", LaneName.CONTACTS)
    asked = {problem.cause for problem in problems.open_problems()}
    for row in Invoice.select():
        member = row.payer_member_id
        if row.state == InvoiceState.READY:
            assert row.contact_id == links[member]
        if row.state == InvoiceState.WAITING:
            assert member in creating, "it waits for what nobody creates"
        if row.state == InvoiceState.HELD:
            assert contacts.cause_of("main", member) in asked, "nobody was asked"


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
                mirror.unlink("main", each.id)
            mirror.put(
                "main",
                [
                    contact("c-1", "Botha, Jan", some[0].email),
                    contact("c-2", "Anna Botha", some[1].email),
                    contact("c-3", "Anna Botha", some[2].email),
                ],
            )
            for member in (*some[turn:], *some[:turn]):
                contacts.resolve("main", member, NOW, ())
        ends.add(
            tuple(sorted((r.member_id, r.contact_id) for r in mirror.links("main")))
        )
    assert ends == {(("100001", "c-1"), ("100003", "c-2"), ("100004", "c-3"))}
