"""The harness has eyes: every mistake that is made on purpose is caught."""

from collections.abc import Iterator

import pytest

from tests.faults.mutations import MUTATIONS, Mutation
from tests.faults.running import Bench, opened_bench
from tests.faults.scenario import Scenario


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with opened_bench() as opened:
        yield opened


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_caught(bench: Bench, mutation: Mutation) -> None:
    scenarios = [Scenario.read(text) for text in mutation.caught_by]
    for scenario in scenarios:
        assert bench.run(scenario).found == ()
    with mutation.made():
        found = [bench.run(scenario).found for scenario in scenarios]
    assert any(found)
