"""The mirror is looked up by its indexes; decisions are kept."""

import time
from collections.abc import Sequence

import pytest
from peewee import PostgresqlDatabase

from core.db import contact_decisions, contact_links, contacts
from core.db.contact_decisions import Decision
from core.db.database import transaction
from core.db.models import ContactDecision
from core.db.proxy import proxy
from core.matching.contact import MirrorContact
from core.members import Member
from tests.core.db.rows import NOW

MEMBER = Member(
    id="M-100 123",
    name="Zoë Müller",
    email="zoe@example.org",
    tax_number="2456 789 013",
    company_number="2015/123456/07",
)


def contact(contact_id: str, **shown: str) -> MirrorContact:
    values = {
        "name": "Somebody",
        "email": "",
        "contact_number": "",
        "account_number": "",
        "status": "ACTIVE",
        "merged_to": None,
        "updated_at": None,
        **shown,
    }
    return MirrorContact(contact_id=contact_id, **values)  # type: ignore[arg-type]


def put(*some: MirrorContact) -> None:
    with transaction():
        contacts.put("main", some)


def found(member: Member = MEMBER, linked_to: str | None = None) -> Sequence[str]:
    return sorted(c.contact_id for c in contacts.candidates("main", member, linked_to))


@pytest.mark.parametrize(
    "shown",
    [
        {"contact_number": "m100123"},
        {"contact_number": "M-100123"},
        {"account_number": "M 100 123"},
        {"tax_number": "2456789013"},
        {"company_number": "2015 123456 07"},
        {"email": "ZOE@example.org"},
        {"email": "zoe+tax@example.org"},
    ],
)
def test_whatever_a_rule_could_pick_is_found(
    books: None, shown: dict[str, str]
) -> None:
    put(contact("wanted", **shown), contact("other", email="x@example.org"))
    assert found() == ["wanted"]


def test_the_linked_one_is_found_whatever_it_is(books: None) -> None:
    put(contact("tied"), contact("other"))
    assert found(linked_to="tied") == ["tied"]


def test_what_a_member_lacks_finds_nobody(books: None) -> None:
    put(contact("bare"), contact("dash", contact_number="-", tax_number="n/a"))
    bare = Member(id="***", name="Zoë", email="zoe@example.org")
    assert found(bare) == []


def test_a_contact_changes_and_its_keys_with_it(books: None) -> None:
    put(contact("one", contact_number="m100123"))
    put(contact("one", contact_number="m100124"))
    assert found() == []


def test_merged_contacts_bring_their_survivors(books: None) -> None:
    put(
        contact("one", email=MEMBER.email, status="ARCHIVED", merged_to="two"),
        contact("two", status="ARCHIVED", merged_to="three"),
        contact("three"),
    )
    assert found() == ["one", "three", "two"]


def test_of_contacts_merged_in_a_circle_each_comes_once(books: None) -> None:
    put(
        contact("one", email=MEMBER.email, status="ARCHIVED", merged_to="two"),
        contact("two", status="ARCHIVED", merged_to="one"),
    )
    assert found() == ["one", "two"]


def test_candidates_are_looked_up_by_indexes_alone(books: None) -> None:
    put(*(_numbered(n) for n in range(2_000)))
    found()
    _, sql, slots = contacts._candidates._for_this_database()
    values = ["main" if slot.name == "tenant" else "x" for slot in slots]
    is_postgres = isinstance(proxy.obj, PostgresqlDatabase)
    contacts.many_came()
    explain = "EXPLAIN" if is_postgres else "EXPLAIN QUERY PLAN"
    plan = proxy.execute_sql(f"{explain} {sql}", values).fetchall()
    told = "\n".join(str(row) for row in plan)
    for key in ("contact_number", "account_number", "tax_number", "company_number"):
        assert f"contact_tenant_{key}_key" in told
    assert "contact_tenant_email_key" in told
    assert "SCAN t1" not in told
    assert "Seq Scan" not in told


def test_of_thousands_that_have_just_come_those_of_a_member_are_found_at_once(
    fresh_books: None,
) -> None:
    """Before PostgreSQL has looked at the table by itself."""
    put(*(_numbered(n) for n in range(3_000)))
    began = time.monotonic()
    for n in range(20):
        found(Member(id=f"M-{n}", name="Thandi Nkosi", email=f"{n}@example.co.za"))
    assert time.monotonic() - began < 2


def _numbered(n: int) -> MirrorContact:
    numbers = dict.fromkeys(("contact_number", "account_number"), f"{n}")
    taxes = {"tax_number": f"9{n:05}", "company_number": f"8{n:05}"}
    return contact(f"c-{n}", email=f"c{n}@example.org", **numbers, **taxes)


def test_a_linked_contact_is_one_statement(books: None) -> None:
    put(contact("one", name="Zoë"))
    assert contacts.linked("main", MEMBER.id) is None
    with transaction():
        assert contact_links.link("main", MEMBER.id, "one", "person", {}, NOW)
    linked = contacts.linked("main", MEMBER.id)
    assert linked is not None
    assert (linked.contact_id, linked.name) == ("one", "Zoë")
    assert contacts.linked("other", MEMBER.id) is None


# -- decisions -------------------------------------------------------------------------


def note(decision: Decision, contact_id: str | None = None, reason: str = "") -> bool:
    with transaction():
        return contact_decisions.note(
            "main", "m-1", decision, NOW, contact_id=contact_id, reason=reason
        )


def test_a_decision_that_only_repeats_is_not_written(books: None) -> None:
    assert note(Decision.QUARANTINED, reason="two fit")
    assert not note(Decision.QUARANTINED, reason="two fit")
    assert note(Decision.QUARANTINED, reason="three fit")
    assert note(Decision.LINKED, "c-1")
    assert note(Decision.QUARANTINED, reason="three fit")
    assert ContactDecision.select().count() == 4


def test_what_was_unlinked_stays_so_until_it_is_linked_again(books: None) -> None:
    note(Decision.LINKED, "c-1")
    note(Decision.UNLINKED, "c-1")
    note(Decision.LINKED, "c-2")
    assert contact_decisions.unlinked("main", "m-1") == {"c-1"}
    note(Decision.LINKED_BY_PERSON, "c-1")
    assert contact_decisions.unlinked("main", "m-1") == set()


def test_decisions_about_a_contact_include_those_it_was_a_candidate_in(
    books: None,
) -> None:
    with transaction():
        contact_decisions.note(
            "main",
            "m-2",
            Decision.QUARANTINED,
            NOW,
            candidates=[{"contact_id": "c-1", "why": "the same name"}],
        )
    note(Decision.LINKED, "c-1")
    note(Decision.UNLINKED, "c-2")
    about = contact_decisions.of_contact("main", "c-1")
    assert [row.member_id for row in about] == ["m-2", "m-1"]
