"""``settled contacts``, on books without a daemon."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from core.agreeing import Field
from core.clock import SystemClock
from core.contacts import deciding, waiting
from core.contacts.resolution import Creating, Known, Undecided
from core.db import (
    contact_links,
    contacts,
    invoices,
    problems,
    profiles,
    reference,
    writes,
)
from core.db.database import transaction
from core.db.invoices import InvoiceState
from core.db.writes import WriteState
from core.matching.contact import MirrorContact
from core.members import Member
from core.mirror import LOADED
from core.settings import Settings, TenantSettings
from core.waking import LaneName
from settled.cli import SOMETHING_WRONG, UNREACHABLE, UNUSABLE, USAGE
from settled.maintenance import migrate_books, opened_books
from tests.core.db import rows
from tests.settled.command import Ended, settled

NOW = SystemClock().now()

ZOE = Member(id="100123", name="Zoë Müller", email="zoe@example.org")


@pytest.fixture(autouse=True)
def migrated(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("SETTLED_DATABASE_URL", database_url)
    migrate_books(Settings())
    with opened_books(Settings()), transaction():
        reference.put_reference("main", LOADED, True, NOW)


def contact(contact_id: str, name: str = "Zoe Muller", **shown: Any) -> MirrorContact:
    values = {
        "email": ZOE.email,
        "contact_number": "",
        "account_number": "",
        "status": "ACTIVE",
        "merged_to": None,
        "updated_at": None,
        **shown,
    }
    return MirrorContact(contact_id=contact_id, name=name, **values)


def put(*some: MirrorContact) -> None:
    with opened_books(Settings()), transaction():
        contacts.put("main", some)


def invoiced(member: Member = ZOE, reference: str = "membership:renewal-1") -> int:
    """A renewal of this member, as far as it comes without Xero."""
    with opened_books(Settings()), transaction():
        invoice = rows.invoice(
            reference=reference,
            payer_member_id=member.id,
            payer=member.model_dump(mode="json"),
            state=InvoiceState.WAITING,
        )
        match deciding.resolve("main", member, TenantSettings(), NOW):
            case Known(contact_id):
                waiting.make_ready(invoice, contact_id, NOW)
            case Undecided(cause, reason):
                waiting.hold(invoice, cause, reason, NOW)
            case Creating():
                pass
        found: int = invoice.id
        return found


def state(invoice_id: int) -> tuple[str, str | None]:
    with opened_books(Settings()):
        row = invoices.load(invoice_id)
        return row.state, row.contact_id


def raised(invoice_id: int) -> None:
    with opened_books(Settings()), transaction():
        invoices.change(invoices.load(invoice_id), state=InvoiceState.RAISED)


def links() -> dict[str, str]:
    with opened_books(Settings()):
        rows = contact_links.everything("main")
        return {row.member_id: row.contact_id for row in rows}


def open_problems() -> list[str]:
    with opened_books(Settings()):
        return [row.cause for row in problems.open_problems()]


def creation() -> str | None:
    """How far the creation of Zoë's contact is."""
    with opened_books(Settings()):
        row = writes.pending("main", LaneName.CONTACTS, ZOE.id)
    return row.state if row else None


def claim_creation() -> None:
    """As a worker does who is about to call Xero."""
    with opened_books(Settings()), transaction():
        row = writes.pending("main", LaneName.CONTACTS, ZOE.id)
        assert row is not None
        writes.claim([row], rows.intent(kind="contacts"))


def explained(who: str = ZOE.id) -> Any:
    ended = settled("contacts", "explain", who, "--json")
    assert ended.code == 0
    return json.loads(ended.out)


TWO = (contact("c-1"), contact("c-2", "Z Müller"))


# -- list and explain ------------------------------------------------------------------


def test_without_members_there_is_none() -> None:
    assert settled("contacts", "list").out == "none\n"


def test_members_are_listed_with_their_contacts() -> None:
    put(contact("c-1"))
    invoiced()
    listed = settled("contacts", "list")
    assert listed.code == 0
    for told in (ZOE.id, "linked", "c-1", "Zoe Muller", "email_and_name"):
        assert told in listed.out
    assert settled("contacts", "list", "--undecided").out == "none\n"


