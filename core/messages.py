"""What travels on the bus: one CloudEvents 1.0 JSON object per stream entry.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
)

from core.errors import Refused

#: Where our messages say they come from.
SOURCE = "/settled"

#: Ids of messages out are made in this namespace, so that the same fact has the same
#: id on every host and after every recovery. The value is arbitrary and frozen.
_FACTS = uuid.UUID("5e771ed0-0000-4000-8000-5e771ed0f4c7")

#: Deeper than any message has a reason to be, and far from Python's own limit.
MOST_NESTED = 32

ModelT = TypeVar("ModelT", bound=BaseModel)

Attribute = Annotated[str, StringConstraints(min_length=1, max_length=255)]


def _of_our_time(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("between the years 2000 and 2199")
    return moment


#: Far from the ends of the calendar, where a change of zone overflows.
Moment = Annotated[AwareDatetime, AfterValidator(_of_our_time)]


class Envelope(BaseModel):
    """A message as it comes in; unknown extension attributes are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Annotated[str, StringConstraints(pattern=r"^1\.0$")]
    id: Attribute
    source: Attribute
    type: Attribute
    subject: Attribute
    time: Moment
    data: dict[str, Any]
    datacontenttype: Annotated[str, StringConstraints(pattern=r"^application/json")] = (
        "application/json"
    )
    tenant: Attribute | None = None

    @property
    def content_hash(self) -> str:
        """Of what the message asks for: the same for a message that is sent again."""
        asked = {
            "type": self.type,
            "subject": self.subject,
            "tenant": self.tenant,
            "data": self.data,
        }
        return hash_of(asked)


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message to the platform, before it has its place in an invoice's sequence.

    Args:
        fact: what the id is derived from: the parts that make this fact this fact,
            never a row id or a counter.
    """

    type: str
    subject: str
    data: Mapping[str, Any]
    fact: tuple[str, ...]
    in_reply_to: str | None = None

    @property
    def id(self) -> str:
        """Derived from the fact alone."""
        return fact_id(self.type, *self.fact)


def fact_id(*parts: str) -> str:
    """The id of a fact: a UUID of its parts."""
    return str(uuid.uuid5(_FACTS, canonical(list(parts))))


def canonical(value: Any) -> str:
    """JSON with one spelling for one value."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=str,
    )


def hash_of(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    text = canonical(value).encode(errors="surrogatepass")
    return hashlib.sha256(text).hexdigest()


def as_cloud_event(
    message: OutboundMessage,
    *,
    tenant: str | None,
    at: datetime,
    sequence: int | None,
) -> dict[str, Any]:
    """The message as it goes on the stream."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": message.id,
        "source": SOURCE,
        "type": message.type,
        "subject": message.subject,
        "time": at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(message.data),
    }
    if tenant is not None:
        event["tenant"] = tenant
    if message.in_reply_to is not None:
        event["inreplyto"] = message.in_reply_to
    if sequence is not None:
        event["sequence"] = sequence
    return event


def read_json(raw: bytes) -> dict[str, Any]:
    """One JSON object, or Refused."""
    try:
        parsed = json.loads(raw, parse_constant=_no_constant)
        # What can be parsed but not written again (a number beyond all bounds, a
        # thousand brackets) must not get any further.
        canonical(parsed)
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON", "event") from error
    if not isinstance(parsed, dict):
        raise Refused("not a JSON object", "event")
    if _depth(parsed) > MOST_NESTED:
        raise Refused(f"nested more than {MOST_NESTED} times", "event")
    return parsed


def require_keepable(value: Any, at: tuple[str, ...] = ()) -> None:
    """Refuse text that no database keeps, naming the first place where it stands."""
    if isinstance(value, str) and not is_keepable(value):
        reason = "contains a NUL character or half a surrogate pair"
        raise Refused(reason, ".".join(at) or "event")
    if isinstance(value, dict):
        for name, inner in value.items():
            require_keepable(name, at)
            require_keepable(inner, (*at, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            require_keepable(inner, (*at, str(number)))


def is_keepable(text: str) -> bool:
    """Whether every database keeps this text: no NUL, and it is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def read_envelope(parsed: Mapping[str, Any]) -> Envelope:
    """The CloudEvents attributes, or Refused naming the first that is wrong."""
    return validated(Envelope, parsed, at=())


def validated(
    model: type[ModelT], value: Any, at: tuple[str, ...] = ("data",)
) -> ModelT:
    """The value as the model, or Refused naming the first field that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join((*at, *(str(part) for part in first["loc"])))
        raise Refused(first["msg"], field or None) from error


def _depth(value: Any) -> int:
    """How deep it is nested, found without going deep ourselves."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
