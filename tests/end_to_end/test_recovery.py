"""An older database is restored: what was done since is neither lost nor done twice."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from core.db import lanes
from core.db.models import Invoice
from core.errors import SettingsInvalid
from core.recovering import Summary
from core.settings import Settings
from core.waking import LaneName
from settled.recovering import recover
from tests.end_to_end.conftest import MakeWorld
from tests.messages import (
    Data,
    again,
    cancelled,
    group_renewal_due,
    member,
    member_updated,
    renewal,
    renewal_due,
)
from tests.world import World

Backup = Callable[[], None]


class Database:
    """One that can be set back to an earlier state while nobody has it open."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.file = folder / "backup.sqlite3"
        self.name = url.rpartition("/")[2]

    def back_up(self) -> None:
        if self.url.startswith("sqlite:"):
            source = sqlite3.connect(self.url.removeprefix("sqlite:///"))
            with sqlite3.connect(self.file) as copy:
                source.backup(copy)
            copy.close()
            source.close()
        else:
            self._run(f"CREATE DATABASE {self.name}_backup TEMPLATE {self.name}")

    def restore(self) -> None:
        if self.url.startswith("sqlite:"):
            path = Path(self.url.removeprefix("sqlite:///"))
            for left in path.parent.glob(f"{path.name}-*"):
                left.unlink()
            shutil.copy(self.file, path)
        else:
            self._run(f"DROP DATABASE {self.name} WITH (FORCE)")
            self._run(f"ALTER DATABASE {self.name}_backup RENAME TO {self.name}")

    def _run(self, statement: str) -> None:
        server = f"{self.url.rpartition('/')[0]}/postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Database:
    return Database(database_url, tmp_path)


class Story:
    """Two halves of a season with a backup in between, and then the restore."""

    def __init__(self, world: World, database: Database) -> None:
        self.world = world
        self.database = database
        self.asked: list[Data] = []
        self.new: list[Data] = []  # since the backup
        self.paid: list[str] = []

    def ask(self, *some: Data) -> None:
        self.asked += some
        self.world.publish(*some)
        for one in some:
            self.world.hear_answer(one, "invoice.emailed")

    def ask_and_cancel_and_ask_anew(self) -> None:
        first = renewal_due()
        self.ask(first)
        undo = cancelled(first)
        self.world.publish(undo)
        self.world.hear_answer(undo, "invoice.voided")
        anew = again(first, data={**first["data"], "reissue": True})
        self.asked.append(undo)
        self.ask(anew)
        self.pay(anew)

    def pay(self, asked: Data) -> None:
        (number,) = [
            invoice["InvoiceNumber"]
            for invoice in self.world.invoices
            if invoice["Reference"] == f"membership:{asked['subject']}"
            and invoice["Status"] == "AUTHORISED"
        ]
        self.world.pay(number)
        items = asked["data"].get("items") or [asked]
        self.paid += [item["subject"] for item in items]

    def settle(self) -> None:
        self.world.advance(2)
        self.world.sweep()

    def back_up(self) -> None:
        self.settle()
        self.world.stop_daemon()
        self.database.back_up()
        self.world.start_daemon()

    def lose(self) -> None:
        """The database of now is gone; the older one is back."""
        self.world.quiet()
        self.world.stop_daemon()
        self.database.restore()

    def recover(self) -> Summary:
        said: list[str] = []
        found = recover(self.world.settings, said.append, clock=self.world.clock)
        assert any("invoices read" in line for line in said)
        return found["main"]

    def send_again(self) -> None:
        """Everything, with the ids that it had, in the order that it had."""
        self.world.publish(*self.asked)
        self.settle()
        self.settle()

    def judge(self) -> None:
        """One invoice for each, e-mailed once; one action for each that was paid."""
        ledger = self.world.ledger
        standing = [i for i in ledger["invoices"] if i["Status"] != "VOIDED"]
        references = Counter(invoice["Reference"] for invoice in standing)
        subjects = {asked["subject"] for asked in self.asked}
        assert references == Counter(f"membership:{subject}" for subject in subjects)
        emails = Counter(email["invoice_number"] for email in ledger["emails"])
        assert set(emails.values()) == {1}
        assert set(emails) >= {invoice["InvoiceNumber"] for invoice in standing}
        actions = Counter(action["subject"] for action in self.world.platform.actions)
        assert actions == Counter(self.paid)
        numbers = Counter(self.world.contact_numbers())
        assert not [number for number, count in numbers.items() if count > 1]
        rows = {row.number: row for row in Invoice.select()}
        assert set(rows) == {i["InvoiceNumber"] for i in ledger["invoices"]}
        for invoice in ledger["invoices"]:
            row = rows[invoice["InvoiceNumber"]]
            assert (row.xero_id, row.xero_status) == (
                invoice["InvoiceID"],
                invoice["Status"],
            )
        assert self.world.problems() == []


