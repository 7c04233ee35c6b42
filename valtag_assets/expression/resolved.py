"""What a catalog means: its names resolved, its expressions typed, its tags written out one by one.

``resolve`` (resolve.py) makes these records from a catalog; the engine reads nothing else.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from valtag_assets.expression.resolved_delivery import (
    ResolvedChannel,
    ResolvedDelivery,
    ResolvedDestination,
    ResolvedTrigger,
)
from valtag_assets.expression.resolved_identity import ResolvedIdentity
from valtag_assets.expression.rule import Member, ResolvedRule
from valtag_assets.expression.scope import Scope
from valtag_assets.expression.tree import Node
from valtag_assets.spec.allocation import Allocation
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.ltv import Ltv
from valtag_assets.spec.placement import Placement, Variant
from valtag_assets.spec.report import Report
from valtag_assets.spec.score import Rfm
from valtag_assets.spec.segment import Segment
from valtag_assets.spec.source import Computed, RowRule, Source
from valtag_assets.spec.tag import Tag
from valtag_assets.spec.types import DataType

Field = tuple[str, str]  # (source, field)
PERSON = "person_id"  # the key of every table of tags; no tag may be called so


@dataclass(frozen=True)
class Window:
    """Which local dates count, seen from the as-of D.

    ``last``: the ``days`` dates that end with D. ``before``: every date up to D − ``days`` (older than the
    last ``days`` dates). ``month`` / ``year``: from the first of D's month or year. ``all``: every date.
    """

    kind: Literal["all", "last", "before", "month", "year"]
    days: int = 0

    @cached_property
    def suffix(self) -> str:
        ends = {"last": f"_{self.days}d", "before": f"_before_{self.days}d", "month": "_mtd", "year": "_ytd"}
        return ends.get(self.kind, "")

    @cached_property
    def title(self) -> Title | None:
        words = {
            "last": Title(zh=f"近{self.days}天", en=f"last {self.days} days"),
            "before": Title(zh=f"{self.days}天以前", en=f"before the last {self.days} days"),
            "month": Title(zh="本月至今", en="month to date"),
            "year": Title(zh="本年至今", en="year to date"),
        }
        return words.get(self.kind)


@dataclass(frozen=True)
class Measure:
    """A ranking measure of a mode: ``count()`` (``of`` is None) or ``sum(expression)``."""

    agg: Literal["count", "sum"]
    of: Node | None = None
    type: DataType | None = None


@dataclass(frozen=True)
class Tie:
    """One tie rule of a mode: a measure and its direction."""

    measure: Measure
    descending: bool


@dataclass(frozen=True)
class Aggregate:
    """A value tag's reading of a fact."""

    fact: str
    agg: str
    window: Window
    of: Node | None
    where: Node | None
    by: Measure
    ties: tuple[Tie, ...]
    k: int
    q: float | None
    equals: str | int | None


CARRYING = frozenset({"first", "last", "top", "top_k", "list", "min", "max"})
"""Aggregations whose answer is a value of the field; the others count, add or compare."""


@dataclass(frozen=True)
class ResolvedTag:
    """One column of a category's table: by ``aggregate``, by ``master`` + ``node``, or by ``node`` over tags.

    ``values`` is the closed list of values, for the tags that have one; ``vaulted``: its values are tokens.
    """

    code: str
    category: str
    title: Title
    type: DataType
    entry: Entry[Tag]
    kind: Literal["value", "band", "computed"]
    meaning: str
    fields: frozenset[Field] = frozenset()
    tags: frozenset[str] = frozenset()
    aggregate: Aggregate | None = None
    master: str | None = None
    node: Node | None = None
    values: tuple[str, ...] | None = None
    vaulted: bool = False

    @property
    def spec(self) -> Tag:
        return self.entry.spec


@dataclass(frozen=True)
class ResolvedSource:
    """One source: the columns of its clean table, its row-level rules as typed trees, and as ``scope`` the
    fields that an expression over its clean table may name. ``keyed``: identity.yaml says whose its rows are.
    ``vaulted``: the columns that hold tokens; what these stand for lies in the vault."""

    code: str
    entry: Entry[Source]
    columns: Mapping[str, DataType]
    titles: Mapping[str, Title]
    values: Mapping[str, tuple[str, ...]]
    compute: tuple[tuple[Computed, Node], ...]
    refuse: tuple[tuple[RowRule, Node], ...]
    drop: tuple[tuple[RowRule, Node], ...]
    meaning: str
    scope: Scope = field(repr=False, compare=False)
    keyed: bool = False
    vaulted: frozenset[str] = frozenset()

    @property
    def spec(self) -> Source:
        return self.entry.spec


@dataclass(frozen=True)
class ResolvedLaw:
    """A cross-tag law of a category; ``tags`` may lie in other categories it reads."""

    name: str
    node: Node
    severity: Literal["error", "warn"]
    tags: frozenset[str]
    text: str


@dataclass(frozen=True)
class ResolvedCategory:
    """One category: its tags in an order in which each can be computed, and what it reads."""

    code: str
    tags: tuple[ResolvedTag, ...]
    laws: tuple[ResolvedLaw, ...]
    sources: tuple[str, ...]
    categories: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class ResolvedScore:
    """A model: the tags it is made of and the columns it gives, with their titles and those of their values.

    ``values`` is the closed list of values of a column, for those that have one.
    """

    code: str
    entry: Entry[Any]
    tags: frozenset[str]
    columns: Mapping[str, DataType]
    titles: Mapping[str, Title]
    values: Mapping[str, Mapping[str, Title]]
    meaning: str

    @property
    def spec(self) -> Rfm | Ltv:
        spec: Rfm | Ltv = self.entry.spec
        return spec


