"""An empty folder to stand in, and an environment that sets nothing."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test and of what it starts."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in os.environ:
        if name.startswith("SETTLED_") or name == "REDIS_URL":
            monkeypatch.delenv(name)
    # Rich folds its tables to the width of the terminal.
    monkeypatch.setenv("COLUMNS", "250")
    return folder
