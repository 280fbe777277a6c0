"""An accepted message becomes what its workflow's rule decides: the table of contents.

handle → rule → draft or undo → books and answer, in one transaction.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from core import (
    answers,
    drafting,
    guards,
    member_updates,
    mirror,
    reference_data,
    undoing,
)
from core.clock import Clock
from core.db import inbox, outbox, problems, recovery, seasons
from core.db.database import BOOKS_AWAY, transaction
from core.db.inbox import InboxState
from core.db.models import Inbox, Invoice
from core.drafts import InvoiceDraft, Undo, draft_hash
from core.errors import Held, Refused, VersionMoved
from core.members import MEMBER_UPDATED, MemberUpdated, named_in
from core.messages import Envelope, validated
from core.metrics import Metrics
from core.people import Said
from core.plan_requests import SEASON_PLAN_REQUESTED
from core.registry import HOOK_RETRY, PluginFailed, Registry
from core.rule_asking import Decided, RuleAsking
from core.settings import Settings
from core.settling import Settler
from core.waking import LaneName, Waker, lane_of
from core.workflow_settings import WorkflowTables

log = structlog.get_logger()

#: How long a message waits for the tenant's first reads of Xero.
UNTIL_READY = timedelta(seconds=1)

#: How long a message of a paused season waits before it is looked at again.
WHILE_PAUSED = timedelta(seconds=20)

#: A plugin that raises may have met a bug that the next start mends; thrice, with
#: growing waits, then a person is asked.
TRIES = 3
RETRY = timedelta(seconds=5)

#: What a draft gives work to.
FOLLOWING = (LaneName.CONTACTS, LaneName.INVOICES)


class PlanAnswers(Protocol):
    """Who plans a season that is asked for by message."""

    def answer(self, row: Inbox, envelope: Envelope) -> None:
        """Finish the message with its answer.

        Raises:
            Refused: it can't be planned.
        """
        ...


class Handler:
    """Handles messages; safe to be called twice for the same one."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        tables: WorkflowTables,
        settler: Settler,
        plans: PlanAnswers,
        waker: Waker,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.rules = RuleAsking(settings, registry, tables, clock)
        self.settler = settler
        self.plans = plans
        self.waker = waker
        self.clock = clock
        self.metrics = metrics

    def handle(self, inbox_ids: Sequence[int]) -> None:
        """Handle these messages, each on its own; then wake what they gave work to."""
        woken: set[tuple[str, LaneName]] = set()
        for inbox_id in inbox_ids:
            woken |= self._handle_one(inbox_id)
        for tenant, lane in sorted(woken):
            self.waker.lane(tenant, lane)
        self.waker.relay()

    def _handle_one(self, inbox_id: int) -> set[tuple[str, LaneName]]:
        row = inbox.load(inbox_id)
        if row.state != InboxState.ACCEPTED:
            return set()
        wait = self._must_wait(row)
        if wait is not None:
            self._postpone(row, wait)
            return set()
        with structlog.contextvars.bound_contextvars(message_id=row.message_id):
            try:
                return {(row.tenant, lane) for lane in self._handle(row)}
            except Refused as refusal:
                self._reject(row, refusal)
            except Held as held:
                self._hold(row, held)
            except VersionMoved:
                log.info("message.raced")
                self._postpone(row, timedelta())
            except BOOKS_AWAY:
                raise  # not the message's fault, and nothing could be noted
            except Exception as error:  # noqa: BLE001 its neighbours must have a turn
                self._count_failure(row, error)
        return set()

    def _must_wait(self, row: Inbox) -> timedelta | None:
        """How long until it is worth another look; None: it may be handled."""
        if not self._is_ready(row.tenant) or inbox.is_behind_another(row):
            return UNTIL_READY
        return WHILE_PAUSED if seasons.is_paused(row.season_id) else None

    def _handle(self, row: Inbox) -> Sequence[LaneName]:
        """Decide and commit; the lanes that now have work."""
        envelope = Envelope.model_validate(json.loads(row.body))
        if envelope.type == MEMBER_UPDATED:
            data = validated(MemberUpdated, envelope.data)
            said = Said(row, envelope.time, [data.member], self.settings.bus.groups[0])
            policy = self.settings.tenants[row.tenant]
            member_updates.commit_update(said, policy, self.clock.now())
            return [LaneName.CONTACT_READS]
        if envelope.type == SEASON_PLAN_REQUESTED:
            self.plans.answer(row, envelope)
            return []
        return self._follow_rule(row, envelope)

    def _follow_rule(self, row: Inbox, envelope: Envelope) -> Sequence[LaneName]:
        decided = self.rules.ask(row.tenant, envelope)
        workflow, decision = decided.workflow, decided.decision
        # A season stands behind what somebody waits for, whatever it is made of.
        is_awaited = decided.setup.is_awaited and row.season_id is None
        setup = replace(decided.setup, is_awaited=is_awaited)
        members = list(named_in(decided.data))
        said = Said(row, envelope.time, members, self.settings.bus.groups[0])
        now = self.clock.now()
        if isinstance(decision, Undo):
            undoing.commit_undo(row, workflow, decision, said, setup.policy, now)
            return [LaneName.VOIDS, LaneName.CONTACT_READS]
        self._require_wanted(row, decided, decision, now)
        free = drafting.commit_draft(row, workflow, decision, setup, said, now)
        if free is not None:
            self._settle_free(row, free)
        return [
            LaneName.CONTACT_READS,
            *(lane_of(kind, is_awaited=setup.is_awaited) for kind in FOLLOWING),
        ]

    def _require_wanted(
        self, row: Inbox, decided: Decided, draft: InvoiceDraft, now: datetime
    ) -> None:
        """Raises: Held: a person must look at it first. Refused: nobody wants it."""
        if row.season_id is None:
            guards.check(row.tenant, decided, draft, now)
            return
        with transaction():
            seasons.require_wanted(row)
        if seasons.planned_for(row.id).get("draft") != draft_hash(draft):
            reason = "it would be another invoice than the season's plan says"
            raise Held(f"season:{row.season_id}", reason)

    def _settle_free(self, row: Inbox, free: Invoice) -> None:
        try:
            self.settler.settle_free(free)
        except PluginFailed:
            # Its problem is open; the action must follow all the same.
            self._postpone(row, HOOK_RETRY)

    def _is_ready(self, tenant: str) -> bool:
        if recovery.is_needed(tenant):
            return False  # or what is in Xero already would be invoiced once more
        return self.rules.has_asked(tenant) or (
            reference_data.is_known(tenant) and mirror.is_loaded(tenant)
        )

    def _postpone(self, row: Inbox, wait: timedelta) -> None:
        with transaction():
            inbox.postpone(row.id, self.clock.now() + wait)

    def _reject(self, row: Inbox, refusal: Refused) -> None:
        now = self.clock.now()
        with transaction():
            if inbox.finish(row.id, InboxState.REJECTED):
                answer = answers.rejected(row, refusal, message_id=row.message_id)
                outbox.say([answer], tenant=row.tenant, at=now, answers=row)
        self.metrics.messages_in.labels("refused").inc()
        log.info("message.refused", field=refusal.field, reason=refusal.reason)

    def _hold(self, row: Inbox, held: Held) -> None:
        """It waits for a person, and all of its type with it."""
        now, cause = self.clock.now(), f"{held.cause}:{row.type}"
        with transaction():
            if not inbox.hold(row.id, cause):
                return
            title, tenant = held.reason, row.tenant
            if row.season_id is None:
                problems.open_problem(
                    "too_many_invoices", cause, title, now, tenant=tenant
                )
            else:
                problems.open_problem(
                    "season_differs", cause, title, now, tenant=tenant
                )
            answer = answers.held(row, cause, held.reason)
            outbox.say([answer], tenant=row.tenant, at=now, answers=row)
        log.warning("message.held", cause=cause)

    def _count_failure(self, row: Inbox, failure: Exception) -> None:
        """A plugin's bug, or one of ours: tried again, and then a person's to see."""
        now = self.clock.now()
        culprit = "core"
        if isinstance(failure, PluginFailed):
            culprit = f"plugin:{failure.plugin}"
            self.metrics.plugin_failures.labels(failure.plugin).inc()
        log.exception("message.failed", culprit=culprit, tries=row.tries + 1)
        with transaction():
            if row.tries + 1 < TRIES:
                inbox.count_failure(row.id, now + RETRY * (row.tries + 1))
                return
            cause, title = f"{culprit}:{row.type}", str(failure) or repr(failure)
            if isinstance(failure, PluginFailed):
                problems.open_problem("plugin_failed", cause, title, now)
            else:
                problems.open_problem("message_failed", cause, title, now)
            if inbox.hold(row.id, cause):
                answer = answers.held(row, cause, "it could not be handled")
                outbox.say([answer], tenant=row.tenant, at=now, answers=row)
