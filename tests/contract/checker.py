"""Holds one exchange against the description: all that the description has against it.

Nothing is forgiven here. `deviations` says which findings are known, and why.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from jsonschema.exceptions import ValidationError

from tests.contract.description import FILES, Description, Operation, Parameter, load
from tests.contract.exchange import Exchange, as_json

Side = Literal["request", "answer"]

#: Headers of HTTP itself and of its connection; OpenAPI leaves them out on purpose.
_HTTP_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "date",
        "host",
        "user-agent",
    }
)

#: Sign-in is no part of the descriptions: they name these addresses as OAuth's own.
_SIGN_IN = frozenset({"/identity/connect/authorize", "/connect/token"})

_LONGEST_KEY = 128


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the description has against an exchange.

    Args:
        operation: the operationId; the method and the path where there is none.
        place: path, query, header, body, media type or status.
        at: which one: a name, or a path through the body such as `Invoices[].Date`.
        rule: which keyword is broken; `unknown` for what is not described at all.
        value: what is there, shortened.
    """

    operation: str
    side: Side
    place: str
    at: str
    rule: str
    value: str

    def __str__(self) -> str:
        where = f"{self.operation}: {self.side} {self.place} {self.at}"
        return f"{where}: {self.rule}: {self.value}"


def is_sign_in(exchange: Exchange) -> bool:
    """Whether an exchange is OAuth's, which no description describes."""
    return exchange.path in _SIGN_IN


def findings(exchange: Exchange) -> list[Finding]:
    """Everything that the description has against an exchange."""
    base = _base_of(exchange.path)
    description = load(base)
    path = exchange.path.removeprefix(base)
    found, operation = _operation(description, exchange.method, path)
    if operation is None:
        found, operation = _in_other_letters(description, exchange.method, path)
    if operation is None:
        name = f"{exchange.method} {path}"
        return [Finding(name, "request", "path", path, "unknown", "")]
    check = _Check(description, operation, exchange)
    return [*found, *check.request(), *check.answer()]


def _base_of(path: str) -> str:
    return next(base for base in FILES if path.startswith(base))


def _operation(
    description: Description, method: str, path: str, *, any_case: bool = False
) -> tuple[list[Finding], Operation | None]:
    """The operation that fits best: one address may be another's template too."""
    best: tuple[list[Finding], Operation | None] = ([], None)
    for operation, keys in description.operations(method, path, any_case=any_case):
        found = list(_wrong_keys(operation, keys))
        if best[1] is None or len(found) < len(best[0]):
            best = (found, operation)
    return best


def _in_other_letters(
    description: Description, method: str, path: str
) -> tuple[list[Finding], Operation | None]:
    """The operation of an address that differs only in capitals."""
    found, operation = _operation(description, method, path, any_case=True)
    if operation is None:
        return found, None
    name = operation.operation_id
    return [*found, Finding(name, "request", "path", path, "case", "")], operation


def _wrong_keys(operation: Operation, keys: dict[str, str]) -> Iterator[Finding]:
    for parameter in operation.of("path"):
        rule = _broken_rule(parameter, keys[parameter.name])
        if rule is not None:
            value = keys[parameter.name]
            yield Finding(
                operation.operation_id, "request", "path", parameter.name, rule, value
            )


