"""A year of the real daemon agrees with Xero's description, exchange by exchange."""

import sys
from pathlib import Path

import pytest

from tests.contract.deviations import DEVIATIONS
from tests.contract.report import Report, check
from tests.contract.traffic import record_on

#: What the main job does to Xero; the year must do all of it.
OPERATIONS = {
    "GET /connections",
    "GET /Organisation",
    "GET /Accounts",
    "GET /TaxRates",
    "GET /Contacts",
    "PUT /Contacts",
    "POST /Contacts",
    "GET /Invoices",
    "PUT /Invoices",
    "POST /Invoices",
    "POST /Invoices/{id}/Email",
}


@pytest.mark.timeout(300)  # the year is half a minute of work on a busy machine
def test_every_exchange_of_a_year_agrees_with_the_description(
    tmp_path: Path,
    redis_url: str,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = check(record_on(tmp_path, redis_url, database_url))
    with capsys.disabled():
        sys.stdout.write(_said(report))
    assert report.unlisted == []
    assert [d.name for d in report.unused] == []
    assert set(report.operations) == OPERATIONS


def test_what_we_send_is_described() -> None:
    unknown = [d.name for d in DEVIATIONS if (d.side, d.rule) == ("request", "unknown")]
    assert unknown == []


def _said(report: Report) -> str:
    return (
        f"\n{report.checked} exchanges checked, {len(report.unlisted)} deviations "
        f"unlisted, {len(report.tolerated)} known ones occurred\n"
    )
