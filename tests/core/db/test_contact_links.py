"""Links are one to one, whoever makes them at the same time."""

import multiprocessing

import pytest

from core.db import contact_links
from core.db.database import close_books, open_books, transaction
from core.db.models import MemberContact
from core.errors import VersionMoved
from tests.core.db.crowd import together
from tests.core.db.rows import NOW


def try_to_link(member_id: str, contact_id: str) -> bool:
    with transaction():
        return contact_links.link("main", member_id, contact_id, "person", {}, NOW)


def test_of_many_members_at_once_one_gets_the_contact(books: None) -> None:
    won = together(8, lambda n: try_to_link(f"m-{n}", "wanted"))
    assert won.count(True) == 1
    (row,) = contact_links.everything("main")
    assert row.member_id == f"m-{won.index(True)}"


def test_of_many_contacts_at_once_a_member_gets_one(books: None) -> None:
    won = together(8, lambda n: try_to_link("wanted", f"c-{n}"))
    assert won.count(True) == 1
    (row,) = contact_links.everything("main")
    assert row.contact_id == f"c-{won.index(True)}"


def test_crossed_links_at_once_end_one_to_one(books: None) -> None:
    """Members 0 to 3 and contacts 0 to 3, each pair asked for."""
    together(16, lambda n: try_to_link(f"m-{n // 4}", f"c-{n % 4}"))
    rows = contact_links.everything("main")
    assert len({row.member_id for row in rows}) == len(rows)
    assert len({row.contact_id for row in rows}) == len(rows)


def _link_in_a_process(url: str, member_id: str, start: object) -> None:
    open_books(url)
    try:
        start.wait(30)  # type: ignore[attr-defined]
        try_to_link(member_id, "wanted")
    finally:
        close_books()


def test_processes_at_once_link_a_contact_once(books: None, migrated_url: str) -> None:
    spawned = multiprocessing.get_context("spawn")
    start = spawned.Barrier(2)
    processes = [
        spawned.Process(target=_link_in_a_process, args=(migrated_url, name, start))
        for name in ("m-1", "m-2")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert MemberContact.select().count() == 1


def test_many_links_of_which_one_is_taken_are_refused(books: None) -> None:
    assert try_to_link("m-1", "c-1")
    rows = [
        {
            "tenant": "main",
            "member_id": member,
            "contact_id": contact_id,
            "rule": "person",
            "evidence": {},
            "decided_at": NOW,
        }
        for member, contact_id in (("m-2", "c-2"), ("m-3", "c-1"))
    ]
    with pytest.raises(VersionMoved), transaction():
        contact_links.link_all(rows)
    assert [row.member_id for row in contact_links.everything("main")] == ["m-1"]
