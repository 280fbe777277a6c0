"""One member, one contact: labelled cases, many members, their calls, edits."""

import json
from collections.abc import Iterator

from core.matching.rules import RULES
from tests.core.contact_cases import answer, cases
from tests.figures.command import python
from tests.figures.figure import Figure, at_least, at_most, exactly
from tests.figures.runner import Run

CASES_AT_LEAST = 600

#: As many in the short run: it takes a quarter of its minute.
MEMBERS, CONTACTS = 20_000, 25_000
MATCH_S, MATCH_MB = 60, 300

#: Contacts in Xero, and members among them who renew twice.
FULL_SEASON, SHORT_SEASON = (25_000, 2_000), (2_500, 60)
LOAD_CALLS = 30

#: Longer than it takes on a busy machine.
MATCH_WITHIN_S, SEASON_WITHIN_S = 600, 1_800

EDITS, EDITS_SHORT = 10_000, 300
EDITED_WITHIN_S = 3_600


def collect(asked: Run) -> Iterator[Figure]:
    yield from labelled()
    yield from at_once(asked)
    yield from calls(asked)
    yield from edited(asked)


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


# -- calls -----------------------------------------------------------------------------


def calls(asked: Run) -> Iterator[Figure]:
    """The first load, and a season of members whom it has made known."""
    contacts, members = FULL_SEASON if asked.full else SHORT_SEASON
    asked.say(f"{members} members renew twice, {contacts} contacts in Xero")
    folder = asked.folder / "season"
    folder.mkdir()
    done = python(
        "tests.figures.contact_season",
        str(folder),
        *("--members", str(members), "--contacts", str(contacts)),
        within_s=SEASON_WITHIN_S,
    )
    yield Figure(
        "calls: exit code", done.code, exactly(0), note=_end(done.code, done.end)
    )
    if done.code == 0:
        said = json.loads(done.output.splitlines()[-1])
        loading = said["calls_of_the_first_load"]
        yield Figure("calls: contacts in Xero", said["contacts"], exactly(contacts))
        yield Figure("calls: first load", loading, at_most(LOAD_CALLS))
        yield Figure("calls: invoices", said["invoices"], exactly(2 * members))
        first = said["calls_of_the_first_season"]
        yield Figure("calls: about contacts, first season", first)
        known = said["calls_of_a_season_of_known_members"]
        yield Figure("calls: about contacts, known members", known, exactly(0))


# -- edits on both sides ---------------------------------------------------------------


def edited(asked: Run) -> Iterator[Figure]:
    """Platform and finance edit at random; nothing is lost, and nothing flaps."""
    count = EDITS if asked.full else EDITS_SHORT
    asked.say(f"{count} edits on both sides")
    done = python("tests.edits", str(count), within_s=EDITED_WITHIN_S)
    yield Figure(
        "edits: exit code", done.code, exactly(0), note=_end(done.code, done.end)
    )
    if done.code == 0:
        said = json.loads(done.output.splitlines()[-1])
        lost = said["findings"]
        yield Figure("edits: made", said["edits"], at_least(count))
        yield Figure(
            "edits: lost, or without end", len(lost), exactly(0), note=str(lost[:1])
        )
        yield Figure("edits: conflicts", said["conflicts"], at_least(1))
        yield Figure("edits: calls to Xero", said["contact_calls"], at_most(2 * count))
        yield Figure("edits: of which write", said["contact_writes"], at_most(count))


def _end(code: int, end: str) -> str:
    return "" if code == 0 else end
