"""Since when a process has been heard without a gap."""

from core.db.fields import MomentField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("process", "heard_since", MomentField(null=True))
    )


def down(migrator, db):
    migrator.migrate(migrator.drop_column("process", "heard_since"))
