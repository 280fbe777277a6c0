"""What a newcomer is called whose name another contact has.

Xero compares names of active contacts whatever their case, and refuses the second.
"""

from string import Formatter

#: Xero's limits (facts/xero.md, section 5).
NAME_LENGTH = 255
NUMBER_LENGTH = 50

#: In the place of a pattern: nobody is given another name, a person decides.
QUARANTINE = "quarantine"

#: A name that is cut to less than this says nothing to anybody.
NAME_AT_LEAST = 50

_FIELDS = ["member_id", "name"]


def check_pattern(pattern: str) -> str:
    """The pattern, if every newcomer gets a name of their own from it.

    Raises:
        ValueError: it can't be used, and why.
    """
    if pattern == QUARANTINE:
        return pattern
    if _fields(pattern) != _FIELDS:
        raise ValueError(
            f"must hold {{name}} and {{member_id}}, each once and nothing else in "
            f"braces; or be {QUARANTINE}"
        )
    if "<" in pattern or ">" in pattern:
        raise ValueError("must not hold < or >, which Xero refuses in a name")
    longest = pattern.format(name="", member_id="9" * NUMBER_LENGTH)
    if NAME_LENGTH - len(longest) < NAME_AT_LEAST:
        raise ValueError(
            f"is too long: of Xero's {NAME_LENGTH} characters less than "
            f"{NAME_AT_LEAST} are left for the name"
        )
    return pattern


def distinct_name(pattern: str, name: str, member_id: str) -> str:
    """The newcomer's name; a long one is cut, the member's id never is."""
    room = NAME_LENGTH - len(pattern.format(name="", member_id=member_id))
    return " ".join(pattern.format(name=name[:room], member_id=member_id).split())


def _fields(pattern: str) -> list[str]:
    """What stands in braces, in alphabetical order."""
    try:
        return sorted(
            f"{name}{spec and ':'}{spec}{conversion or ''}"
            for _, name, spec, conversion in Formatter().parse(pattern)
            if name is not None
        )
    except ValueError:
        return []
