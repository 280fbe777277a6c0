"""Seasons: messages that go out by a plan; and who waits for what."""

from peewee import *

from core.db.fields import IdField
from core.db.fields import JsonField
from core.db.fields import MomentField


def up(migrator, db):
    class Season(Model):
        id = IdField()
        tenant = CharField()
        name = CharField(max_length=100)
        state = CharField()
        plan = JsonField()
        awaited_per_day = IntegerField(default=0)
        started_at = MomentField()
        started_by = CharField()
        ended_at = MomentField(null=True)

        class Meta:
            database = db
            table_name = "season"
            legacy_table_names = False
            indexes = ((("tenant", "name"), True),)

    class Inbox(Model):
        id = IdField()

        class Meta:
            database = db
            table_name = "inbox"
            legacy_table_names = False

    class SeasonItem(Model):
        id = IdField()
        season = ForeignKeyField(Season, on_delete="RESTRICT")
        position = IntegerField()
        message_id = CharField(max_length=255)
        body = TextField()
        planned = JsonField()
        state = CharField()
        inbox = ForeignKeyField(Inbox, null=True, on_delete="RESTRICT")

        class Meta:
            database = db
            table_name = "season_item"
            legacy_table_names = False
            indexes = (
                (("season", "position"), True),
                (("season", "state", "position"), False),
            )

    class Switch(Model):
        id = IdField()
        tenant = CharField()
        name = CharField()
        until = MomentField(null=True)
        changed_at = MomentField()
        changed_by = CharField()

        class Meta:
            database = db
            table_name = "switch"
            legacy_table_names = False
            indexes = ((("tenant", "name"), True),)

    db.create_tables([Season, SeasonItem, Switch])

    def belongs():
        return ForeignKeyField(Season, field=Season.id, null=True, on_delete="RESTRICT")

    migrator.migrate(
        migrator.add_column("inbox", "season_id", belongs()),
        migrator.add_column("inbox", "held_for", CharField(max_length=255, default="")),
        migrator.add_column("invoice", "season_id", belongs()),
        migrator.add_column("invoice", "is_awaited", BooleanField(default=False)),
        migrator.add_column("intent", "is_awaited", BooleanField(default=False)),
        migrator.add_column("write", "is_awaited", BooleanField(default=False)),
        migrator.add_column("write", "held_by", CharField(default="")),
        migrator.add_index("invoice", ("tenant", "workflow", "created_at")),
        migrator.add_index("invoice", ("season_id", "state")),
        migrator.add_index("invoice", ("tenant", "emailed_at")),
        migrator.drop_index("write", "write_tenant_kind_state_due_at"),
        migrator.add_index(
            "write", ("tenant", "kind", "is_awaited", "state", "due_at")
        ),
    )


def down(migrator, db):
    migrator.migrate(
        migrator.drop_index("write", "write_tenant_kind_is_awaited_state_due_at"),
        migrator.add_index("write", ("tenant", "kind", "state", "due_at")),
        migrator.drop_index("invoice", "invoice_tenant_emailed_at"),
        migrator.drop_index("invoice", "invoice_season_id_state"),
        migrator.drop_index("invoice", "invoice_tenant_workflow_created_at"),
        migrator.drop_column("write", "held_by"),
        migrator.drop_column("write", "is_awaited"),
        migrator.drop_column("intent", "is_awaited"),
        migrator.drop_column("invoice", "is_awaited"),
        migrator.drop_column("invoice", "season_id"),
        migrator.drop_column("inbox", "held_for"),
        migrator.drop_column("inbox", "season_id"),
        migrator.drop_table("switch"),
        migrator.drop_table("season_item"),
        migrator.drop_table("season"),
    )
