"""Redis clients, made for what they do."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import SettingsInvalid, StoreUnreachable

Client = redis.Redis


#: Whatever redis-py raises where Redis does not answer as it should.
REDIS_AWAY = redis.RedisError


class RedisUnreachable(StoreUnreachable):
    """Redis does not answer."""

    def __init__(self, error: redis.RedisError) -> None:
        # In one line, which an answer of Redis may not be.
        super().__init__(f"Redis can't be reached: {' '.join(str(error).split())}")


#: Commands answer in milliseconds; a stalled Redis must not hold a worker for long.
COMMAND_TIMEOUT_S = 5

#: Longer than any BLOCK that we send (2 s). With redis-py's own retries a blocked read
#: came back after 58 s (facts/engine.md, section 2).
BLOCKING_TIMEOUT_S = 10

#: How long a stream read waits for an entry.
BLOCK_MS = 1_000


def command_client(url: str) -> Client:
    """For everything that answers at once."""
    return _client(url, COMMAND_TIMEOUT_S)


def blocking_client(url: str) -> Client:
    """For the one thread that waits for entries of a stream."""
    return _client(url, BLOCKING_TIMEOUT_S)


def _client(url: str, timeout_s: float) -> Client:
    """No silent second tries: a script whose reply was lost would run twice.

    Raises:
        SettingsInvalid: it is no address; what redis-py says may hold the password.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=COMMAND_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
        )
    except ValueError:
        raise SettingsInvalid(
            "redis_url", "is no Redis URL: redis://, rediss:// or unix://"
        ) from None


def why_not_ready(client: Client) -> str | None:
    """None while Redis answers, else what is wrong."""
    try:
        client.ping()
    except redis.RedisError as error:
        return f"redis: {type(error).__name__}"
    return None


def require_durable(client: Client) -> str:
    """Redis must keep what it accepted and never evict.

    Raises:
        RedisUnreachable: no answer.
        SettingsInvalid: it keeps nothing over a restart, or drops keys when full.
    """
    try:
        held: Any = client.config_get("appendonly", "maxmemory-policy")
    except redis.RedisError as error:
        raise RedisUnreachable(error) from error
    found = {_text(name): _text(value) for name, value in held.items()}
    if found.get("appendonly") != "yes":
        raise SettingsInvalid(
            "redis_url", "appendonly is off: a restart loses messages"
        )
    policy = found.get("maxmemory-policy")
    if policy != "noeviction":
        raise SettingsInvalid("redis_url", f"maxmemory-policy is {policy}: it evicts")
    return "append-only, no eviction"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
