"""One request, as endpoints see it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sandbox.xero.listing import Query
from sandbox.xero.wire import decode

if TYPE_CHECKING:
    from sandbox.xero.books import Books


@dataclass(slots=True)
class Call:
    """A request whose body has been read."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes
    keys: dict[str, str] = field(default_factory=dict)
    books: "Books | None" = None

    def header(self, name: str) -> str | None:
        """Return a header; names are kept in lower case."""
        return self.headers.get(name)

    @property
    def query(self) -> dict[str, str]:
        """The query parameters, exactly as named."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def filters(self) -> Query:
        """The query of an accounting list."""
        parameters = {k.casefold(): v for k, v in self.query.items()}
        return Query(parameters, self.header("if-modified-since"))

    @property
    def form(self) -> dict[str, str]:
        """The fields of a submitted form."""
        text = self.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True))

    def json(self) -> Any:
        """Return the body, with exact decimals."""
        return decode(self.body)

    @property
    def address(self) -> str:
        """Path and query, as an idempotency key remembers them."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path