@dataclass(frozen=True)
class ResolvedRfm(ResolvedScore):
    """RFM over published tags, of the persons that satisfy ``where``."""

    where: Node | None

    @property
    def spec(self) -> Rfm:
        spec: Rfm = self.entry.spec
        return spec


@dataclass(frozen=True)
class ResolvedLtv(ResolvedScore):
    """A model of future orders: what an order is, what it is worth and what comes back, as the tags of these
    names define it, without their windows. ``currency`` is the unit of all money in it; ``features`` are tags
    over facts, in the order in which the boosted model reads them."""

    orders: Aggregate
    spend: Aggregate
    refunds: Aggregate | None
    currency: str
    features: tuple[ResolvedTag, ...]

    @property
    def spec(self) -> Ltv:
        spec: Ltv = self.entry.spec
        return spec

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """Everything it reads of facts, its features aside."""
        return tuple(item for item in (self.orders, self.spend, self.refunds) if item is not None)

    @property
    def facts(self) -> tuple[str, ...]:
        """The facts it reads, sorted."""
        found = [*self.aggregates, *(tag.aggregate for tag in self.features if tag.aggregate is not None)]
        return tuple(sorted({item.fact for item in found}))


@dataclass(frozen=True)
class Ordered:
    """One step of an order: a value and its direction; no value comes last either way."""

    node: Node
    descending: bool


@dataclass(frozen=True)
class ResolvedSegment:
    """One audience: its rule, who comes first where not all may stay, and everything it reads.

    ``above`` are the audiences of its waterfall that come before it, ``excluded`` the rules of the project's
    exclusions that apply to it.
    """

    code: str
    entry: Entry[Segment]
    rule: ResolvedRule
    order: tuple[Ordered, ...]
    above: tuple[str, ...]
    excluded: tuple[Member, ...]
    tags: frozenset[str]
    scores: frozenset[str]
    facts: frozenset[str]
    segments: frozenset[str]
    lists: frozenset[str]
    meaning: str

    @property
    def spec(self) -> Segment:
        return self.entry.spec


@dataclass(frozen=True)
class RuleScope:
    """What a rule may name: tags and score columns, facts, segments, lists."""

    columns: Scope
    sources: Mapping[str, ResolvedSource]
    segments: tuple[str, ...]
    lists: tuple[str, ...]

    @property
    def facts(self) -> tuple[str, ...]:
        return tuple(code for code, source in self.sources.items() if source.spec.kind == "fact")


@dataclass(frozen=True)
class ReportColumn:
    """A dimension of a report. ``values`` is its closed list of values, if it has one."""

    name: str
    kind: Literal["tag", "segment", "field", "date"]
    source: str
    type: DataType
    title: Title
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Counting:
    """A measure of a report read from rows: of ``fact``, or of the persons themselves where that is None."""

    agg: Literal["persons", "count", "count_distinct", "sum", "avg"]
    fact: str | None
    window: Window
    of: Node | None
    where: Node | None


@dataclass(frozen=True)
class ResolvedReport:
    """One report: its dimensions, its measures typed, and all it reads.

    ``tags`` and ``scores`` are the columns its dimensions and ``where`` read; ``segments`` those that choose the
    persons or split them; ``facts`` the fields read of each fact.
    """

    code: str
    entry: Entry[Report]
    dimensions: tuple[ReportColumn, ...]
    counted: Mapping[str, Counting]
    measures: Mapping[str, DataType]
    where: ResolvedRule | None
    tags: frozenset[str]
    scores: frozenset[str]
    segments: frozenset[str]
    facts: Mapping[str, frozenset[str]]
    meaning: str

    @property
    def spec(self) -> Report:
        return self.entry.spec


@dataclass(frozen=True)
class ResolvedPlacement:
    """One placement: its variants with their conditions in order, and the tags, score columns and segments read."""

    code: str
    entry: Entry[Placement]
    rules: tuple[tuple[Variant, Node], ...]
    tags: frozenset[str]
    scores: frozenset[str]
    segments: frozenset[str]

    @property
    def spec(self) -> Placement:
        return self.entry.spec


@dataclass(frozen=True)
class ResolvedAllocation:
    """What each tier is given. ``monetary``: the tag whose sum is a tier's revenue, where its score has one."""

    code: str
    entry: Entry[Allocation]
    monetary: str | None
    meaning: str

    @property
    def spec(self) -> Allocation:
        return self.entry.spec


@dataclass(frozen=True)
class Resolved:
    """A whole catalog, ready to compute."""

    catalog: Catalog
    sources: Mapping[str, ResolvedSource]
    tags: Mapping[str, ResolvedTag]
    categories: Mapping[str, ResolvedCategory]
    scores: Mapping[str, ResolvedScore]
    segments: Mapping[str, ResolvedSegment]
    channels: Mapping[str, ResolvedChannel]
    exclusions: tuple[Member, ...]
    rules: RuleScope = field(repr=False, compare=False)
    reports: Mapping[str, ResolvedReport]
    placements: Mapping[str, ResolvedPlacement]
    allocations: Mapping[str, ResolvedAllocation]
    destinations: Mapping[str, ResolvedDestination]
    deliveries: Mapping[str, ResolvedDelivery]
    triggers: Mapping[str, ResolvedTrigger]
    identity: ResolvedIdentity | None = None

    def score_of(self, column: str) -> str | None:
        """The score that gives ``column``, if one does."""
        return next((code for code, score in self.scores.items() if column in score.columns), None)

    def category_of(self, tag: str) -> str:
        return self.tags[tag].category


def code_version(meaning: str) -> str:
    """A short hash of a meaning: equal meanings give equal versions, however they are worded."""
    return hashlib.sha256(meaning.encode()).hexdigest()[:16]