def test_the_undecided_are_listed_with_the_reason() -> None:
    put(*TWO)
    invoiced()
    listed = settled("contacts", "list", "--undecided")
    assert listed.code == SOMETHING_WRONG
    assert "2 contacts fit member 100123 by email_and_name" in listed.out


def test_of_very_many_the_undecided_are_shown_and_a_file_has_all(here: Path) -> None:
    put(*TWO, *(contact(f"d-{n}", f"Member {n}", email="") for n in range(100)))
    importing(mapping(here, *(f"{n},d-{n}" for n in range(100))))
    invoiced(ZOE.model_copy(update={"id": "zoe"}))
    shown = settled("contacts", "list").out
    assert "2 contacts fit member zoe" in shown
    assert shown.splitlines()[-1] == "and 51 more: --csv FILE has them all"
    listed = settled("contacts", "list", "--csv", "list.csv")
    assert (listed.code, listed.out) == (SOMETHING_WRONG, "101 written to list.csv\n")
    assert len(read_csv(here / "list.csv")) == 101


def test_a_decision_is_explained_with_its_evidence() -> None:
    put(*TWO, contact("c-3", "Zoe Muller", email="else@example.org"))
    invoiced()
    told = explained()
    (decision,) = told["decisions"]
    assert decision["decision"] == "quarantined"
    assert [each["contact_id"] for each in decision["candidates"]] == ["c-1", "c-2"]
    assert "the same e-mail" in decision["candidates"][0]["why"]
    assert told["now"].startswith("ask a person: 2 contacts fit")
    assert [each["contact_id"] for each in told["namesakes"]] == ["c-3"]
    assert told["waiting"] == ["membership:renewal-1"]
    table = settled("contacts", "explain", ZOE.id)
    assert table.code == 0
    for each in (
        "quarantined",
        "c-1",
        "c-2",
        "the same e-mail",
        "membership:renewal-1",
    ):
        assert each in table.out


def test_a_contact_is_explained_by_its_member() -> None:
    put(contact("c-1"))
    invoiced()
    assert explained("c-1") == explained(ZOE.id)


def test_a_contact_that_is_only_a_candidate_says_whose() -> None:
    put(*TWO)
    invoiced()
    told = explained("c-2")
    assert (told["member"], told["linked"]) == (None, False)
    assert [row["member"] for row in told["decisions"]] == [ZOE.id]


def test_a_newcomer_is_explained_before_there_is_a_contact() -> None:
    invoiced()
    assert explained()["now"] == "create: no contact fits"


def test_a_member_of_whom_only_an_update_has_told_is_explained() -> None:
    heard(ZOE)
    put(contact("c-1"))
    assert explained()["now"].startswith("link c-1 by email_and_name")


def test_who_is_known_to_nobody_is_said_so() -> None:
    ended = settled("contacts", "explain", "nobody")
    assert ended.code == SOMETHING_WRONG
    assert "no member and no contact is known" in ended.line


def test_a_tenant_that_does_not_exist_is_named() -> None:
    ended = settled("contacts", "list", "--tenant", "other")
    assert (ended.code, ended.line) == (
        UNUSABLE,
        "settled: --tenant: must be one of main",
    )


# -- a person decides ------------------------------------------------------------------


def link(contact_id: str, member_id: str = ZOE.id) -> Ended:
    return settled("contacts", "link", member_id, contact_id, "--because", "I know her")


def test_one_decision_releases_all_that_waits() -> None:
    put(*TWO)
    some = [invoiced(), invoiced(reference="membership:renewal-2")]
    assert len(open_problems()) == 1
    ended = link("c-2")
    assert (ended.code, ended.out) == (
        0,
        "member 100123 is contact c-2; invoices that go on: 2\n",
    )
    assert [state(each) for each in some] == [(InvoiceState.READY, "c-2")] * 2
    assert open_problems() == []
    told = [(row["decision"], row["reason"]) for row in explained()["decisions"]][1:]
    assert told == [
        ("linked_by_person", "I know her"),
        ("released", "invoices that were held and go on: 2"),
    ]
    assert settled("contacts", "list", "--undecided").out == "none\n"


