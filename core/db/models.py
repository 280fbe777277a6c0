"""Every table.

Three columns mean the same wherever they stand: ``due_at``, not before this moment
(NULL: nothing is to be done); ``woken_at``, when somebody was last told to look;
``tries``, how often it has failed so far.
"""

from typing import Any

from peewee import (
    SQL,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    DateField,
    IntegerField,
    Model,
    TextField,
)

from core.db.fields import IdField, JsonField, MomentField, MoneyField
from core.db.proxy import proxy
from core.db.statement import RowField


class Table(Model):
    id = IdField()

    class Meta:
        database = proxy
        legacy_table_names = False

    @classmethod
    def select(cls, *fields: Any) -> Any:
        """Whole rows by ``*``: naming thirty columns takes peewee a millisecond."""
        return super().select(*(fields or (SQL("*"),)))


class Process(Table):
    """A running process, and when it last said that it lives."""

    name = CharField(unique=True)
    beat_at = MomentField()
    #: From here on it has said so without a gap.
    heard_since = MomentField(null=True)


class Tenant(Table):
    """An alias of the settings and the Xero organisation that it was connected to."""

    alias = CharField(unique=True)  # type: ignore[assignment]  # hides a method
    xero_tenant_id = CharField(unique=True)
    name = CharField()
    connected_at = MomentField()


class Connection(Table):
    """The tokens of one Xero app, encrypted; ``version`` grows with each rotation."""

    client_id = CharField(unique=True)
    ciphertext = BlobField()
    version = IntegerField(default=1)
    refreshed_at = MomentField()
    refresher = CharField(null=True)
    refresh_until = MomentField(null=True)


class ConsentAttempt(Table):
    """A consent that somebody has been sent to Xero for."""

    state_hash = CharField(unique=True)
    verifier = BlobField()
    created_at = MomentField()


class Season(Table):
    """Many messages that are sent out in the order and at the pace of a plan."""

    tenant = CharField()
    name = CharField(max_length=100)
    state = CharField()
    #: What the plan said when it was started: its bill, and its digest.
    plan = JsonField()
    awaited_per_day = IntegerField(default=0)
    started_at = MomentField()
    started_by = CharField()
    ended_at = MomentField(null=True)

    class Meta:
        indexes = ((("tenant", "name"), True),)


class Inbox(Table):
    """A message that the platform sent: accepted, rejected, held or done."""

    source = CharField(max_length=255)
    message_id = CharField(max_length=255)
    content_hash = CharField(max_length=64)
    type = CharField(null=True)
    subject = CharField(null=True)
    #: Empty for what was rejected before its tenant could be read.
    tenant = CharField(default="")
    body = TextField()
    state = CharField()
    #: The cause of the problem that holds it, or held it last.
    held_for = CharField(max_length=255, default="")
    season_id: int | None
    season = RowField(Season, null=True, on_delete="RESTRICT")
    received_at = MomentField()
    due_at = MomentField(null=True, index=True)
    woken_at = MomentField(null=True)
    tries = IntegerField(default=0)

    class Meta:
        indexes = (
            (("source", "message_id"), True),
            (("state", "due_at"), False),
            (("tenant", "subject"), False),
        )


