"""Prices come in as one file: all of it, or nothing and the place of the mistake."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import SettingsInvalid
from sandbox.platform import prices_csv
from settled.cli import UNUSABLE
from settled.maintenance import COLUMNS, read_price_file
from tests.settled.command import settled

HEADER = ",".join(COLUMNS)
GOOD = "membership,student,2026-01-01,ZAR,345.83,200,OUTPUT3,Student: a year"


def price_file(here: Path, *rows: str | bytes, header: str = HEADER) -> Path:
    file = here / "prices.csv"
    lines = [row if isinstance(row, bytes) else row.encode() for row in (header, *rows)]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def changed(**values: str) -> str:
    good = dict(zip(COLUMNS, GOOD.split(","), strict=True))
    return ",".join({**good, **values}.values())


def listed() -> list[list[str]]:
    """Every price as ``settled prices list`` shows it."""
    said = settled("prices", "list")
    assert said.code == 0
    return [line.split() for line in said.out.splitlines()[1:]]


def test_prices_are_imported_and_listed(here: Path) -> None:
    imported = settled("prices", "import", str(price_file(here, GOOD)))
    assert (imported.code, imported.out) == (0, "1 prices imported\n")
    row = ["membership", "student", "2026-01-01", "345.83", "ZAR", "200", "OUTPUT3"]
    assert listed() == [row]


def test_what_the_platform_ships_is_imported_whole(here: Path) -> None:
    text = prices_csv()
    (here / "prices.csv").write_text(text)
    assert settled("prices", "import", "prices.csv").code == 0
    assert len(listed()) == len(text.splitlines()) - 1


def test_a_price_imported_again_replaces_the_first(here: Path) -> None:
    for amount in ("345.83", "350.00"):
        price_file(here, changed(unit_amount=amount))
        settled("prices", "import", "prices.csv")
    assert [row[3] for row in listed()] == ["350.00"]


def test_a_price_from_another_day_joins_the_first(here: Path) -> None:
    for day in ("2026-01-01", "2027-01-01"):
        price_file(here, changed(effective_on=day))
        settled("prices", "import", "prices.csv")
    assert [row[2] for row in listed()] == ["2026-01-01", "2027-01-01"]


@pytest.mark.parametrize(
    ("row", "column", "why"),
    [
        (changed(workflow="exams"), "workflow", "'exams' is none of membership"),
        (changed(sku=" "), "sku", "is empty"),
        (changed(effective_on="01/02/2026"), "effective_on", "'01/02/2026'"),
        (changed(effective_on="2026-02-30"), "effective_on", "day is out of range"),
        (changed(currency=""), "currency", "is empty"),
        (changed(currency="RAND"), "currency", "'RAND' is no currency"),
        (changed(currency="zar"), "currency", "'zar' is no currency"),
        (changed(unit_amount="a lot"), "unit_amount", "'a lot' is no amount"),
        (changed(unit_amount=""), "unit_amount", "'' is no amount"),
        (changed(unit_amount="1.005"), "unit_amount", "at most two places"),
        (changed(unit_amount="-1.00"), "unit_amount", "-1.00 is no amount"),
        (changed(unit_amount="NaN"), "unit_amount", "NaN is no amount"),
        (changed(unit_amount="1e40"), "unit_amount", "1e40 is no amount"),
        (changed(account_code=""), "account_code", "is empty"),
        (changed(tax_type=""), "tax_type", "is empty"),
        ("membership,student,2026-01-01,ZAR", "unit_amount", "is missing"),
        ("membership,student,2026-01-01,ZAR,1.00", "account_code", "is missing"),
        ("membership", "sku", "is missing"),
        (changed(unit_amount="3,150.00"), "description", "a value too many"),
        (changed(description="Student, a year"), "description", "a value too many"),
        (changed(sku="x" * 256), "sku", "longer than 255"),
        (changed(description="x" * 256), "description", "longer than 255"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_column(
    here: Path, row: str, column: str, why: str
) -> None:
    file = price_file(here, GOOD, changed(sku="other"), row)
    with pytest.raises(SettingsInvalid) as told:
        read_price_file(file, {"membership"})
    assert told.value.setting == f"{file}, line 4, {column}"
    assert why in told.value.reason


def test_with_one_mistake_nothing_comes_in(here: Path) -> None:
    file = price_file(here, GOOD, changed(sku="other"), changed(unit_amount="1.005"))
    ended = settled("prices", "import", str(file))
    assert ended.code == UNUSABLE
    assert ended.line == (
        f"settled: {file}, line 4, unit_amount: "
        "1.005 is no amount with at most two places"
    )
    assert listed() == []


def test_a_line_is_counted_as_an_editor_does(here: Path) -> None:
    """A quoted value may hold a line break; the mistake is named by its last line."""
    file = price_file(here, changed(description='"two\nlines"'), changed(sku=""))
    with pytest.raises(SettingsInvalid, match=", line 4, sku: is empty"):
        read_price_file(file, {"membership"})


@pytest.mark.parametrize("missing", [c for c in COLUMNS if c != "description"])
def test_a_missing_column_is_named(here: Path, missing: str) -> None:
    header = ",".join(column for column in COLUMNS if column != missing)
    with pytest.raises(SettingsInvalid, match=f"lacks the column {missing}"):
        read_price_file(price_file(here, GOOD, header=header), {"membership"})


def test_an_empty_file_lacks_its_columns(here: Path) -> None:
    (here / "prices.csv").touch()
    with pytest.raises(SettingsInvalid, match="lacks the column"):
        read_price_file(here / "prices.csv", {"membership"})


@pytest.mark.parametrize("row", [b"membership,\xff\xfe", b"membership,a\0b,2026-01-01"])
def test_what_is_no_text_is_named(here: Path, row: bytes) -> None:
    ended = settled("prices", "import", str(price_file(here, GOOD, row)))
    assert ended.code == UNUSABLE
    assert ended.line.startswith(f"settled: {here / 'prices.csv'}")
    assert listed() == []


def test_a_file_from_a_spreadsheet_is_read(here: Path) -> None:
    """With a byte order mark, carriage returns, other columns and another order."""
    file = here / "prices.csv"
    names = ["description", *COLUMNS[:-1], "note"]
    values = ["Student", *GOOD.split(",")[:-1], "checked by Thandi"]
    rows = "\r\n".join([",".join(names), ",".join(values), ""])
    file.write_text(rows, encoding="utf-8-sig", newline="")
    ((workflow, price),) = read_price_file(file, {"membership"})
    assert (workflow, price.sku, price.effective_on) == (
        "membership",
        "student",
        date(2026, 1, 1),
    )
    assert (price.unit_amount, price.description) == (Decimal("345.83"), "Student")


def test_a_description_may_be_left_out(here: Path) -> None:
    header, row = HEADER.rpartition(",")[0], GOOD.rpartition(",")[0]
    file = price_file(here, row, header=header)
    ((_, price),) = read_price_file(file, {"membership"})
    assert price.description == ""
