"""The books, Redis and the key of an installation, opened as the settings say."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from bus.embedded import EmbeddedRedis, RedisFolderTaken
from core.clock import SystemClock
from core.db.database import close_books, migrate, open_books, require_schema
from core.errors import SettingsInvalid, StoreUnreachable
from core.settings import Settings
from core.xero.sealing import Seal, own_key

log = structlog.get_logger()

#: Whatever starts a host starts everything at once, and a database needs seconds.
AWAIT_AT_MOST = timedelta(seconds=10)
LOOK_EVERY_S = 0.2


def await_store(look: Callable[[], object]) -> None:
    """Until the store is there that is looked for, for a short while.

    Raises:
        StoreUnreachable: it did not come; why not.
    """
    clock, never = SystemClock(), threading.Event()
    began_at, is_told = clock.now(), False
    while True:
        try:
            look()
        except StoreUnreachable as away:
            if clock.now() - began_at >= AWAIT_AT_MOST:
                raise
            if not is_told:
                log.warning("store.awaited", reason=str(away))
            is_told = True
        else:
            return
        clock.wait(never, LOOK_EVERY_S)


class Stores:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis: EmbeddedRedis | None = None

    def open_books(self, *, is_shared: bool = False) -> None:
        """Our own SQLite is brought up to date; a shared database must be already.

        Args:
            is_shared: other processes open it too, perhaps at this moment.
        """
        _make_folder(self.settings.data_folder)
        url = self.books_url()
        open_books(url)
        if url.startswith("sqlite:") and not is_shared:
            migrate()
        else:
            require_schema()

    def books_url(self) -> str:
        """Where the books are; for our own there is a folder from now on."""
        given = self.settings.database_url
        if given is not None:
            return given.get_secret_value()
        folder = self.settings.data_folder
        _make_folder(folder)
        return f"sqlite:///{folder / 'books.db'}"

    def redis_url(self, *, is_guest: bool = False) -> str:
        """The given server's, else that of an embedded one, started now.

        Args:
            is_guest: a daemon may be running on this data folder; then its server.
        """
        given = self.settings.redis_url
        if given is not None:
            return given.get_secret_value()
        folder = self.settings.data_folder / "redis"
        server = EmbeddedRedis(folder, port=self.settings.bus.embedded_port)
        try:
            self.redis = server.start()
        except RedisFolderTaken:
            if not is_guest:
                raise
        return server.url

    def seal(self) -> Seal:
        keys = [key.get_secret_value() for key in self.settings.token_keys]
        return Seal(keys or [own_key(self.settings.data_folder)])

    def close(self) -> None:
        close_books()
        if self.redis is not None:
            self.redis.stop()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsInvalid("data_folder", f"{folder}: {error.strerror}") from error