@pytest.fixture
def story(make_world: MakeWorld, database: Database) -> Story:
    world = make_world()
    story = Story(world, database)
    old = [renewal_due() for _ in range(4)]
    story.ask(*old)
    story.pay(old[0])
    tomorrow = renewal_due(raise_on="2026-11-21")
    story.asked.append(tomorrow)
    world.publish(tomorrow)
    story.back_up()
    story.pay(old[1])
    story.new = [renewal_due() for _ in range(5)]
    story.new.append(group_renewal_due(member(), renewal(), renewal()))
    story.ask(*story.new)
    for one in (story.new[0], story.new[-1]):
        story.pay(one)
    story.ask_and_cancel_and_ask_anew()
    world.advance(timedelta(days=1))
    world.hear_answer(tomorrow, "invoice.emailed")
    story.settle()
    return story


def test_after_a_restore_nothing_is_lost_and_nothing_is_done_twice(
    story: Story,
) -> None:
    world = story.world
    story.lose()
    story.pay(story.new[1])  # while nobody looks
    summary = story.recover()
    assert summary.invoices_known == 4
    assert summary.invoices_adopted == 1
    assert summary.invoices_rebuilt == 8
    assert summary.counters == {"MEM-2026": 13}
    world.start_daemon()
    story.send_again()
    new = renewal_due()
    story.ask(new)
    assert world.invoices[-1]["Reference"] == f"membership:{new['subject']}"
    assert world.invoices[-1]["InvoiceNumber"] > "MEM-2026-000013"
    for asked in story.new:
        (done,) = [
            answer
            for answer in world.platform.answers(asked["id"])
            if answer["type"] == "message.done"
        ]
        assert done["data"]["outcome"] == "already_invoiced"
    story.judge()


def test_before_the_recovery_nothing_is_written(story: Story) -> None:
    """Redis remembers more than the books: somebody has restored them."""
    world = story.world
    story.lose()
    puts = world.calls("PUT /Invoices"), world.calls("PUT /Contacts")
    world.start_daemon()
    world.wait(lambda: world.problems() == ["recovery_needed"], "the problem")
    world.publish(*story.asked)
    world.jump(30)
    for asked in story.asked:
        world.hear_answer(asked, "message.accepted")
    world.jump(30)
    assert (world.calls("PUT /Invoices"), world.calls("PUT /Contacts")) == puts
    world.stop_daemon()
    story.recover()
    world.start_daemon()
    story.settle()
    story.settle()
    story.judge()


def test_a_recovery_may_be_made_again(story: Story) -> None:
    story.lose()
    first, second = story.recover(), story.recover()
    assert (first.invoices_rebuilt, second.invoices_rebuilt) == (8, 0)
    story.world.start_daemon()
    assert story.world.problems() == ["invoices_unexplained"]
    story.send_again()
    story.judge()


def test_what_was_said_of_a_member_since_the_backup_holds_in_the_end(
    make_world: MakeWorld, database: Database
) -> None:
    """An update that was under way at the backup comes back with it."""
    world = make_world()
    story, who = Story(world, database), member()
    story.ask(renewal_due(who))
    world.xero.control.fault(
        "429_minute", method="POST", path="/Contacts", retry_after_s=600
    )
    first = member_updated({**who, "email": "first@example.co.za"})
    world.publish(first)
    world.wait(
        lambda: lanes.get("main", LaneName.CONTACT_UPDATES).parked_until is not None,
        "the first try",
    )
    story.back_up()
    world.xero.control.clear_faults()
    second = member_updated({**who, "email": "second@example.co.za"})
    world.publish(second)
    world.advance(timedelta(minutes=11))
    world.hear_answer(second, "message.done")
    story.lose()
    story.recover()
    world.start_daemon()
    story.asked += [first, second]
    story.send_again()
    world.advance(timedelta(minutes=2))
    world.quiet()
    (contact,) = [
        c for c in world.ledger["contacts"] if c.get("ContactNumber") == who["id"]
    ]
    assert contact["EmailAddress"] == "second@example.co.za"
    assert world.problems() == []


def renamed(settings: Settings) -> Settings:
    """Somebody calls the organisation otherwise in the settings."""
    return settings.model_copy(update={"tenants": {"itp": settings.tenants["main"]}})


def test_an_alias_that_is_missing_in_the_settings_is_named_before_anything_is_held(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.invoiced(renewal_due())
    world.quiet()
    world.stop_daemon()
    calls = world.ledger["calls"]["by_endpoint"]
    with pytest.raises(SettingsInvalid, match=r"^tenants\.main: is missing"):
        recover(renamed(world.settings), print, clock=world.clock)
    assert world.ledger["calls"]["by_endpoint"] == calls
    world.start_daemon()
    world.invoiced(renewal_due())
    assert world.problems() == []