def test_a_member_can_be_linked_before_the_first_message() -> None:
    put(contact("c-1", "Quite different", email=""))
    assert link("c-1").code == 0
    assert state(invoiced()) == (InvoiceState.READY, "c-1")


def test_a_contact_that_is_to_be_created_is_not_any_more() -> None:
    waiting = invoiced()
    assert creation() == WriteState.DUE
    put(contact("c-1", "Made meanwhile", email=""))
    assert link("c-1").code == 0
    assert creation() is None
    assert state(waiting) == (InvoiceState.READY, "c-1")


def test_while_xero_is_asked_to_create_one_nobody_may_link() -> None:
    invoiced()
    claim_creation()
    put(contact("c-1", "Made meanwhile", email=""))
    ended = link("c-1")
    assert ended.code == SOMETHING_WRONG
    assert "try again in a minute" in ended.line
    assert links() == {}


@pytest.mark.parametrize(
    ("contact_id", "why"),
    [
        ("gone", "is not in the mirror"),
        ("old", "is ARCHIVED in Xero"),
        ("theirs", "is member 999's"),
    ],
)
def test_a_contact_that_can_not_be_linked_is_refused(contact_id: str, why: str) -> None:
    put(contact("old", status="ARCHIVED"), contact("theirs", "Somebody", email=""))
    link("theirs", "999")
    ended = link(contact_id)
    assert ended.code == SOMETHING_WRONG
    assert why in ended.line
    assert links() == {"999": "theirs"}


def test_who_is_linked_must_be_unlinked_first() -> None:
    put(*TWO)
    link("c-1")
    assert "is linked to c-1; unlink it first" in link("c-2").line
    assert link("c-1").code == 0


def unlink() -> Ended:
    return settled("contacts", "unlink", ZOE.id, "--because", "another Zoë")


def test_who_is_unlinked_is_matched_anew_without_that_contact() -> None:
    put(contact("c-1"))
    first = invoiced()
    raised(first)
    assert "invoices that stay on the contact: 1" in unlink().out
    assert links() == {}
    assert state(first) == (InvoiceState.RAISED, "c-1")
    assert state(invoiced(reference="membership:renewal-2")) == ("waiting", None)
    assert creation() == WriteState.DUE


def test_who_is_unlinked_from_the_contact_of_its_number_waits_for_a_person() -> None:
    """Xero gives a Contact Number once, so that no other could be made."""
    put(contact("c-1", contact_number=ZOE.id))
    raised(invoiced())
    unlink()
    held = invoiced(reference="membership:renewal-2")
    assert state(held) == (InvoiceState.HELD, None)
    assert explained()["decisions"][-1]["reason"].endswith("was unlinked")
    assert link("c-1").code == 0
    assert state(held) == (InvoiceState.READY, "c-1")


def test_while_an_invoice_is_on_its_way_nobody_may_unlink() -> None:
    put(contact("c-1"))
    invoiced()
    ended = unlink()
    assert ended.code == SOMETHING_WRONG
    assert "on their way to Xero on contact c-1: membership:renewal-1" in ended.line
    assert links() == {ZOE.id: "c-1"}


def test_who_is_not_linked_can_not_be_unlinked() -> None:
    assert "is linked to no contact" in unlink().line


def test_a_reason_must_be_given() -> None:
    assert settled("contacts", "unlink", ZOE.id).code == USAGE


def create() -> Ended:
    return settled("contacts", "create", ZOE.id, "--because", "neither of them")


def test_none_of_them_makes_a_new_one() -> None:
    put(*TWO)
    held = invoiced()
    assert (
        create().out == "member 100123 gets a contact; invoices that wait for it: 1\n"
    )
    assert (creation(), state(held)[0]) == (WriteState.DUE, InvoiceState.WAITING)
    assert open_problems() == []
    # A second message waits for it as well, and asks nobody again.
    assert state(invoiced(reference="membership:renewal-2"))[0] == InvoiceState.WAITING
    assert open_problems() == []


