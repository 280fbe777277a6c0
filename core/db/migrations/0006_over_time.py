"""What a member's contact says over time, and what was agreed about it.

The mirror is read anew: what it kept so far has no details to compare with.
"""

from peewee import *

from core.db.fields import IdField
from core.db.fields import JsonField
from core.db.fields import MomentField


def up(migrator, db):
    migrator.migrate(migrator.add_column("contact", "details", JsonField(default=dict)))
    db.execute_sql("DELETE FROM cursor WHERE resource = 'contacts'")
    db.execute_sql("DELETE FROM reference_data WHERE kind = 'mirror_loaded'")

    class MemberProfile(Model):
        id = IdField()
        tenant = CharField()
        member_id = CharField(max_length=50)
        contact_id = CharField(null=True)
        contact_status = CharField(default="")
        fields = JsonField(default=dict)
        waiting = JsonField(default=list)

        class Meta:
            database = db
            table_name = "member_profile"
            legacy_table_names = False
            indexes = ((("tenant", "member_id"), True),)

    db.create_tables([MemberProfile])

    class ContactEdit(Model):
        id = IdField()
        tenant = CharField()
        member_id = CharField(max_length=50)
        contact_id = CharField()
        field = CharField()
        agreed = JsonField(null=True)
        platform = JsonField(null=True)
        xero = JsonField(null=True)
        winner = CharField()
        decided_at = MomentField()

        class Meta:
            database = db
            table_name = "contact_edit"
            legacy_table_names = False
            indexes = ((("tenant", "member_id"), False),)

    db.create_tables([ContactEdit])

    class ContactRead(Model):
        id = IdField()
        tenant = CharField()
        contact_id = CharField()
        asked = IntegerField(default=1)
        event_at = MomentField(null=True)
        is_needed = BooleanField(default=False)
        due_at = MomentField(index=True)

        class Meta:
            database = db
            table_name = "contact_read"
            legacy_table_names = False
            indexes = ((("tenant", "contact_id"), True),)

    db.create_tables([ContactRead])


def down(migrator, db):
    db.execute_sql('DROP TABLE "contact_read"')
    db.execute_sql('DROP TABLE "contact_edit"')
    db.execute_sql('DROP TABLE "member_profile"')
    migrator.migrate(migrator.drop_column("contact", "details"))
