"""What the campaign runs on: Xero, Redis, a database, the daemon, a platform."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from cryptography.fernet import Fernet

from bus.embedded import EmbeddedRedis
from core.settings import load_settings
from sandbox import Control, browser
from sandbox.platform import Platform, prices_csv
from settled.maintenance import import_price_file, migrate_books
from tests.faults.campaign.books import Books
from tests.faults.campaign.processes import Fleet, Post
from tests.servers import PostgresServer, ServerMissing, free_port, running_postgres
from tests.settled.command import running, write_toml
from tests.world import OWN_LIFTED

Database = Literal["postgres", "sqlite"]

UP_WITHIN_S = 60.0

#: A webhook that fails twice is tried again by Xero after a quarter of an hour, so the
#: sweep must see what was missed.
SWEEP_EVERY_S = 10

#: So small that it is soon full.
DISK_BYTES = 64 * 1024 * 1024

_LIFTED = ("minute", "day", "app-minute", "emails-per-day")


class Stage:
    """Everything up, connected and with prices. Use as a context manager.

    Args:
        folder: for whatever is made; small enough a path for a socket.
        contacts: in Xero from the beginning.
        workers: how many processes do Xero's work.
        is_disk_small: the database lies on a disk of its own, which can be filled.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        contacts: Iterable[Mapping[str, Any]],
        workers: int = 2,
        *,
        is_disk_small: bool = False,
    ) -> None:
        self.folder = folder
        self.database = database
        self.workers = workers
        self.is_disk_small = is_disk_small
        self.public_port = free_port()
        self.postgres: PostgresServer | None = None
        self._contacts = list(contacts)
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    @property
    def books_folder(self) -> Path:
        return self.folder / "books"

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.public_port}/webhooks/xero"

    def _start(self) -> None:
        self._start_redis()
        self._start_database()
        self._start_xero()
        config = self._config()
        settings = load_settings(config)
        migrate_books(settings)
        prices = self.folder / "prices.csv"
        prices.write_text(prices_csv(), encoding="utf-8")
        import_price_file(settings, prices)
        self.books = Books(self.books_url)
        self._closing.callback(self.books.close)
        self.fleet = Fleet(self._posts(config))
        self._closing.enter_context(self.fleet)
        self.fleet.wait_until_up(UP_WITHIN_S)
        self._connect(config)
        self.control.subscribe_webhooks(self.webhook_url)
        self.platform = Platform(self.redis_url)
        self._closing.enter_context(self.platform)

    def stop_daemon(self) -> None:
        """All of its processes, in good order."""
        self.fleet.__exit__(None, None, None)

    def open_webhooks(self) -> None:
        """As somebody would who sees that Xero has stopped to deliver."""
        if self.control.webhooks()["status"] != "ok":
            self.control.disable_webhooks()
            self.control.enable_webhooks()

    # -- servers ---------------------------------------------------------------------

    def _start_redis(self) -> None:
        port = free_port()
        self.redis_url = f"redis://127.0.0.1:{port}/0"
        self.redis = EmbeddedRedis(self.folder / "redis", port=port)
        self.redis.start()
        self._closing.callback(self.redis.stop)

    def _start_database(self) -> None:
        if self.database == "postgres":
            self.postgres = self._closing.enter_context(running_postgres())
            self.books_url = self._closing.enter_context(self.postgres.database())
            return
        self.books_folder.mkdir()
        if self.is_disk_small:
            self._closing.enter_context(_small_disk(self.books_folder))
        self.books_url = f"sqlite:///{self.books_folder / 'books.db'}"

    def _start_xero(self) -> None:
        callback = f"http://localhost:{self.public_port}/oauth/callback"
        arguments = ["sandbox", "serve", "--port", "0", "--json"]
        arguments += ["--redirect-uri", callback, "--keep-exchanges", "0"]
        for limit in _LIFTED:
            arguments += [f"--{limit}", "lifted"]
        post = Post("sandbox", "xero", arguments, self.folder / "sandbox.log")
        self._closing.enter_context(xero := Fleet([post]))
        xero.wait_until_up(UP_WITHIN_S)
        self.xero = dict(post.said)
        self.control = Control(self.xero["url"])
        self._closing.callback(self.control.close)
        self.control.seed_contacts(self._contacts)

    # -- the daemon ------------------------------------------------------------------

    def _posts(self, config: Path) -> Sequence[Post]:
        """One process for each role, and several groups of workers."""
        workers = [(f"worker-{n + 1}", "worker") for n in range(self.workers)]
        others = [(role, role) for role in ("pump", "relay", "intake", "web")]
        arguments = ["settled", "run", "--config", str(config), "--role"]
        return [
            Post(name, role, [*arguments, role], self.folder / f"{name}.log")
            for name, role in [*workers, *others]
        ]

    def _config(self) -> Path:
        url, xero = self.xero["url"], self.xero
        ports = ("web", "intake", "relay", "pump", "worker")
        return write_toml(
            self.folder / "settled.toml",
            {
                "data_folder": str(self.folder / "data"),
                "database_url": self.books_url,
                "redis_url": self.redis_url,
                "token_keys": [Fernet.generate_key().decode()],
                "log_level": "warning",
                "worker_threads": 8,
                "web": {"public_port": self.public_port},
                "roles": {f"{name}_port": 0 for name in ports}
                | {"worker_processes": 1},
                "quota": OWN_LIFTED,
                # More renew in an hour than any body has members.
                "plugins": {"membership": {"guard_invoices_per_hour": 0}},
                "sweep": {"invoices_every_s": SWEEP_EVERY_S},
                "xero": {
                    "client_id": xero["client_id"],
                    "client_secret": xero["client_secret"],
                    "redirect_uri": xero["redirect_uris"][0],
                    "webhook_keys": [xero["webhook_key"]],
                    "authorize_url": f"{url}/identity/connect/authorize",
                    "token_url": f"{url}/connect/token",
                    "connections_url": f"{url}/connections",
                    "api_url": f"{url}/api.xro/2.0",
                },
            },
        )

    def _connect(self, config: Path) -> None:
        """As a person would: open the address that the command prints."""
        with running("connect", "--config", str(config)) as person:
            browser.consent(person.consent_url())
            ended = person.wait()
        if ended.code:
            raise ServerMissing(f"connecting failed: {ended.err}")

    # -- what else can be done to it -------------------------------------------------

    def restart_redis(self) -> None:
        """After it was killed; with what it had written."""
        self.redis.stop()
        self.redis.start()

    def kill_redis(self) -> None:
        if self.redis.pid is not None:
            os.kill(self.redis.pid, signal.SIGKILL)

    def keep_redis(self) -> Path:
        """A copy of what Redis has written so far, as a backup takes it."""
        copy = self.folder / "redis-older"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / "redis" / "appendonlydir", copy)
        return copy

    def bring_back_redis(self, copy: Path) -> None:
        """While it is down: what it had written becomes what it was."""
        data = self.folder / "redis" / "appendonlydir"
        shutil.rmtree(data)
        shutil.copytree(copy, data)

    def fill_disk(self) -> None:
        """Until no byte is left for the database."""
        ballast, block = self.books_folder / "ballast", b"\0" * 65_536
        with ballast.open("wb", buffering=0) as file:
            for size in (65_536, 4_096, 1):
                _write_while_there_is_room(file, block[:size])

    def empty_disk(self) -> None:
        (self.books_folder / "ballast").unlink(missing_ok=True)


def _write_while_there_is_room(file: Any, block: bytes) -> None:
    try:
        while file.write(block) == len(block):
            pass
    except OSError:
        return


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for this folder; only root may, and only on Linux.

    Raises:
        ServerMissing: it can't be had; says why.
    """
    size = f"size={DISK_BYTES}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "settled-books", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)  # noqa: S603
    except FileNotFoundError as error:
        raise ServerMissing("a small disk: there is no `mount` here") from error
    if done.returncode:
        raise ServerMissing(f"a small disk needs root: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


def wait(seconds: float) -> None:
    """Let real time pass: what runs are processes, and no clock of ours is theirs."""
    threading.Event().wait(max(seconds, 0.0))
