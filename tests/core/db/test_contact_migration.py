"""Books from before the keys: what was decided stays, and the mirror is read anew."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.db import (
    contact_decisions,
    contact_links,
    database,
    lanes,
    reference,
)
from core.db.database import close_books, migrate, open_books, transaction
from core.db.models import Contact, MemberContact
from core.db.proxy import proxy
from core.mirror import CURSOR, LOADED
from core.waking import LaneName
from tests.core.db.rows import NOW

THIS = "0004_contact_matching"


@pytest.fixture
def older_books(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """As they were, with a link, a mirror, and a lane that had run."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for script in database.MIGRATIONS.glob("0*.py"):
        if script.stem < THIS:
            shutil.copy(script, scripts)
    open_books(database_url)
    with monkeypatch.context() as older:
        older.setattr(database, "MIGRATIONS", scripts)
        migrate()
    with transaction():
        MemberContact.insert(
            tenant="main",
            member_id="100123",
            contact_id="c-1",
            rule="contact_number",
            evidence={},
            decided_at=NOW,
        ).execute()
        proxy.execute_sql(
            "INSERT INTO contact (tenant, contact_id, name, name_key, email, "
            "email_key, contact_number, account_number, status) "
            "VALUES ('main', 'c-1', 'Zoe', 'zoe', '', '', '100123', '', 'ACTIVE')"
        )
        reference.put_reference("main", LOADED, True, NOW)
        reference.move_cursor("main", CURSOR, NOW)
        lanes.ensure("main", [LaneName.MIRROR])
        lanes.schedule("main", LaneName.MIRROR, NOW, ran_from=NOW)
    yield
    close_books()


def test_what_was_decided_before_is_kept_with_its_rule(older_books: None) -> None:
    migrate()
    (row,) = contact_decisions.of_member("main", "100123")
    assert (row.decision, row.contact_id, row.rule) == (
        "linked",
        "c-1",
        "contact_number",
    )
    assert row.candidates == []
    assert row.decided_at == NOW
    assert contact_links.contact_of("main", "100123") == "c-1"


def test_the_mirror_is_read_from_the_beginning(older_books: None) -> None:
    migrate()
    assert Contact.select().count() == 0
    assert reference.get_reference("main", LOADED) is None
    assert reference.cursor("main", CURSOR) is None
    due_at = lanes.due_at("main", LaneName.MIRROR)
    assert due_at is not None
    assert due_at < NOW
