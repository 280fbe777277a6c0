"""The import contracts can fail: each is broken once, in a copy of the tree."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "bus", "plugins", "settled", "sandbox")

#: Contract -> modules that are added to the copy, each with what it should not import.
VIOLATIONS = {
    "core": {
        "core.culprit": "bus",
        "core.culprit_2": "plugins",
        "core.ward": "settled",
    },
    "bus": {"bus.culprit": "plugins"},
    "sandbox": {"sandbox.culprit": "core.money", "sandbox.xero.culprit": "settled"},
    "plugins": {"plugins.culprit": "core.money", "plugins.culprit_2": "bus"},
    "plugins-io": {"plugins.culprit_3": "socket", "core.plugin": "sqlite3"},
    "plugins-apart": {"plugins.membership.culprit": "plugins.events"},
    "xero-python": {"core.culprit_3": "xero_python", "core.web.ward": "xero_python"},
    "peewee": {"core.culprit_4": "peewee", "bus.culprit_2": "playhouse.migrations"},
    "starlette": {"core.culprit_5": "starlette.routing", "bus.culprit_3": "uvicorn"},
    "core-layers": {"core.money": "core.db.models", "core.db.reads": "core.settling"},
    "contacts-layers": {"core.contacts.waiting": "core.contacts.deciding"},
    "matching-layers": {"core.matching.names": "core.matching.match"},
    "redis": {"core.culprit_6": "redis", "settled.culprit": "dramatiq"},
}


def contracts() -> dict[str, str]:
    """Their ids and names, as .importlinter has them."""
    read = configparser.ConfigParser()
    read.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return {
        section.removeprefix(prefix): read[section]["name"]
        for section in read.sections()
        if section.startswith(prefix)
    }


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a tree with every violation in it."""
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    shutil.copy(ROOT / ".importlinter", tree)
    (tree / "plugins" / "events").mkdir(exist_ok=True)
    (tree / "plugins" / "events" / "__init__.py").touch()
    for violations in VIOLATIONS.values():
        for module, forbidden in violations.items():
            path = tree / Path(*module.split(".")).with_suffix(".py")
            with path.open("a") as file:
                file.write(f"\nimport {forbidden}\n")
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(  # noqa: S603 the linter of this environment
        [linter, "--no-cache"], cwd=tree, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_every_contract_has_a_violation_to_catch() -> None:
    assert set(VIOLATIONS) == set(contracts())


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_violation_breaks_its_contract(verdict: str, contract: str) -> None:
    name = contracts()[contract]
    assert f"{name} BROKEN" in verdict
    _, _, report = verdict.partition("Broken contracts")
    _, _, section = report.partition(f"\n{name}\n---")
    for module, forbidden in VIOLATIONS[contract].items():
        package, _, _ = forbidden.partition(".")
        assert f"{module} -> {package}" in section
