"""Keys for every rule of matching, and decisions about contacts that are kept.

The mirror is made anew and not filled by a script: Xero's tax and company numbers were
never in it, so that it must be read again in any case, and nothing in it is our own.
Until it has been read (about 20 calls for 20,000 contacts) messages wait, as they do
after the first connection.
"""

from peewee import *
from core.db.fields import IdField
from core.db.fields import JsonField
from core.db.fields import MomentField


def up(migrator, db):
    class Contact(Model):
        id = IdField()
        tenant = CharField()
        contact_id = CharField()
        name = CharField()
        name_key = CharField()
        email = CharField(default="")
        email_key = CharField(default="")
        contact_number = CharField(default="")
        contact_number_key = CharField(default="")
        account_number = CharField(default="")
        account_number_key = CharField(default="")
        tax_number = CharField(default="")
        tax_number_key = CharField(default="")
        company_number = CharField(default="")
        company_number_key = CharField(default="")
        status = CharField()
        merged_to = CharField(null=True)
        updated_at = MomentField(null=True)

        class Meta:
            database = db
            table_name = "contact"
            legacy_table_names = False
            indexes = (
                (("tenant", "contact_id"), True),
                (("tenant", "contact_number_key"), False),
                (("tenant", "account_number_key"), False),
                (("tenant", "tax_number_key"), False),
                (("tenant", "company_number_key"), False),
                (("tenant", "email_key"), False),
            )

    class ContactDecision(Model):
        id = IdField()
        tenant = CharField()
        member_id = CharField(max_length=50)
        decision = CharField()
        contact_id = CharField(null=True)
        rule = CharField(default="")
        reason = TextField(default="")
        candidates = JsonField(default=list)
        decided_by = CharField()
        decided_at = MomentField()

        class Meta:
            database = db
            table_name = "contact_decision"
            legacy_table_names = False
            indexes = (
                (("tenant", "member_id"), False),
                (("tenant", "contact_id"), False),
            )

    db.drop_tables([Contact])
    db.create_tables([Contact, ContactDecision])
    db.execute_sql(
        "INSERT INTO contact_decision (tenant, member_id, decision, contact_id, rule, "
        "reason, candidates, decided_by, decided_at) "
        "SELECT tenant, member_id, 'linked', contact_id, rule, "
        "'decided before reasons were kept', '[]', 'settled', decided_at "
        "FROM member_contact"
    )
    _read_anew(db)


def down(migrator, db):
    class Contact(Model):
        id = IdField()
        tenant = CharField()
        contact_id = CharField()
        name = CharField()
        name_key = CharField()
        email = CharField(default="")
        email_key = CharField(default="")
        contact_number = CharField(default="")
        account_number = CharField(default="")
        status = CharField()
        merged_to = CharField(null=True)
        updated_at = MomentField(null=True)

        class Meta:
            database = db
            table_name = "contact"
            legacy_table_names = False
            indexes = (
                (("tenant", "contact_id"), True),
                (("tenant", "contact_number"), False),
                (("tenant", "account_number"), False),
                (("tenant", "email_key"), False),
            )

    db.drop_tables([Contact])
    db.create_tables([Contact])
    migrator.migrate(migrator.drop_table("contact_decision"))
    _read_anew(db)


def _read_anew(db):
    """The mirror's lane begins at the beginning, and is due."""
    db.execute_sql("DELETE FROM cursor WHERE resource = 'contacts'")
    db.execute_sql("DELETE FROM reference_data WHERE kind = 'mirror_loaded'")
    db.execute_sql("UPDATE lane SET due_at = 0 WHERE name = 'mirror'")
