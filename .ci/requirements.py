"""Prints what requirements.lock must hold: all that is declared, of both wheels.

pip-compile reads neither dependency groups nor a build system's own requirements.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: redis needs it below Python 3.11.3, and pip-compile sees only the Python it runs on.
ON_OLDER_PYTHONS = ("async-timeout>=4.0.3",)


def group(groups: dict[str, list[str | dict[str, str]]], name: str) -> Iterator[str]:
    """A dependency group, with those that it includes."""
    for entry in groups[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from group(groups, entry["include-group"])


def declared() -> Iterator[str]:
    """Requirements of settled, of its sandbox, of their build and of work on them."""
    yield from ON_OLDER_PYTHONS
    for folder in (ROOT, ROOT / "sandbox"):
        read = tomllib.loads((folder / "pyproject.toml").read_text())
        yield from read["build-system"]["requires"]
        yield from read["project"]["dependencies"]
        yield from group(read.get("dependency-groups", {"dev": []}), "dev")


print("\n".join(sorted(set(declared()))))  # noqa: T201 its only purpose
