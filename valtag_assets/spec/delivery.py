"""deliveries/*.yaml: which audience is kept at which destination, with which of its tags."""

from typing import Any

from pydantic import Field, field_validator

from valtag_assets.spec.block import Block, Code, Title
from valtag_assets.spec.destination import Travelling, check_names, read_fields


class Delivery(Block):
    """One audience at one destination. ``fields`` in the place of the destination's own.

    Before the first message it is compared with what the destination has acknowledged, and nothing is sent when:
    the audience grew or shrank by more than the factor ``jump`` (0: never; where both sizes are below ``jump_from``,
    any change is fine); more than ``max_delete_share`` of those held there would go; the share of persons with a
    value in a travelling field fell by more than ``max_coverage_drop``.
    """

    code: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    segment: Code
    to: Code
    enabled: bool = True
    fields: dict[Code, Travelling] | None = None
    jump: float = Field(default=3.0, ge=0)
    jump_from: int = Field(default=100, ge=0)
    max_delete_share: float = Field(default=0.3, ge=0, le=1)
    max_coverage_drop: float = Field(default=0.2, ge=0, le=1)
    patience: float = Field(default=60, ge=0, description="Seconds a run waits for messages that are to be retried.")

    @field_validator("fields", mode="before")
    @classmethod
    def _short(cls, fields: Any) -> Any:
        return read_fields(fields)

    @field_validator("fields")
    @classmethod
    def _named(cls, fields: dict[str, Travelling] | None) -> dict[str, Travelling] | None:
        return None if fields is None else check_names(fields)

    @field_validator("jump")
    @classmethod
    def _factor(cls, jump: float) -> float:
        if 0 < jump <= 1:
            raise ValueError(f"jump {jump}: a factor above 1, or 0 for none")
        return jump


class DeliveryFile(Block):
    """One file of deliveries/."""

    deliveries: tuple[Delivery, ...]
