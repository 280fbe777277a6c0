"""Edits on both sides, at random: no edit is lost that should win, and all comes to
rest. ``tests.edits.two_sides.random_edits`` runs as many as are asked for.
"""

import random
from collections.abc import Iterator
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.contact_fields import SHARED
from tests.edits.two_sides import (
    TwoSides,
    opened_lab,
    random_edits,
    shared_contacts,
    values_of,
)
from tests.faults.lab import Lab, State
from tests.faults.plan import Plan

MEMBERS = 3

WHO = st.integers(0, MEMBERS - 1)
NAME = st.sampled_from(SHARED)
NUMBER = st.integers(0, 3)
LATE = st.booleans()
CHANCE = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with opened_lab() as opened:
        yield opened


class Edits(RuleBasedStateMachine):
    """Whatever may happen to three members, in any order."""

    lab: ClassVar[Lab]
    beginning: ClassVar[State]

    @initialize()
    def begin(self) -> None:
        self.lab.go_back(self.beginning, Plan())
        self.sides = TwoSides(self.lab, MEMBERS)
        self.who = list(self.sides.platform)

    @rule(who=WHO, name=NAME, number=NUMBER, late=LATE)
    def platform_edits(self, who: int, name: str, number: int, late: bool) -> None:
        value = values_of(name, number, self.who[who])
        self.sides.platform_edits(self.who[who], name, value, late)

    @rule(who=WHO, late=LATE)
    def platform_renews(self, who: int, late: bool) -> None:
        self.sides.platform_renews(self.who[who], late)

    @rule(who=WHO, name=NAME, number=NUMBER)
    def xero_edits(self, who: int, name: str, number: int) -> None:
        value = values_of(name, number, self.who[who])
        self.sides.xero_edits(self.who[who], name, value)

    @rule(chance=CHANCE, lossy=st.booleans())
    def webhooks_come(self, chance: random.Random, lossy: bool) -> None:
        self.sides.deliver_webhooks(chance, lossy=lossy)

    @rule()
    def a_sweep_is_due(self) -> None:
        self.sides.sweep()

    @rule()
    def the_daemon_works(self) -> None:
        self.sides.work()

    @rule()
    def the_platform_reads(self) -> None:
        self.sides.platform_reads()

    @rule(chance=CHANCE)
    def all_comes_to_rest(self, chance: random.Random) -> None:
        self.sides.rest(chance)

    @invariant()
    def no_two_members_share_a_contact(self) -> None:
        assert list(shared_contacts()) == []

    @invariant()
    def nothing_is_lost_and_nothing_flaps(self) -> None:
        assert self.sides.figures.findings == []

    def teardown(self) -> None:
        self.sides.rest(random.Random(0))  # noqa: S311 must be repeatable
        assert self.sides.figures.findings == []


@pytest.mark.timeout(300)
def test_any_history_ends_as_the_rules_say(lab: Lab) -> None:
    some = settings(
        max_examples=30,
        stateful_step_count=15,
        suppress_health_check=list(HealthCheck),
    )
    Edits.lab, Edits.beginning = lab, lab.state()
    run_state_machine_as_test(Edits, settings=some)


@pytest.mark.timeout(300)
def test_some_hundred_edits_cost_few_calls() -> None:
    figures = random_edits(300, seed=5)
    assert figures.findings == []
    assert figures.edits >= 300
    # Each edit of the platform is looked at and written, each of Xero's read; what is
    # late, lost or repeated costs a read more, and what rests costs nothing.
    assert figures.contact_writes <= figures.edits
    assert figures.contact_calls <= 2 * figures.edits
