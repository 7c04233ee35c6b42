"""Reports resolved: every name met, every condition typed, every column given a type."""

from collections import defaultdict
from collections.abc import Mapping

from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolve_rule import resolve_rule
from valtag_assets.expression.resolve_tag import read_window
from valtag_assets.expression.resolved import (
    Counting,
    ReportColumn,
    ResolvedReport,
    ResolvedSource,
    ResolvedTag,
    RuleScope,
)
from valtag_assets.expression.rule import ResolvedRule, columns_read, rule_meaning
from valtag_assets.expression.scope import Scope
from valtag_assets.expression.tree import Node
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Catalog, Entry
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.report import Dimension, Report, ReportMeasure
from valtag_assets.spec.types import BOOLEAN, DATE, FLOAT, INTEGER, DataType, decimal

GRAINS = {
    "day": Title(zh="日", en="Day"),
    "week": Title(zh="周", en="Week"),
    "month": Title(zh="月", en="Month"),
}
_SPLITTING = ("text", "integer", "boolean", "date")
# A sum may have more digits than any of its parts.
_DIGITS = 38


class _Fault(Exception):
    """A mistake in one key of a report: ``place`` is the key below the report's block."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def resolve_reports(
    catalog: Catalog,
    sources: Mapping[str, ResolvedSource],
    tags: Mapping[str, ResolvedTag],
    scope: RuleScope,
    problems: list[Problem],
) -> dict[str, ResolvedReport]:
    """Every sound report; ``scope`` holds what a rule may name. Mistakes go to ``problems``."""
    reading = _Reading(catalog, sources, tags, scope)
    found = {}
    for code, entry in catalog.reports.items():
        report = reading.report(entry, problems)
        if report is not None:
            found[code] = report
    return found


class _Reading:
    def __init__(
        self,
        catalog: Catalog,
        sources: Mapping[str, ResolvedSource],
        tags: Mapping[str, ResolvedTag],
        scope: RuleScope,
    ) -> None:
        self.catalog, self.sources, self.tags = catalog, sources, tags
        self.rules, self.scope = scope, scope.columns

    def report(self, entry: Entry[Report], problems: list[Problem]) -> ResolvedReport | None:
        """The report, or None with all its mistakes in ``problems``."""
        spec, before = entry.spec, len(problems)
        dimensions, counted, where = [], {}, None
        for number, dimension in enumerate(spec.dimensions):
            try:
                dimensions.append(self._dimension(spec, dimension, ("dimensions", number)))
            except _Fault as fault:
                problems.append(entry.problem(str(fault), *fault.place))
        for number, measure in enumerate(spec.measures):
            try:
                if measure.agg is not None:
                    counted[measure.code] = self._counting(spec, measure, ("measures", number))
                else:
                    _derived(spec, measure, ("measures", number))
            except _Fault as fault:
                problems.append(entry.problem(str(fault), *fault.place))
        try:
            where = self._rule(entry, problems)
            for number, code in enumerate(spec.segments):
                self._segment(code, "segments", number)
        except _Fault as fault:
            problems.append(entry.problem(str(fault), *fault.place))
        if len(problems) > before:
            return None
        return self._resolved(entry, dimensions, counted, where)

    def _resolved(
        self,
        entry: Entry[Report],
        dimensions: list[ReportColumn],
        counted: dict[str, Counting],
        where: ResolvedRule | None,
    ) -> ResolvedReport:
        spec = entry.spec
        read = {item.source for item in dimensions if item.kind == "tag"} | (columns_read(where) if where else set())
        members = {item.source for item in dimensions if item.kind == "segment"} | set(spec.segments)
        types = {m.code: _type(counted[m.code]) if m.agg is not None else FLOAT for m in spec.measures}
        said = [(item.name, item.kind, item.source) for item in dimensions]
        counts = [(code, *_said(item)) for code, item in counted.items()]
        follow = [(m.code, m.share, m.ratio) for m in spec.measures if m.agg is None]
        condition = rule_meaning(where) if where else None
        return ResolvedReport(
            code=spec.code,
            entry=entry,
            dimensions=tuple(dimensions),
            counted=counted,
            measures=types,
            where=where,
            tags=frozenset(read & self.tags.keys()),
            scores=frozenset(read - self.tags.keys()),
            segments=frozenset(members),
            facts=self._fields(spec, dimensions, counted),
            meaning=repr((said, counts, follow, condition, sorted(spec.segments))),
        )

    def _rule(self, entry: Entry[Report], problems: list[Problem]) -> ResolvedRule | None:
        if entry.spec.where is None:
            return None

        def blame(said: str, place: tuple[str | int, ...]) -> None:
            problems.append(entry.problem(said, *place))

        return resolve_rule(entry.spec.where, self.rules, blame, ("where",))

    def _fields(
        self, spec: Report, dimensions: list[ReportColumn], counted: Mapping[str, Counting]
    ) -> dict[str, frozenset[str]]:
        """The fields read of each fact, its time among them."""
        found: dict[str, set[str]] = defaultdict(set)
        for item in counted.values():
            if item.fact is not None:
                time = self.sources[item.fact].spec.time
                assert time is not None
                found[item.fact] |= {time}.union(*(names_read(node) for node in (item.of, item.where) if node))
        for dimension in dimensions:
            if dimension.kind == "field":
                assert spec.fact is not None
                found[spec.fact].add(dimension.source)
        return {fact: frozenset(fields) for fact, fields in sorted(found.items())}

    def _dimension(self, spec: Report, dimension: Dimension, place: tuple[str | int, ...]) -> ReportColumn:
        """A dimension with its type; ``place`` is where it stands."""
        if dimension.of_fact and spec.fact is None:
            message = "a field or date splits the rows of a fact: give the report its fact"
            raise _Fault(message, *place, dimension.kind)
        if dimension.kind == "tag":
            return self._of_person(dimension, place)
        if dimension.kind == "segment":
            code = str(dimension.segment)
            self._segment(code, *place, "segment")
            title = dimension.title or self.catalog.segments[code].spec.title
            return ReportColumn(dimension.name, "segment", code, BOOLEAN, title)
        source = self._fact(spec.fact, "fact")
        if dimension.kind == "date":
            assert dimension.date is not None and source.spec.time is not None
            title = dimension.title or GRAINS[dimension.date]
            return ReportColumn(dimension.name, "date", source.spec.time, DATE, title)
        symbol = source.scope.get(dimension.name)
        if symbol is None:
            nearest = did_you_mean(dimension.name, list(source.columns))
            raise _Fault(f"'{dimension.name}' is no field of {source.code}{nearest}", *place, "field")
        _splits(dimension.name, symbol.type, *place, "field")
        written = next((field for field in source.spec.fields if field.name == dimension.name), None)
        if written is not None and written.access == "pii":
            raise _Fault(
                f"'{dimension.name}' is personal data (access: pii); nothing is split by it", *place, "field"
            )
        title = dimension.title or source.titles[dimension.name]
        return ReportColumn(dimension.name, "field", dimension.name, symbol.type, title, symbol.values)

    def _of_person(self, dimension: Dimension, place: tuple[str | int, ...]) -> ReportColumn:
        code = str(dimension.tag)
        symbol = self.scope.get(code)
        if symbol is None:
            known = [item.code for item in self.scope]
            raise _Fault(f"'{code}' is no tag or score column{did_you_mean(code, known)}", *place, "tag")
        _splits(code, symbol.type, *place, "tag")
        tag = self.tags.get(code)
        if tag is not None and tag.spec.access == "pii":
            raise _Fault(f"'{code}' is personal data (access: pii); nobody is counted by it", *place, "tag")
        zh, en = symbol.titles if symbol.titles else (code, code)
        return ReportColumn(code, "tag", code, symbol.type, dimension.title or Title(zh=zh, en=en), symbol.values)

    def _segment(self, code: str, *place: str | int) -> None:
        if code not in self.catalog.segments:
            raise _Fault(f"'{code}' is no segment{did_you_mean(code, list(self.catalog.segments))}", *place)

    def _counting(self, spec: Report, measure: ReportMeasure, place: tuple[str | int, ...]) -> Counting:
        """A measure over rows or persons, typed."""
        window = read_window(measure.window or spec.window)
        code = spec.fact_of(measure)
        assert measure.agg is not None
        if code is None:
            if measure.agg != "persons" or measure.where is not None or measure.window is not None:
                reads = "where and window choose" if measure.agg == "persons" else f"agg {measure.agg} reads"
                raise _Fault(f"{reads} rows: name the fact, here or for the report", *place, "agg")
            return Counting("persons", None, read_window("all"), None, None)
        if spec.by_fact and code != spec.fact:
            raise _Fault(
                f"the report is split by the rows of {spec.fact}, so no measure can read {code}", *place, "fact"
            )
        source = self._fact(code, *place, "fact")
        where = _condition(measure.where, source.scope, *place, "where")
        of = None
        if measure.of is not None:
            of = _parsed(measure.of, source.scope, None, *place, "of")
            if measure.agg in ("sum", "avg") and not (of.type and of.type.numeric):
                raise _Fault(f"agg {measure.agg} needs a number, and '{measure.of}' is a {of.type}", *place, "of")
            if of.type is None or of.type.kind == "list":
                raise _Fault(f"'{measure.of}' is a {of.type}: single values are counted", *place, "of")
        return Counting(measure.agg, code, window, of, where)

    def _fact(self, code: str | None, *place: str | int) -> ResolvedSource:
        known = [name for name, source in self.sources.items() if source.spec.kind == "fact"]
        if code not in known:
            raise _Fault(f"'{code}' is no fact{did_you_mean(str(code), known)}", *place)
        return self.sources[code]


def _derived(spec: Report, measure: ReportMeasure, place: tuple[str | int, ...]) -> None:
    """Refuse a share or ratio of something that is no measure read from rows or persons."""
    counted = spec.counted()
    wanted = [(measure.share, "share", ())] if measure.share else []
    wanted += [(code, "ratio", (number,)) for number, code in enumerate(measure.ratio or ())]  # type: ignore[misc]
    for code, key, more in wanted:
        if code not in counted:
            nearest = did_you_mean(str(code), list(counted))
            raise _Fault(f"'{code}' is no measure with agg{nearest}", *place, key, *more)
        if key == "share" and counted[str(code)].agg == "avg":
            raise _Fault(f"'{code}' is an average, which is no part of a whole", *place, key)


def _splits(code: str, kind: DataType, *place: str | int) -> None:
    if kind.kind not in _SPLITTING:
        raise _Fault(f"'{code}' is a {kind}; a dimension is a {', '.join(_SPLITTING)}: give it bands", *place)


def _condition(text: str | None, scope: Scope, *place: str | int) -> Node | None:
    return None if text is None else _parsed(text, scope, BOOLEAN, *place)


def _parsed(text: str, scope: Scope, expect: DataType | None, *place: str | int) -> Node:
    try:
        return parse(text, scope, expect=expect)
    except ExpressionError as error:
        raise _Fault(str(error), *place) from error


def _type(item: Counting) -> DataType:
    if item.agg in ("persons", "count", "count_distinct"):
        return INTEGER
    assert item.of is not None and item.of.type is not None
    kind = item.of.type
    if item.agg == "avg" or kind.kind == "float":
        return FLOAT
    return decimal(_DIGITS, kind.scale or 0) if kind.kind == "decimal" else INTEGER


def _said(item: Counting) -> tuple[object, ...]:
    of, where = (meaning(node) if node else None for node in (item.of, item.where))
    return (item.agg, item.fact, item.window, of, where)