def test_no_new_one_while_a_contact_has_the_number() -> None:
    put(contact("c-1", contact_number=ZOE.id), contact("c-2", contact_number=ZOE.id))
    invoiced()
    assert "Xero gives a Contact Number once" in create().line
    assert creation() is None


def test_nothing_waits_so_that_nothing_is_made() -> None:
    assert "nothing waits for a decision" in create().line


# -- import ----------------------------------------------------------------------------


def mapping(here: Path, *lines: str, header: str = "member_id,contact_id") -> str:
    file = here / "mapping.csv"
    file.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return str(file)


def importing(*arguments: str) -> Ended:
    return settled("contacts", "import", *arguments)


def test_a_mapping_is_imported_and_what_waits_goes_on(here: Path) -> None:
    put(*TWO, contact("c-3", "Somebody", email=""))
    held = invoiced()
    link("c-3", "100124")
    file = mapping(here, f"{ZOE.id},c-2", "100124,c-3", "100125,c-1")
    dry = importing(file, "--dry-run")
    assert dry.code == 0
    assert dry.out == (
        "2 would be linked, 1 were already; invoices that would go on: 1\n"
    )
    assert links() == {"100124": "c-3"}
    done = importing(file)
    assert done.out == "2 linked, 1 were already; invoices that go on: 1\n"
    assert links() == {ZOE.id: "c-2", "100124": "c-3", "100125": "c-1"}
    assert state(held) == (InvoiceState.READY, "c-2")
    assert open_problems() == []
    assert explained("c-1")["decisions"][0]["decision"] == "linked_by_person"


def test_imported_twice_is_imported_once(here: Path) -> None:
    put(contact("c-1"))
    file = mapping(here, f"{ZOE.id},c-1")
    importing(file)
    assert importing(file).out.startswith("0 linked, 1 were already")


def test_every_wrong_line_is_named_and_nothing_imported(here: Path) -> None:
    put(
        *TWO,
        contact("old", status="ARCHIVED", merged_to="c-1"),
        contact("c-4", "Four", email=""),
    )
    link("c-4", "100130")
    file = mapping(
        here,
        f"{ZOE.id},c-1",
        f"{ZOE.id},c-2",
        "100124,c-1",
        "100125,old",
        "100126,nowhere",
        "100130,c-2",
        "100127,c-4",
    )
    ended = importing(file)
    assert ended.code == SOMETHING_WRONG
    told = [line.partition("mapping.csv, ")[2] for line in ended.err.splitlines()]
    assert told[:-1] == [
        f"line 3: member {ZOE.id} stands in line 2 already",
        "line 4: contact c-1 stands in line 2 already",
        "line 5: contact old is ARCHIVED, merged into c-1",
        "line 6: contact nowhere is not in Xero, as far as is known",
        "line 7: member 100130 is linked to c-4",
        "line 8: contact c-4 is member 100130's",
    ]
    assert ended.err.endswith("settled: 6 lines are wrong, nothing was imported\n")
    assert links() == {"100130": "c-4"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (",c-1", "line 2: member_id is empty"),
        ("100123,", "line 2: contact_id is empty"),
        ("100123", "line 2: contact_id is empty"),
        ("100123,c-1,more", "line 2: a value too many"),
        (f"{'9' * 51},c-1", "line 2: member_id: "),
        ('"10""0",c-1', "line 2: member_id: "),
    ],
)
def test_a_line_that_can_not_be_read_is_named(here: Path, line: str, why: str) -> None:
    ended = importing(mapping(here, line))
    assert ended.code == SOMETHING_WRONG
    assert why in ended.err


