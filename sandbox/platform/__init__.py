"""A member platform that speaks to the daemon only through two Redis streams."""

from sandbox.platform.platform import Platform, Received
from sandbox.platform.prices import Price, prices_csv
from sandbox.platform.season import BadMessage, Season, Wish

__all__ = [
    "BadMessage",
    "Platform",
    "Price",
    "Received",
    "Season",
    "Wish",
    "prices_csv",
]
