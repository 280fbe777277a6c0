"""``settled adopt FILE``: first what would happen, then, with --yes, that."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from rich.progress import Progress

from core.db import recovery, reference
from core.db.database import close_books, open_books, transaction
from core.db.models import Adoption
from settled.adopting import adopt, read_file
from settled.cli import SOMETHING_WRONG, UNREACHABLE, UNUSABLE
from tests.end_to_end.adoption import known_to_xero
from tests.end_to_end.conftest import MakeWorld
from tests.messages import Data, renewal_due
from tests.settled.command import Ended, settled, write_toml
from tests.world import OWN_LIFTED, World, xero_table

HEADER = "invoice_number,workflow,subject,member_id,charge"


class Office:
    """Where somebody sits who adopts: a world whose daemon has read Xero and rests."""

    def __init__(
        self, world: World, folder: Path, database_url: str, redis_url: str
    ) -> None:
        self.world = world
        self.folder = folder
        self.database_url = database_url
        self.config = write_toml(
            folder / "settled.toml",
            {
                "data_folder": str(world.folder),
                "database_url": database_url,
                "redis_url": redis_url,
                "quota": OWN_LIFTED,
                "xero": xero_table(world.xero),
            },
        )

    def made(self, count: int) -> list[tuple[str, Data]]:
        """Open invoices, and the messages that they were made without."""
        asked = [renewal_due() for _ in range(count)]
        ids = known_to_xero(self.world, *(one["data"]["member"] for one in asked))
        return [
            (self.world.raise_by_hand(contact_id), one)
            for contact_id, one in zip(ids, asked, strict=True)
        ]

    def file(self, *rows: str, header: str = HEADER) -> Path:
        file = self.folder / "adopt.csv"
        file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return file

    def adopt(self, file: Path, *arguments: str) -> Ended:
        return settled("adopt", str(file), "--config", str(self.config), *arguments)

    def adoptions(self) -> int:
        open_books(self.database_url)
        try:
            return int(Adoption.select().count())
        finally:
            close_books()


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich folds its tables to the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def office(
    make_world: MakeWorld, tmp_path: Path, database_url: str, redis_url: str
) -> Office:
    return Office(make_world(), tmp_path, database_url, redis_url)


def row(number: str, asked: Data, member_id: str | None = None) -> str:
    member_id = asked["data"]["member"]["id"] if member_id is None else member_id
    return f"{number},membership,{asked['subject']},{member_id},"


@pytest.fixture
def two(office: Office) -> list[tuple[str, Data]]:
    made = office.made(2)
    office.world.pay(made[1][0])
    office.world.quiet()
    office.world.stop_daemon()
    return made


def test_without_yes_it_only_says_what_it_would_do(
    office: Office, two: list[tuple[str, Data]]
) -> None:
    ended = office.adopt(office.file(*(row(*one) for one in two)))
    assert ended.code == 0, ended
    assert "nothing was done, say --yes to do it: 1 open, 1 paid" in ended.out
    assert all(number in ended.out for number, _ in two)
    assert office.adoptions() == 0


def test_with_yes_it_does_it_and_once_only(
    office: Office, two: list[tuple[str, Data]]
) -> None:
    file = office.file(*(row(*one) for one in two))
    assert "2 adopted: 1 open, 1 paid" in office.adopt(file, "--yes").out
    assert "0 adopted: 2 adopted before" in office.adopt(file, "--yes").out
    assert office.adoptions() == 2


def test_when_the_daemon_is_back_it_acts_on_what_is_new(
    office: Office, two: list[tuple[str, Data]]
) -> None:
    world = office.world
    file = office.file(*(row(*one) for one in two))
    found = adopt(
        world.settings,
        file,
        None,
        Progress(disable=True),
        is_meant=True,
        clock=world.clock,
    )
    assert found.count == 2
    world.start_daemon()
    world.publish(*(asked for _, asked in two))
    for _, asked in two:
        world.hear_answer(asked, "message.done")
    world.pay(two[0][0])
    world.hear("membership.renew", two[0][1]["subject"])
    world.sweep()
    assert world.told("membership.renew", two[1][1]["subject"]) == []


def test_for_machines_it_is_json(office: Office, two: list[tuple[str, Data]]) -> None:
    (number, asked), _ = two
    ended = office.adopt(office.file(row(number, asked)), "--json")
    said: dict[str, Any] = json.loads(ended.out)
    assert (said["adopted"], said["counts"]) == (None, {"open": 1})
    (one,) = said["lines"]
    assert one["line"] == 2
    assert (one["invoice_number"], one["subject"]) == (number, asked["subject"])
    assert (one["becomes"], one["amount_due"]) == ("open", "11.50")
    assert one["faults"] == []


def test_a_line_that_is_wrong_ends_with_1_and_nothing_is_done(
    office: Office, two: list[tuple[str, Data]]
) -> None:
    file = office.file(row(*two[0]), row("INV-9999", two[1][1]))
    ended = office.adopt(file, "--yes")
    assert ended.code == SOMETHING_WRONG
    assert "invoice_number: is not in Xero" in ended.out
    assert "nothing was done, because of the lines that are wrong" in ended.out
    assert office.adoptions() == 0


def test_reads_leave_the_quota_to_everything_else(
    office: Office, two: list[tuple[str, Data]]
) -> None:
    office.adopt(office.file(row(*two[0])))
    world = office.world
    world.start_daemon()
    (counted,) = [call for call in reference.calls() if call.kind == "adopt_invoices"]
    assert (counted.purpose, counted.calls) == ("housekeeping", 1)


def test_before_the_daemon_has_read_xero_it_refuses(
    tmp_path: Path, database_url: str, redis_client: redis.Redis, redis_url: str
) -> None:
    config = write_toml(
        tmp_path / "settled.toml",
        {
            "data_folder": str(tmp_path / "data"),
            "database_url": database_url,
            "redis_url": redis_url,
        },
    )
    settled("migrate", "--config", str(config))
    file = tmp_path / "adopt.csv"
    file.write_text(f"{HEADER}\nINV-1,membership,r-1,1,\n")
    ended = settled("adopt", str(file), "--config", str(config))
    assert ended.code == UNREACHABLE
    assert "run `settled connect`" in ended.line


def test_before_a_recovery_it_refuses(
    office: Office, two: list[tuple[str, Data]]
) -> None:
    open_books(office.database_url)
    with transaction():
        recovery.require("main", "a test", office.world.clock.now())
    close_books()
    ended = office.adopt(office.file(row(*two[0])), "--yes")
    assert ended.code == UNUSABLE
    assert "settled recover" in ended.line


# -- the file --------------------------------------------------------------------------


def file_of(folder: Path, *rows: str, header: str = HEADER) -> Path:
    file = folder / "adopt.csv"
    file.write_text("\r\n".join([header, *rows]) + "\r\n", encoding="utf-8-sig")
    return file


def test_a_file_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """With a byte order mark, other columns and another order; two may be missing."""
    header = "note,subject,workflow,invoice_number"
    rows = ["from the old system, renewal-1 ,membership, INV-0001 "]
    (one,) = read_file(file_of(tmp_path, *rows, header=header))
    assert (one.line, one.number, one.subject) == (2, "INV-0001", "renewal-1")
    assert (one.member_id, one.charge) == ("", "")


@pytest.mark.parametrize("missing", ["invoice_number", "workflow", "subject"])
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    header = HEADER.replace(missing, "other")
    file = file_of(tmp_path, header=header)
    ended = settled("adopt", str(file))
    assert ended.code == UNUSABLE
    columns = header.replace(",", ", ")
    assert ended.line == (
        f"settled: {file}: lacks the column {missing}; its columns: {columns}"
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (",membership,r,1,", "line 3, invoice_number: is empty"),
        ("INV-1,,r,1,", "line 3, workflow: is empty"),
        ("INV-1,membership,,1,", "line 3, subject: is empty"),
        ("INV-1,membership", "line 3, subject: is empty"),
        ('"INV-1,2",membership,r,1,', "line 3, invoice_number: contains a comma"),
        (f"INV-1,membership,{'r' * 256},1,", "line 3, subject: longer than 255"),
        (f"INV-1,membership,r,{'1' * 51},", "line 3, member_id: "),
        ('INV-1,membership,r,"a""b",', "line 3, member_id: "),
        ("INV-1,membership,r,1,,more", "line 3: has a value too many"),
    ],
)
def test_a_mistake_is_named_by_line_and_column(
    tmp_path: Path, text: str, named: str
) -> None:
    file = file_of(tmp_path, "INV-0,membership,r-0,1,", text)
    ended = settled("adopt", str(file))
    assert ended.code == UNUSABLE
    assert named in ended.line


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "adopt.csv"
    file.write_bytes(HEADER.encode() + b"\n\xff\xfe")
    assert settled("adopt", str(file)).code == UNUSABLE
