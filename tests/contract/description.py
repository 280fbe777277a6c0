"""Xero's own descriptions of its API, made ready to be asked about one exchange.

Two files: the accounting API, and the list of connections of the identity service.
Their schemas are closed here: a field that a described object doesn't list is an error,
which OpenAPI would let pass.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from openapi_schema_validator import (
    OAS30ReadValidator,
    OAS30WriteValidator,
    oas30_format_checker,
)

FOLDER = Path(__file__).parent

#: Which file describes which addresses.
FILES = {
    "/api.xro/2.0": "xero_accounting.yaml",
    "": "xero_identity.yaml",
}

#: Moments as Xero writes them; a calendar day is midnight UTC.
_MS_DATE = re.compile(r"^/Date\(-?\d+(\+0000)?\)/$")

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query, a header or a path."""

    name: str
    place: str  # query, header, path
    schema: Schema
    is_required: bool
    is_list: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address."""

    operation_id: str
    path: str  # a pattern, with a named group for each key
    parameters: Sequence[Parameter]
    body: Schema | None
    body_is_required: bool
    #: By status: the schema of each media type.
    answers: Mapping[int, Mapping[str, Schema]]

    def of(self, place: str) -> Iterator[Parameter]:
        """Its parameters of one place."""
        return (p for p in self.parameters if p.place == place)


class Description:
    """One OpenAPI document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.version: str = document["info"]["version"]
        self._schemas = {
            name: _closed(schema)
            for name, schema in document["components"]["schemas"].items()
        }
        self._validators: dict[tuple[int, bool], Any] = {}
        self._read = self._validator_class(OAS30ReadValidator)
        self._write = self._validator_class(OAS30WriteValidator)
        self._by_method: dict[str, list[Operation]] = {}
        for template, item in document["paths"].items():
            self._add(template, item)

    def operations(
        self, method: str, path: str, *, any_case: bool = False
    ) -> list[tuple[Operation, dict[str, str]]]:
        """The operations whose address this may be, with the keys in the path."""
        flags = re.IGNORECASE if any_case else 0
        return [
            (operation, found.groupdict())
            for operation in self._by_method.get(method, [])
            if (found := re.fullmatch(operation.path, path, flags))
        ]

    def errors(
        self, schema: Schema, value: Any, *, is_request: bool
    ) -> Iterator[ValidationError]:
        """What the description has against a value."""
        key = (id(schema), is_request)
        if key not in self._validators:
            kind = self._write if is_request else self._read
            self._validators[key] = kind(schema, format_checker=oas30_format_checker)
        found: Iterator[ValidationError] = self._validators[key].iter_errors(value)
        return found

    def _validator_class(self, base: Any) -> Any:
        """A validator that follows our closed schemas and knows Xero's dates."""

        def ref(validator: Any, target: str, value: Any, schema: Any) -> Any:
            name = target.rpartition("/")[2]
            yield from validator.descend(value, self._schemas[name])

        dates = {"x-is-msdate": _is_ms_date, "x-is-msdate-time": _is_ms_date}
        return extend(base, {**dates, "$ref": ref})

    # -- reading the document ----------------------------------------------------------

    def _add(self, template: str, item: Mapping[str, Any]) -> None:
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method in ("get", "put", "post", "delete", "patch"):
                self._by_method.setdefault(method.upper(), []).append(
                    self._operation(template, operation, shared)
                )

    def _operation(
        self, template: str, raw: Mapping[str, Any], shared: list[Mapping[str, Any]]
    ) -> Operation:
        parameters = [
            self._parameter(self._followed(p))
            for p in [*shared, *(raw.get("parameters") or [])]
        ]
        body = self._followed(raw.get("requestBody") or {})
        return Operation(
            operation_id=raw["operationId"],
            path=re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template),
            parameters=parameters,
            body=_closed(body["content"]["application/json"]["schema"])
            if "application/json" in body.get("content", {})
            else None,
            body_is_required=bool(body.get("required")),
            answers={
                int(status): self._answer(self._followed(answer))
                for status, answer in raw["responses"].items()
                if status.isdigit()
            },
        )

    def _answer(self, raw: Mapping[str, Any]) -> dict[str, Schema]:
        return {
            media_type: _closed(content.get("schema", {}))
            for media_type, content in (raw.get("content") or {}).items()
        }

    def _parameter(self, raw: Mapping[str, Any]) -> Parameter:
        return Parameter(
            name=raw["name"],
            place=raw["in"],
            schema=raw["schema"],
            is_required=bool(raw.get("required")),
            is_list=raw["schema"].get("type") == "array",
        )

    def _followed(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """The component that a reference names."""
        if "$ref" not in raw:
            return raw
        _, kind, name = raw["$ref"].removeprefix("#/").split("/")
        component: Mapping[str, Any] = self._document["components"][kind][name]
        return component


@functools.cache
def load(base: str) -> Description:
    """The description of the addresses below a base, read once."""
    # The C loader: the pure one takes half a minute for this file.
    document = yaml.load((FOLDER / FILES[base]).read_bytes(), Loader=yaml.CSafeLoader)
    return Description(document)


def _closed(schema: Any) -> Any:
    """The same schema, in which an object has no other fields than it lists."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items() if name != "example"}
    if "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def _is_ms_date(validator: Any, flag: bool, value: Any, schema: Any) -> Any:
    """Xero's own mark on a date or a moment that it writes as /Date(ms+0000)/."""
    if flag and isinstance(value, str) and not _MS_DATE.match(value):
        yield ValidationError(f"{value!r} is not /Date(ms+0000)/")
