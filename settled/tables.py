"""Files of comma-separated values that people give to commands."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

from core.errors import SettingsInvalid

#: What a column of the books holds.
LONGEST = 255

#: The line in the file, and the values by column; what no column is left for is None's.
Row = tuple[int, dict[Any, Any]]


def read_table(file: Path, needed: Collection[str]) -> list[Row]:
    """Every line of it; other columns than the needed ones are there, too.

    Raises:
        SettingsInvalid: it is no such file, or lacks a column.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise SettingsInvalid(str(file), f"lacks the column {missing[0]}")
            return [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsInvalid(str(file), f"not CSV in UTF-8: {error}") from None


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
