"""segments/*.yaml: saved audiences (人群圈选)."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from valtag_assets.spec.block import Block, Code, Title
from valtag_assets.spec.event import Event, Sequence

_MOST = 10**9  # persons; every engine takes such a limit
BRANCHES = ("all", "any", "none", "of")


class Rule(Block):
    """A tree. Exactly one of:

    a condition over tags and scores as text; ``all`` / ``any`` / ``none`` of rules, or ``at_least: n`` with ``of``;
    ``did`` / ``did_not``: rows of a fact; ``sequence``: rows in an order; ``in_segment`` / ``in_list``.

    A text may hold any of these: ``city = '上海' and did_not(orders, within 30d)``.
    """

    condition: str | None = None
    all: tuple["Rule", ...] | None = None
    any: tuple["Rule", ...] | None = None
    none: tuple["Rule", ...] | None = None
    at_least: int | None = None
    of: tuple["Rule", ...] | None = None
    did: Event | None = None
    did_not: Event | None = None
    sequence: Sequence | None = None
    in_segment: Code | None = None
    in_list: Code | None = None

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"condition": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one(self) -> "Rule":
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a rule is a condition as text, or exactly one of {', '.join(KINDS[1:])}")
        if given[0] in BRANCHES and not getattr(self, given[0]):
            raise ValueError(f"{given[0]} needs at least one rule")
        if (self.at_least is None) != (self.of is None):
            raise ValueError("at_least: n goes with of: [rules]")
        if self.of is not None and not 1 <= (self.at_least or 0) <= len(self.of):
            raise ValueError(f"at_least {self.at_least} of {len(self.of)} rules: write 1 to {len(self.of)}")
        return self

    @property
    def kind(self) -> str:
        """Which of the alternatives it is."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def rules(self) -> tuple["Rule", ...]:
        """The rules of a branch; none of any other kind."""
        found: tuple[Rule, ...] = getattr(self, self.kind) if self.kind in BRANCHES else ()
        return found


KINDS = ("condition", *BRANCHES, "did", "did_not", "sequence", "in_segment", "in_list")


class Cap(Block):
    """At most so many members for each value of ``per``, the first by the segment's ``order``."""

    per: Code
    at_most: int = Field(ge=1, le=_MOST)


class Sample(Block):
    """A part of the members drawn by ``seed``: a ``share`` of them, or ``count`` persons.

    Who is drawn depends on the seed and the person alone: the same person is drawn every day.
    """

    share: float | None = Field(default=None, gt=0, le=1)
    count: int | None = Field(default=None, ge=1, le=_MOST)
    seed: int

    @model_validator(mode="after")
    def _one(self) -> "Sample":
        if (self.share is None) == (self.count is None):
            raise ValueError("sample needs share or count, and not both")
        return self


class Holdout(Block):
    """A share of the members that stays untouched, so that an effect can be measured; marked ``is_holdout``.

    Audiences of one seed have the same persons in their holdouts. The draw is another one than that of a
    ``sample`` with the same seed.
    """

    share: float = Field(gt=0, lt=1)
    seed: int


class Waterfall(Block):
    """One audience of a set: who is in one of lower ``priority`` number is in none of the later ones."""

    set: Code
    priority: int = Field(ge=1)


class Size(Block):
    """What a membership must look like to be published; otherwise the last good one stays served.

    ``jump``: held when the size grew or shrank by more than this factor since the as-of before (0: never). Where
    both are below ``jump_from`` persons, any change is fine.
    """

    min: int = Field(default=0, ge=0, le=_MOST)
    max: int | None = Field(default=None, ge=1, le=_MOST)
    jump: float = Field(default=3.0, ge=0, le=_MOST)
    jump_from: int = Field(default=100, ge=0, le=_MOST)

    @field_validator("jump")
    @classmethod
    def _factor(cls, jump: float) -> float:
        if 0 < jump <= 1:
            raise ValueError(f"jump {jump}: a factor above 1, or 0 for none")
        return jump

    @model_validator(mode="after")
    def _bounds(self) -> "Size":
        if self.max is not None and self.min > self.max:
            raise ValueError(f"no size is at least {self.min} and at most {self.max}")
        return self


class Segment(Block):
    """One audience: who is in it, what it is for, who owns it.

    In this order: ``rule``; the project's exclusions; the ``waterfall``; ``sample``; ``caps``; ``limit``, both by
    ``order`` (expressions, each with asc or desc; persons without a value come last, and equal ones by their id);
    ``holdout`` marks part of what is left.
    """

    code: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    used_for: tuple[str, ...] = ()
    rule: Rule
    order: tuple[str, ...] = ()
    limit: int | None = Field(default=None, ge=1, le=_MOST)
    caps: tuple[Cap, ...] = ()
    sample: Sample | None = None
    holdout: Holdout | None = None
    waterfall: Waterfall | None = None
    size: Size = Size()

    @field_validator("order", mode="before")
    @classmethod
    def _one_order(cls, order: Any) -> Any:
        return [order] if isinstance(order, str) else order

    @model_validator(mode="after")
    def _ordered(self) -> "Segment":
        if self.order and self.limit is None and not self.caps:
            raise ValueError("order says who comes first for limit or caps; here is neither")
        return self


class SegmentFile(Block):
    """One file of segments/."""

    segments: tuple[Segment, ...]
