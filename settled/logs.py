"""JSON lines on standard error: events with fields, ids and never personal data."""

import logging
import sys
from typing import Literal

import structlog

Level = Literal["debug", "info", "warning", "error"]


def configure_logs(level: Level) -> None:
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Dramatiq, uvicorn and urllib3 speak through the standard library.
    logging.basicConfig(
        level=max(threshold, logging.WARNING),
        stream=sys.stderr,
        format='{"at":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s",'
        '"event":"%(message)s"}',
        force=True,
    )
