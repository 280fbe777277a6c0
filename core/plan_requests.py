"""``season.plan_requested``: what the platform asks to be planned."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.errors import Refused

SEASON_PLAN_REQUESTED = "season.plan_requested"


class PlanRequested(BaseModel):
    """Messages as the platform would send them, in one part or several.

    The parts of a season share their subject, and are planned when all are here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    part: Annotated[int, Field(ge=1, le=1_000)] = 1
    parts: Annotated[int, Field(ge=1, le=1_000)] = 1
    #: Calls for payments, and for whoever waits, that a day will bring.
    awaited_per_day: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "PlanRequested":
        if self.part > self.parts:
            raise Refused(f"there are only {self.parts} parts", "data.part")
        return self
