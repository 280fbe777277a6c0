"""An installation that talks to a stand-in Xero, for commands as processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from sandbox import App, Sandbox, browser
from sandbox.platform import prices_csv
from settled.demo.children import free_port
from tests.settled.command import Ended, running, settled, write_toml
from tests.world import LIFTED, OWN_LIFTED, xero_table


class Installation:
    """A folder with its settings; Xero is reached over HTTP."""

    def __init__(self, folder: Path, xero: Sandbox, public_port: int) -> None:
        self.folder = folder
        self.xero = xero
        self.values: dict[str, Any] = {
            "data_folder": str(folder / "data"),
            "web": {"public_port": public_port, "internal_port": 0},
            "quota": OWN_LIFTED,
            "xero": xero_table(xero),
        }

    def config(self, **changed: Any) -> str:
        """The settings as a file, some of them changed; its path."""
        values = dict(self.values)
        for name, value in changed.items():
            known = values.get(name, {})
            values[name] = {**known, **value} if isinstance(value, dict) else value
        return str(write_toml(self.folder / "settled.toml", values))

    def connect(self) -> tuple[httpx.Response, Ended]:
        """As a person would: the last page, and how the command ended."""
        with running("connect", "--config", self.config()) as person:
            page = browser.consent(person.consent_url())
            return page, person.wait()

    def import_prices(self) -> None:
        file = self.folder / "prices.csv"
        file.write_text(prices_csv(), encoding="utf-8")
        ended = settled("prices", "import", str(file), "--config", self.config())
        assert ended.code == 0, ended.err

    @property
    def redis_pid(self) -> int:
        """The process of the embedded Redis, which it writes into its lock itself."""
        return int((self.folder / "data" / "redis" / "server.lock").read_text())


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """With prices, not connected yet; Xero sends its webhooks there."""
    port = free_port()
    callback = f"http://localhost:{port}/oauth/callback"
    with Sandbox(limits=LIFTED, app=App(redirect_uris=[callback])) as xero:
        installation = Installation(folder, xero, port)
        installation.import_prices()
        yield installation
