"""What a person has mended is tried again: refused writes, held messages."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core import answers, guards, people
from core.contacts import deciding_anew
from core.db import inbox, invoices, outbox, problems, writes
from core.db.models import Inbox, Problem
from core.errors import Refused, SettledError
from core.settings import Settings
from core.waking import LaneName


class NothingToRetry(SettledError):
    """There is nothing here that trying again would change."""


def retry_problem(problem: Problem, now: datetime, settings: Settings) -> None:
    """Make due again what the problem has stopped, and close it.

    What is not mended is met again, and its problem opened again.

    Raises:
        NothingToRetry: problems of this kind end by themselves, or in Xero.
    """
    retry = RETRIES.get(problem.kind)
    if retry is None:
        raise NothingToRetry(f"{problem.kind}: there is nothing to be tried again")
    problems.close_problem(problem.cause, now)
    retry(problem, now, settings)


def retry_messages(rows: Sequence[Inbox], now: datetime) -> None:
    """Held messages are accepted ones again. The problem ends with the last of them."""
    inbox.release([row.id for row in rows], now)
    _close_for_nobody(now)


def _close_for_nobody(now: datetime) -> None:
    """A problem ends with the last message that it holds."""
    for problem in problems.open_problems():
        if problem.kind in HOLDING and not _held_rows(problem):
            problems.close_problem(problem.cause, now)


def reject_messages(rows: Sequence[Inbox], reason: str, now: datetime) -> int:
    """Held messages are not wanted: whoever sent them is told. How many that are."""
    count = 0
    for row in rows:
        if inbox.give_up(row.id):
            refusal = Refused(reason)
            answer = answers.rejected(row, refusal, message_id=row.message_id)
            outbox.say([answer], tenant=row.tenant, at=now, answers=row)
            count += 1
    _close_for_nobody(now)
    return count


def held_by(cause: str) -> list[Inbox]:
    """Messages that the problem with this cause holds.

    Raises:
        NothingToRetry: there is no such problem, or it holds no messages.
    """
    for problem in problems.open_problems():
        if problem.cause == cause and problem.kind in HOLDING:
            return _held_rows(problem)
    raise NothingToRetry(f"{cause}: no open problem of this cause holds messages")


def _retry_contact(problem: Problem, now: datetime, settings: Settings) -> None:
    _, tenant, member_id = problem.cause.split(":", 2)
    deciding_anew.retry(tenant, member_id, settings.tenants[tenant], now)


def _retry_update(problem: Problem, now: datetime, settings: Settings) -> None:
    _, tenant, member_id = problem.cause.split(":", 2)
    if not people.retry(tenant, member_id, settings.tenants[tenant], now):
        raise NothingToRetry(f"the update of {member_id} is not refused any more")


def _retry_invoice(problem: Problem, now: datetime, settings: Settings) -> None:
    invoice = invoices.load(_id_of(problem))
    policy = settings.tenants[invoice.tenant]
    if not deciding_anew.raise_again(invoice, policy, now):
        raise NothingToRetry(f"{invoice.reference} is not refused any more")


def _retry_email(problem: Problem, now: datetime, settings: Settings) -> None:
    _ask_again(problem, LaneName.EMAILS, now)


def _retry_void(problem: Problem, now: datetime, settings: Settings) -> None:
    _ask_again(problem, LaneName.VOIDS, now)


def _ask_again(problem: Problem, lane: LaneName, now: datetime) -> None:
    invoice = invoices.load(_id_of(problem))
    if not writes.ask_again(invoice.tenant, lane, str(invoice.id), now):
        raise NothingToRetry(f"{invoice.number} is not refused any more")


def _retry_held(problem: Problem, now: datetime, settings: Settings) -> None:
    rows = [row for row in _held_rows(problem) if not inbox.is_overtaken(row)]
    retry_messages(rows, now)


def _held_rows(problem: Problem) -> list[Inbox]:
    """Messages that wait for this; of older books, those of its type."""
    return [
        row
        for row in inbox.held()
        if row.held_for == problem.cause
        or (not row.held_for and row.type == _type_of(problem))
    ]


def _approve(problem: Problem, now: datetime, settings: Settings) -> None:
    _, tenant, workflow, _ = problem.cause.split(":", 3)
    guards.open_guard(tenant, workflow, "a person", now)
    _retry_held(problem, now, settings)


def _id_of(problem: Problem) -> int:
    return int(problem.cause.partition(":")[2])


def _type_of(problem: Problem) -> str:
    """Which messages it holds: the last part of its cause."""
    return str(problem.cause.rpartition(":")[2])


#: Kinds of problem that hold every message of a type.
HOLDING = frozenset(
    {"plugin_failed", "message_failed", "too_many_invoices", "season_differs"}
)

RETRIES: Mapping[str, Callable[[Problem, datetime, Settings], None]] = {
    "contact_name_taken": _retry_contact,
    "contact_refused": _retry_contact,
    "contact_undecided": _retry_contact,
    "contact_update_refused": _retry_update,
    "invoice_refused": _retry_invoice,
    "email_refused": _retry_email,
    "void_refused": _retry_void,
    **dict.fromkeys(HOLDING, _retry_held),
    "too_many_invoices": _approve,
}
