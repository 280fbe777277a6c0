"""The plugins: found by entry point, checked, asked one at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

import pluggy
from pydantic import BaseModel

from core import hookspecs
from core.drafts import InvoiceRules, Rule
from core.errors import SettledError
from core.facts import TOLD, Action, InvoiceEvent
from core.members import MEMBER_UPDATED, MemberUpdated
from core.plan_requests import SEASON_PLAN_REQUESTED, PlanRequested

ENTRY_POINT_GROUP = "settled.plugins"

#: Messages that concern every workflow: no plugin may own them.
CORE_MESSAGES: Mapping[str, type[BaseModel]] = {
    MEMBER_UPDATED: MemberUpdated,
    SEASON_PLAN_REQUESTED: PlanRequested,
}

#: After a hook has failed, it is asked again when the plugin may be mended.
HOOK_RETRY = timedelta(minutes=1)

EVENT_HOOKS = tuple(hook for hook, _ in TOLD.values())


class PluginInvalid(SettledError):
    """A plugin can't be used as it is; the daemon refuses to start."""

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"plugin {plugin}: {reason}")


class PluginFailed(SettledError):
    """A plugin's hook or rule raised, or returned what it must not."""

    def __init__(self, plugin: str, hook: str, reason: str) -> None:
        super().__init__(f"plugin {plugin}, {hook}: {reason}")
        self.plugin = plugin


@dataclass(frozen=True, slots=True)
class Workflow:
    """A registered plugin and what it said of itself."""

    name: str
    plugin: object
    rules: InvoiceRules


class Registry:
    """Which workflow owns a message type, and the way to its hooks."""

    def __init__(self, plugins: Mapping[str, object]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.workflows: dict[str, Workflow] = {}
        self._rules: dict[str, tuple[Workflow, Rule[Any]]] = {}
        for name in sorted(plugins):
            self._add(name, plugins[name])

    @classmethod
    def installed(cls) -> "Registry":
        """Every plugin that an installed package names as an entry point."""
        found: dict[str, object] = {}
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            try:
                found[entry.name] = entry.load()
            except Exception as error:
                raise PluginInvalid(
                    entry.name, f"can't be imported: {error}"
                ) from error
        return cls(found)

    @property
    def message_types(self) -> Iterable[str]:
        return {*CORE_MESSAGES, *self._rules}

    def model_for(self, message_type: str) -> type[BaseModel] | None:
        """What reads a message's data; None if nobody takes this type."""
        if message_type in CORE_MESSAGES:
            return CORE_MESSAGES[message_type]
        owned = self._rules.get(message_type)
        return None if owned is None else owned[1].model

    def rule_for(self, message_type: str) -> tuple[Workflow, Rule[Any]] | None:
        """The owner of a message type and its rule; None if nobody owns it."""
        return self._rules.get(message_type)

    def react(self, workflow: str, event: InvoiceEvent) -> list[Action]:
        """Ask the owner what follows a fact.

        Raises:
            PluginFailed: whatever it raised, or an action that it did not register.
        """
        owner = self.workflows[workflow]
        hook = TOLD[event.fact][0]
        others = [w.plugin for w in self.workflows.values() if w is not owner]
        try:
            answers = self._manager.subset_hook_caller(hook, others)(event=event)
        except Exception as error:
            raise PluginFailed(workflow, hook, repr(error)) from error
        actions = [action for answer in answers for action in answer]
        for action in actions:
            if action.type not in owner.rules.actions:
                raise PluginFailed(workflow, hook, f"{action.type} is not registered")
        return actions

    def _add(self, name: str, plugin: object) -> None:
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginInvalid(name, str(error)) from error
        missing = [
            hook
            for hook in ("register_invoice_rules", *EVENT_HOOKS)
            if not self._implements(plugin, hook)
        ]
        if missing:
            raise PluginInvalid(name, f"lacks {', '.join(missing)}")
        rules = self._rules_of(name, plugin)
        workflow = Workflow(rules.workflow, plugin, rules)
        if rules.workflow in self.workflows:
            raise PluginInvalid(name, f"workflow {rules.workflow} is already owned")
        self.workflows[rules.workflow] = workflow
        for rule in rules.rules:
            self._own(name, workflow, rule)

    def _implements(self, plugin: object, hook: str) -> bool:
        caller = getattr(self._manager.hook, hook)
        return any(impl.plugin is plugin for impl in caller.get_hookimpls())

    def _rules_of(self, name: str, plugin: object) -> InvoiceRules:
        others = [p for p in self._manager.get_plugins() if p is not plugin]
        caller = self._manager.subset_hook_caller("register_invoice_rules", others)
        (rules,) = caller()
        if not isinstance(rules, InvoiceRules):
            raise PluginInvalid(name, "register_invoice_rules returns no InvoiceRules")
        return rules

    def _own(self, name: str, workflow: Workflow, rule: Rule[Any]) -> None:
        if rule.message_type in CORE_MESSAGES:
            raise PluginInvalid(name, f"{rule.message_type} is core's own")
        if rule.message_type in self._rules:
            owner = self._rules[rule.message_type][0].name
            raise PluginInvalid(name, f"{rule.message_type} is owned by {owner}")
        self._rules[rule.message_type] = (workflow, rule)
