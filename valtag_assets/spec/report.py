"""reports/*.yaml: measures by dimensions over facts, tags, scores and segments (报表)."""

from collections.abc import Mapping
from typing import Literal

from pydantic import field_validator, model_validator

from valtag_assets.spec.block import Block, Code, Title
from valtag_assets.spec.project import check_owner
from valtag_assets.spec.segment import Rule
from valtag_assets.spec.tag import check_windows

Grain = Literal["day", "week", "month"]
Counted = Literal["persons", "count", "count_distinct", "sum", "avg"]
WITHOUT_OF: frozenset[str] = frozenset({"persons", "count"})
MOST_DIMENSIONS = 4
# Columns that every report has.
ROW, TOTAL = "row", "is_total"


class Dimension(Block):
    """What splits a report, one of: ``tag`` (a tag or a column of a score of the person), ``segment`` (whether
    the person is a member), ``field`` (a field of the report's fact) or ``date`` (day, week from Monday, or month
    of the fact's time, shown as its first day)."""

    tag: Code | None = None
    segment: Code | None = None
    field: Code | None = None
    date: Grain | None = None
    title: Title | None = None

    @model_validator(mode="after")
    def _one(self) -> "Dimension":
        if len(self._given()) != 1:
            raise ValueError("a dimension has exactly one of tag, segment, field, date")
        return self

    def _given(self) -> list[str]:
        return [name for name in ("tag", "segment", "field", "date") if getattr(self, name) is not None]

    @property
    def kind(self) -> str:
        return self._given()[0]

    @property
    def name(self) -> str:
        """The name of its column."""
        written = str(getattr(self, self.kind))
        return f"in_{written}" if self.kind == "segment" else written

    @property
    def of_fact(self) -> bool:
        """Whether it splits the rows of a fact, not the persons."""
        return self.kind in ("field", "date")


class ReportMeasure(Block):
    """One number per line.

    With ``agg``: over the rows of ``fact`` that satisfy ``where``, dated within ``window``; ``persons`` counts the
    persons with such a row, and without a fact everybody. With ``share``: that measure's share of its total. With
    ``ratio``: the first measure over the second, empty where that is 0; people read shares, and ratios without a
    ``unit``, as percentages. Counts and sums of nothing are 0, an average of nothing is empty.
    """

    code: Code
    title: Title
    meaning: str | None = None
    unit: str | None = None
    agg: Counted | None = None
    fact: Code | None = None
    of: str | None = None
    where: str | None = None
    window: str | None = None
    share: Code | None = None
    ratio: tuple[Code, Code] | None = None

    @field_validator("window")
    @classmethod
    def _known_window(cls, window: str | None) -> str | None:
        return window if window is None else check_windows((window,))[0]

    @model_validator(mode="after")
    def _one_kind(self) -> "ReportMeasure":
        given = [name for name in ("agg", "share", "ratio") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a measure has exactly one of agg, share, ratio")
        if self.agg is None:
            if strange := [name for name in ("fact", "of", "where", "window") if getattr(self, name) is not None]:
                raise ValueError(f"{strange[0]} belongs to a measure with agg, not to {given[0]}")
        elif (self.of is None) != (self.agg in WITHOUT_OF):
            needs = "takes no of" if self.agg in WITHOUT_OF else "needs of: the field it aggregates"
            raise ValueError(f"agg {self.agg} {needs}")
        return self


class Report(Block):
    """One report: what it counts, split by what, among whom.

    ``fact`` and ``window`` hold for the measures that name none (but ``persons`` without a fact of its own counts
    everybody, unless a dimension belongs to the fact). ``where`` (a rule, as segments have) and ``segments`` (members
    of every one of them) choose the persons.
    """

    code: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    used_for: tuple[str, ...] = ()
    fact: Code | None = None
    window: str = "all"
    dimensions: tuple[Dimension, ...]
    measures: tuple[ReportMeasure, ...]
    where: Rule | None = None
    segments: tuple[Code, ...] = ()

    @field_validator("owner")
    @classmethod
    def _owner(cls, owner: str | None) -> str | None:
        return owner if owner is None else check_owner(owner)

    @field_validator("window")
    @classmethod
    def _known_window(cls, window: str) -> str:
        return check_windows((window,))[0]

    @model_validator(mode="after")
    def _columns(self) -> "Report":
        if not 1 <= len(self.dimensions) <= MOST_DIMENSIONS:
            raise ValueError(f"a report has 1 to {MOST_DIMENSIONS} dimensions, not {len(self.dimensions)}")
        if not self.measures:
            raise ValueError("a report needs measures")
        names = [ROW, TOTAL, *(d.name for d in self.dimensions), *(m.code for m in self.measures)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two columns of the report would be called '{twice}'")
        return self

    @property
    def by_fact(self) -> bool:
        """Whether its lines are made of the rows of a fact: who has none is on no line."""
        return any(dimension.of_fact for dimension in self.dimensions)

    def counted(self) -> Mapping[str, ReportMeasure]:
        """The measures that are read from rows or persons; the others follow from them."""
        return {measure.code: measure for measure in self.measures if measure.agg is not None}

    def fact_of(self, measure: ReportMeasure) -> str | None:
        """The fact a measure with ``agg`` reads; None: it counts the persons themselves."""
        if measure.fact is not None or measure.agg != "persons" or self.by_fact:
            return measure.fact or self.fact
        # ``persons`` with conditions on rows can only mean the report's fact.
        return self.fact if measure.where is not None or measure.window is not None else None


class ReportFile(Block):
    """One file of reports/."""

    reports: tuple[Report, ...]
