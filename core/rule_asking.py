"""Asking a workflow's rule what a message becomes; nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from core import reference_data
from core.business_days import day_of
from core.clock import Clock
from core.db import reference
from core.drafting import Setup
from core.drafts import (
    Decision,
    Incoming,
    Prices,
    Rule,
    RuleContext,
    WorkflowSettings,
)
from core.errors import Refused
from core.messages import Envelope, validated
from core.registry import PluginFailed, Registry, Workflow
from core.settings import Settings
from core.workflow_settings import WorkflowTables

#: A price or an account that was changed counts from the next look.
KEEP = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a tenant's messages are decided against."""

    read_at: datetime
    base_currency: str
    prices: Mapping[str, Prices]
    setup: Setup


@dataclass(frozen=True, slots=True)
class Decided:
    """What a rule has decided, and what a draft of it needs besides."""

    workflow: str
    rule: Rule[Any]
    data: BaseModel
    decision: Decision
    setup: Setup
    table: WorkflowSettings


class RuleAsking:
    """One for a process: what rules look up is read every few seconds."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        tables: WorkflowTables,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.tables = tables
        self.clock = clock
        self._held: dict[str, Surroundings] = {}

    def has_asked(self, tenant: str) -> bool:
        """Whether this tenant's accounts and prices have been here before."""
        return tenant in self._held

    def ask(self, tenant: str, envelope: Envelope) -> Decided:
        """Ask the owner of the message's type, outside any transaction.

        Raises:
            Refused: nobody owns it, or it can't be invoiced.
            PluginFailed: the rule raised something else.
        """
        owned = self.registry.rule_for(envelope.type)
        if owned is None:
            raise Refused(f"no workflow handles {envelope.type}", "type")
        workflow, rule = owned
        data = validated(rule.model, envelope.data)
        around = self._surroundings(tenant)
        decision = self._decide(tenant, workflow, rule, envelope, data, around)
        table = self.tables.of(workflow.name)
        setup = replace(
            around.setup, is_emailed=table.email, is_awaited=rule.is_awaited
        )
        return Decided(workflow.name, rule, data, decision, setup, table)

    def _decide(
        self,
        tenant: str,
        workflow: Workflow,
        rule: Rule[Any],
        envelope: Envelope,
        data: BaseModel,
        around: Surroundings,
    ) -> Decision:
        zone = self.settings.tenants[tenant].zone_info
        message = Incoming(envelope.id, envelope.type, envelope.subject, data)
        context = RuleContext(
            on=day_of(envelope.time, zone),
            base_currency=around.base_currency,
            prices=around.prices[workflow.name],
            settings=self.tables.of(workflow.name),
        )
        try:
            return rule.decide(message, context)
        except Refused:
            raise
        except Exception as error:
            raise PluginFailed(workflow.name, envelope.type, repr(error)) from error

    def _surroundings(self, tenant: str) -> Surroundings:
        now = self.clock.now()
        held = self._held.get(tenant)
        if held is None or held.read_at + KEEP < now:
            held = self._held[tenant] = Surroundings(
                read_at=now,
                base_currency=reference_data.base_currency(tenant),
                prices={w: reference.prices(w) for w in self.registry.workflows},
                setup=Setup(
                    policy=self.settings.tenants[tenant],
                    rates=reference_data.percent_by_tax_type(tenant),
                    accounts=reference_data.account_codes(tenant),
                ),
            )
        return held
