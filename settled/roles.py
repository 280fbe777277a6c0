"""The roles of an installation, each of which may have processes of its own."""

from enum import StrEnum

from core.errors import SettingsInvalid
from core.settings import Settings


class Role(StrEnum):
    """What a process does."""

    WEB = "web"  # takes webhooks, and people who come back from a consent
    WORKER = "worker"  # handles messages, runs lanes
    INTAKE = "intake"  # from the stream into the inbox
    RELAY = "relay"  # from the outbox to the stream, which it also trims
    PUMP = "pump"  # wakes what is due


#: The first part of the name of a process that does everything.
EVERYTHING = "all"


def require_shareable(settings: Settings) -> str:
    """Whatever several processes share must be reachable by each of them.

    Returns:
        What they share, for a person.

    Raises:
        SettingsInvalid: Redis would be embedded, or the key lie in one host's folder.
    """
    if settings.redis_url is None:
        raise SettingsInvalid(
            "redis_url", "is not set: an embedded Redis is one process's alone"
        )
    url = settings.database_url
    if url is None or url.get_secret_value().startswith("sqlite:"):
        return "apart on one host, because of SQLite"
    if not settings.token_keys:
        raise SettingsInvalid(
            "token_keys",
            "is not set: a key in one host's data folder opens nothing on another",
        )
    return "apart on any host"
