"""``settled messages`` and ``settled problems retry``, on books without a daemon."""

import pytest

from core.clock import SystemClock
from core.db import inbox, problems
from core.db.database import transaction
from core.db.inbox import InboxState
from core.settings import Settings
from settled.cli import SOMETHING_WRONG, UNUSABLE, USAGE
from settled.maintenance import migrate_books, opened_books
from tests.core.db.rows import envelope
from tests.settled.command import settled

pytestmark = pytest.mark.usefixtures("migrated")

RENEWALS = "plugin:membership:membership.renewal_due"


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("SETTLED_DATABASE_URL", database_url)
    migrate_books(Settings())


def put(message_id: str, state: InboxState, subject: str = "renewal-1") -> None:
    with opened_books(Settings()), transaction():
        now = SystemClock().now()
        row = inbox.add_accepted(envelope(message_id, subject=subject), "main", "", now)
        assert row is not None
        if state is not InboxState.ACCEPTED:
            inbox.finish(row.id, state)


def state_of(message_id: str) -> str:
    with opened_books(Settings()):
        row = inbox.find("/platform", message_id)
    assert row is not None
    return row.state


def hold(*message_ids: str) -> None:
    for message_id in message_ids:
        put(message_id, InboxState.HELD, subject=f"renewal-of-{message_id}")
    with opened_books(Settings()), transaction():
        now = SystemClock().now()
        problems.open_problem("plugin_failed", RENEWALS, "a bug", now)


def test_without_messages_none_is_held() -> None:
    put("m-1", InboxState.DONE)
    listed = settled("messages", "list")
    assert (listed.code, listed.out) == (0, "none\n")


def test_those_that_wait_for_a_person_are_listed() -> None:
    put("waiting", InboxState.ACCEPTED)
    hold("held")
    all_of_them = settled("messages", "list")
    held = settled("messages", "list", "--held")
    assert (all_of_them.code, held.code) == (SOMETHING_WRONG, SOMETHING_WRONG)
    assert "waiting" in all_of_them.out
    assert "waiting" not in held.out
    assert "renewal-of-held" in held.out


def test_one_message_is_retried_and_the_problem_stays_for_the_other() -> None:
    hold("m-1", "m-2")
    assert settled("messages", "retry", "m-1").out == "1 to be handled\n"
    assert (state_of("m-1"), state_of("m-2")) == ("accepted", "held")
    assert settled("problems", "list").code == SOMETHING_WRONG
    ended = settled("messages", "retry", "--all")
    assert (ended.code, ended.out) == (0, "1 to be handled\n")
    assert '"event": "messages.retried"' in ended.err
    assert settled("problems", "list").out == "none\n"


def test_a_message_that_is_not_held_is_named() -> None:
    put("m-1", InboxState.DONE)
    ended = settled("messages", "retry", "m-1")
    assert (ended.code, ended.line) == (
        UNUSABLE,
        "settled: m-1: no such message is held",
    )


def test_a_message_that_was_overtaken_is_left_alone() -> None:
    put("renewal", InboxState.HELD)
    put("cancellation", InboxState.DONE)
    refused = settled("messages", "retry", "renewal")
    assert refused.code == UNUSABLE
    assert state_of("renewal") == "held"
    assert settled("messages", "retry", "renewal", "--anyway").code == 0
    assert state_of("renewal") == "accepted"


@pytest.mark.parametrize("arguments", [(), ("m-1", "--all")])
def test_which_must_be_said(arguments: tuple[str, ...]) -> None:
    assert settled("messages", "retry", *arguments).code == USAGE


def test_a_plugins_problem_releases_what_it_holds() -> None:
    hold("m-1", "m-2")
    ended = settled("problems", "retry", RENEWALS)
    assert (ended.code, ended.out) == (0, f"due again: {RENEWALS}\n")
    assert (state_of("m-1"), state_of("m-2")) == ("accepted", "accepted")
    assert settled("problems", "list").out == "none\n"


def test_a_problem_that_is_not_open_is_named() -> None:
    assert "no open problem" in settled("problems", "retry", "void:1").line


def test_a_problem_that_can_not_be_tried_again_stays() -> None:
    with opened_books(Settings()), transaction():
        now = SystemClock().now()
        problems.open_problem("number_taken", "number:1", "theirs", now)
    assert settled("problems", "retry", "number:1").code == SOMETHING_WRONG
    assert settled("problems", "list").code == SOMETHING_WRONG


def test_recovery_asks_for_a_consent_first(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    ended = settled("recover", "--json")
    assert ended.line == "settled: nobody has consented; run `settled connect`"
