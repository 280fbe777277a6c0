"""A wrong or missing setting names itself."""

from pathlib import Path

import pytest

import plugins.membership
from core.errors import SettingsInvalid
from core.registry import Registry
from core.settings import load_settings, settings_from
from core.workflow_settings import WorkflowTables


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SETTLED_CONFIG", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"xero": {"read_timeout_s": "soon"}}, "xero.read_timeout_s"),
        ({"xeroo": {}}, "xeroo"),
        ({"web": {"public_port": 70_000}}, "web.public_port"),
        ({"quota": {"concurrent": 0}}, "quota.concurrent"),
        ({"quota": {"reserves": {"bulk": {"minute": -1}}}}, "quota.reserves.bulk"),
        ({"tenants": {"main": {"zone": "Mars/Olympus"}}}, "tenants.main.zone"),
        ({"tenants": {"main": {"name_taken": "{nam}"}}}, "tenants.main.name_taken"),
        ({"tenants": {"main": {"name_taken": "{member_id}"}}}, "tenants.main.name_tak"),
        ({"tenants": {"main": {"subject_url": "ftp://x"}}}, "tenants.main.subject_url"),
        ({"tenants": {}}, "tenants"),
        ({"bus": {"groups": []}}, "bus.groups"),
        ({"xero": {"webhook_keys": ["a", "b", "c"]}}, "xero.webhook_keys"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings_from(values)
    assert refused.value.setting.startswith(named)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings_from({"xero": {"client_secret": ["s3cret"]}})
    assert "s3cret" not in str(refused.value)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[xero]\nclient_id = "from-file"\nread_timeout_s = 33\n')
    monkeypatch.setenv("SETTLED_XERO__CLIENT_ID", "from-environment")
    settings = load_settings(file)
    assert settings.xero.client_id == "from-environment"
    assert settings.xero.read_timeout_s == 33


def test_redis_url_is_read_from_its_usual_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://somewhere/3")
    given = settings_from({}).redis_url
    assert given is not None
    assert given.get_secret_value() == "redis://somewhere/3"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"there is no file .*none\.toml"):
        load_settings(tmp_path / "none.toml")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    file.write_text("[xero\n")
    with pytest.raises(SettingsInvalid, match=r"odd\.toml"):
        load_settings(file)


def test_zero_lifts_a_limit() -> None:
    limits = settings_from({"quota": {"minute": 0}}).quota.policy().limits
    assert limits.minute is None
    assert limits.day == 5_000


def test_a_table_of_no_workflow_is_refused() -> None:
    registry = Registry({"membership": plugins.membership})
    settings = settings_from({"plugins": {"memberships": {}}})
    with pytest.raises(SettingsInvalid, match=r"plugins\.memberships"):
        WorkflowTables(settings, registry)


def test_a_wrong_setting_of_a_workflow_is_named() -> None:
    registry = Registry({"membership": plugins.membership})
    settings = settings_from({"plugins": {"membership": {"due_days": "many"}}})
    with pytest.raises(SettingsInvalid, match=r"plugins\.membership\.due_days"):
        WorkflowTables(settings, registry)
