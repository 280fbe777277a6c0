"""What a person is shown of a decision: its contacts, why, and the problem's cause."""

from collections.abc import Mapping, Sequence

from core.matching.verdict import Ambiguous, Candidate, Doubt, Match, Matched, NoMatch


def evidence(candidate: Candidate) -> Mapping[str, str]:
    """What a person needs to see of a contact, and why it was found."""
    contact = candidate.contact
    return {
        "contact_id": contact.contact_id,
        "name": contact.name,
        "email": contact.email,
        "contact_number": contact.contact_number,
        "account_number": contact.account_number,
        "tax_number": contact.tax_number,
        "company_number": contact.company_number,
        "status": contact.status,
        "why": candidate.why,
    }


def candidates_of(found: Match) -> Sequence[Candidate]:
    """The contacts that it is about."""
    match found:
        case Matched(contact, _, why):
            return (Candidate(contact, True, why),)
        case Ambiguous(candidates):
            return candidates
        case NoMatch():
            return ()


def reason_of(member_id: str, decision: Ambiguous) -> str:
    """Why nobody but a person may decide, in a sentence."""
    count = len(decision.candidates)
    return {
        Doubt.SEVERAL: f"{count} contacts fit member {member_id} by {decision.rule}",
        Doubt.ARCHIVED: f"the contact of member {member_id} is archived",
        Doubt.ERASED: f"the contact of member {member_id} is to be erased (GDPR)",
        Doubt.TAKEN: f"the contact that fits member {member_id} is another member's",
        Doubt.UNSURE: f"a contact fits member {member_id} only perhaps",
        Doubt.UNLINKED: f"the contact that fits member {member_id} was unlinked",
        Doubt.MISSING: f"the contact of member {member_id} is not known any more",
    }[decision.reason]


def cause_of(tenant: str, member_id: str) -> str:
    """Of the problem that is open while nobody has decided."""
    return f"contact:{tenant}:{member_id}"
