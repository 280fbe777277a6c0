"""The database of this process."""

from typing import Any

from peewee import DatabaseProxy

#: Bound once by ``core.db.database.open_books``: one process, one database.
proxy: Any = DatabaseProxy()
