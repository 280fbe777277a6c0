"""Members of whom the platform has said something, each as the newest messages say."""

from typing import Any

from pydantic import ValidationError

from core.contact_fields import SHARED, is_empty
from core.db import invoices, profiles
from core.members import Member


def members_known(tenant: str) -> dict[str, Member]:
    """Whoever was invoiced or told of, by the member's id and in its order."""
    known = {
        member_id: Member.model_validate(payer)
        for member_id, payer in invoices.payers(tenant).items()
    }
    for profile in profiles.everything(tenant):
        held = profiles.fields_of(profile)
        said = {name: held[name].said for name in SHARED if name in held}
        member_id = str(profile.member_id)
        member = _newer(member_id, known.get(member_id), said)
        if member is not None:
            known[member_id] = member
    return dict(sorted(known.items()))


def _newer(member_id: str, known: Member | None, said: dict[str, Any]) -> Member | None:
    before = {"id": member_id} if known is None else known.model_dump(mode="json")
    given = {name: value for name, value in said.items() if not is_empty(value)}
    try:
        return Member.model_validate({**before, **given})
    except ValidationError:
        return known  # what finance has typed in Xero need not fit a message
