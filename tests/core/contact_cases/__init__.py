"""Labelled cases of matching: who is it, would somebody careful in finance say?

``cases.jsonl`` is the set, one case a line. It is written from the tables of
``families`` and ``names`` by ``python -m tests.core.contact_cases``; a test holds the
two together. A label is argued in ``why``, never taken from what the code answers.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.matching.contact import MirrorContact
from core.matching.match import match
from core.matching.rules import RULES, Rule
from core.matching.verdict import Ambiguous, Circumstances, Match, Matched, MatchRule
from core.members import Member

FILE = Path(__file__).parent / "cases.jsonl"


@dataclass(frozen=True, slots=True)
class Case:
    """A member, the contacts that there are, and what is to be decided."""

    id: str
    why: str
    member: Member
    contacts: tuple[MirrorContact, ...]
    known: Circumstances
    label: str


def cases() -> list[Case]:
    return [_case(json.loads(line)) for line in FILE.read_text("utf-8").splitlines()]


def answer(case: Case, rules: Mapping[MatchRule, Rule] = RULES) -> str:
    """What the matching says, in the words of the labels."""
    return worded(match(case.member, case.contacts, case.known, rules))


def worded(found: Match) -> str:
    match found:
        case Matched(contact, _, _):
            return f"link {contact.contact_id}"
        case Ambiguous():
            return "quarantine"
        case _:
            return "create"


def lines(raw: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(case, ensure_ascii=False)}\n" for case in raw)


def _case(raw: Mapping[str, Any]) -> Case:
    return Case(
        id=raw["id"],
        why=raw["why"],
        member=Member.model_validate(raw["member"]),
        contacts=tuple(_contact(**contact) for contact in raw["contacts"]),
        known=Circumstances(
            linked_to=raw.get("linked_to"),
            taken=raw.get("taken", {}),
            unlinked=raw.get("unlinked", ()),
            tag_domains=raw.get("tag_domains", ()),
        ),
        label=raw["label"],
    )


def _contact(id: str, name: str, **shown: str) -> MirrorContact:
    return MirrorContact(
        contact_id=id,
        name=name,
        email=shown.get("email", ""),
        contact_number=shown.get("contact_number", ""),
        account_number=shown.get("account_number", ""),
        status=shown.get("status", "ACTIVE"),
        merged_to=shown.get("merged_to"),
        updated_at=None,
        tax_number=shown.get("tax_number", ""),
        company_number=shown.get("company_number", ""),
    )
