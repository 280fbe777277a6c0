"""Many threads at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")


def together(count: int, work: Callable[[int], ResultT]) -> list[ResultT]:
    """Run it in so many threads that begin at the same moment; what each returned."""
    start = threading.Barrier(count)

    def begin(number: int) -> ResultT:
        start.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))
