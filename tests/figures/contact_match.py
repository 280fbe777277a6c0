"""Matches members against a mirror of contacts, with no Xero in sight.

A process of its own, so that its memory is nobody else's: prints what it measured as
one line of JSON.
"""

import argparse
import json
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.contacts import deciding
from core.contacts.resolution import Creating, Known, Undecided
from core.db import contact_links, contacts
from core.db.database import close_books, migrate, open_books, transaction
from core.matching.contact import MirrorContact
from core.members import Member
from core.settings import TenantSettings
from sandbox.platform.people import people

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

#: Members that are decided in one transaction: each costs the disk a wait.
TOGETHER = 200

SEED = 4


def measure(folder: Path, members: int, contacts_count: int) -> dict[str, float]:
    source = random.Random(SEED)  # noqa: S311 the same people each time
    # Of a name with other members' the rules ask a person; that is not what is timed.
    some = [Member.model_validate(each.shape) for each in people(members, source)]
    open_books(f"sqlite:///{folder / 'books.db'}")
    migrate()
    started = time.monotonic()
    with transaction():
        contacts.put("main", _contacts(some, contacts_count, source))
    loaded = time.monotonic()
    answers = _match(some)
    matched = time.monotonic()
    _match(some)
    known = time.monotonic()
    linked = len({row.contact_id for row in contact_links.everything("main")})
    close_books()
    return {
        "members": len(some),
        "contacts": contacts_count,
        "load_s": round(loaded - started, 2),
        "match_s": round(matched - loaded, 2),
        "again_s": round(known - matched, 2),
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "known": answers["Known"],
        "creating": answers["Creating"],
        "undecided": answers["Undecided"],
        "links": linked,
    }


def _match(some: Sequence[Member]) -> Counter[str]:
    answers: Counter[str] = Counter()
    for start in range(0, len(some), TOGETHER):
        with transaction():
            for member in some[start : start + TOGETHER]:
                found = deciding.resolve("main", member, TenantSettings(), NOW)
                assert isinstance(found, Known | Creating | Undecided)
                answers[type(found).__name__] += 1
    return answers


def _contacts(
    members: Sequence[Member], count: int, source: random.Random
) -> Iterator[MirrorContact]:
    """Three in four members have a contact already, found by one rule or another."""
    for number in range(count):
        member = members[number] if number < 3 * len(members) // 4 else None
        yield _contact(number, member, source)


def _contact(
    number: int, member: Member | None, source: random.Random
) -> MirrorContact:
    shown: dict[str, Any] = dict.fromkeys(
        ("contact_number", "account_number", "tax_number"), ""
    )
    name, email = f"Supplier Number {number}", f"supplier{number}@elsewhere.example"
    if member is not None:
        way = source.randrange(5)
        first, _, last = member.name.partition(" ")
        name = (f"{last}, {first}", member.name, f"{first[0]} {last}")[way % 3]
        email = member.email if way in (0, 1, 4) else email
        shown["contact_number"] = member.id if way == 2 else ""
        shown["account_number"] = f"{member.id[:3]} {member.id[3:]}" if way == 3 else ""
        shown["tax_number"] = member.tax_number or ""
    return MirrorContact(
        contact_id=f"{number:08}-0000-4000-8000-000000000000",
        name=name,
        email=email,
        status="ACTIVE",
        merged_to=None,
        updated_at=NOW,
        **shown,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--contacts", type=int, default=25_000)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.folder, asked.members, asked.contacts)))  # noqa: T201
