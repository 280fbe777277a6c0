"""Each workflow's own table of the settings, read by its own model."""

from pydantic import ValidationError

from core.drafts import WorkflowSettings
from core.errors import SettingsInvalid
from core.registry import Registry
from core.settings import Settings, invalid


class WorkflowTables:
    """``[plugins.<workflow>]`` of every registered workflow."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        unknown = set(settings.plugins) - set(registry.workflows)
        if unknown:
            name = sorted(unknown)[0]
            raise SettingsInvalid(f"plugins.{name}", "no such workflow is installed")
        self._tables = {
            name: _read(name, workflow.rules.settings, settings.plugins.get(name, {}))
            for name, workflow in registry.workflows.items()
        }
        self._refuse_shared_prefixes()

    def of(self, workflow: str) -> WorkflowSettings:
        return self._tables[workflow]

    def _refuse_shared_prefixes(self) -> None:
        owners: dict[str, str] = {}
        for name, table in self._tables.items():
            owner = owners.setdefault(table.number_prefix, name)
            if owner != name:
                raise SettingsInvalid(
                    f"plugins.{name}.number_prefix",
                    f"{table.number_prefix} is already {owner}'s",
                )


def _read(
    name: str, model: type[WorkflowSettings], values: dict[str, object]
) -> WorkflowSettings:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error, f"plugins.{name}") from None
