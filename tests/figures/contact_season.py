"""A body with many contacts in Xero: the first load, and two seasons of its members.

A process of its own, so that its books are nobody else's: prints what it measured as
one line of JSON.
"""

import argparse
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from core.db.models import CallCount
from sandbox.platform.people import Member, people
from tests.messages import renewal_due
from tests.servers import running_redis, wait_until
from tests.world import World

SEED = 4

#: Published at once; the next when all of these have been invoiced.
TOGETHER = 500
WITHIN_S = 300

#: No e-mails: they are not what is counted; and nobody is there to approve a crowd.
TABLES = {"plugins": {"membership": {"email": False, "guard_invoices_per_hour": 0}}}


#: What the daemon logs; the last line is what was measured.
QUIET = structlog.make_filtering_bound_logger(logging.CRITICAL)


def measure(folder: Path, contacts: int, members: int) -> Mapping[str, int]:
    some = people(members, random.Random(SEED))  # noqa: S311 the same people each time
    shown = list(_contacts(some, contacts))
    url = f"sqlite:///{folder / 'books.db'}"
    with (
        running_redis() as redis,
        World(folder, url, redis.url, contacts=shown, tables=TABLES) as world,
    ):
        loading = _contact_calls()
        first = _season(world, some, "2027")
        known = _season(world, some, "2028")
        return {
            "contacts": len(world.ledger["contacts"]),
            "invoices": len(world.ledger["invoices"]),
            "calls_of_the_first_load": loading,
            "calls_of_the_first_season": first,
            "calls_of_a_season_of_known_members": known,
        }


def _season(world: World, members: Sequence[Member], year: str) -> int:
    """Everybody is invoiced; what that cost of calls about contacts."""
    before = _contact_calls()
    for start in range(0, len(members), TOGETHER):
        some = members[start : start + TOGETHER]
        _invoice(world, [_renewal(member, year) for member in some])
    world.quiet()
    return _contact_calls() - before


def _invoice(world: World, asked: Sequence[Mapping[str, Any]]) -> None:
    done = len(world.told("invoice.raised")) + len(asked)
    world.publish(*asked)
    wait_until(lambda: len(world.told("invoice.raised")) >= done, WITHIN_S, "invoiced")


def _renewal(member: Member, year: str) -> Mapping[str, Any]:
    period = {"from": f"{year}-03-01", "to": f"{year}-12-31"}
    subject = f"renewal-{year}-{member.member_id}"
    return renewal_due(dict(member.shape), subject, period=period)


def _contacts(members: Sequence[Member], count: int) -> Iterator[Mapping[str, Any]]:
    """Each member by number, as the platform knows them, and many others."""
    names = set()
    for number in range(count):
        member = members[number] if number < len(members) else None
        if member is None:
            email = f"supplier{number}@elsewhere.example"
            yield {"Name": f"Supplier Number {number}", "EmailAddress": email}
            continue
        # Active contacts have names of their own; namesakes' bear their number.
        is_taken = member.name.casefold() in names
        names.add(member.name.casefold())
        name = f"{member.name} ({member.member_id})" if is_taken else member.name
        yield {
            "Name": name,
            "EmailAddress": member.email,
            "ContactNumber": member.member_id,
        }


def _contact_calls() -> int:
    rows = CallCount.select().where(CallCount.kind.contains("contact"))
    return sum(row.calls for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--contacts", type=int, default=25_000)
    parser.add_argument("--members", type=int, default=2_000)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=QUIET)
    print(json.dumps(measure(asked.folder, asked.contacts, asked.members)))  # noqa: T201
