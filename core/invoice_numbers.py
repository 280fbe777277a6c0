"""Our invoice numbers: prefix, year and count."""

import re
from collections.abc import Collection


def parts_of(number: str, prefixes: Collection[str]) -> tuple[str, int, int] | None:
    """Prefix, year and count of a number with one of these prefixes; None: it has none.

    Who gave the number can't be told from it.
    """
    found = re.fullmatch(r"(.+)-(\d{4})-(\d{1,12})", number)
    if found is None or found[1] not in prefixes:
        return None
    return found[1], int(found[2]), int(found[3])
