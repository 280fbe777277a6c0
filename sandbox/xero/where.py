"""The language of the where parameter, as far as the accounting lists use it.

    Status=="AUTHORISED" AND AmountDue>0 AND Date>=DateTime(2026,11,20)
    Invoice.InvoiceID==guid("…") · Reference!=null && Reference.StartsWith("x")

Strings stand in double quotes and nothing escapes a quote. Text compares without
regard to case and accents, as Xero documents for contacts.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from sandbox.xero.errors import QueryInvalid

Getter = Callable[[str], object]
Predicate = Callable[[Getter], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"[^"]*")
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<op>==|!=|<>|>=|<=|&&|\|\||[=<>(),])
    )""",
    re.VERBOSE,
)
_COMPARISONS = ("==", "=", "!=", "<>", ">=", "<=", ">", "<")
_METHODS = ("Contains", "StartsWith", "EndsWith")


def folded(text: str) -> str:
    """Return text without case and accents."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def parse(text: str, fields: frozenset[str]) -> Predicate:
    """Return a predicate for a where expression.

    Args:
        text: for example ``Status=="PAID" AND AmountDue>0``.
        fields: the field names that may stand in it.

    Raises:
        QueryInvalid: it cannot be read, or names another field.
    """
    parser = _Parser(_tokens(text), fields)
    predicate = parser.either()
    parser.end()
    return predicate


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise QueryInvalid(f"The where clause cannot be read at: {text[at:]}")
        tokens.append(found[0].strip())
        at = found.end()
    return tokens


class _Parser:
    """Recursive descent: either → both → comparison → value."""

    def __init__(self, tokens: Sequence[str], fields: frozenset[str]) -> None:
        self._tokens = list(tokens)
        self._fields = {name.casefold(): name for name in fields}
        self._at = 0

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._accept("||", "or"):
            parts.append(self._both())
        return lambda get: any(part(get) for part in parts)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise QueryInvalid(f"Unexpected {self._tokens[self._at]} in where clause")

    def _both(self) -> Predicate:
        parts = [self._comparison()]
        while self._accept("&&", "and"):
            parts.append(self._comparison())
        return lambda get: all(part(get) for part in parts)

    def _comparison(self) -> Predicate:
        if self._accept("("):
            inside = self.either()
            self._expect(")")
            return inside
        name, method = self._field()
        if method:
            return self._called(name, method)
        operator = self._next()
        if operator not in _COMPARISONS:
            raise QueryInvalid(f"Operator {operator} is not known")
        value = self._value()
        return lambda get: _holds(operator, get(name), value)

    def _field(self) -> tuple[str, str | None]:
        word = self._next()
        if word.casefold() in self._fields:
            return self._fields[word.casefold()], None
        head, _, method = word.rpartition(".")
        if method in _METHODS and head.casefold() in self._fields:
            return self._fields[head.casefold()], method
        raise QueryInvalid(f"No property or field '{word}' exists")

    def _called(self, name: str, method: str) -> Predicate:
        self._expect("(")
        part = self._value()
        self._expect(")")
        if not isinstance(part, str):
            raise QueryInvalid(f"{method} wants a string")
        wanted = folded(part)

        def holds(get: Getter) -> bool:
            text = folded(str(get(name) or ""))
            match method:
                case "StartsWith":
                    return text.startswith(wanted)
                case "EndsWith":
                    return text.endswith(wanted)
            return wanted in text

        return holds

    def _value(self) -> object:
        token = self._next()
        if token.startswith('"'):
            return token[1:-1]
        if re.fullmatch(r"-?\d+(\.\d+)?", token):
            return Decimal(token)
        match token.casefold():
            case "null":
                return None
            case "true" | "false":
                return token.casefold() == "true"
            case "guid":
                return str(self._arguments()[0]).lower()
            case "datetime":
                return self._moment()
        raise QueryInvalid(f"{token} is not a value")

    def _moment(self) -> datetime:
        numbers = self._arguments()
        try:
            parts = [int(str(number)) for number in numbers]
            return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
        except (ValueError, TypeError) as error:
            raise QueryInvalid("DateTime cannot be read") from error

    def _arguments(self) -> list[object]:
        self._expect("(")
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        self._expect(")")
        return values

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise QueryInvalid("The where clause ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, *tokens: str) -> bool:
        more = self._at < len(self._tokens)
        found = more and self._tokens[self._at].casefold() in tokens
        self._at += found
        return found

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise QueryInvalid(f"{token} is missing in the where clause")


def _comparable(value: object) -> object:
    if isinstance(value, str):
        return folded(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def _holds(operator: str, left: object, right: object) -> bool:
    left, right = _comparable(left), _comparable(right)
    # Xero keeps an empty text as null, so both guards find it.
    if right is None and left == "":
        left = None
    match operator:
        case "==" | "=":
            return left == right
        case "!=" | "<>":
            return left != right
    if left is None or right is None:
        return False
    try:
        return _ordered(operator, left, right)
    except TypeError as error:
        raise QueryInvalid(f"Operator {operator} does not fit these types") from error


def _ordered(operator: str, left: object, right: object) -> bool:
    match operator:
        case ">":
            return bool(left > right)  # type: ignore[operator]
        case "<":
            return bool(left < right)  # type: ignore[operator]
        case ">=":
            return bool(left >= right)  # type: ignore[operator]
    return bool(left <= right)  # type: ignore[operator]
