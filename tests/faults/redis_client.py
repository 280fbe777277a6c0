"""A Redis client that can lose a command or its answer."""

from typing import Any

import redis
from redis.client import Pipeline

from tests.faults.plan import Life, Place


class FaultyRedis(redis.Redis):
    life: Life

    def execute_command(self, *args: Any, **options: Any) -> Any:
        what = _before(self.life)
        answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        _after(self.life, what)
        return answer

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        made = _FaultyPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )
        made.life = self.life
        return made


class _FaultyPipeline(Pipeline):
    life: Life

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        what = _before(self.life)
        answer = super().execute(raise_on_error)
        _after(self.life, what)
        return answer


def _before(life: Life) -> str:
    life.require()
    what = life.plan.meet(Place.REDIS)
    if what == "crash_before":
        life.end()
    if what == "away_before":
        raise redis.ConnectionError("refused")
    return what


def _after(life: Life, what: str) -> None:
    if what == "crash_after":
        life.end()
    if what == "away_after":
        raise redis.ConnectionError("the answer was lost")
