"""One member, one contact: the labelled cases, and twenty thousand members at once."""

import json
from collections.abc import Iterator

from core.contact_matching import RULES
from tests.core.contact_cases import answer, cases
from tests.figures.command import python
from tests.figures.figure import Figure, at_least, at_most, exactly
from tests.figures.runner import Run

CASES_AT_LEAST = 600

#: As many in the short run: it takes a quarter of its minute.
MEMBERS, CONTACTS = 20_000, 25_000
MATCH_S, MATCH_MB = 60, 300

#: Longer than it takes on a busy machine.
MATCH_WITHIN_S = 600


def collect(asked: Run) -> Iterator[Figure]:
    yield from labelled()
    yield from at_once(asked)


# -- the labelled cases ----------------------------------------------------------------


def labelled() -> Iterator[Figure]:
    """Each answered as somebody careful would; without a rule some are not."""
    some = cases()
    wrong = [case.id for case in some if answer(case) != case.label]
    yield Figure("cases: labelled", len(some), at_least(CASES_AT_LEAST))
    yield Figure("cases: not as labelled", len(wrong), exactly(0), note=str(wrong[:3]))
    for rule in RULES:
        rest = {name: test for name, test in RULES.items() if name is not rule}
        lost = sum(answer(case, rest) != case.label for case in some)
        yield Figure(f"cases: wrong without {rule}", lost, at_least(1))


# -- everybody at once -----------------------------------------------------------------


def at_once(asked: Run) -> Iterator[Figure]:
    """Every member matched against the whole mirror, on SQLite, with no Xero."""
    asked.say(f"{MEMBERS} members against {CONTACTS} contacts")
    folder = asked.folder / "match"
    folder.mkdir()
    done = python(
        "tests.figures.contact_match",
        str(folder),
        *("--members", str(MEMBERS), "--contacts", str(CONTACTS)),
        within_s=MATCH_WITHIN_S,
    )
    yield Figure(
        "match: exit code", done.code, exactly(0), note=_end(done.code, done.end)
    )
    if done.code == 0:
        said = json.loads(done.output.splitlines()[-1])
        yield Figure("match: seconds", said["match_s"], at_most(MATCH_S), "s")
        yield Figure("match: memory", said["mb"], at_most(MATCH_MB), "MB")
        yield Figure("match: known ones again", said["again_s"], unit="s")
        yield Figure("match: found", said["known"])
        yield Figure("match: to be created", said["creating"])
        twice = said["known"] - said["links"]
        yield Figure("match: members who share a contact", twice, exactly(0))


def _end(code: int, end: str) -> str:
    return "" if code == 0 else end
