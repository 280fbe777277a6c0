"""The dry run of a season: what becomes of each message, and what stands in its way.

Nothing is written, neither here nor in Xero; nothing is read from Xero either.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core import drafting, reference_data
from core.agreeing import Side
from core.business_days import day_of, due_on
from core.calls import IDS_TOGETHER
from core.clock import Clock
from core.contact_fields import is_empty, said, same, shown
from core.contacts import deciding
from core.contacts.evidence import reason_of
from core.db import inbox
from core.drafts import InvoiceDraft, Line, Undo, draft_hash, total_of
from core.errors import Refused
from core.matching.contact import MirrorContact
from core.matching.verdict import Ambiguous, Match, Matched, MatchRule
from core.members import Member
from core.message_reading import Entry, MessageReader
from core.messages import Envelope, hash_of, is_keepable
from core.money import plain
from core.registry import PluginFailed, Registry
from core.rule_asking import Decided, RuleAsking
from core.seasons.bill import BLOCK, EMAILS, Block
from core.settings import Settings, TenantSettings
from core.waking import LaneName
from core.workflow_settings import WorkflowTables


class Outcome(StrEnum):
    """What becomes of a message."""

    INVOICE = "invoice"
    FREE = "free"  # a total of zero: its action at once
    UNDO = "undo"
    OBSTACLE = "obstacle"


class Obstacle(StrEnum):
    """Why nothing can become of it as it stands."""

    REJECTED = "rejected"
    ACCOUNT_UNKNOWN = "account_unknown"
    TAX_UNKNOWN = "tax_unknown"
    ALREADY_INVOICED = "already_invoiced"
    TWICE = "twice"  # an earlier message of the same season asks for the same
    SENT_BEFORE = "sent_before"  # the platform has sent it itself
    CONTACT_UNDECIDED = "contact_undecided"
    NO_EMAIL = "no_email"
    DATE_LOCKED = "date_locked"
    OTHER_TENANT = "other_tenant"
    PLUGIN_FAILED = "plugin_failed"


class Contact(StrEnum):
    """On which contact an invoice would go."""

    LINKED = "linked"
    FOUND = "found"  # by a rule, and it would be linked
    RESTORE = "restore"  # found archived, and made active again
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class Planned:
    """One message.

    Args:
        position: its place among the messages, from 1.
        message_type: as sent; empty where it could not be read.
        field: what is wrong, where the obstacle is about a field.
        contact_rule: by which rule the contact fits, or why there is a doubt.
        is_updated: whether the contact is to say something else than it does.
        due_on: as it would be if it was sent today, or on its ``raise_on``.
        draft: a hash of what would be invoiced, to compare with what is.
    """

    position: int
    message_id: str
    message_type: str
    subject: str
    outcome: Outcome
    obstacle: Obstacle | None = None
    field: str | None = None
    reason: str = ""
    workflow: str = ""
    payer_id: str = ""
    payer_name: str = ""
    contact: Contact | None = None
    contact_id: str = ""
    contact_rule: str = ""
    is_updated: bool = False
    is_emailed: bool = False
    lines: tuple[Line, ...] = ()
    currency: str = ""
    total: Decimal = Decimal(0)
    raise_on: date | None = None
    due_on: date | None = None
    draft: str = ""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Planned":
        """What its costs depend on, of what ``as_data`` gave."""
        raise_on = data.get("raise_on")
        return cls(
            data["position"],
            data["message_id"],
            data["type"],
            data["subject"],
            Outcome(data["outcome"]),
            payer_id=data.get("payer", ""),
            contact=Contact(data["contact"]) if "contact" in data else None,
            is_updated=data.get("contact_is_updated", False),
            is_emailed=data.get("is_emailed", False),
            raise_on=None if raise_on is None else date.fromisoformat(raise_on),
        )

    def as_data(self) -> dict[str, Any]:
        """For programs; empty fields are left out."""
        values = {
            "position": self.position,
            "message_id": self.message_id,
            "type": self.message_type,
            "subject": self.subject,
            "outcome": self.outcome.value,
            "obstacle": self.obstacle and self.obstacle.value,
            "field": self.field,
            "reason": self.reason,
            "workflow": self.workflow,
            "payer": self.payer_id,
            "name": self.payer_name,
            "contact": self.contact and self.contact.value,
            "contact_id": self.contact_id,
            "contact_rule": self.contact_rule,
            "contact_is_updated": self.is_updated or None,
            "is_emailed": self.is_emailed,
            "lines": [
                {
                    "description": line.description,
                    "quantity": plain(line.quantity),
                    "unit_amount": plain(line.unit_amount),
                    "account_code": line.account_code,
                    "tax_type": line.tax_type,
                }
                for line in self.lines
            ],
            "currency": self.currency,
            "total": plain(self.total) if self.currency else None,
            "raise_on": self.raise_on and self.raise_on.isoformat(),
            "due_on": self.due_on and self.due_on.isoformat(),
            "draft": self.draft,
        }
        return {k: v for k, v in values.items() if v not in (None, "", [])}


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it, in the order of the file."""

    tenant: str
    planned: Sequence[Planned]

    @property
    def digest(self) -> str:
        """The same for the same outcome of every message, whenever it is planned."""
        timeless = [
            {k: v for k, v in each.as_data().items() if k != "due_on"}
            for each in self.planned
        ]
        return hash_of(timeless)[:12]

    @property
    def sent(self) -> list[Planned]:
        """What would go out, in that order: by day, then by due date."""
        going = [each for each in self.planned if each.outcome != Outcome.OBSTACLE]
        return sorted(
            going,
            key=lambda each: (
                each.raise_on or date.min,
                each.due_on or date.max,
                each.position,
            ),
        )

    @property
    def obstacles(self) -> Mapping[str, int]:
        """How many messages there are with each, most first."""
        found = Counter(e.obstacle.value for e in self.planned if e.obstacle)
        return dict(found.most_common())

    @property
    def totals(self) -> Mapping[str, Decimal]:
        """What would be invoiced, by currency."""
        found: dict[str, Decimal] = {}
        for each in self.sent:
            if each.outcome is Outcome.INVOICE:
                so_far = found.get(each.currency, Decimal(0))
                found[each.currency] = so_far + each.total
        return found

    @property
    def outcomes(self) -> Mapping[str, int]:
        found = Counter(each.outcome.value for each in self.planned)
        return {outcome.value: found[outcome.value] for outcome in Outcome}


