"""Redis clients, made for what they do."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Commands answer in milliseconds; a stalled Redis must not hold a worker for long.
COMMAND_TIMEOUT_S = 5

#: Longer than any BLOCK that we send (2 s). With redis-py's own retries a blocked read
#: came back after 58 s (facts/engine.md, section 2).
BLOCKING_TIMEOUT_S = 10

#: How long a stream read waits for an entry.
BLOCK_MS = 1_000


def command_client(url: str) -> redis.Redis:
    """For everything that answers at once.

    No silent second tries: a script whose reply was lost would run twice.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=COMMAND_TIMEOUT_S,
        socket_connect_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )


def blocking_client(url: str) -> redis.Redis:
    """For the one thread that waits for entries of a stream."""
    return redis.Redis.from_url(
        url,
        socket_timeout=BLOCKING_TIMEOUT_S,
        socket_connect_timeout=COMMAND_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
    )
