"""Invoices that were not raised by us, and who said what they are for."""

from peewee import *
from core.db.fields import IdField
from core.db.fields import MomentField


def up(migrator, db):
    class Invoice(Model):
        id = IdField()

        class Meta:
            database = db
            table_name = "invoice"
            legacy_table_names = False

    class Adoption(Model):
        id = IdField()
        invoice = ForeignKeyField(Invoice, unique=True, on_delete="RESTRICT")
        subject = CharField(max_length=255)
        charge = CharField()
        was_settled = BooleanField()
        adopted_at = MomentField()
        adopted_by = CharField()

        class Meta:
            database = db
            table_name = "adoption"
            legacy_table_names = False

    db.create_tables([Adoption])


def down(migrator, db):
    migrator.migrate(migrator.drop_table("adoption"))
