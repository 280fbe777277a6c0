"""One call and its answer, as the sandbox recorded them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Exchange:
    """As they crossed the wire; names of headers are in lower case."""

    number: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer_body: bytes

    @classmethod
    def recorded(cls, raw: Mapping[str, Any]) -> Self:
        """From `GET /_sandbox/exchanges`."""
        return cls(
            number=raw["number"],
            method=raw["method"],
            path=raw["path"],
            query=dict(parse_qsl(raw["query"], keep_blank_values=True)),
            headers=_lowered(raw["request_headers"]),
            body=base64.b64decode(raw["request_body"]),
            status=raw["status"],
            answer_headers=_lowered(raw["response_headers"]),
            answer_body=base64.b64decode(raw["response_body"]),
        )

    @property
    def media_type(self) -> str:
        """Of the answer, without its parameters."""
        return self.answer_headers.get("content-type", "").partition(";")[0]


def as_json(body: bytes) -> Any:
    """What a body says.

    Raises:
        ValueError: it is not JSON.
    """
    return json.loads(body)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
