import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from core.quota import DEFAULT_RESERVES
from core.registry import Registry
from core.settings import Settings, load_settings
from core.workflow_settings import WorkflowTables
from tests.docs.pages import ROOT

EXAMPLE = ROOT / "deploy" / "settled.example.toml"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("SETTLED_") or name == "REDIS_URL":
            monkeypatch.delenv(name)


@pytest.fixture
def all_given(tmp_path: Path) -> Settings:
    """The example with every commented setting switched on."""
    file = tmp_path / "settled.toml"
    file.write_text(re.sub(r"^#(?=[a-z\[])", "", EXAMPLE.read_text(), flags=re.M))
    return load_settings(file)


def _given(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting that was given; one that was not fails."""
    for name in type(model).model_fields:
        assert name in model.model_fields_set, f"{prefix}{name} is not in the example"
        value = getattr(model, name)
        values = value if isinstance(value, Mapping) else {"": value}
        for key, inner in values.items():
            path = f"{prefix}{name}.{key}" if key else f"{prefix}{name}"
            if isinstance(inner, BaseModel):
                yield from _given(inner, f"{path}.")
            else:
                yield path, inner


def _default_of(path: str) -> Any:
    value: Any = Settings()
    for name in path.split("."):
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value


def test_example_changes_nothing_as_it_is() -> None:
    loaded = load_settings(EXAMPLE)
    assert loaded.model_copy(update={"plugins": {}}) == Settings()


def test_example_has_every_setting_with_its_default(all_given: Settings) -> None:
    own = ("plugins.", "quota.reserves.")
    differing = {
        path
        for path, value in _given(all_given)
        if not path.startswith(own) and value != _default_of(path)
    }
    # These have no default; the example shows what they look like.
    assert differing == {
        "database_url",
        "redis_url",
        "bus.embedded_port",
        "xero.client_secret",
        "quota.bulk_hours",
        "tenants.main.tenant_id",
        "tenants.main.subject_url",
    }
    assert all_given.quota.policy().reserves == DEFAULT_RESERVES


def test_example_has_every_workflow_with_its_defaults(all_given: Settings) -> None:
    registry = Registry.installed()
    assert set(all_given.plugins) == set(registry.workflows)
    for name, workflow in registry.workflows.items():
        table = WorkflowTables(all_given, registry).of(name)
        assert table.model_fields_set == set(workflow.rules.settings.model_fields)
        # It has no default; the example shows what it looks like.
        unguarded = table.model_copy(update={"guard_sum_per_hour": None})
        assert unguarded == WorkflowTables(Settings(), registry).of(name)
