"""South African members, as a body's database knows them. Deterministic by seed."""

import random
import unicodedata
from dataclasses import dataclass
from typing import Any

_FIRST = [
    "Thabo",
    "Sipho",
    "Nomvula",
    "Lerato",
    "Zanele",
    "Bongani",
    "Thandiwe",
    "Mpho",
    "Kagiso",
    "Naledi",
    "Ayanda",
    "Johan",
    "Pieter",
    "Marié",
    "Anél",
    "Hennie",
    "Elmarié",
    "Gerhard",
    "Renée",
    "Zoë",
    "Chloë",
    "André",
    "Désirée",
    "Priya",
    "Anjali",
    "Yusuf",
    "Fatima",
    "Imraan",
    "Aisha",
    "Ravi",
    "Devi",
    "Michael",
    "Sarah",
    "James",
    "Emily",
    "Siân",
    "D'Arcy",
    "Jean-Pierre",
    "Anne-Marie",
    "Refilwe",
    "Tshepo",
    "Palesa",
    "Khanyisile",
    "Lwazi",
]
_LAST = [
    "Nkosi",
    "Dlamini",
    "Mokoena",
    "Khumalo",
    "Ndlovu",
    "Sithole",
    "Mahlangu",
    "Molefe",
    "Zulu",
    "Mthembu",
    "van der Merwe",
    "Botha",
    "Pretorius",
    "du Plessis",
    "Coetzee",
    "van Niekerk",
    "Steyn",
    "Jansen van Rensburg",
    "Müller",
    "Kruger",
    "Lourens-du Toit",
    "Naidoo",
    "Pillay",
    "Govender",
    "Patel",
    "Ebrahim",
    "Davids",
    "O'Connor",
    "O'Reilly",
    "Smith",
    "Adams",
    "Fourie-Nkosi",
    "Mkhize-Botha",
    "Françoise",
    "Jacobs",
]
_PLACES = (
    ("Johannesburg", "Gauteng", "2196"),
    ("Pretoria", "Gauteng", "0181"),
    ("Cape Town", "Western Cape", "8001"),
    ("Stellenbosch", "Western Cape", "7600"),
    ("Durban", "KwaZulu-Natal", "4001"),
    ("Gqeberha", "Eastern Cape", "6001"),
    ("Bloemfontein", "Free State", "9301"),
    ("Polokwane", "Limpopo", "0699"),
    ("Mbombela", "Mpumalanga", "1200"),
)
_STREETS = ("Jan Smuts Avenue", "Long Street", "Church Street", "Rivonia Road")
_FIRMS = ("Tax Consulting", "Accountants Inc.", "& Seuns Bpk", "Advisory (Pty) Ltd")

#: How many of a hundred members share the address of the family.
_FAMILIES_PERCENT = 8
_COMPANIES_PERCENT = 12


@dataclass(frozen=True, slots=True)
class Member:
    """One member, as `data.member` of a message shows them."""

    member_id: str
    name: str
    first_name: str
    last_name: str
    email: str
    shape: dict[str, Any]


def people(count: int, source: random.Random) -> list[Member]:
    """Return members with ids from 100001 on.

    Some share an e-mail address with family, and then never a first name; some
    names occur twice, under different addresses.
    """
    members: list[Member] = []
    for number in range(count):
        members.append(_member(number, source, members))
    return members


def employers(count: int, source: random.Random) -> list[dict[str, Any]]:
    """Return those who pay for several members."""
    made = []
    for number in range(count):
        name = f"{source.choice(_LAST)} {source.choice(_FIRMS)} {number + 1}"
        domain = _plain(name).replace(" ", "")
        made.append(
            {
                "id": f"{900_001 + number}",
                "name": name,
                "email": f"accounts@{domain}.co.za",
                "company": name,
                "tax_number": f"4{source.randrange(10**8, 10**9)}",
                "address": _address(source),
            }
        )
    return made


def _member(number: int, source: random.Random, others: list[Member]) -> Member:
    first, last = source.choice(_FIRST), source.choice(_LAST)
    member_id = f"{100_001 + number}"
    email = f"{_plain(first)}.{_plain(last)}{number}@example.co.za"
    relative = others[-1] if others else None
    if (
        relative
        and source.randrange(100) < _FAMILIES_PERCENT
        and relative.first_name != first
        and not _is_family(others[-2:])
    ):
        last, email = relative.last_name, relative.email
    name = f"{first} {last}"
    shape: dict[str, Any] = {"id": member_id, "name": name, "email": email}
    if source.random() < 0.8:
        shape["phone"] = f"+27 {source.randrange(60, 85)} {source.randrange(10**6):07}"
    if source.random() < 0.7:
        shape["address"] = _address(source)
    if source.random() < 0.3:
        shape["tax_number"] = f"{source.randrange(10**9, 10**10)}"
    if source.randrange(100) < _COMPANIES_PERCENT:
        shape["company"] = f"{last} {source.choice(_FIRMS)}"
    return Member(member_id, name, first, last, email, shape)


def _is_family(pair: list[Member]) -> bool:
    return len(pair) == 2 and pair[0].email == pair[1].email


def _address(source: random.Random) -> dict[str, str]:
    city, region, code = source.choice(_PLACES)
    return {
        "line1": f"{source.randrange(1, 400)} {source.choice(_STREETS)}",
        "city": city,
        "region": region,
        "postal_code": code,
        "country": "South Africa",
    }


def _plain(text: str) -> str:
    """Return text as it may stand in an e-mail address: plain letters only."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(c for c in letters.lower() if c.isalnum())