class Invoice(Table):
    """What we ask Xero for and what Xero last said of it."""

    tenant = CharField()
    workflow = CharField()
    reference = CharField(max_length=255)
    state = CharField()
    number = CharField(null=True)
    payer_member_id = CharField(max_length=50)
    payer = JsonField()
    contact_id = CharField(null=True)
    draft = JsonField()
    currency = CharField(max_length=3)
    total = MoneyField()
    #: Not before this moment: the beginning of the message's ``raise_on``.
    raise_at = MomentField(null=True)
    issued_on = DateField(null=True)
    due_on = DateField(null=True)
    asked_by_id: int | None
    asked_by = RowField(Inbox, null=True, on_delete="RESTRICT")
    undone_by_id: int | None
    undone_by = RowField(Inbox, null=True, on_delete="RESTRICT", backref="undoes")
    season_id: int | None
    season = RowField(Season, null=True, on_delete="RESTRICT")
    #: Somebody waits for it: it does not stand behind those for which nobody does.
    is_awaited = BooleanField(default=False)
    xero_id = CharField(null=True)
    xero_status = CharField(default="")
    xero_updated_at = MomentField(null=True)
    is_settled = BooleanField(default=False)
    amount_due = MoneyField(null=True)
    amount_paid = MoneyField(default=0)
    amount_credited = MoneyField(default=0)
    emailed_at = MomentField(null=True)
    email_echo_until = MomentField(null=True)
    #: By Xero's clock, when it answered what was read of it last.
    read_answered_at = MomentField(null=True)
    version = IntegerField(default=0)
    sequence = IntegerField(default=0)
    created_at = MomentField()
    raised_at = MomentField(null=True)

    class Meta:
        indexes = (
            (("tenant", "number"), True),
            (("tenant", "xero_id"), True),
            (("tenant", "payer_member_id", "state"), False),
            (("state", "created_at"), False),
            (("tenant", "workflow", "created_at"), False),
            (("season", "state"), False),
            (("tenant", "emailed_at"), False),
        )


class SeasonItem(Table):
    """One message of a season, and what the plan says that becomes of it."""

    season_id: int
    season = RowField(Season, on_delete="RESTRICT", backref="items")
    position = IntegerField()
    message_id = CharField(max_length=255)
    body = TextField()
    planned = JsonField()
    state = CharField()
    inbox_id: int | None
    inbox = RowField(Inbox, null=True, on_delete="RESTRICT")

    class Meta:
        indexes = (
            (("season", "position"), True),
            (("season", "state", "position"), False),
        )


class Switch(Table):
    """What a person has switched on, and until when it stays on by itself."""

    tenant = CharField()
    name = CharField()
    until = MomentField(null=True)
    changed_at = MomentField()
    changed_by = CharField()

    class Meta:
        indexes = ((("tenant", "name"), True),)


class InvoiceSubject(Table):
    """What an invoice settles. A charge for a subject is invoiced once a round."""

    tenant = CharField()
    workflow = CharField()
    subject = CharField(max_length=255)
    charge = CharField()
    round = IntegerField()
    invoice_id: int
    invoice = RowField(Invoice, on_delete="RESTRICT", backref="subjects")
    member_id = CharField(max_length=50)
    content_hash = CharField(max_length=64)
    details = JsonField()

    class Meta:
        indexes = ((("tenant", "workflow", "subject", "charge", "round"), True),)


class Adoption(Table):
    """An invoice that was not raised by us, and by which subject somebody knows it."""

    invoice_id: int
    invoice = RowField(Invoice, unique=True, on_delete="RESTRICT", backref="adoption")
    subject = CharField(max_length=255)
    charge = CharField()
    was_settled = BooleanField()
    adopted_at = MomentField()
    adopted_by = CharField()


class Payment(Table):
    """A payment that Xero showed on one of our invoices."""

    tenant = CharField()
    payment_id = CharField()
    invoice = RowField(Invoice, on_delete="RESTRICT", backref="payments")
    amount = MoneyField()
    paid_on = DateField(null=True)
    reference = TextField(default="")
    seen_at = MomentField()
    removed_at = MomentField(null=True)

    class Meta:
        indexes = ((("tenant", "payment_id"), True),)


class Outbox(Table):
    """A message to the platform; ``stream_id`` once Redis has it."""

    message_id = CharField(max_length=36, unique=True)
    type = CharField()
    invoice = RowField(Invoice, null=True, on_delete="RESTRICT")
    #: The message that this one answers directly, and says again if it is repeated.
    answers = RowField(Inbox, null=True, on_delete="RESTRICT")
    body = TextField()
    created_at = MomentField()
    stream_id = CharField(null=True)

    class Meta:
        indexes = (
            SQL(
                "CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (id) "
                "WHERE stream_id IS NULL"
            ),
            (("stream_id",), False),
        )


