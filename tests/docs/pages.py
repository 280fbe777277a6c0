"""The pages, taken apart as far as a test needs: headings, table rows, code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Every page that people read.
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]
)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def headings(text: str, level: int) -> list[str]:
    """Headings of one level, without their marks and backticks."""
    found = re.findall(rf"^{'#' * level} (.+)$", without_code(text), re.MULTILINE)
    return [heading.replace("`", "") for heading in found]


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"no heading {heading!r}")
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", without_code(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, headers and rules left out."""
    lines = re.findall(r"^\|(.+)\|$", without_code(text), re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    rules = {n for n, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    headers = {n - 1 for n in rules}
    return [row for n, row in enumerate(cells) if n not in rules | headers]


def code(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    """Code blanked out: its lines may look like headings or tables."""
    return re.sub(
        r"^( *)```.*?^\1```",
        lambda block: re.sub(r"[^\n]", " ", block[0]),
        text,
        flags=re.MULTILINE | re.DOTALL,
    )


def bare(cell: str) -> str:
    """A cell without its backticks."""
    return cell.strip("`")
