"""What a newcomer is called whose name is taken: theirs alone, and never too long."""

import pytest

from core.names_taken import (
    NAME_LENGTH,
    NUMBER_LENGTH,
    QUARANTINE,
    check_pattern,
    distinct_name,
)

DEFAULT = "{name} ({member_id})"


@pytest.mark.parametrize(
    "pattern",
    [DEFAULT, "{member_id} {name}", "{name}, member {member_id} {{SAIT}}", QUARANTINE],
)
def test_a_pattern_that_tells_people_apart_is_taken(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("{name}", "each once"),
        ("{member_id}", "each once"),
        ("somebody else", "each once"),
        ("", "each once"),
        ("{name} {name} {member_id}", "each once"),
        ("{name} {member_id} {tenant}", "each once"),
        ("{name.__class__} {member_id}", "each once"),
        ("{name!r} {member_id}", "each once"),
        ("{name:>300} {member_id}", "each once"),
        ("{name} {member_id", "each once"),
        ("{name} <{member_id}>", "< or >"),
        ("{name} ({member_id})" + "x" * 200, "is too long"),
        ("Quarantine", "be quarantine"),
    ],
)
def test_a_pattern_that_does_not_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_pattern(pattern)


def test_the_longest_name_is_cut_and_the_longest_number_is_not() -> None:
    number = "9" * NUMBER_LENGTH
    name = distinct_name(DEFAULT, "N" * NAME_LENGTH, number)
    assert len(name) == NAME_LENGTH
    assert name.endswith(f"N ({number})")


def test_where_a_name_is_cut_no_space_is_doubled() -> None:
    """Xero refuses names with double spaces, and with spaces around them."""
    cut_at_a_space = "N" * 249 + " Nkosi"
    assert distinct_name(DEFAULT, cut_at_a_space, "42") == "N" * 249 + " (42)"
    assert distinct_name(" {name}  / {member_id} ", "A", "42") == "A / 42"


def test_braces_in_a_name_are_only_characters() -> None:
    assert distinct_name(DEFAULT, "{member_id}", "42") == "{member_id} (42)"