def blocks(sent: Sequence[Planned]) -> list[Block]:
    """As they would go out, with what each block costs."""
    made: set[str] = set()  # contacts are made and corrected once, however many follow
    return [
        _block(sent[start : start + BLOCK], made)
        for start in range(0, len(sent), BLOCK)
    ]


def _block(some: Sequence[Planned], made: set[str]) -> Block:
    invoices = [each for each in some if each.outcome is Outcome.INVOICE]
    fresh = [each for each in invoices if each.payer_id not in made]
    made.update(each.payer_id for each in invoices)
    counts = {
        LaneName.CONTACTS: any(e.contact is Contact.CREATE for e in fresh),
        # Before they are updated they are read, and go on as they come.
        LaneName.CONTACT_UPDATES: -(-sum(map(_changes, fresh)) // IDS_TOGETHER),
        LaneName.INVOICES: bool(invoices),
        LaneName.VOIDS: any(each.outcome is Outcome.UNDO for each in some),
    }
    calls = {f"write_{kind.value}": int(n) for kind, n in counts.items() if n}
    emails = sum(each.is_emailed for each in invoices)
    if emails:
        calls[EMAILS] = emails
    last = max((each.raise_on for each in some if each.raise_on), default=None)
    return Block(len(some), calls, last)


def _changes(each: Planned) -> bool:
    """Whether the contact is to be updated or restored."""
    return each.is_updated or each.contact is Contact.RESTORE


@dataclass
class _Seen:
    """What earlier messages of the same season have asked for."""

    ids: set[tuple[str, str]] = field(default_factory=set)
    charges: set[tuple[str, str, str]] = field(default_factory=set)
    contacts: dict[str, "_Fit"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A payer's contact: which, by what rule, or why nobody may guess."""

    contact: Contact | None
    contact_id: str = ""
    rule: str = ""
    doubt: str = ""
    has_email: bool = True
    is_updated: bool = False


class Planner:
    """Plans; one for a process."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        tables: WorkflowTables,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.reader = MessageReader(settings, registry, clock)
        self.rules = RuleAsking(settings, registry, tables, clock)
        self.clock = clock

    def plan(
        self,
        tenant: str,
        bodies: Sequence[bytes],
        progress: Callable[[int], None] = lambda count: None,
    ) -> Plan:
        """Each message as it would be handled now, in this order.

        Args:
            tenant: whose season it is.
            bodies: the messages, each a CloudEvents JSON object.
            progress: told how many are planned.
        """
        return Plan(tenant, list(self._each(tenant, bodies, progress)))

    def _each(
        self, tenant: str, bodies: Sequence[bytes], progress: Callable[[int], None]
    ) -> Iterator[Planned]:
        seen = _Seen()
        for position, raw in enumerate(bodies, 1):
            yield self._planned(tenant, position, raw, seen)
            progress(position)

    def _planned(self, tenant: str, position: int, raw: bytes, seen: _Seen) -> Planned:
        entry, parsed = Entry(str(position), raw), dict[str, object]()
        try:
            parsed = self.reader.parse(entry)
            envelope, alias = self.reader.read(entry, parsed)
        except Refused as refusal:
            named = _named(position, parsed)
            return _blocked(named, Obstacle.REJECTED, refusal.reason, refusal.field)
        except Exception as error:  # noqa: BLE001 a plugin's model may raise anything
            named = _named(position, parsed)
            return _blocked(named, Obstacle.PLUGIN_FAILED, repr(error))
        named = _named(position, parsed)
        if alias != tenant:
            return _blocked(named, Obstacle.OTHER_TENANT, f"it is for {alias}")
        return self._decided(tenant, envelope, named, seen)

    def _decided(
        self, tenant: str, envelope: Envelope, named: dict[str, Any], seen: _Seen
    ) -> Planned:
        key = (envelope.source, envelope.id)
        if key in seen.ids:
            return _blocked(named, Obstacle.TWICE, "this id was there before", "id")
        seen.ids.add(key)
        if inbox.find(*key) is not None:
            reason = "the platform has sent this message itself"
            return _blocked(named, Obstacle.SENT_BEFORE, reason, "id")
        try:
            decided = self.rules.ask(tenant, envelope)
        except Refused as refusal:
            return _blocked(named, Obstacle.REJECTED, refusal.reason, refusal.field)
        except PluginFailed as failure:
            return _blocked(named, Obstacle.PLUGIN_FAILED, str(failure))
        named |= {"workflow": decided.workflow}
        if isinstance(decided.decision, Undo):
            return Planned(**named, outcome=Outcome.UNDO)
        return self._drafted(tenant, decided, decided.decision, named, seen)

    def _drafted(
        self,
        tenant: str,
        decided: Decided,
        draft: InvoiceDraft,
        named: dict[str, Any],
        seen: _Seen,
    ) -> Planned:
        day = draft.raise_on or self._today(tenant)
        named |= {
            "payer_id": draft.payer.id,
            "payer_name": draft.payer.name,
            "lines": draft.lines,
            "currency": draft.currency,
            "raise_on": draft.raise_on,
            "due_on": draft.due_on or due_on(day, draft.due_days),
            "draft": draft_hash(draft),
        }
        blocked = self._blocked_draft(tenant, decided, draft, named, seen)
        if blocked is not None:
            return blocked
        total = total_of(draft, decided.setup.rates)
        named |= {"total": total}
        if total == 0:
            return Planned(**named, outcome=Outcome.FREE)
        policy = decided.setup.policy
        fit = self._fit(tenant, draft.payer, policy, seen)
        named |= {
            "contact": fit.contact,
            "contact_id": fit.contact_id,
            "contact_rule": fit.rule,
            "is_updated": fit.is_updated,
            "is_emailed": decided.setup.is_emailed,
        }
        if fit.doubt:
            return _blocked(named, Obstacle.CONTACT_UNDECIDED, fit.doubt)
        if decided.setup.is_emailed and not fit.has_email:
            reason = "the contact has no e-mail address, and Xero's value holds"
            return _blocked(named, Obstacle.NO_EMAIL, reason)
        return Planned(**named, outcome=Outcome.INVOICE)

    def _blocked_draft(
        self,
        tenant: str,
        decided: Decided,
        draft: InvoiceDraft,
        named: dict[str, Any],
        seen: _Seen,
    ) -> Planned | None:
        accounts, rates = decided.setup.accounts, decided.setup.rates
        for line in draft.lines:
            if line.account_code not in accounts:
                reason = f"account code {line.account_code} is unknown to Xero"
                return _blocked(named, Obstacle.ACCOUNT_UNKNOWN, reason)
            if line.tax_type not in rates:
                reason = f"tax type {line.tax_type} is unknown to Xero"
                return _blocked(named, Obstacle.TAX_UNKNOWN, reason)
        charges = {(decided.workflow, s.subject, s.charge) for s in draft.settles}
        if charges & seen.charges:
            reason = "an earlier message of this season asks for the same"
            return _blocked(named, Obstacle.TWICE, reason, "subject")
        seen.charges |= charges
        try:
            first = drafting.invoiced_before(tenant, decided.workflow, draft)
        except Refused as refusal:
            return _blocked(
                named, Obstacle.ALREADY_INVOICED, refusal.reason, refusal.field
            )
        if first is not None:
            reason = f"by {first.number or first.reference}"
            return _blocked(named, Obstacle.ALREADY_INVOICED, reason, "subject")
        locked = reference_data.locked_until(tenant)
        day = draft.raise_on or self._today(tenant)
        if locked is not None and day <= locked:
            reason = f"Xero's books are locked until {locked}"
            return _blocked(named, Obstacle.DATE_LOCKED, reason)
        return None

    def _today(self, tenant: str) -> date:
        return day_of(self.clock.now(), self.settings.tenants[tenant].zone_info)

    def _fit(
        self, tenant: str, payer: Member, policy: TenantSettings, seen: _Seen
    ) -> _Fit:
        if payer.id not in seen.contacts:
            decision = deciding.decide(tenant, payer, policy)
            seen.contacts[payer.id] = _fit_of(payer, decision, policy)
        return seen.contacts[payer.id]


def _fit_of(payer: Member, decision: Match, policy: TenantSettings) -> _Fit:
    match decision:
        case Matched(contact, rule, _):
            is_linked = rule is MatchRule.LINK
            kind = Contact.LINKED if is_linked else Contact.FOUND
            return _existing(payer, contact, kind, rule.value, policy)
        case Ambiguous(candidates, rule):
            if deciding.is_restored(decision, policy):
                contact = candidates[0].contact
                return _existing(payer, contact, Contact.RESTORE, rule.value, policy)
            return _Fit(None, rule=rule.value, doubt=reason_of(payer.id, decision))
    return _Fit(Contact.CREATE)


def _existing(
    payer: Member,
    contact: MirrorContact,
    kind: Contact,
    rule: str,
    policy: TenantSettings,
) -> _Fit:
    there = shown(contact)
    ours = {
        name: value
        for name, value in said(payer).items()
        if policy.winner(name) is Side.PLATFORM and not is_empty(value)
    }
    differs = any(not same(name, value, there[name]) for name, value in ours.items())
    return _Fit(
        kind,
        contact.contact_id,
        rule,
        has_email=bool(contact.email) or "email" in ours,
        is_updated=differs,
    )


def _blocked(
    named: Mapping[str, Any], obstacle: Obstacle, reason: str, field: str | None = None
) -> Planned:
    values = {**named, "outcome": Outcome.OBSTACLE, "obstacle": obstacle}
    return Planned(**{"subject": "", **values, "reason": reason, "field": field})


def _named(position: int, parsed: Mapping[str, object]) -> dict[str, Any]:
    """How a message is called in the plan, as far as it can be read."""
    return {
        "position": position,
        "message_id": _text(parsed.get("id")),
        "message_type": _text(parsed.get("type")),
        "subject": _text(parsed.get("subject")),
    }


def _text(value: object) -> str:
    """As it can be printed and kept."""
    if not isinstance(value, str):
        return ""
    return value if is_keepable(value) else ascii(value)