def test_a_file_without_the_columns_is_named(here: Path) -> None:
    ended = importing(mapping(here, "1,2", header="member_id,contact"))
    assert ended.code == UNUSABLE
    assert "lacks the column contact_id" in ended.line


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_file_is_read_as_spreadsheets_save_it(here: Path, mark: str) -> None:
    """With semicolons or tabs, capitals in the header, and lines that were emptied."""
    put(contact("c-1"))
    header = mark.join(("Member_ID ", "Contact_ID", "Remarks"))
    file = mapping(here, mark.join((ZOE.id, "c-1", "")), mark * 2, "", header=header)
    assert importing(file).out.startswith("1 linked")
    assert links() == {ZOE.id: "c-1"}


def test_a_column_that_stands_there_twice_is_named(here: Path) -> None:
    file = mapping(here, "1,2,c-1", header="member_id,member_id,contact_id")
    ended = importing(file)
    assert (ended.code, ended.line) == (
        UNUSABLE,
        f"settled: {file}: has the column member_id twice",
    )


def test_a_file_in_another_encoding_is_told_how_to_be_saved(here: Path) -> None:
    (here / "mapping.csv").write_text("member_id,contact_id,Zoë", encoding="cp1252")
    ended = importing("mapping.csv")
    assert ended.code == UNUSABLE
    assert ended.line.endswith("save it as “CSV UTF-8”")


def test_an_empty_file_is_named(here: Path) -> None:
    assert "no line but its header" in importing(mapping(here)).line


def heard(member: Member) -> None:
    """The platform has said so in ``member.updated``."""
    with opened_books(Settings()), transaction():
        profile = profiles.locked("main", member.id)
        said = {"name": member.name, "email": member.email}
        profiles.save(profile, {key: Field(said=said[key]) for key in said})


def told_lines(ended: Ended) -> list[str]:
    lines = (line.partition("mapping.csv, ")[2] for line in ended.err.splitlines())
    return [line for line in lines if line]


def test_contacts_with_the_numbers_of_others_are_refused(here: Path) -> None:
    """A column that has slipped by a row would link everybody wrongly."""
    put(*(contact(f"c-{n}", f"M {n}", contact_number=f"{n}") for n in range(998, 1003)))
    slipped = [f"{n},c-{n + 1}" for n in range(998, 1002)]
    ended = importing(mapping(here, *slipped, "1002,c-998"), "--confirmed")
    assert ended.code == SOMETHING_WRONG
    assert told_lines(ended)[:2] == [
        "line 2: contact c-999 (M 999) has the Contact Number 999",
        "line 3: contact c-1000 (M 1000) has the Contact Number 1000",
    ]
    assert ended.err.endswith("settled: 5 lines are wrong, nothing was imported\n")
    assert links() == {}


def test_the_number_of_a_known_member_is_refused_however_it_looks(here: Path) -> None:
    put(contact("c-1", contact_number="AB/7"))
    heard(Member(id="AB/7", name="Somebody Else", email="else@example.org"))
    ended = importing(mapping(here, "100123,c-1"))
    assert told_lines(ended) == [
        "line 2: contact c-1 (Zoe Muller) has the Contact Number AB/7"
    ]


def test_a_number_of_another_system_is_no_contradiction(here: Path) -> None:
    put(contact("c-1", contact_number="CUST/17", account_number="7/17"))
    assert importing(mapping(here, f"{ZOE.id},c-1")).code == 0


def test_what_is_linked_already_is_not_judged_anew(here: Path) -> None:
    put(contact("c-1", contact_number="100999"))
    link("c-1")
    assert importing(mapping(here, f"{ZOE.id},c-1")).code == 0


