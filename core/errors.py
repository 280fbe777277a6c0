"""Errors, named by what happened and grouped by what to do next.

SettledError
├── SettingsInvalid        a setting is wrong or missing: refuse to start
├── BooksUnusable          the database is missing, old or not ours: refuse to start
├── StoreUnreachable       a server that holds our data is away: wait, or start it
│   └── BooksUnreachable       PostgreSQL; of Redis bus.connection says it
├── Refused                a message can't be done: answer it, naming the field
├── VersionMoved           somebody changed the row first: read again and try anew
├── NotConnected           no usable Xero connection: a person must connect
└── XeroError
    ├── XeroWait           nothing left for Xero: the row goes back until a moment
    │   └── XeroRateLimited    Xero said 429, with its kind
    ├── XeroUnreachable    no connection was made, so nothing was sent
    ├── XeroUnauthorised   401 or 403: the connection, a scope or the tenant is wrong
    ├── XeroRefused        4xx: a clear answer about the whole request
    └── XeroOutcomeUnknown sent, and no clear answer came
"""

from datetime import datetime


class SettledError(Exception):
    """Root of every error that is ours."""


class SettingsInvalid(SettledError):
    """A setting is wrong or missing; the daemon doesn't start."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason


class BooksUnusable(SettledError):
    """The database can't be used as it is."""


class StoreUnreachable(SettledError):
    """A server that holds our data can't be reached."""


class BooksUnreachable(StoreUnreachable):
    """PostgreSQL can't be reached; of SQLite everything is in a file."""


class Refused(SettledError):
    """A message can't be done.

    Args:
        reason: what is wrong, for a person.
        field: where, as a dotted path into the message, if one field is to blame.
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class Held(SettledError):
    """A message waits for a person, and others of its type with it.

    Args:
        cause: of the problem that says so, before the message's type.
    """

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


class VersionMoved(SettledError):
    """A row changed between reading and writing; nothing was written."""


class NotConnected(SettledError):
    """There is no Xero connection for this tenant, or it has been withdrawn."""


class XeroError(SettledError):
    """Root of what a call to Xero can end in, besides its answer."""


class XeroWait(XeroError):
    """The call was not made; nothing left for Xero.

    Args:
        until: the first moment at which another try makes sense.
        reason: which limit or state asks for the wait.
    """

    def __init__(self, until: datetime, reason: str) -> None:
        super().__init__(f"{reason}, until {until.isoformat()}")
        self.until = until
        self.reason = reason


class XeroRateLimited(XeroWait):
    """Xero answered 429; it evaluates limits before it reads anything else."""


class XeroUnreachable(XeroError):
    """No connection could be made, so nothing was sent."""


class XeroUnauthorised(XeroError):
    """401 or 403.

    Args:
        status: the HTTP status.
        detail: Xero's ``Detail``, such as ``TokenExpired``.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class XeroRefused(XeroError):
    """A 4xx about the whole request.

    Args:
        status: the HTTP status.
        reason: Xero's words, or the first of them.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class XeroOutcomeUnknown(XeroError):
    """The request was sent and no clear answer came: timeout, reset, 5xx, half a reply.

    Args:
        cached: Xero answered 5xx, and may repeat that answer under the same key.
    """

    def __init__(self, reason: str, *, cached: bool = False) -> None:
        super().__init__(reason)
        self.cached = cached
