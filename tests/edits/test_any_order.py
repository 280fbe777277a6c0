"""Messages, webhooks and sweeps in any order end in the same links."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from core.db import contact_links, problems
from sandbox.xero import contacts
from sandbox.xero.books import Event
from sandbox.xero.fields import Fields
from tests.edits.two_sides import A_MOMENT, TwoSides, opened_lab, shared_contacts
from tests.faults.lab import Lab, State
from tests.faults.plan import Plan
from tests.messages import Data, member, member_updated, renewal_due

ORDERS = 25


@dataclass
class History:
    """What has happened, of which the daemon knows nothing yet."""

    sides: TwoSides
    state: State
    events: list[Event]
    messages: list[Data]
    expected: dict[str, str]
    labels: dict[str, str]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with opened_lab() as opened:
        yield opened


@pytest.fixture(scope="module")
def history(lab: Lab) -> History:
    sides = TwoSides(lab, members=5)
    merged, lost, kept, gone, same = sides.platform
    numbered, named, newcomer = member(), member(), member()
    survivors = [_add(lab, f"Survivor {n}") for n in (1, 2)]
    by_number = _add(lab, "Old Books", ContactNumber=numbered["id"])
    by_name = _add(lab, named["name"], EmailAddress=named["email"])
    sides.rest(random.Random(0))  # noqa: S311 must be repeatable
    labels = {_id_of(lab, who): f"of {who}" for who in sides.platform}
    labels |= dict(zip(survivors, ("first survivor", "second survivor"), strict=True))
    labels |= {by_number: "by number", by_name: "by name"}
    _merge(lab, _id_of(lab, merged), survivors[0])
    _merge(lab, survivors[0], survivors[1])
    _merge(lab, _id_of(lab, lost), _id_of(lab, kept))
    lab.pass_time(A_MOMENT)
    contacts.archive(lab.xero, contacts.find(lab.xero, gone))
    events = list(sides.events)
    sides.events.clear()
    people = [sides.platform[who] for who in (merged, lost, kept, gone, same)]
    people += [numbered, named, newcomer, newcomer]
    messages = [
        *(renewal_due(dict(who), subject=f"again-{n}") for n, who in enumerate(people)),
        *(member_updated(dict(who)) for who in (numbered, newcomer, people[0])),
    ]
    expected = {
        merged: "second survivor",
        # Whoever decided would have to tell two members apart.
        lost: f"of {lost}",
        **{who: f"of {who}" for who in (kept, gone, same)},
        numbered["id"]: "by number",
        named["id"]: "by name",
        newcomer["id"]: "made for them",
    }
    return History(sides, lab.state(), events, messages, expected, labels)


def _add(lab: Lab, name: str, **fields: str) -> str:
    return contacts.create(lab.xero, Fields({"Name": name, **fields})).contact_id


def _id_of(lab: Lab, number: str) -> str:
    return contacts.find(lab.xero, number).contact_id


def _merge(lab: Lab, losing: str, winning: str) -> None:
    lab.pass_time(A_MOMENT)
    both = lab.xero.contacts[losing], lab.xero.contacts[winning]
    contacts.merge(lab.xero, *both)


def things(history: History, chance: random.Random) -> list[Callable[[], object]]:
    """Each message and webhook once or twice, sweeps and turns, in any order."""
    sides = history.sides
    found: list[Callable[[], object]] = []
    for event in history.events:
        found += [partial(_webhook, sides, event)] * chance.randint(0, 2)
    for message in history.messages:
        found += [partial(sides.publish, message)] * chance.randint(1, 2)
    found += [sides.sweep, sides.sweep, *[sides.work] * 6, *[sides.platform_reads] * 2]
    chance.shuffle(found)
    return found


def _webhook(sides: TwoSides, event: Event) -> None:
    sides.events.append(event)
    sides.deliver_webhooks(random.Random(0))  # noqa: S311 must be repeatable


@pytest.mark.timeout(300)
@pytest.mark.parametrize("order", range(ORDERS))
def test_any_order_ends_in_the_same_links(
    lab: Lab, history: History, order: int
) -> None:
    chance = random.Random(order)  # noqa: S311 must be repeatable
    lab.go_back(history.state, Plan())
    for happens in things(history, chance):
        happens()
    history.sides.come_to_rest()
    found = {
        link.member_id: history.labels.get(link.contact_id, "made for them")
        for link in contact_links.everything("main")
    }
    assert found == history.expected
    assert list(shared_contacts()) == []
    kinds = {problem.kind for problem in problems.open_problems()}
    # Their invoices are held, or were sent before it was seen what became of them.
    assert kinds <= {"contact_merged", "contact_undecided", "invoice_refused"}
    assert "contact_merged" in kinds
