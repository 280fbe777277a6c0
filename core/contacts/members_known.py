"""Members of whom the platform has said something, each as the newest messages say."""

from core import people
from core.db import invoices, profiles
from core.members import Member


def members_known(tenant: str) -> dict[str, Member]:
    """Whoever was invoiced or told of, by the member's id and in its order."""
    known = {
        member_id: Member.model_validate(payer)
        for member_id, payer in invoices.payers(tenant).items()
    }
    for profile in profiles.everything(tenant):
        member_id = str(profile.member_id)
        member = people.newer(profile, known.get(member_id))
        if member is not None:
            known[member_id] = member
    return dict(sorted(known.items()))


def member_known(tenant: str, member_id: str) -> Member | None:
    """One of them; None: nobody has said enough to know who it is."""
    told = invoices.newest_payer(tenant, member_id)
    known = None if told is None else Member.model_validate(told)
    profile = profiles.get(tenant, member_id)
    return known if profile is None else people.newer(profile, known)
