"""Which contact a member is: deterministic, and it says why.

The first rule that finds anything decides. Two candidates are never guessed between,
and one that fits only perhaps is a person's to judge (docs/contacts.md).
"""

from collections.abc import Iterator, Mapping, Sequence

from core.matching.contact import ACTIVE, ERASED, MirrorContact
from core.matching.look import Look
from core.matching.rules import RULES, Fit, Rule
from core.matching.verdict import (
    Ambiguous,
    Candidate,
    Circumstances,
    Doubt,
    Match,
    Matched,
    MatchRule,
    NoMatch,
)
from core.members import Member


def match(
    member: Member,
    contacts: Sequence[MirrorContact],
    known: Circumstances,
    rules: Mapping[MatchRule, Rule] = RULES,
) -> Match:
    """Decide.

    Args:
        member: who is to be invoiced.
        contacts: every contact that any rule could pick, and what those were merged
            into; their order does not matter.
        known: what is tied to whom.
        rules: all of them, in their order.
    """
    by_id = {contact.contact_id: contact for contact in contacts}
    looks = [Look(member, by_id[key], known) for key in sorted(by_id)]
    if known.linked_to is not None and known.linked_to not in by_id:
        return Ambiguous((), MatchRule.LINK, Doubt.MISSING)
    for name, rule in rules.items():
        found = list(_found(looks, name, rule, by_id))
        if found:
            return _judge(found, name, member, known)
    return NoMatch()


def all_that_fit(
    member: Member, contacts: Sequence[MirrorContact], known: Circumstances
) -> list[tuple[MatchRule, Candidate]]:
    """What each rule but the link says of each contact, for people to see."""
    by_id = {contact.contact_id: contact for contact in contacts}
    looks = [Look(member, by_id[key], known) for key in sorted(by_id)]
    return [
        (name, candidate)
        for name, rule in RULES.items()
        if name is not MatchRule.LINK
        for candidate in _found(looks, name, rule, by_id)
    ]


def _found(
    looks: Sequence[Look],
    name: MatchRule,
    rule: Rule,
    by_id: Mapping[str, MirrorContact],
) -> Iterator[Candidate]:
    """What a rule finds; of contacts that were merged, what they were merged into."""
    fits = [(look, fit) for look in looks if (fit := _fit(look, name, rule))]
    is_any_strong = any(not fit.is_weak for _, fit in fits)
    seen = set()
    for look, fit in sorted(fits, key=lambda pair: not pair[1].is_sure):
        if fit.is_weak and is_any_strong:
            continue
        contact, why = _merged_into(look.contact, by_id), fit.why
        if contact is not look.contact:
            why = f"{why}; merged from {look.contact.contact_id}"
        if contact.contact_id not in seen:
            seen.add(contact.contact_id)
            yield Candidate(contact, fit.is_sure, why)


def _fit(look: Look, name: MatchRule, rule: Rule) -> Fit | None:
    """A perhaps is answered where the contact is another's, or a person said no."""
    fit = rule(look)
    if fit is None or (look.is_taken and not fit.is_sure):
        return None
    # Xero takes no second contact of one Contact Number, so none could be created.
    is_answered = look.is_unlinked and name is not MatchRule.CONTACT_NUMBER
    return None if is_answered else fit


def _merged_into(
    contact: MirrorContact, by_id: Mapping[str, MirrorContact]
) -> MirrorContact:
    """Merged twice or more: the last one. Itself, if that one is not known."""
    seen = {contact.contact_id}
    last = contact
    while last.merged_to and last.merged_to not in seen:
        following = by_id.get(last.merged_to)
        if following is None:
            return contact
        seen.add(following.contact_id)
        last = following
    return contact if last.merged_to else last


def _judge(
    found: Sequence[Candidate], rule: MatchRule, member: Member, known: Circumstances
) -> Match:
    sure = [candidate for candidate in found if candidate.is_sure]
    best = sure or found
    active = [each for each in best if each.contact.status == ACTIVE]
    reason = _doubt(best, active, member, known)
    if reason is not None:
        return Ambiguous(tuple(found), rule, reason)
    return Matched(active[0].contact, rule, active[0].why)


def _doubt(
    best: Sequence[Candidate],
    active: Sequence[Candidate],
    member: Member,
    known: Circumstances,
) -> Doubt | None:
    if len(active) > 1:
        return Doubt.SEVERAL
    if not active:
        is_erased = any(each.contact.status == ERASED for each in best)
        return Doubt.ERASED if is_erased else Doubt.ARCHIVED
    contact_id = active[0].contact.contact_id
    if known.taken.get(contact_id, member.id) != member.id:
        return Doubt.TAKEN
    if contact_id in known.unlinked:
        return Doubt.UNLINKED
    return None if active[0].is_sure else Doubt.UNSURE
