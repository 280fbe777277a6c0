"""One value for two sides, whatever the order in which they are heard of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agreeing import (
    Field,
    Outcome,
    Side,
    Step,
    compare,
    created,
    hear,
    land,
    of_another_contact,
)

NINE = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PLATFORM, XERO = Side.PLATFORM, Side.XERO


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


class Email:
    """One field of one member, heard of and compared in turn."""

    def __init__(self, winner: Side = PLATFORM) -> None:
        self.winner = winner
        self.field = Field()
        self.minute = 0.0
        self.row = 0
        self.steps: list[Step] = []
        self.read = 0
        self.reads_at_once = True

    def platform_says(self, value: Any, minute: float | None = None) -> "Email":
        self.row += 1
        self.minute += 1
        said = (at(self.minute if minute is None else minute), self.row)
        now, read_at = at(self.minute), None
        if self.reads_at_once or not any(s.told for s in self.steps[self.read :]):
            read_at = self.field.told_at
        step = hear("email", self.field, value, said, now, self.winner, read_at)
        return self._take(step)

    def xero_shows(self, value: Any) -> "Email":
        self.minute += 1
        now = at(self.minute)
        return self._take(compare("email", self.field, value, now, self.winner))

    def update_lands(self) -> "Email":
        sent = self.field.said
        self.field = land("email", self.field, sent, sent)
        return self

    def _take(self, step: Step) -> "Email":
        # What the books keep is what there is.
        self.field = Field.from_data(step.field.as_data())
        assert self.field == step.field or self.field == replace(
            step.field, before=list(step.field.before)
        )
        self.steps.append(step)
        return self

    @property
    def told(self) -> list[tuple[Any, Any, Outcome]]:
        found = [step.told for step in self.steps]
        return [(one.old, one.new, one.outcome) for one in found if one is not None]

    @property
    def overruled(self) -> list[tuple[Any, Any, Any, Side]]:
        found = [step.edit for step in self.steps]
        return [
            (one.agreed, one.platform, one.xero, one.winner)
            for one in found
            if one is not None
        ]


def agreed(winner: Side = PLATFORM) -> Email:
    """Both sides have a."""
    return Email(winner).platform_says("a@x.org").xero_shows("a@x.org")


# -- one side --------------------------------------------------------------------------


def test_what_both_have_needs_nothing() -> None:
    email = agreed()
    assert (email.field.is_due, email.told, email.overruled) == (False, [], [])


@pytest.mark.parametrize("winner", list(Side))
def test_what_the_platform_alone_changed_goes_to_xero(winner: Side) -> None:
    email = agreed(winner).platform_says("b@x.org").xero_shows("a@x.org")
    assert (email.field.said, email.field.is_due) == ("b@x.org", True)
    assert (email.told, email.overruled) == ([], [])
    assert not email.update_lands().xero_shows("b@x.org").field.is_due


@pytest.mark.parametrize("winner", list(Side))
def test_what_xero_alone_changed_is_told_once(winner: Side) -> None:
    email = agreed(winner).xero_shows("b@x.org").xero_shows("b@x.org")
    assert email.told == [("a@x.org", "b@x.org", Outcome.CHANGED)]
    assert (email.field.is_due, email.overruled) == (False, [])


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("email", "A@x.org", " a@X.org "),
        ("phone", "+27 82 555 0101", "+27 82 5550101"),
        ("phone", "", None),
        ("tax_number", "9001 0150 09087", "9001015009087"),
        ("name", "Zoë du Plessis", "Zoe\u0308  du Plessis"),
        ("address", {"line1": "1 Long St", "city": ""}, {"line1": "1  Long St"}),
        ("address", {}, None),
    ],
)
def test_another_spelling_is_no_change(name: str, ours: Any, theirs: Any) -> None:
    field = hear(name, Field(), ours, (NINE, 1), NINE, PLATFORM).field
    field = compare(name, field, ours, NINE, PLATFORM).field
    step = compare(name, field, theirs, NINE, PLATFORM)
    assert (step.told, step.edit, step.field.is_due) == (None, None, False)


def test_a_name_that_had_to_be_another_in_xero_stays_agreed() -> None:
    said = hear("name", Field(), "Thandi", (NINE, 1), NINE, PLATFORM).field
    field = created(said, "Thandi", "Thandi (7)")
    step = compare("name", field, "Thandi (7)", NINE, PLATFORM)
    assert (step.field.is_due, step.told) == (False, None)
    again = hear("name", step.field, "Thandi", (at(5), 2), at(5), PLATFORM)
    step = compare("name", again.field, "Thandi (7)", at(5), PLATFORM)
    assert (step.field.is_due, step.told) == (False, None)


# -- the order of messages -------------------------------------------------------------


def test_an_older_message_does_not_take_a_newer_one_back() -> None:
    email = agreed().platform_says("new@x.org", minute=60)
    email.platform_says("old@x.org", minute=30)
    assert email.field.said == "new@x.org"


def test_of_two_messages_of_one_time_the_later_one_counts() -> None:
    email = agreed().platform_says("b@x.org", minute=60)
    assert email.platform_says("c@x.org", minute=60).field.said == "c@x.org"


def test_a_message_that_could_not_know_of_xeros_edit_changes_nothing() -> None:
    email = agreed().xero_shows("x@x.org")
    email.platform_says("a@x.org", minute=1.5)
    assert (email.field.said, len(email.told)) == ("x@x.org", 1)
    assert email.overruled == []


def test_a_platform_that_has_not_read_yet_does_not_insist() -> None:
    email = agreed()
    email.reads_at_once = False
    email.xero_shows("x@x.org").platform_says("a@x.org")
    assert (email.field.said, email.overruled) == ("x@x.org", [])
    # Told once more, should it have been meant after all.
    assert email.told == [("a@x.org", "x@x.org", Outcome.CHANGED)] * 2


# -- both sides ------------------------------------------------------------------------


def test_the_platform_wins_and_xeros_edit_is_recorded_and_restored() -> None:
    email = agreed().platform_says("p@x.org").xero_shows("x@x.org")
    assert email.overruled == [("a@x.org", "p@x.org", "x@x.org", PLATFORM)]
    assert email.told == [("x@x.org", "p@x.org", Outcome.RESTORED)]
    assert (email.field.said, email.field.is_due) == ("p@x.org", True)


def test_xero_wins_and_the_platforms_edit_is_recorded_and_overruled() -> None:
    email = agreed(XERO).platform_says("p@x.org").xero_shows("x@x.org")
    assert email.overruled == [("a@x.org", "p@x.org", "x@x.org", XERO)]
    assert email.told == [("p@x.org", "x@x.org", Outcome.OVERRULED)]
    assert (email.field.said, email.field.is_due) == ("x@x.org", False)


@pytest.mark.parametrize("winner", list(Side))
def test_the_same_edit_on_both_sides_is_agreed(winner: Side) -> None:
    email = agreed(winner).platform_says("b@x.org").xero_shows("b@x.org")
    assert (email.told, email.overruled, email.field.is_due) == ([], [], False)


def test_an_edit_of_the_platform_that_crosses_xeros_is_a_conflict() -> None:
    email = agreed().xero_shows("x@x.org").platform_says("p@x.org", minute=1.5)
    assert email.overruled == [("a@x.org", "p@x.org", "x@x.org", PLATFORM)]
    assert [outcome for _, _, outcome in email.told] == ["changed", "restored"]
    assert email.field.is_due


def test_a_platform_that_insists_wins_where_it_is_the_winner() -> None:
    email = agreed().xero_shows("x@x.org").platform_says("a@x.org")
    assert email.overruled == [("a@x.org", "a@x.org", "x@x.org", PLATFORM)]
    assert email.field.is_due


def test_a_platform_that_insists_where_xero_wins_is_told_each_time() -> None:
    email = agreed(XERO).xero_shows("x@x.org")
    for _ in range(3):
        email.platform_says("a@x.org").xero_shows("x@x.org")
    outcomes = [outcome for _, _, outcome in email.told]
    assert outcomes == ["changed", "overruled", "overruled", "overruled"]
    assert len(email.overruled) == 1
    assert (email.field.said, email.field.is_due) == ("x@x.org", False)


def test_who_took_xeros_value_over_may_change_it_again() -> None:
    email = agreed(XERO).xero_shows("x@x.org").platform_says("x@x.org")
    email.platform_says("a@x.org").xero_shows("x@x.org")
    assert (email.field.said, email.field.is_due) == ("a@x.org", True)
    assert email.overruled == []


# -- the first time --------------------------------------------------------------------


def test_at_first_differing_values_go_to_the_winner_and_are_recorded() -> None:
    email = Email().platform_says("p@x.org").xero_shows("x@x.org").xero_shows("x@x.org")
    assert email.overruled == [(None, "p@x.org", "x@x.org", PLATFORM)]
    assert (email.field.is_due, email.told) == (True, [])
    email = Email(XERO).platform_says("p@x.org").xero_shows("x@x.org")
    assert email.overruled == [(None, "p@x.org", "x@x.org", XERO)]
    assert email.told == [("p@x.org", "x@x.org", Outcome.OVERRULED)]


@pytest.mark.parametrize("winner", list(Side))
def test_an_empty_side_overrules_nobody(winner: Side) -> None:
    email = Email(winner).platform_says("p@x.org").xero_shows("")
    assert (email.field.is_due, email.overruled) == (True, [])
    email = Email(winner).platform_says("").xero_shows("x@x.org")
    assert (email.field.is_due, email.overruled) == (False, [])


def test_what_the_platform_never_said_is_told_when_it_changes() -> None:
    email = Email().xero_shows("").xero_shows("x@x.org")
    assert email.told == [("", "x@x.org", Outcome.CHANGED)]
    email.platform_says("p@x.org").xero_shows("x@x.org")
    assert (email.field.is_due, email.overruled) == (True, [])


def test_what_the_platform_says_for_the_first_time_meets_what_xero_has() -> None:
    email = Email().xero_shows("x@x.org").platform_says("p@x.org").xero_shows("x@x.org")
    assert email.overruled == [(None, "p@x.org", "x@x.org", PLATFORM)]


def test_with_another_contact_nothing_was_agreed() -> None:
    email = agreed()
    email.field = of_another_contact(email.field)
    email.xero_shows("other@x.org")
    assert email.overruled == [(None, "a@x.org", "other@x.org", PLATFORM)]


# -- any history -----------------------------------------------------------------------

VALUES = st.sampled_from(["a", "b", "c", ""])
EVENTS = st.one_of(
    st.tuples(st.just("platform"), VALUES),
    st.tuples(st.just("xero"), VALUES),
    st.tuples(st.just("sync"), st.just("")),
)


@given(st.sampled_from(list(Side)), st.lists(EVENTS, max_size=12))
def test_after_any_history_both_sides_are_brought_together_and_rest(
    winner: Side, events: list[tuple[str, str]]
) -> None:
    """A platform that takes over what it is told, unless it has edited it since."""
    email = Email(winner)
    email.reads_at_once = False
    platform, xero, edited = "a", "a", at(1)
    email.platform_says(platform).xero_shows(xero)

    def sync() -> int:
        nonlocal platform, xero
        calls = 0
        email.xero_shows(xero)
        if email.field.is_due:
            xero, calls = email.field.said, 1
            email.update_lands().xero_shows(xero)
        for step in email.steps[email.read :]:
            if step.told is not None and step.told.as_of >= edited:
                platform = step.told.new
        email.read = len(email.steps)
        return calls

    for side, value in events:
        match side:
            case "platform":
                platform = value
                email.platform_says(platform)
                edited = at(email.minute)
            case "xero":
                xero = value
            case _:
                sync()
    assert sync() <= 1
    assert platform == xero
    assert sync() == 0
