"""A command that runs beside a daemon uses the Redis that the daemon has started."""

from pathlib import Path

import pytest

from bus.connection import command_client, why_not_ready
from bus.embedded import EmbeddedRedis, RedisFolderTaken
from core.settings import settings_from
from settled.stores import Stores


def test_a_guest_uses_the_redis_of_the_daemon(here: Path) -> None:
    stores = Stores(settings_from({"data_folder": here}))
    with EmbeddedRedis(here / "redis") as daemons:
        assert stores.redis_url(is_guest=True) == daemons.url
        with pytest.raises(RedisFolderTaken):
            stores.redis_url()
        stores.close()
        assert daemons.alive


def test_where_no_daemon_runs_a_guest_starts_its_own_and_ends_it(here: Path) -> None:
    stores = Stores(settings_from({"data_folder": here}))
    with command_client(stores.redis_url(is_guest=True)) as client:
        assert why_not_ready(client) is None
        stores.close()
        assert why_not_ready(client) is not None
