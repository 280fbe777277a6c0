"""``member.updated``: what the platform says of a member, carried to Xero."""

from collections.abc import Sequence
from datetime import datetime

from core import answers, people
from core.agreeing import Step
from core.contacts import deciding
from core.db import inbox, outbox
from core.db.database import atomically
from core.db.inbox import InboxState
from core.people import Said, Standing
from core.settings import TenantSettings


@atomically
def commit_update(said: Said, policy: TenantSettings, now: datetime) -> None:
    """Note what is said, answer it, or have the answer wait until Xero has it too."""
    row, (member,) = said.row, said.members
    tenant = row.tenant
    if not inbox.finish(row.id, InboxState.DONE):
        return
    steps = people.hear(tenant, member, said, policy, now)
    deciding.find(tenant, member, policy, now)
    standing = people.reconcile(tenant, member.id, policy, now, asked_by=row)
    outcome = _outcome(steps, standing)
    if outcome == "unchanged" and people.is_overruled(tenant, member):
        outcome = "overruled"
    if outcome is not None:
        answer = answers.done(row, outcome, None)
        outbox.say([answer], tenant=tenant, at=now, answers=row)


def _outcome(steps: Sequence[Step], standing: Standing) -> str | None:
    """What to answer now; None: it waits for Xero, or a person, and has been told."""
    if standing is Standing.NO_CONTACT:
        return "remembered"
    if standing is not Standing.EQUAL:
        return None
    return "unchanged" if steps else "overtaken"