def test_names_that_contradict_are_to_be_confirmed(here: Path) -> None:
    put(
        contact("c-1", "Anna Botha", email="anna@example.org"),
        contact("c-2", "Thabo Mokoena", email="thabo@example.org"),
        contact("c-3", "Sipho Dlamini", email=""),
    )
    file = mapping(
        here,
        "1,c-2,Anna Botha,anna@example.org",
        "2,c-3,Thabo Mokoena,",
        "3,c-1,,",
        header="member_id,contact_id,name,email",
    )
    doubts = [
        "line 2, to be confirmed: the member is Anna Botha <anna@example.org>, "
        "contact c-2 is Thabo Mokoena <thabo@example.org>: another surname",
        "line 3, to be confirmed: the member is Thabo Mokoena, "
        "contact c-3 is Sipho Dlamini: another surname",
    ]
    dry = importing(file, "--dry-run")
    assert dry.code == SOMETHING_WRONG
    assert told_lines(dry) == doubts
    assert dry.out.startswith("3 would be linked")
    assert "2 lines are to be confirmed" in dry.out
    refused = importing(file)
    assert refused.code == SOMETHING_WRONG
    assert told_lines(refused) == doubts
    assert "nothing was imported" in refused.err
    assert links() == {}
    assert importing(file, "--confirmed").code == 0
    assert links() == {"1": "c-2", "2": "c-3", "3": "c-1"}
    (decision,) = explained("1")["decisions"]
    assert "Thabo Mokoena" in decision["reason"]


@pytest.mark.parametrize(
    ("name", "email", "named"),
    [
        ("Anna Smit", "new@example.org", "Anna Botha"),  # married
        ("Jan Botha", "jan@botha.example", "Acme Trading (Pty) Ltd"),  # an employer
        ("Bob Botha", "bob@botha.example", "Robert Botha"),
        ("Zoë Müller", "new@example.org", "MULLER Z"),
        ("Somebody Else", ZOE.email, "Zoe Muller"),  # at the contact's own address
        ("", "new@example.org", "Zoe Muller"),  # addresses change
    ],
)
def test_what_may_be_one_is_not_asked(
    here: Path, name: str, email: str, named: str
) -> None:
    put(contact("c-1", named))
    header = "member_id,contact_id,name,email"
    file = mapping(here, f"{ZOE.id},c-1,{name},{email}", header=header)
    assert importing(file).code == 0


def test_what_the_platform_has_said_counts_as_well(here: Path) -> None:
    heard(ZOE)
    put(contact("c-1", "Thabo Mokoena", email="thabo@example.org"))
    (told,) = told_lines(importing(mapping(here, f"{ZOE.id},c-1")))
    assert "the member is Zoë Müller <zoe@example.org>" in told
    put(contact("c-2", "Thabo Mokoena", email="thabo@example.org", contact_number="7"))
    heard(Member(id="7", name="Zoë Müller", email="zoe@example.org"))
    # Only systems write a Contact Number: it is believed.
    assert importing(mapping(here, "7,c-2")).code == 0


def test_an_address_of_another_contact_is_to_be_confirmed(here: Path) -> None:
    put(contact("c-1"), contact("c-2", "Thabo Mokoena", email="thabo@example.org"))
    file = mapping(here, "7,c-1,thabo@example.org", header="member_id,contact_id,email")
    (told,) = told_lines(importing(file))
    assert told.endswith("<thabo@example.org>, which is the e-mail of contact c-2")


def test_an_account_number_of_another_line_is_to_be_confirmed(here: Path) -> None:
    put(
        contact("c-1", account_number="A1"),
        contact("c-2", account_number="B2"),
        contact("c-3", account_number="CC3"),
    )
    ended = importing(mapping(here, "A1,c-2", "B2,c-1", "CC3,c-3"))
    assert told_lines(ended) == [
        "line 2, to be confirmed: contact c-2 (Zoe Muller) has the Account Number B2",
        "line 3, to be confirmed: contact c-1 (Zoe Muller) has the Account Number A1",
    ]


def test_zeros_that_a_spreadsheet_has_eaten_are_to_be_confirmed(here: Path) -> None:
    put(contact("c-1", contact_number="00123"), contact("c-2"))
    heard(Member(id="00124", name="Zoë Müller", email=ZOE.email))
    ended = importing(mapping(here, "123,c-1", "124,c-2"))
    assert told_lines(ended) == [
        "line 2, to be confirmed: contact c-1 (Zoe Muller) has the Contact Number "
        "00123; has a spreadsheet taken zeros from the member's id?",
        "line 3, to be confirmed: member 124 is not known, but 00124 is; "
        "has a spreadsheet taken zeros from it?",
    ]


