"""The first schema: frozen copies of the tables as they were then."""

from peewee import *
from core.db.fields import IdField
from core.db.fields import JsonField
from core.db.fields import MomentField
from core.db.fields import MoneyField


def up(migrator, db):
    class CallCount(Model):
        id = IdField()
        tenant = CharField()
        hour = MomentField()
        purpose = CharField()
        kind = CharField()
        status = CharField()
        calls = BigIntegerField(default=0)
        last_at = MomentField()

        class Meta:
            database = db
            table_name = "call_count"
            legacy_table_names = False
            indexes = ((("tenant", "hour", "purpose", "kind", "status"), True),)

    db.create_tables([CallCount])

    class Connection(Model):
        id = IdField()
        client_id = CharField(unique=True)
        ciphertext = BlobField()
        version = IntegerField(default=1)
        refreshed_at = MomentField()
        refresher = CharField(null=True)
        refresh_until = MomentField(null=True)

        class Meta:
            database = db
            table_name = "connection"
            legacy_table_names = False

    db.create_tables([Connection])

    class ConsentAttempt(Model):
        id = IdField()
        state_hash = CharField(unique=True)
        verifier = BlobField()
        created_at = MomentField()

        class Meta:
            database = db
            table_name = "consent_attempt"
            legacy_table_names = False

    db.create_tables([ConsentAttempt])

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

    db.create_tables([Contact])

    class Cursor(Model):
        id = IdField()
        tenant = CharField()
        resource = CharField()
        read_until = MomentField()

        class Meta:
            database = db
            table_name = "cursor"
            legacy_table_names = False
            indexes = ((("tenant", "resource"), True),)

    db.create_tables([Cursor])

    class ForeignInvoice(Model):
        id = IdField()
        tenant = CharField()
        xero_id = CharField()

        class Meta:
            database = db
            table_name = "foreign_invoice"
            legacy_table_names = False
            indexes = ((("tenant", "xero_id"), True),)

    db.create_tables([ForeignInvoice])

    class Inbox(Model):
        id = IdField()
        source = CharField()
        message_id = CharField()
        content_hash = CharField(max_length=64)
        type = CharField(null=True)
        subject = CharField(null=True)
        tenant = CharField(default="")
        body = TextField()
        state = CharField()
        received_at = MomentField()
        due_at = MomentField(index=True, null=True)
        woken_at = MomentField(null=True)
        tries = IntegerField(default=0)

        class Meta:
            database = db
            table_name = "inbox"
            legacy_table_names = False
            indexes = (
                (("source", "message_id"), True),
                (("state", "due_at"), False),
                (("tenant", "subject"), False),
            )

    db.create_tables([Inbox])

    class Intent(Model):
        id = IdField()
        tenant = CharField()
        kind = CharField()
        method = CharField()
        path = CharField()
        body = BlobField()
        idempotency_key = CharField(unique=True, max_length=128)
        state = CharField()
        holder = CharField()
        created_at = MomentField()
        held_at = MomentField()
        sent_at = MomentField(null=True)
        due_at = MomentField(null=True)
        tries = IntegerField(default=0)
        reason = TextField(default="")

        class Meta:
            database = db
            table_name = "intent"
            legacy_table_names = False
            indexes = ((("tenant", "kind", "state"), False),)

    db.create_tables([Intent])

    class Invoice(Model):
        id = IdField()
        tenant = CharField()
        workflow = CharField()
        reference = CharField()
        state = CharField()
        number = CharField(null=True)
        payer_member_id = CharField(max_length=50)
        payer = JsonField()
        contact_id = CharField(null=True)
        draft = JsonField()
        currency = CharField(max_length=3)
        total = MoneyField()
        raise_at = MomentField(null=True)
        issued_on = DateField(null=True)
        due_on = DateField(null=True)
        asked_by = ForeignKeyField(Inbox, null=True, on_delete="RESTRICT")
        undone_by = ForeignKeyField(Inbox, null=True, on_delete="RESTRICT")
        xero_id = CharField(null=True)
        xero_status = CharField(default="")
        xero_updated_at = MomentField(null=True)
        is_settled = BooleanField(default=False)
        amount_due = MoneyField(null=True)
        amount_paid = MoneyField(default=0)
        amount_credited = MoneyField(default=0)
        emailed_at = MomentField(null=True)
        email_echo_until = MomentField(null=True)
        read_sent_at = MomentField(null=True)
        version = IntegerField(default=0)
        sequence = IntegerField(default=0)
        created_at = MomentField()
        raised_at = MomentField(null=True)

        class Meta:
            database = db
            table_name = "invoice"
            legacy_table_names = False
            indexes = (
                (("tenant", "number"), True),
                (("tenant", "xero_id"), True),
                (("tenant", "payer_member_id", "state"), False),
            )

    db.create_tables([Invoice])

    class InvoiceRead(Model):
        id = IdField()
        tenant = CharField()
        xero_id = CharField()
        asked = IntegerField(default=1)
        event_at = MomentField(null=True)
        confirms = BooleanField(default=False)
        due_at = MomentField(index=True)
        first_asked_at = MomentField()

        class Meta:
            database = db
            table_name = "invoice_read"
            legacy_table_names = False
            indexes = ((("tenant", "xero_id"), True),)

    db.create_tables([InvoiceRead])

    class InvoiceSubject(Model):
        id = IdField()
        tenant = CharField()
        workflow = CharField()
        subject = CharField()
        charge = CharField()
        round = IntegerField()
        invoice = ForeignKeyField(Invoice, on_delete="RESTRICT")
        member_id = CharField(max_length=50)
        content_hash = CharField(max_length=64)
        details = JsonField()

        class Meta:
            database = db
            table_name = "invoice_subject"
            legacy_table_names = False
            indexes = ((("tenant", "workflow", "subject", "charge", "round"), True),)

    db.create_tables([InvoiceSubject])

    class Lane(Model):
        id = IdField()
        tenant = CharField()
        name = CharField()
        holder = CharField(null=True)
        woken_at = MomentField(null=True)
        due_at = MomentField(null=True)
        parked_until = MomentField(null=True)
        reason = CharField(default="")

        class Meta:
            database = db
            table_name = "lane"
            legacy_table_names = False
            indexes = ((("tenant", "name"), True),)

    db.create_tables([Lane])

    class MemberContact(Model):
        id = IdField()
        tenant = CharField()
        member_id = CharField(max_length=50)
        contact_id = CharField()
        rule = CharField()
        evidence = JsonField(default=dict)
        decided_at = MomentField()

        class Meta:
            database = db
            table_name = "member_contact"
            legacy_table_names = False
            indexes = (
                (("tenant", "member_id"), True),
                (("tenant", "contact_id"), True),
            )

    db.create_tables([MemberContact])

    class NumberCounter(Model):
        id = IdField()
        tenant = CharField()
        prefix = CharField()
        year = IntegerField()
        next_number = IntegerField(default=1)

        class Meta:
            database = db
            table_name = "number_counter"
            legacy_table_names = False
            indexes = ((("tenant", "prefix", "year"), True),)

    db.create_tables([NumberCounter])

    class Outbox(Model):
        id = IdField()
        message_id = CharField(unique=True, max_length=36)
        type = CharField()
        invoice = ForeignKeyField(Invoice, null=True, on_delete="RESTRICT")
        answers = ForeignKeyField(Inbox, null=True, on_delete="RESTRICT")
        body = TextField()
        created_at = MomentField()
        stream_id = CharField(null=True)

        class Meta:
            database = db
            table_name = "outbox"
            legacy_table_names = False

    db.create_tables([Outbox])

    class Payment(Model):
        id = IdField()
        tenant = CharField()
        payment_id = CharField()
        invoice = ForeignKeyField(Invoice, on_delete="RESTRICT")
        amount = MoneyField()
        paid_on = DateField(null=True)
        reference = TextField(default="")
        seen_at = MomentField()
        removed_at = MomentField(null=True)

        class Meta:
            database = db
            table_name = "payment"
            legacy_table_names = False
            indexes = ((("tenant", "payment_id"), True),)

    db.create_tables([Payment])

    class PriceRow(Model):
        id = IdField()
        workflow = CharField()
        sku = CharField()
        effective_on = DateField()
        currency = CharField(max_length=3)
        unit_amount = MoneyField()
        account_code = CharField()
        tax_type = CharField()
        description = CharField(default="")
        imported_at = MomentField()

        class Meta:
            database = db
            table_name = "price"
            legacy_table_names = False
            indexes = ((("workflow", "sku", "effective_on", "currency"), True),)

    db.create_tables([PriceRow])

    class Problem(Model):
        id = IdField()
        tenant = CharField(null=True)
        kind = CharField()
        cause = CharField()
        title = TextField()
        detail = JsonField(default=dict)
        opened_at = MomentField()
        closed_at = MomentField(null=True)
        seen = IntegerField(default=1)

        class Meta:
            database = db
            table_name = "problem"
            legacy_table_names = False

    db.create_tables([Problem])

    class Process(Model):
        id = IdField()
        name = CharField(unique=True)
        beat_at = MomentField()

        class Meta:
            database = db
            table_name = "process"
            legacy_table_names = False

    db.create_tables([Process])

    class Reference(Model):
        id = IdField()
        tenant = CharField()
        kind = CharField()
        body = JsonField()
        read_at = MomentField()

        class Meta:
            database = db
            table_name = "reference_data"
            legacy_table_names = False
            indexes = ((("tenant", "kind"), True),)

    db.create_tables([Reference])

    class StreamPosition(Model):
        id = IdField()
        name = CharField(unique=True)
        value = CharField()
        noted_at = MomentField()

        class Meta:
            database = db
            table_name = "stream_position"
            legacy_table_names = False

    db.create_tables([StreamPosition])

    class Tenant(Model):
        id = IdField()
        alias = CharField(unique=True)
        xero_tenant_id = CharField(unique=True)
        name = CharField()
        connected_at = MomentField()

        class Meta:
            database = db
            table_name = "tenant"
            legacy_table_names = False

    db.create_tables([Tenant])

    class WebhookEvent(Model):
        id = IdField()
        event_hash = CharField(unique=True, max_length=64)
        tenant_id = CharField()
        category = CharField()
        event_type = CharField()
        resource_id = CharField()
        event_at = MomentField()
        received_at = MomentField()

        class Meta:
            database = db
            table_name = "webhook_event"
            legacy_table_names = False

    db.create_tables([WebhookEvent])

    class Write(Model):
        id = IdField()
        tenant = CharField()
        kind = CharField()
        key = CharField()
        invoice = ForeignKeyField(Invoice, null=True, on_delete="RESTRICT")
        data = JsonField(default=dict)
        state = CharField(default="due")
        due_at = MomentField(null=True)
        intent = ForeignKeyField(Intent, null=True, on_delete="RESTRICT")
        batch_limit = IntegerField(default=50)
        tries = IntegerField(default=0)
        reason = TextField(default="")

        class Meta:
            database = db
            table_name = "write"
            legacy_table_names = False
            indexes = (
                (("tenant", "kind", "key"), True),
                (("tenant", "kind", "state", "due_at"), False),
                (("intent",), False),
            )

    db.create_tables([Write])

    db.execute_sql(
        "CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (id) "
        "WHERE stream_id IS NULL"
    )
    db.execute_sql(
        "CREATE UNIQUE INDEX IF NOT EXISTS problem_open ON problem (cause) "
        "WHERE closed_at IS NULL"
    )