class Intent(Table):
    """A call that changes Xero, stored before it is made."""

    tenant = CharField()
    kind = CharField()
    method = CharField()
    path = CharField()
    body = BlobField()
    idempotency_key = CharField(max_length=128, unique=True)
    state = CharField()
    holder = CharField()
    created_at = MomentField()
    #: When it was last opened; nothing is on its way for longer than a call may last.
    held_at = MomentField()
    sent_at = MomentField(null=True)
    due_at = MomentField(null=True)
    is_awaited = BooleanField(default=False)
    tries = IntegerField(default=0)
    reason = TextField(default="")

    class Meta:
        indexes = (
            (("tenant", "kind", "state"), False),
            (("state",), False),
        )


class Write(Table):
    """One thing to be written to Xero: an element of a batch, or an e-mail."""

    tenant = CharField()
    kind = CharField()
    key = CharField()
    invoice_id: int
    invoice = RowField(Invoice, null=True, on_delete="RESTRICT")
    data = JsonField(default=dict)
    state = CharField(default="due")
    due_at = MomentField(null=True)
    is_awaited = BooleanField(default=False)
    #: Who holds it back while it is due: a paused season.
    held_by = CharField(default="")
    intent_id: int | None
    intent = RowField(Intent, null=True, on_delete="RESTRICT")
    batch_limit = IntegerField(default=50)
    tries = IntegerField(default=0)
    reason = TextField(default="")

    class Meta:
        indexes = (
            (("tenant", "kind", "key"), True),
            (("tenant", "kind", "is_awaited", "state", "due_at"), False),
            (("intent",), False),
            (("state",), False),
        )


class Lane(Table):
    """One kind of Xero work of one tenant: who runs it, and when it may go on."""

    tenant = CharField()
    name = CharField()
    holder = CharField(null=True)
    woken_at = MomentField(null=True)
    due_at = MomentField(null=True)
    parked_until = MomentField(null=True)
    reason = CharField(default="")

    class Meta:
        indexes = ((("tenant", "name"), True),)


class InvoiceRead(Table):
    """An invoice that Xero should be asked about."""

    tenant = CharField()
    xero_id = CharField()
    asked = IntegerField(default=1)
    event_at = MomentField(null=True)
    confirms = BooleanField(default=False)
    due_at = MomentField(index=True)
    first_asked_at = MomentField()

    class Meta:
        indexes = ((("tenant", "xero_id"), True),)


class WebhookEvent(Table):
    """An entry of a Xero webhook, once however often Xero sends it."""

    event_hash = CharField(max_length=64, unique=True)
    tenant_id = CharField()
    category = CharField()
    event_type = CharField()
    resource_id = CharField()
    event_at = MomentField()
    received_at = MomentField()


class ForeignInvoice(Table):
    """An invoice that was looked at and is not ours."""

    tenant = CharField()
    xero_id = CharField()

    class Meta:
        indexes = ((("tenant", "xero_id"), True),)


class Contact(Table):
    """The mirror: a contact as Xero last showed it, with its keys for matching.

    The keys are those of ``core.matching.normalising``. A migration that changes how
    they are spelled has the mirror read anew, as ``0004_contact_matching`` does.
    """

    tenant = CharField()
    contact_id = CharField()
    name = CharField(max_length=255)
    name_key = CharField(max_length=255)
    email = CharField(max_length=255, default="")
    email_key = CharField(max_length=255, default="")
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
    details = JsonField(default=dict)

    class Meta:
        indexes = (
            (("tenant", "contact_id"), True),
            (("tenant", "contact_number_key"), False),
            (("tenant", "account_number_key"), False),
            (("tenant", "tax_number_key"), False),
            (("tenant", "company_number_key"), False),
            (("tenant", "email_key"), False),
        )


class MemberContact(Table):
    """Which contact a member is: one to one, and why."""

    tenant = CharField()
    member_id = CharField(max_length=50)
    contact_id = CharField()
    rule = CharField()
    evidence = JsonField(default=dict)
    decided_at = MomentField()

    class Meta:
        indexes = (
            (("tenant", "member_id"), True),
            (("tenant", "contact_id"), True),
        )


class ContactDecision(Table):
    """What was decided about a member's contact, by what, and what else there was.

    A row for each change; the last of a member is how it stands.
    """

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
        indexes = (
            (("tenant", "member_id"), False),
            (("tenant", "contact_id"), False),
        )


