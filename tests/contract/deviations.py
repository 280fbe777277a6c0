"""Where the traffic departs from the description, and the fact that allows it.

Facts are those of facts/xero.md; OAS is the description itself, whose examples often
show what its schemas leave out. Whatever is not listed here is a fault, and so is an
entry that never occurs: then the fact, or the sandbox, has changed.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contract.checker import Finding
from tests.contract.exchange import Exchange

Shape = Callable[[Exchange], bool]


def _always(exchange: Exchange) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Deviation:
    """One known departure.

    Args:
        at, value, operation: patterns that must match as a whole.
        shape: what the exchange must look like besides.
    """

    name: str
    fact: str
    side: str
    place: str
    rule: str
    at: str
    value: str = ".*"
    operation: str = ".*"
    shape: Shape = _always

    def covers(self, finding: Finding, exchange: Exchange) -> bool:
        """Whether this allows a finding."""
        return (
            (finding.side, finding.place, finding.rule)
            == (self.side, self.place, self.rule)
            and _fits(self.at, finding.at)
            and _fits(self.value, finding.value)
            and _fits(self.operation, finding.operation)
            and self.shape(exchange)
        )


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.DOTALL) is not None


# -- answers without a description: what they must look like ---------------------------

_PROBLEM = {"Type", "Title", "Status", "Detail", "Instance", "Extensions"}

_UNAUTHORISED = ("TokenExpired: ", "AuthenticationUnsuccessful", "AuthorizationUns")


def _is_problem(exchange: Exchange) -> bool:
    """The body of the gateway in front of the API."""
    body: Any = json.loads(exchange.answer_body)
    return (
        exchange.media_type == "application/json"
        and set(body) == _PROBLEM
        and body["Status"] == exchange.status
        and body["Detail"].startswith(_UNAUTHORISED)
    )


def _is_limit(exchange: Exchange) -> bool:
    """An empty body; a moment to come back at only for minute and day."""
    headers = exchange.answer_headers
    comes_back = headers.get("retry-after", "").isdigit()
    match headers.get("x-rate-limit-problem"):
        case "minute" | "day":
            return not exchange.answer_body and comes_back
        case "concurrent" | "appminute":
            return not exchange.answer_body and "retry-after" not in headers
    return False


def _is_text(exchange: Exchange) -> bool:
    return exchange.media_type == "text/plain"


DEVIATIONS = (
    # -- what we send ------------------------------------------------------------------
    Deviation(
        "a day is sent as YYYY-MM-DD",
        "section 10: requests accept YYYY-MM-DD or /Date()/; OAS examples send it so",
        "request",
        "body",
        "x-is-msdate",
        r"Invoices\[\]\.(Date|DueDate)",
        r"'\d{4}-\d\d-\d\d'",
    ),
    Deviation(
        "an e-mail is asked for with an empty body",
        "section 6: POST /Invoices/{id}/Email, empty body, 204",
        "request",
        "body",
        "required",
        "",
        "",
        "emailInvoice",
    ),
    Deviation(
        "If-Modified-Since without a zone",
        "section 4: UTC, second resolution, yyyy-mm-ddThh:mm:ss",
        "request",
        "header",
        "format",
        "If-Modified-Since",
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
    ),
    Deviation(
        "/connections in small letters",
        "section 9: GET https://api.xero.com/connections",
        "request",
        "path",
        "case",
        "/connections",
        operation="getConnections",
    ),
    # -- what Xero answers: fields -----------------------------------------------------
    Deviation(
        "the envelope of every document",
        "section 3 and 10: Id, Status, DateTimeUTC; every OAS example has the four",
        "answer",
        "body",
        "unknown",
        "Id|Status|ProviderName|DateTimeUTC",
    ),
    Deviation(
        "a day a second time, as ISO text",
        "section 10: companion DateString; OAS examples of invoices have both",
        "answer",
        "body",
        "unknown",
        r"Invoices\[\]\.(DateString|DueDateString)",
        r"'\d{4}-\d\d-\d\dT00:00:00'",
    ),
    Deviation(
        "lines carry an empty list of errors",
        "section 3: elements carry ValidationErrors; OAS examples show it on lines",
        "answer",
        "body",
        "unknown",
        r"Invoices\[\]\.LineItems\[\]\.ValidationErrors",
        r"\[\]",
    ),
    Deviation(
        "a refused element comes back whole",
        "section 10: Elements holds the whole element; section 3: with its flags",
        "answer",
        "body",
        "unknown",
        r"Elements\[\]\.(HasErrors|StatusAttributeString)",
        "True|'ERROR'",
    ),
    Deviation(
        "moments of a connection have no zone",
        "section 9 and the description's own example of a connection",
        "answer",
        "body",
        "format",
        r"\[\]\.(createdDateUtc|updatedDateUtc)",
        r"'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}'",
        "getConnections",
    ),
    # -- what Xero answers: headers and refusals ---------------------------------------
    Deviation(
        "what is left of the limits",
        "section 1: three headers on every normal response",
        "answer",
        "header",
        "unknown",
        "x-(day|min|appmin)limit-remaining",
        r"\d+",
    ),
    Deviation(
        "a 429 says which limit",
        "section 1: X-Rate-Limit-Problem: minute, day, concurrent or appminute",
        "answer",
        "header",
        "unknown",
        "x-rate-limit-problem",
        "minute|day|concurrent|appminute",
        shape=lambda e: e.status == 429,
    ),
    Deviation(
        "a 429 says when to come back",
        "section 1: Retry-After in whole seconds, only for minute and day",
        "answer",
        "header",
        "unknown",
        "retry-after",
        r"\d+",
        shape=_is_limit,
    ),
    Deviation(
        "401",
        "section 10: a JSON body with Title, Status and Detail",
        "answer",
        "status",
        "unknown",
        "401",
        shape=_is_problem,
    ),
    Deviation(
        "429",
        "section 1 and 10: empty, all is in the headers",
        "answer",
        "status",
        "unknown",
        "429",
        shape=_is_limit,
    ),
    Deviation(
        "500",
        "section 10: generic, says nothing",
        "answer",
        "status",
        "unknown",
        "500",
        shape=_is_text,
    ),
    Deviation(
        "503",
        "section 10: plain text, 'The Organisation is offline'",
        "answer",
        "status",
        "unknown",
        "503",
        "The Organisation is offline",
        shape=_is_text,
    ),
)
