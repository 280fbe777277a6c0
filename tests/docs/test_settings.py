import tomllib
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from core.quota import DEFAULT_RESERVES
from core.registry import Registry
from core.settings import ReserveSettings, Settings, TenantSettings
from tests.docs.pages import bare, page, rows, section

TEXT = page("docs/settings.md")

#: Tables whose names a body chooses, or that have one table for each of something.
NAMED: dict[str, type[BaseModel]] = {
    "tenants": TenantSettings,
    "quota.reserves": ReserveSettings,
}


def settings() -> Iterator[tuple[str, Any]]:
    """Every setting by its name in the page, with its default."""
    yield from _of(Settings, "")
    for workflow, registered in Registry.installed().workflows.items():
        yield from _of(registered.rules.settings, f"plugins.{workflow}.")


def _of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        full = f"{prefix}{name}"
        if full in NAMED:
            key = "alias" if full == "tenants" else "purpose"
            yield from _of(NAMED[full], f"{full}.<{key}>.")
        elif isinstance(field.default, BaseModel):
            yield from _of(type(field.default), f"{full}.")
        elif full != "plugins":
            yield full, field.default


def documented() -> dict[str, str]:
    """Each setting's row: its name and its default as the page has it."""
    return {bare(row[0]): row[2] for row in rows(TEXT) if len(row) == 4}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(documented()) == {name for name, _ in settings()}


@pytest.mark.parametrize(
    ("name", "default"), list(settings()), ids=lambda value: str(value)[:40]
)
def test_default_in_the_page_is_the_default(name: str, default: Any) -> None:
    said = documented()[name]
    if default is None:
        assert said == "*none*"
    elif default is PydanticUndefined:
        assert said == "see below"
    else:
        in_toml = tomllib.loads(f"said = {bare(said)}")["said"]
        assert in_toml == (
            list(default) if isinstance(default, tuple) else default
        ) or (in_toml == str(default))


def test_reserves_in_the_page_are_the_reserves() -> None:
    table = {
        bare(row[0]): (int(row[2]), int(row[3]), float(row[4]))
        for row in rows(section(TEXT, "`[quota]`: what Xero allows"))
        if len(row) == 5
    }
    assert table == {
        purpose.value: (reserve.minute, reserve.concurrent, reserve.day_share)
        for purpose, reserve in DEFAULT_RESERVES.items()
    }


def test_choices_are_named() -> None:
    levels = get_args(Settings.model_fields["log_level"].annotation)
    row = next(row for row in rows(TEXT) if bare(row[0]) == "log_level")
    assert row[1] == ", ".join(f"`{level}`" for level in levels)
