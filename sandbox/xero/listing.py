"""Lists: filters, order, paging and how much of each record is shown."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from sandbox.xero import where
from sandbox.xero.books import Books
from sandbox.xero.errors import QueryInvalid

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """How one kind of record is listed."""

    name: str
    records: Callable[[Books], Iterable[T]]
    getters: Mapping[str, Callable[[T, Books], object]]
    id_field: str
    updated_at: Callable[[T], datetime]
    full: Callable[[T, Books], dict[str, Any]]
    stripped: Callable[[T, Books], dict[str, Any]]
    summary: Callable[[T, Books], dict[str, Any]] | None = None
    #: query parameter → field whose value must be in the comma-separated list
    lists: Mapping[str, str] | None = None
    searched: tuple[str, ...] = ()
    is_archived: Callable[[T], bool] | None = None
    is_ours: Callable[[T], bool] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a list, by name without regard to case."""

    parameters: Mapping[str, str]
    modified_since: str | None = None

    def text(self, name: str) -> str | None:
        """Return a parameter, or None where it is absent or empty."""
        return self.parameters.get(name.casefold()) or None

    def flag(self, name: str) -> bool:
        """Return whether a parameter says true."""
        return (self.text(name) or "").casefold() == "true"

    def number(self, name: str) -> int | None:
        """Return a whole number of one or more."""
        text = self.text(name)
        if text is None:
            return None
        if not text.isdecimal() or int(text) < 1:
            raise QueryInvalid(f"{name} must be a whole number")
        return int(text)


def listed(
    resource: Resource[T], books: Books, query: Query
) -> tuple[list[dict[str, Any]], dict[str, int] | None]:
    """Return the shapes that a list shows, and the pagination of a paged one."""
    found = _ordered(resource, books, query, _filtered(resource, books, query))
    show = resource.summary if query.flag("summaryOnly") else None
    if not _is_paged(resource, query):
        return [resource.stripped(record, books) for record in found], None
    size = min(query.number("pageSize") or DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)
    page = query.number("page") or 1
    pagination = {
        "page": page,
        "pageSize": size,
        "pageCount": -(-len(found) // size),
        "itemCount": len(found),
    }
    shown = found[(page - 1) * size : page * size]
    return [(show or resource.full)(record, books) for record in shown], pagination


def _is_paged(resource: Resource[T], query: Query) -> bool:
    names = ("page", "pageSize", "searchTerm", *(resource.lists or {}))
    asked = any(query.text(name) for name in names)
    return asked or (resource.summary is not None and query.flag("summaryOnly"))


def _filtered(resource: Resource[T], books: Books, query: Query) -> list[T]:
    keep = [*_list_filters(resource, books, query)]
    condition = query.text("where")
    if condition:
        predicate = where.parse(condition, frozenset(resource.getters))
        keep.append(lambda r: predicate(lambda name: resource.getters[name](r, books)))
    since = _since(query.modified_since)
    if since:
        keep.append(lambda r: resource.updated_at(r) > since)
    if resource.is_archived and not query.flag("includeArchived"):
        is_archived = resource.is_archived
        keep.append(lambda r: not is_archived(r))
    if resource.is_ours and query.flag("createdByMyApp"):
        keep.append(resource.is_ours)
    return [r for r in resource.records(books) if all(test(r) for test in keep)]


def _list_filters(
    resource: Resource[T], books: Books, query: Query
) -> Iterable[Callable[[T], bool]]:
    for parameter, field in (resource.lists or {}).items():
        text = query.text(parameter)
        if text:
            wanted = {part.strip().casefold() for part in text.split(",")}
            yield _one_of(resource.getters[field], books, wanted)
    term = query.text("searchTerm")
    if term and resource.searched:
        needle = where.folded(term)
        getters = [resource.getters[name] for name in resource.searched]
        yield lambda r: any(
            needle in where.folded(str(get(r, books) or "")) for get in getters
        )


def _one_of(
    get: Callable[[T, Books], object], books: Books, wanted: set[str]
) -> Callable[[T], bool]:
    return lambda record: str(get(record, books)).casefold() in wanted


def _since(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError as error:
            raise QueryInvalid("If-Modified-Since cannot be read") from error
    moment = moment.replace(tzinfo=moment.tzinfo or UTC, microsecond=0)
    return moment.astimezone(UTC)


def _ordered(
    resource: Resource[T], books: Books, query: Query, found: list[T]
) -> list[T]:
    """Sort; without an order by UpdatedDateUTC, and always by id in the end."""
    get_id = resource.getters[resource.id_field]
    found.sort(key=lambda r: str(get_id(r, books)))
    terms = [t.split() for t in (query.text("order") or "UpdatedDateUTC").split(",")]
    for term in reversed(terms):
        if not term or term[0] not in resource.getters:
            raise QueryInvalid("The order cannot be read")
        get = resource.getters[term[0]]
        descending = len(term) > 1 and term[1].upper().startswith("DESC")
        found.sort(key=_sort_key(get, books), reverse=descending)
    return found


def _sort_key(
    get: Callable[[T, Books], object], books: Books
) -> Callable[[T], tuple[bool, Any]]:
    def key(record: T) -> tuple[bool, Any]:
        value = get(record, books)
        if isinstance(value, str):
            value = value.casefold()
        return value is not None, value or ""

    return key
