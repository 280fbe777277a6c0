"""Files of comma-separated values that people give to commands."""

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import SettingsInvalid

#: What a column of the books holds.
LONGEST = 255

#: The line in the file, and the values by column; what no column is left for is None's.
Row = tuple[int, dict[Any, Any]]


def read_table(file: Path, needed: Collection[str]) -> list[Row]:
    """Every line of it that is not empty, by the names of its columns in lower case.

    Other columns than the needed ones are there, too. Between the values stand commas,
    or what spreadsheets write in countries of the decimal comma, semicolons, or tabs.

    Raises:
        SettingsInvalid: it is no such file, or lacks a column, or has it twice.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            delimiter = _delimiter(lines.readline())
            lines.seek(0)
            reader = csv.DictReader(lines, delimiter=delimiter)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            _require(file, names, needed)
            reader.fieldnames = names
            return [(reader.line_num, row) for row in reader if _is_filled(row)]
    except UnicodeDecodeError as error:
        raise SettingsInvalid(
            str(file), f"not CSV in UTF-8: {error}; save it as “CSV UTF-8”"
        ) from None
    except csv.Error as error:
        raise SettingsInvalid(str(file), f"not CSV in UTF-8: {error}") from None


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _require(file: Path, names: Sequence[str], needed: Collection[str]) -> None:
    for name in needed:
        if name not in names:
            there = ", ".join(names) or "none"
            reason = f"lacks the column {name}; its columns: {there}"
            raise SettingsInvalid(str(file), reason)
        if names.count(name) > 1:
            raise SettingsInvalid(str(file), f"has the column {name} twice")


def _is_filled(row: Mapping[Any, Any]) -> bool:
    """Spreadsheets keep lines that were emptied."""
    return None in row or any((value or "").strip() for value in row.values())


def text(value: str) -> str:
    """The value of a cell, if the books can keep it; else ValueError says why not."""
    if len(value) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    if "\0" in value:
        raise ValueError("contains a NUL character")
    return value


def filled(value: str) -> str:
    """As ``text``, and not empty."""
    if not value:
        raise ValueError("is empty")
    return text(value)
