"""An accepted message becomes what its workflow's rule decides: the table of contents.

handle → rule → draft or undo → books and answer, in one transaction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import BaseModel

from core import answers, drafting, member_updates, mirror, reference_data, undoing
from core.business_days import day_of
from core.clock import Clock
from core.db import inbox, outbox, problems, recovery, reference
from core.db.database import BOOKS_AWAY, transaction
from core.db.inbox import InboxState
from core.db.models import Inbox, Invoice
from core.drafts import Decision, Incoming, Prices, Rule, RuleContext, Undo
from core.errors import Refused, VersionMoved
from core.members import MEMBER_UPDATED, MemberUpdated, named_in
from core.messages import Envelope, validated
from core.metrics import Metrics
from core.people import Said
from core.registry import HOOK_RETRY, PluginFailed, Registry, Workflow
from core.settings import Settings
from core.settling import Settler
from core.waking import LaneName, Waker
from core.workflow_settings import WorkflowTables

log = structlog.get_logger()

#: How long a message waits for the tenant's first reads of Xero.
UNTIL_READY = timedelta(seconds=1)

#: A plugin that raises may have met a bug that the next start mends; thrice, with
#: growing waits, then a person is asked.
TRIES = 3
RETRY = timedelta(seconds=5)

#: A price or an account that was changed counts from the next look.
KEEP = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a tenant's messages are decided against."""

    read_at: datetime
    base_currency: str
    prices: Mapping[str, Prices]
    setup: drafting.Setup


class Handler:
    """Handles messages; safe to be called twice for the same one."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        tables: WorkflowTables,
        settler: Settler,
        waker: Waker,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.tables = tables
        self.settler = settler
        self.waker = waker
        self.clock = clock
        self.metrics = metrics
        self._held: dict[str, Surroundings] = {}

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
        if not self._is_ready(row.tenant):
            self._wait_for_tenant(row)
            return set()
        if inbox.is_behind_another(row):
            self._postpone(row, UNTIL_READY)
            return set()
        with structlog.contextvars.bound_contextvars(message_id=row.message_id):
            try:
                return {(row.tenant, lane) for lane in self._handle(row)}
            except Refused as refusal:
                self._reject(row, refusal)
            except VersionMoved:
                log.info("message.raced")
                self._postpone(row, timedelta())
            except BOOKS_AWAY:
                raise  # not the message's fault, and nothing could be noted
            except Exception as error:  # noqa: BLE001 its neighbours must have a turn
                self._count_failure(row, error)
        return set()

    def _handle(self, row: Inbox) -> Sequence[LaneName]:
        """Decide and commit; the lanes that now have work."""
        envelope = Envelope.model_validate(json.loads(row.body))
        if envelope.type == MEMBER_UPDATED:
            data = validated(MemberUpdated, envelope.data)
            said = Said(row, envelope.time, [data.member], self.settings.bus.groups[0])
            policy = self.settings.tenants[row.tenant]
            member_updates.commit_update(said, policy, self.clock.now())
            return [LaneName.CONTACT_READS]
        owned = self.registry.rule_for(envelope.type)
        if owned is None:
            raise Refused(f"no workflow handles {envelope.type}", "type")
        return self._follow_rule(row, envelope, *owned)

    def _follow_rule(
        self, row: Inbox, envelope: Envelope, workflow: Workflow, rule: Rule[Any]
    ) -> Sequence[LaneName]:
        surroundings = self._surroundings(row.tenant)
        data = validated(rule.model, envelope.data)
        decision = self._decide(
            row.tenant, workflow, rule, envelope, data, surroundings
        )
        said = Said(
            row, envelope.time, list(named_in(data)), self.settings.bus.groups[0]
        )
        setup, now = surroundings.setup, self.clock.now()
        if isinstance(decision, Undo):
            undoing.commit_undo(row, workflow.name, decision, said, setup.policy, now)
            return [LaneName.VOIDS, LaneName.CONTACT_READS]
        email = self.tables.of(workflow.name).email
        setup = replace(setup, is_emailed=email)
        free = drafting.commit_draft(row, workflow.name, decision, setup, said, now)
        if free is not None:
            self._settle_free(row, free)
        return [LaneName.CONTACTS, LaneName.CONTACT_READS, LaneName.INVOICES]

    def _settle_free(self, row: Inbox, free: Invoice) -> None:
        try:
            self.settler.settle_free(free)
        except PluginFailed:
            # Its problem is open; the action must follow all the same.
            self._postpone(row, HOOK_RETRY)

    def _decide(
        self,
        tenant: str,
        workflow: Workflow,
        rule: Rule[Any],
        envelope: Envelope,
        data: BaseModel,
        surroundings: "Surroundings",
    ) -> Decision:
        """Ask the rule, outside any transaction."""
        zone = self.settings.tenants[tenant].zone_info
        message = Incoming(envelope.id, envelope.type, envelope.subject, data)
        context = RuleContext(
            on=day_of(envelope.time, zone),
            base_currency=surroundings.base_currency,
            prices=surroundings.prices[workflow.name],
            settings=self.tables.of(workflow.name),
        )
        try:
            return rule.decide(message, context)
        except Refused:
            raise
        except Exception as error:
            raise PluginFailed(workflow.name, envelope.type, repr(error)) from error

    def _surroundings(self, tenant: str) -> "Surroundings":
        """What rules and drafts look up, read from the books every few seconds."""
        now = self.clock.now()
        held = self._held.get(tenant)
        if held is None or held.read_at + KEEP < now:
            held = self._held[tenant] = Surroundings(
                read_at=now,
                base_currency=reference_data.base_currency(tenant),
                prices={w: reference.prices(w) for w in self.registry.workflows},
                setup=drafting.Setup(
                    policy=self.settings.tenants[tenant],
                    rates=reference_data.percent_by_tax_type(tenant),
                    accounts=reference_data.account_codes(tenant),
                ),
            )
        return held

    def _is_ready(self, tenant: str) -> bool:
        if recovery.is_needed(tenant):
            return False  # or what is in Xero already would be invoiced once more
        return tenant in self._held or (
            reference_data.is_known(tenant) and mirror.is_loaded(tenant)
        )

    def _wait_for_tenant(self, row: Inbox) -> None:
        now = self.clock.now()
        with transaction():
            inbox.postpone(row.id, now + UNTIL_READY)

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
            if inbox.finish(row.id, InboxState.HELD):
                answer = answers.held(row, cause, "it could not be handled")
                outbox.say([answer], tenant=row.tenant, at=now, answers=row)