def test_a_number_that_a_spreadsheet_has_shortened_is_to_be_confirmed(
    here: Path,
) -> None:
    put(contact("c-1"))
    ended = importing(mapping(here, "1.00E+05,c-1"))
    assert told_lines(ended) == [
        "line 2, to be confirmed: member 1.00E+05 is a number as spreadsheets "
        "shorten it"
    ]
    assert "1 line is to be confirmed" in ended.err


def test_contact_ids_may_be_in_capital_letters(here: Path) -> None:
    put(contact("ab-1"))
    assert importing(mapping(here, f"{ZOE.id},AB-1")).code == 0
    assert links() == {ZOE.id: "ab-1"}


def test_while_xero_is_asked_to_create_one_it_is_not_imported(here: Path) -> None:
    invoiced()
    claim_creation()
    put(contact("c-1", "Made meanwhile", email=""))
    ended = importing(mapping(here, f"{ZOE.id},c-1"))
    assert "line 2: Xero is being asked to create a contact" in ended.err
    assert links() == {}


def test_what_was_to_be_created_is_not_after_an_import(here: Path) -> None:
    waiting = invoiced()
    put(contact("c-1", "Z. Muller", email=""))
    assert importing(mapping(here, f"{ZOE.id},c-1")).code == 0
    assert creation() is None
    assert state(waiting) == (InvoiceState.READY, "c-1")


def test_a_whole_body_is_imported_at_once(here: Path) -> None:
    some = [contact(f"c-{n}", f"Member {n}", email="") for n in range(3_000)]
    put(*some)
    file = mapping(here, *(f"{n},c-{n}" for n in range(3_000)))
    assert importing(file).out.startswith("3000 linked")
    assert len(links()) == 3_000


# -- audit and merge plan --------------------------------------------------------------


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


def test_without_anything_to_look_at_the_audit_says_none() -> None:
    put(contact("c-1"))
    link("c-1")
    ended = settled("contacts", "audit")
    assert (ended.code, ended.out) == (0, "none\n")


def audited(here: Path) -> list[tuple[str, str, str, str]]:
    settled("contacts", "audit", "--csv", "audit.csv")
    columns = ("kind", "contact_id", "member_id", "certain")
    found = read_csv(here / "audit.csv")
    return [
        (row[a], row[b], row[c], row[d]) for row in found for a, b, c, d in [columns]
    ]


def test_before_the_first_message_contacts_of_nobody_are_listed(here: Path) -> None:
    put(contact("c-1"), contact("c-2", "Thabo Mokoena", email="thabo@example.org"))
    heard(ZOE)
    assert audited(here) == [
        ("nobody", "c-1", ZOE.id, "yes"),
        ("nobody", "c-2", "", ""),
    ]
    found = read_csv(here / "audit.csv")
    assert found[0]["why"].startswith("will be the member's by email_and_name")
    shown = settled("contacts", "audit")
    assert "2 nobody" in shown.out
    # Sponsors and suppliers are nobody's for ever.
    assert shown.code == 0


def test_before_the_first_message_it_is_known_who_will_be_in_doubt(here: Path) -> None:
    heard(ZOE)
    put(*TWO)
    assert [row for row in audited(here) if row[0] == "undecided"] == [
        ("undecided", "c-1", ZOE.id, "perhaps"),
        ("undecided", "c-2", ZOE.id, "perhaps"),
    ]
    (why, _) = (row["why"] for row in read_csv(here / "audit.csv")[:2])
    assert why.startswith("2 contacts fit member 100123 by email_and_name: ")
    assert settled("contacts", "audit").code == SOMETHING_WRONG


def test_what_the_platform_says_of_a_linked_member_is_looked_for(here: Path) -> None:
    put(contact("c-1", "Quite different", email=""), contact("c-2"))
    link("c-1")
    heard(ZOE)
    assert audited(here) == [("member", "c-2", ZOE.id, "yes")]


