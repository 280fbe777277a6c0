from core.adoption_lines import Becomes
from settled.adopting import NEEDED, OPTIONAL
from tests.docs.pages import bare, page, rows, section

TEXT = page("docs/adopting.md")


def test_every_column_of_the_file_is_listed() -> None:
    listed = {bare(row[0]): row[1] for row in rows(section(TEXT, "The file"))}
    assert set(listed) == {*NEEDED, *OPTIONAL}
    assert {name for name, how in listed.items() if how == "needed"} == set(NEEDED)


def test_everything_that_a_line_may_become_is_listed() -> None:
    listed = {bare(row[0]) for row in rows(section(TEXT, "What each line becomes"))}
    assert listed == set(Becomes)
