"""The campaign itself, short: real processes, killed by a fixed seed."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.campaign.campaign import Campaign, Result, Scale
from tests.faults.campaign.plan import Kind
from tests.faults.campaign.processes import Fleet, Post
from tests.faults.campaign.report import SETTLED_WITHIN_S

SEED = 20261121

#: Whole seconds of a machine that others use too; the figures of a quiet one are
#: measured by ``python -m tests.faults.campaign``.
PATIENCE_S = 60

COUNTS_ON = {
    "postgres": {
        Kind.KILL: 12,
        Kind.KILL_OTHER: 4,
        Kind.STOP: 1,
        Kind.REDIS: 2,
        Kind.POSTGRES: 2,
        Kind.CLOCK: 1,
        Kind.THRICE: 1,
    },
    "sqlite": {Kind.KILL: 2, Kind.SQLITE_LOCK: 1},
}


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_done_twice(tmp_path: Path) -> None:
    database = os.environ.get("SETTLED_TEST_DATABASE", "sqlite")
    counts = COUNTS_ON[database]
    scale = Scale(
        counts=counts,
        length_s=15,
        members=300,
        most_open=40,
        drain_s=120,
        database="sqlite" if database == "sqlite" else "postgres",
    )
    said: list[str] = []
    result = Campaign(tmp_path, SEED, scale, said.append).run()
    assert [str(finding) for finding in result.findings] == [], said
    assert result.unfinished == []
    assert result.problems == []
    assert result.blows == counts
    assert_settled(result)


def assert_settled(result: Result) -> None:
    late = [strand.late_s for strand in result.strands]
    assert all(s is not None and s < SETTLED_WITHIN_S + PATIENCE_S for s in late), late


def test_a_post_is_filled_again_and_its_death_is_no_stray(tmp_path: Path) -> None:
    arguments = ["sandbox", "serve", "--port", "0", "--json"]
    post = Post("one", "xero", arguments, tmp_path / "log")
    with Fleet([post]) as fleet:
        fleet.wait_until_up(30)
        first = post.pid
        assert fleet.send(post, signal.SIGKILL) == first
        fleet.wait_until_up(30)
        assert (post.pid != first, post.lives) == (True, 2)
    assert fleet.ended == []


def test_whoever_ends_by_himself_is_a_stray_with_his_last_words(tmp_path: Path) -> None:
    post = Post("one", "nobody", ["no_such_module"], tmp_path / "log")
    with Fleet([post]) as fleet:
        while not fleet.ended:
            assert not post.is_up
    assert fleet.ended[0].code == 1
    assert "No module named no_such_module" in fleet.ended[0].last_words
