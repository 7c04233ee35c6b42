"""tags/*.yaml: one category of value tags per file.

Three kinds of tag, told apart by the key that says how it is made:

* **value** (``value: {fact: …}`` or ``value: {master: …}``): reads clean tables;
* **band** (``band:``): the tiers (枚举) of one other tag;
* **computed** (``value: "total_spend / order_count"``): an expression over other tags.
"""

import math
import re
from datetime import date, datetime
from typing import Any, Literal

from pydantic import field_validator, model_validator

from valtag_assets.spec.block import Access, Block, Check, Code, Layer, Refresh, Severity, Starting, Title, Type
from valtag_assets.spec.project import check_owner

Aggregation = Literal[
    "count",
    "count_distinct",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "top",
    "top_k",
    "share",
    "list",
    "days_since_first",
    "days_since_last",
    "median",
    "quantile",
]
WITHOUT_FIELD: frozenset[str] = frozenset({"count", "days_since_first", "days_since_last"})
# Options that only some aggregations look at; anywhere else they would silently do nothing.
BELONGS: dict[str, tuple[str, ...]] = {
    "by": ("top", "top_k", "share"),
    "ties": ("top", "top_k"),
    "k": ("top_k", "list"),
    "q": ("quantile",),
    "equals": ("share",),
}
_WINDOW = re.compile(r"all|mtd|ytd|(?:before )?[1-9]\d{0,4}d", re.ASCII)


def check_windows(windows: tuple[str, ...]) -> tuple[str, ...]:
    """The windows as written; ValueError for one that is none."""
    for window in windows:
        if not _WINDOW.fullmatch(window):
            raise ValueError(f"unknown window '{window}'; windows are all, Nd (30d), before Nd, mtd, ytd")
    return windows


class Domain(Block):
    """The values a tag may take: a range, or a list of codes with their titles."""

    min: float | None = None
    max: float | None = None
    values: dict[str, Title | None] | None = None

    @model_validator(mode="after")
    def _range(self) -> "Domain":
        ends = [end for end in (self.min, self.max) if end is not None]
        if any(math.isnan(end) for end in ends) or ends != sorted(ends):
            raise ValueError(f"domain: min {self.min} is not below max {self.max}")
        if self.values is not None and not self.values:
            raise ValueError("domain: values is empty, so no value would be allowed")
        return self

    @field_validator("values", mode="before")
    @classmethod
    def _list_or_titles(cls, values: Any) -> Any:
        if isinstance(values, list):
            return {str(value): None for value in values}
        return {str(k): v for k, v in values.items()} if isinstance(values, dict) else values


class Value(Block):
    """How a value tag is read from a clean table.

    From a master: ``master`` and ``of`` (an expression over its fields). From a fact: ``fact``, ``agg``,
    ``of`` (what is aggregated), ``where`` (which rows). ``by`` is the measure that ranks the values of
    top, top_k and share (``count()`` by default, or ``sum(amount)``); ``ties`` decide between equal
    measures ("sum(amount) desc"; desc where nothing is said), the smaller value last of all. ``k`` is the
    length of top_k and the bound of list; ``q`` the quantile; ``equals`` the value whose share is wanted
    (without it: of the top value).

    Rows whose ``of`` is empty don't count: not for a top, not in the whole of a share, not as first or last.
    A sum over nothing is empty, a count of nothing is 0 (unless ``empty`` says otherwise).
    """

    fact: Code | None = None
    master: Code | None = None
    agg: Aggregation | None = None
    of: str | None = None
    where: str | None = None
    by: str = "count()"
    ties: tuple[str, ...] = ()
    k: int = 3
    q: float | None = None
    equals: str | int | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Value":
        if (self.fact is None) == (self.master is None):
            raise ValueError("value reads either a fact or a master; or write an expression over tags as text")
        if self.master is not None:
            if self.of is None or self.agg is not None:
                raise ValueError("a value of a master needs of (a field or expression) and no agg")
            if foreign := [name for name in (*BELONGS, "where") if name in self.model_fields_set]:
                raise ValueError(f"{foreign[0]} is for facts; of a master write if(condition, value, null)")
            return self
        if self.agg is None:
            raise ValueError("a value of a fact needs agg: " + ", ".join(Aggregation.__args__))  # type: ignore[attr-defined]
        if (self.of is None) != (self.agg in WITHOUT_FIELD):
            needs = "takes no of" if self.agg in WITHOUT_FIELD else "needs of: the field it aggregates"
            raise ValueError(f"agg {self.agg} {needs}")
        for name, aggregations in BELONGS.items():
            if name in self.model_fields_set and self.agg not in aggregations:
                raise ValueError(f"{name} belongs to agg {' or '.join(aggregations)}, not to {self.agg}")
        if self.agg == "quantile" and self.q is None:
            raise ValueError("agg quantile needs q, from 0 to 1")
        return self


