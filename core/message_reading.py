"""An entry of the stream, or a line of a season: what it says, or why it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.db import inbox
from core.errors import Refused
from core.messages import (
    Envelope,
    read_envelope,
    read_json,
    require_keepable,
    validated,
)
from core.registry import Registry
from core.settings import Settings

#: An entry beyond this is rejected without its id, because nobody looks for it.
PARSED_AT_MOST = 16 * 1024 * 1024

#: Clocks differ, and somebody may mistake the zone. What a message of a later time says
#: of a member would until then overrule whatever is said after it.
AHEAD_AT_MOST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry; ``raw`` is None where the field ``event`` is missing."""

    entry_id: str
    raw: bytes | None


class MessageReader:
    """Says what an entry asks for; writes nothing."""

    def __init__(self, settings: Settings, registry: Registry, clock: Clock) -> None:
        self.settings = settings
        self.registry = registry
        self.clock = clock

    def parse(self, entry: Entry) -> dict[str, object]:
        """Even of one that is too long the id, so that the answer can name it.

        Raises:
            Refused: there is no JSON object.
        """
        if entry.raw is None:
            raise Refused("the entry has no field `event`", "event")
        if len(entry.raw) > PARSED_AT_MOST:
            raise Refused(f"{len(entry.raw)} bytes are not even parsed", "event")
        return read_json(entry.raw)

    def read(self, entry: Entry, parsed: Mapping[str, object]) -> tuple[Envelope, str]:
        """The message and its tenant, both checked.

        Raises:
            Refused: naming the field.
        """
        self._check_size(entry)
        require_keepable(parsed)
        envelope = read_envelope(parsed)
        tenant = self._tenant(envelope)
        self._check_data(envelope)
        self._check_time(envelope)
        return envelope, tenant

    def _check_size(self, entry: Entry) -> None:
        size, most = len(entry.raw or b""), self.settings.bus.message_max_bytes
        if size > most:
            raise Refused(f"{size} bytes; at most {most} are taken", "event")

    def _tenant(self, envelope: Envelope) -> str:
        tenant = envelope.tenant or self.settings.sole_tenant
        if tenant is None:
            raise Refused("needed, because there are several", "tenant")
        if tenant not in self.settings.tenants:
            raise Refused(f"no tenant {tenant}", "tenant")
        return tenant

    def _check_data(self, envelope: Envelope) -> None:
        """Its type has an owner, and its data is what the owner's model asks for."""
        model = self.registry.model_for(envelope.type)
        if model is None:
            raise Refused(f"no workflow handles {envelope.type}", "type")
        validated(model, envelope.data)

    def _check_time(self, envelope: Envelope) -> None:
        """It has happened. A repeat is answered as before, whatever its time."""
        now = self.clock.now()
        if envelope.time <= now + AHEAD_AT_MOST:
            return
        first = inbox.find(envelope.source, envelope.id)
        if first is None or first.content_hash != envelope.content_hash:
            reason = f"is more than a day ahead: it is {now:%Y-%m-%dT%H:%M:%SZ} here"
            raise Refused(reason, "time")