class _Check:
    """One exchange against its operation."""

    def __init__(
        self, description: Description, operation: Operation, exchange: Exchange
    ) -> None:
        self.description = description
        self.operation = operation
        self.exchange = exchange

    # -- the request -------------------------------------------------------------------

    def request(self) -> Iterator[Finding]:
        yield from self._given("query", self.exchange.query)
        headers = {
            name: value
            for name, value in self.exchange.headers.items()
            if name not in _HTTP_HEADERS
        }
        yield from self._given("header", headers)
        yield from self._request_body()

    def _given(self, place: str, given: Mapping[str, str]) -> Iterator[Finding]:
        """What was sent by name, and what had to be."""
        described = {_key(place, p.name): p for p in self.operation.of(place)}
        for name, value in given.items():
            parameter = described.pop(name, None)
            if parameter is None:
                yield self._finding("request", place, name, "unknown", value)
            elif (rule := _broken_rule(parameter, value)) is not None:
                yield self._finding("request", place, parameter.name, rule, value)
        for parameter in described.values():
            if parameter.is_required:
                yield self._finding("request", place, parameter.name, "required", "")

    def _request_body(self) -> Iterator[Finding]:
        body, schema = self.exchange.body, self.operation.body
        if not body:
            if self.operation.body_is_required:
                yield self._finding("request", "body", "", "required", "")
            return
        if schema is None:
            yield self._finding("request", "body", "", "unknown", _short(body))
            return
        media_type = self.exchange.headers.get("content-type", "").partition(";")[0]
        if media_type != "application/json":
            yield self._finding("request", "media type", "", "unknown", media_type)
        yield from self._body("request", schema, body)

    # -- the answer --------------------------------------------------------------------

    def answer(self) -> Iterator[Finding]:
        exchange = self.exchange
        for name, value in exchange.answer_headers.items():
            if name not in _HTTP_HEADERS:
                yield self._finding("answer", "header", name, "unknown", value)
        contents = self.operation.answers.get(exchange.status)
        if contents is None:
            status = str(exchange.status)
            value = _short(exchange.answer_body)
            yield self._finding("answer", "status", status, "unknown", value)
        elif not contents:
            if exchange.answer_body:
                value = _short(exchange.answer_body)
                yield self._finding("answer", "body", "", "unknown", value)
        elif exchange.media_type not in contents:
            value = exchange.media_type
            yield self._finding("answer", "media type", "", "unknown", value)
        else:
            schema = contents[exchange.media_type]
            yield from self._body("answer", schema, exchange.answer_body)

    def _body(self, side: Side, schema: Any, body: bytes) -> Iterator[Finding]:
        try:
            value = as_json(body)
        except ValueError:
            yield self._finding(side, "body", "", "JSON", _short(body))
            return
        errors = self.description.errors(schema, value, is_request=side == "request")
        for error in errors:
            at = _path(error)
            if error.validator == "additionalProperties":
                for name in set(error.instance) - set(error.schema["properties"]):
                    place = f"{at}.{name}" if at else name
                    said = _short(error.instance[name])
                    yield self._finding(side, "body", place, "unknown", said)
            else:
                rule = str(error.validator)
                yield self._finding(side, "body", at, rule, _short(error.instance))

    def _finding(
        self, side: Side, place: str, at: str, rule: str, value: str
    ) -> Finding:
        return Finding(self.operation.operation_id, side, place, at, rule, value)


def _key(place: str, name: str) -> str:
    """Capitals matter in a query, and not in a header."""
    return name.lower() if place == "header" else name


# -- parameters ------------------------------------------------------------------------


def _broken_rule(parameter: Parameter, value: str) -> str | None:
    """Which rule a parameter's text breaks; None if it is fine."""
    schema = parameter.schema
    values = value.split(",") if parameter.is_list else [value]
    items = schema.get("items", schema) if parameter.is_list else schema
    for item in values:
        if not _has_type(items.get("type"), item):
            return "type"
        if not _has_format(items.get("format"), item):
            return "format"
    if parameter.name == "Idempotency-Key" and len(value) > _LONGEST_KEY:
        return "maxLength"
    return None


def _has_type(type_: str | None, text: str) -> bool:
    match type_:
        case "integer":
            return re.fullmatch(r"-?\d+", text) is not None
        case "boolean":
            return text in ("true", "false")
        case _:
            return True


def _has_format(format_: str | None, text: str) -> bool:
    try:
        if format_ == "uuid":
            return str(UUID(text)) == text.lower()
        if format_ == "date-time":
            return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
    return True


def _path(error: ValidationError) -> str:
    """Where in a body, with the numbers of list elements left out."""
    text = ""
    for part in error.absolute_path:
        text += "[]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _short(value: object) -> str:
    return (
        value.decode(errors="replace") if isinstance(value, bytes) else repr(value)
    )[:80]