class BandStep(Starting):
    """One tier: from ``from`` (included) up to the next step's; the first may have no lower end."""

    code: Code
    title: Title
    lowest: float | None = None


class Band(Block):
    """Tiers of a numeric tag; persons without the tag get no tier."""

    of: Code
    steps: tuple[BandStep, ...]

    @model_validator(mode="after")
    def _ascending(self) -> "Band":
        if not self.steps:
            raise ValueError("band needs steps")
        edges = [step.lowest for step in self.steps]
        if any(edge is None for edge in edges[1:]):
            raise ValueError("every step but the first needs from")
        known = [edge for edge in edges if edge is not None]
        if not all(map(math.isfinite, known)) or known != sorted(set(known)):
            raise ValueError(f"the steps' from must ascend: {known}")
        codes = [step.code for step in self.steps]
        if twice := next((code for code in codes if codes.count(code) > 1), None):
            raise ValueError(f"two steps are called '{twice}'")
        return self


class Tag(Block):
    """One tag, in one block: meaning, type, unit, domain, source, refresh, access, checks."""

    code: Code
    title: Title
    meaning: str | None = None
    type: Type
    unit: str | None = None
    group: str | None = None
    value: Value | None = None
    expression: str | None = None
    band: Band | None = None
    windows: tuple[str, ...] = ("all",)
    domain: Domain = Domain()
    empty: str | int | float | bool | datetime | date | tuple[str | int, ...] | None = None
    null_policy: Literal["clear", "keep_last"] = "clear"
    layer: Layer = "core"
    access: Access = "internal"
    owner: str | None = None
    used_for: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _expression_as_value(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("value"), str):
            data = dict(data)
            data["expression"] = data.pop("value")
        return data

    @field_validator("windows")
    @classmethod
    def _known_windows(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(windows)) != len(windows) or not windows:
            raise ValueError("windows must name at least one window, and none of them twice")
        return check_windows(windows)

    @field_validator("owner")
    @classmethod
    def _owner(cls, owner: str | None) -> str | None:
        return owner if owner is None else check_owner(owner)

    @model_validator(mode="after")
    def _one_kind(self) -> "Tag":
        given = [name for name in ("value", "expression", "band") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a tag has exactly one of: value (from a fact or master), value as text, or band")
        if self.windows != ("all",) and (self.value is None or self.value.fact is None):
            raise ValueError("windows belong to tags that read a fact")
        return self

    @property
    def empty_value(self) -> Any:
        """What stands where there is nothing to compute from; None: nothing. A count of nothing is 0."""
        counts = self.value is not None and self.value.agg in ("count", "count_distinct")
        return 0 if self.empty is None and counts else self.empty

    @property
    def kind(self) -> Literal["value", "band", "computed"]:
        if self.value is not None:
            return "value"
        return "band" if self.band is not None else "computed"


class Law(Block):
    """A condition every person's tags must satisfy (``spend_30d <= total_spend``)."""

    name: Code
    law: str
    severity: Severity = "error"


class CategoryChecks(Block):
    """What the table of a category must satisfy before it is published."""

    min_rows: int = 1
    max_rows_drop: float = 0.2


class Category(Block):
    """One file of tags/: the asset that holds a family of tags."""

    category: Code
    title: Title
    meaning: str | None = None
    owner: str | None = None
    refresh: Refresh | None = None
    tags: tuple[Tag, ...]
    laws: tuple[Law, ...] = ()
    checks: CategoryChecks = CategoryChecks()