class MemberProfile(Table):
    """What platform and Xero say of a member, field by field, and what was agreed."""

    tenant = CharField()
    member_id = CharField(max_length=50)
    #: The contact with which the fields were compared; NULL: with none yet.
    contact_id = CharField(null=True)
    contact_status = CharField(default="")
    fields = JsonField(default=dict)
    #: Rows of messages that wait until Xero has what they said.
    waiting = JsonField(default=list)

    class Meta:
        indexes = (
            (("tenant", "member_id"), True),
            SQL(
                "CREATE INDEX IF NOT EXISTS member_profile_waiting "
                "ON member_profile (id) WHERE waiting <> '[]'"
            ),
        )


class ContactEdit(Table):
    """A value that was overruled where platform and Xero differed."""

    tenant = CharField()
    member_id = CharField(max_length=50)
    contact_id = CharField()
    field = CharField()
    #: JSON values: what both last agreed on (null: nothing yet), and what each said.
    agreed = JsonField(null=True)
    platform = JsonField(null=True)
    xero = JsonField(null=True)
    winner = CharField()
    decided_at = MomentField()

    class Meta:
        indexes = ((("tenant", "member_id"), False),)


class ContactRead(Table):
    """A contact that Xero should be asked about."""

    tenant = CharField()
    contact_id = CharField()
    asked = IntegerField(default=1)
    event_at = MomentField(null=True)
    #: Something waits for this answer, so an echo does not answer it.
    is_needed = BooleanField(default=False)
    due_at = MomentField(index=True)

    class Meta:
        indexes = ((("tenant", "contact_id"), True),)


class Problem(Table):
    """Something that needs a person; one open per cause."""

    tenant = CharField(null=True)
    kind = CharField()
    cause = CharField(max_length=255)
    title = TextField()
    detail = JsonField(default=dict)
    opened_at = MomentField()
    closed_at = MomentField(null=True)
    seen = IntegerField(default=1)

    class Meta:
        indexes = (
            SQL(
                "CREATE UNIQUE INDEX IF NOT EXISTS problem_open ON problem (cause) "
                "WHERE closed_at IS NULL"
            ),
        )


class NumberCounter(Table):
    """The next free invoice number of a prefix and year."""

    tenant = CharField()
    prefix = CharField()
    year = IntegerField()
    next_number = IntegerField(default=1)

    class Meta:
        indexes = ((("tenant", "prefix", "year"), True),)


class PriceRow(Table):
    """What a sku costs from a date on."""

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
        table_name = "price"
        indexes = ((("workflow", "sku", "effective_on", "currency"), True),)


class Cursor(Table):
    """How far a resource of Xero has been read: everything changed before is here."""

    tenant = CharField()
    resource = CharField()
    read_until = MomentField()

    class Meta:
        indexes = ((("tenant", "resource"), True),)


class Reference(Table):
    """Accounts, tax rates and the organisation, as Xero last showed them."""

    tenant = CharField()
    kind = CharField()
    body = JsonField()
    read_at = MomentField()

    class Meta:
        table_name = "reference_data"
        indexes = ((("tenant", "kind"), True),)


class CallCount(Table):
    """Calls made, by hour, purpose and kind."""

    tenant = CharField()
    hour = MomentField()
    purpose = CharField()
    kind = CharField()
    status = CharField()
    calls = BigIntegerField(default=0)
    last_at = MomentField()

    class Meta:
        indexes = ((("tenant", "hour", "purpose", "kind", "status"), True),)


class StreamPosition(Table):
    """What Redis should know: the relay's counter, what each group acknowledged."""

    name = CharField(unique=True)
    value = CharField()
    noted_at = MomentField()


TABLES: tuple[type[Table], ...] = (
    Process,
    Tenant,
    Connection,
    ConsentAttempt,
    Season,
    Inbox,
    Invoice,
    SeasonItem,
    Switch,
    InvoiceSubject,
    Adoption,
    Payment,
    Outbox,
    Intent,
    Write,
    Lane,
    InvoiceRead,
    WebhookEvent,
    ForeignInvoice,
    Contact,
    MemberContact,
    ContactDecision,
    MemberProfile,
    ContactEdit,
    ContactRead,
    Problem,
    NumberCounter,
    PriceRow,
    Cursor,
    Reference,
    CallCount,
    StreamPosition,
)
