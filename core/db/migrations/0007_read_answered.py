"""Readings of an invoice are ordered by when Xero answered, no more by our clocks."""


def up(migrator, db):
    migrator.migrate(
        migrator.rename_column("invoice", "read_sent_at", "read_answered_at")
    )


def down(migrator, db):
    migrator.migrate(
        migrator.rename_column("invoice", "read_answered_at", "read_sent_at")
    )