def test_the_number_of_an_imported_member_is_looked_for(here: Path) -> None:
    put(
        contact("c-1"),
        contact("c-2", email="else@example.org", account_number=ZOE.id),
    )
    importing(mapping(here, f"{ZOE.id},c-1"))
    assert audited(here) == [("member", "c-2", ZOE.id, "yes")]


def test_a_link_that_a_contact_number_contradicts_is_listed(here: Path) -> None:
    put(contact("c-1", contact_number="100124"), contact("c-2", contact_number="OLD/7"))
    link("c-1")
    link("c-2", "100125")
    assert audited(here) == [("number", "c-1", ZOE.id, "yes")]
    assert settled("contacts", "audit").code == SOMETHING_WRONG


def test_the_audit_lists_what_finance_should_look_at(here: Path) -> None:
    put(contact("c-1", contact_number=ZOE.id), contact("c-9", "Old", email=""))
    invoiced()
    link("c-9", "100900")
    put(
        contact("c-2", "Müller, Zoë"),
        contact("c-9", "Old", email="", status="ARCHIVED", merged_to="c-1"),
        contact("c-3", "=cmd()", email="x@y.example"),
        contact("c-4", "=cmd()", email="x@y.example"),
    )
    ended = settled("contacts", "audit", "--csv", "audit.csv")
    assert ended.code == SOMETHING_WRONG
    found = read_csv(here / "audit.csv")
    told = {(row["kind"], row["contact_id"], row["member_id"]) for row in found}
    assert told == {
        ("archived", "c-9", "100900"),
        ("member", "c-2", ZOE.id),
        ("duplicate", "c-1", ""),
        ("duplicate", "c-3", ""),
        ("nobody", "c-3", ""),
        ("nobody", "c-4", ""),
    }
    assert all(row["why"] for row in found)
    # A spreadsheet would run it.
    assert {row["name"] for row in found if row["contact_id"] == "c-3"} == {"'=cmd()"}
    shown = settled("contacts", "audit")
    assert "merged into c-1" in shown.out


def test_the_merge_plan_keeps_the_linked_one(here: Path) -> None:
    put(contact("c-2", contact_number=ZOE.id))
    invoiced()
    put(contact("c-1"))
    ended = settled("contacts", "merge-plan", "--csv", "plan.csv")
    assert (ended.code, ended.out) == (0, "1 written to plan.csv\n")
    (row,) = read_csv(here / "plan.csv")
    assert (row["merge"], row["into"]) == ("c-1", "c-2")
    assert row["keep_because"] == "is member 100123's"


def test_father_and_son_are_not_merged_by_a_third_contact(here: Path) -> None:
    put(
        contact("c-1", contact_number="1001"),
        contact("c-2"),
        contact("c-3", contact_number="1002"),
    )
    settled("contacts", "merge-plan", "--csv", "plan.csv")
    plan = read_csv(here / "plan.csv")
    assert {row["merge"] for row in plan} == {"c-2", "c-3"}
    for row in plan:
        assert row["conflict"] == (
            "two Contact Numbers, 1001 (c-1) and 1002 (c-3); "
            "find out first who each of them is"
        )
    settled("contacts", "audit", "--csv", "audit.csv")
    told = [row for row in read_csv(here / "audit.csv") if row["kind"] == "duplicate"]
    assert {row["certain"] for row in told} == {"perhaps"}
    assert all("but not certain: two Contact Numbers" in row["why"] for row in told)


@pytest.mark.parametrize("command", ["audit", "merge-plan"])
def test_of_a_mirror_that_is_not_whole_nothing_is_said(command: str) -> None:
    with opened_books(Settings()), transaction():
        row = reference.get_reference("main", LOADED)
        assert row is not None
        reference.drop_reference(row)
    ended = settled("contacts", command)
    assert ended.code == UNUSABLE
    assert "run `settled contacts load`" in ended.line


def test_loading_needs_a_consent(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    ended = settled("contacts", "load")
    assert (ended.code, ended.line) == (
        UNREACHABLE,
        "settled: nobody has consented; run `settled connect`",
    )
