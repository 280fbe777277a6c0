"""How names, addresses and numbers are spelled when they are compared.

The one place for it: the mirror's key columns, the matching and the audit use these
functions, so that what one of them finds the others find too. Every function here gives
the same answer to its own answer: a key of a key is that key.
"""

import re
import unicodedata
from collections.abc import Collection

#: A shorter tax number, or one digit again and again, stands there to fill a field.
_REAL_NUMBER_FROM = 5

#: Of every kind. They join what stands beside them: O'Brien and OBrien are one name.
_QUOTES = dict.fromkeys(
    map(
        ord,
        "'\"`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032"
        "\u2033\u02b9\u02bb\u02bc\u02bd\u02c8\u00ab\u00bb\u2039\u203a\uff07\uff02",
    )
)

#: Letters that Unicode does not take apart into a letter and a mark.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ß": "ss",
        "ħ": "h",
        "\u0131": "i",  # the Turkish one, without a dot
        "ŋ": "n",
        "ŧ": "t",
        "ĸ": "k",
    }
)


def plain(text: str) -> str:
    """Lower case, without diacritics, quotes and invisible characters."""
    if text.isascii():
        return text.lower().translate(_QUOTES)
    while (simpler := _simpler(text)) != text:
        text = simpler
    return text


def _simpler(text: str) -> str:
    """One step; some letters need two, because folding a case may bring a mark."""
    apart = unicodedata.normalize("NFKD", text.translate(_QUOTES).casefold())
    apart = _STANDING_MARK.sub("", apart)
    folded = unicodedata.normalize("NFKD", apart.translate(_LETTERS))
    return "".join(c for c in folded if unicodedata.category(c) not in _UNSEEN)


#: An accent on nothing, such as one for an apostrophe, which Unicode takes apart into a
#: space and a mark.
_STANDING_MARK = re.compile("[ \u00a0][\u0300-\u036f]+")

#: Marks on letters, and characters that nobody sees (soft hyphens, joiners).
_UNSEEN = frozenset({"Mn", "Me", "Cf"})


def words(text: str) -> tuple[str, ...]:
    """The words of a name; hyphens, dots and whatever is no letter part them."""
    spelled = plain(text).replace("&", " and ").replace("+", " and ")
    return tuple("".join(c if c.isalnum() else " " for c in spelled).split())


def name_key(name: str) -> str:
    return " ".join(words(name))


def email_key(email: str) -> str:
    """By which an address is looked up: without its tag (jan+tax@…), if it has one.

    Whether the tag counts is for `same_mailbox` to say, because a setting decides it
    and keys in the books must not depend on settings.
    """
    local, at, domain = _address(email).rpartition("@")
    return f"{_untagged(local)}{at}{domain}"


def same_mailbox(one: str, other: str, tag_domains: Collection[str] = ()) -> bool:
    """Whether two addresses are one, but for case and spaces around them.

    Args:
        one: an address; an empty one is the same as no other.
        other: another.
        tag_domains: where jan+tax@… is the mailbox of jan@…, as the tenant declares.
    """
    keys = {_mailbox(address, tag_domains) for address in (one, other)}
    return len(keys) == 1 and "" not in keys


def _mailbox(email: str, tag_domains: Collection[str]) -> str:
    address = _address(email)
    is_tagged = address.rpartition("@")[2] in tag_domains
    return email_key(address) if is_tagged else address


def _address(email: str) -> str:
    return unicodedata.normalize("NFKC", email).strip().casefold()


def _untagged(local: str) -> str:
    return local.partition("+")[0] or local


def number_written(number: str) -> str:
    """A number without spaces, hyphens and strokes: 2015/1234-07 is 2015123407."""
    return "".join(c for c in plain(number) if c.isalnum())


def number_key(number: str) -> str:
    """By which a number is looked up: also without the zeros that spreadsheets eat."""
    written = number_written(number)
    return written.lstrip("0") or written[:1]


def shape(number: str) -> str:
    """What a number looks like: M-1009 is a9999."""
    return "".join("9" if c.isdigit() else "a" for c in number_written(number))


def is_written(one: str, other: str) -> bool:
    """Whether two numbers are one, zeros included."""
    written = number_written(one)
    return written != "" and written == number_written(other)


def is_real_number(number: str) -> bool:
    """Whether it is one, and not n/a, 0000000000 or what else fills a field."""
    written = number_written(number)
    digits = [c for c in written if c.isdigit()]
    return (
        len(digits) >= _REAL_NUMBER_FROM
        and len(set(digits)) > 1
        and "".join(digits) not in "0123456789012345678909876543210"
    )


def is_of_company(number: str) -> bool:
    """In South Africa ten digits from 9 are a company's, from 4 VAT, from 7 PAYE."""
    written = number_written(number)
    return len(written) == 10 and written[0] in "479"