def down(migrator, db):
    migrator.migrate(migrator.drop_table("write"))
    migrator.migrate(migrator.drop_table("webhook_event"))
    migrator.migrate(migrator.drop_table("tenant"))
    migrator.migrate(migrator.drop_table("stream_position"))
    migrator.migrate(migrator.drop_table("reference_data"))
    migrator.migrate(migrator.drop_table("process"))
    migrator.migrate(migrator.drop_table("problem"))
    migrator.migrate(migrator.drop_table("price"))
    migrator.migrate(migrator.drop_table("payment"))
    migrator.migrate(migrator.drop_table("outbox"))
    migrator.migrate(migrator.drop_table("number_counter"))
    migrator.migrate(migrator.drop_table("member_contact"))
    migrator.migrate(migrator.drop_table("lane"))
    migrator.migrate(migrator.drop_table("invoice_subject"))
    migrator.migrate(migrator.drop_table("invoice_read"))
    migrator.migrate(migrator.drop_table("invoice"))
    migrator.migrate(migrator.drop_table("intent"))
    migrator.migrate(migrator.drop_table("inbox"))
    migrator.migrate(migrator.drop_table("foreign_invoice"))
    migrator.migrate(migrator.drop_table("cursor"))
    migrator.migrate(migrator.drop_table("contact"))
    migrator.migrate(migrator.drop_table("consent_attempt"))
    migrator.migrate(migrator.drop_table("connection"))
    migrator.migrate(migrator.drop_table("call_count"))
