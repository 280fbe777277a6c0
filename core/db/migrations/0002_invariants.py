"""Indexes for what is asked every few seconds."""

INDEXES = (
    ("intent", ("state",)),
    ("invoice", ("state", "created_at")),
    ("outbox", ("stream_id",)),
    ("write", ("state",)),
)


def up(migrator, db):
    for table, columns in INDEXES:
        migrator.migrate(migrator.add_index(table, columns))


def down(migrator, db):
    for table, columns in INDEXES:
        migrator.migrate(migrator.drop_index(table, "_".join((table, *columns))))
