"""A read that waits for its place, however long Xero's limits ask for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.calls import Door, Slot, XeroAnswer, XeroRequest
from core.errors import XeroWait
from core.quota import Purpose


@dataclass(frozen=True, slots=True)
class Patience:
    """Places for the reads of a command that has nothing better to do than to wait.

    Only for reads: one that was refused a place is simply asked for again.

    Args:
        wait: returns when another try makes sense.
    """

    door: Door
    tenant: str
    purpose: Purpose
    wait: Callable[[XeroWait], None]

    @contextmanager
    def admit(self) -> Iterator[Slot]:
        yield self

    def send(
        self, request: XeroRequest, last_check: Callable[[], None] | None = None
    ) -> XeroAnswer:
        while True:
            try:
                with self.door.admit(self.tenant, self.purpose) as slot:
                    return slot.send(request, last_check)
            except XeroWait as wait:
                self.wait(wait)
