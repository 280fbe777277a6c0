"""Writes the cases anew after a table was changed."""

from tests.core.contact_cases import FILE, lines
from tests.core.contact_cases.families import families
from tests.core.contact_cases.names import names

if __name__ == "__main__":
    FILE.write_text(lines((*families(), *names())), "utf-8")
