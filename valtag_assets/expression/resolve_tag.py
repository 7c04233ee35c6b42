"""One tag of the catalog as one typed column per window."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache

from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.parse import ExpressionError, number_literal, parse
from valtag_assets.expression.resolved import (
    CARRYING,
    Aggregate,
    Field,
    Measure,
    ResolvedSource,
    ResolvedTag,
    Tie,
    Window,
)
from valtag_assets.expression.rules import apply
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.expression.sealed import sealed_names
from valtag_assets.expression.tree import Literal, Node
from valtag_assets.spec.block import Title
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.constant import read_constant
from valtag_assets.spec.problem import Problem, did_you_mean
from valtag_assets.spec.tag import Band, Tag, Value
from valtag_assets.spec.types import BOOLEAN, FLOAT, INTEGER, TEXT, DataType, list_of

_MEASURE = re.compile(r"\s*(count|sum)\s*\((.*)\)\s*(asc|desc)?\s*", re.DOTALL | re.IGNORECASE)
_VALUE_LAST = re.compile(r"(.*\S)\s+asc\s*", re.DOTALL | re.IGNORECASE)
# Full-width forms of what a measure is written with around its expression.
_HALF_WIDTH = str.maketrans("（）　", "() ")
_DAYS = re.compile(r"(before )?(\d+)d")


class TagFault(Exception):
    """A mistake in one key of a tag: ``place`` is the key below the tag's block."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


def concrete_codes(tag: Tag) -> dict[str, Window]:
    """The column codes a tag block stands for, with their windows."""
    return {tag.code + read_window(text).suffix: read_window(text) for text in tag.windows}


def declared_values(tag: Tag, of_field: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
    """The closed list of values a tag may have: its band's steps, its domain, or ``of_field``, those of the
    field it holds; with what stands for nothing."""
    values = tuple(tag.domain.values) if tag.domain.values else of_field
    if tag.band is not None:
        values = tuple(step.code for step in tag.band.steps)
    if values is None or tag.empty is None or isinstance(tag.empty, tuple):
        return values
    return tuple(dict.fromkeys((*values, str(tag.empty))))


def tag_symbol(tag: ResolvedTag) -> Symbol:
    """The tag as a name that expressions may use."""
    return Symbol(tag.code, tag.type, tag.values, (tag.title.zh, tag.title.en), tag.vaulted)


def declared_symbol(tag: Tag, code: str) -> Symbol:
    """A column of a tag as its block declares it: enough to type its readers."""
    values, textual = declared_values(tag), tag.type in (TEXT, list_of("text"))
    return Symbol(
        code, tag.type, values, (tag.title.zh, tag.title.en), tag.access == "pii" and textual and values is None
    )


@cache
def read_window(text: str) -> Window:
    found = _DAYS.fullmatch(text)
    if found:
        return Window("before" if found.group(1) else "last", int(found.group(2)))
    return {"all": Window("all"), "mtd": Window("month"), "ytd": Window("year")}[text]


def value_tags(
    entry: Entry[Tag], category: str, sources: Mapping[str, ResolvedSource], problems: list[Problem]
) -> Iterator[ResolvedTag]:
    """The columns of a value tag, one per window. Mistakes go to ``problems``."""
    tag = entry.spec
    assert tag.value is not None
    try:
        if tag.value.master is not None:
            yield _from_master(entry, category, sources)
        else:
            for code, window in concrete_codes(tag).items():
                yield _from_fact(entry, category, sources, code, window)
    except TagFault as fault:
        problems.append(entry.problem(str(fault), *fault.place))


def empty_faults(entry: Entry[Tag]) -> Iterator[Problem]:
    """An ``empty`` that is no value of the tag's type."""
    tag = entry.spec
    try:
        if tag.empty is not None:
            read_constant(tag.empty, tag.type)
    except ValueError as error:
        yield entry.problem(f"empty: {error}", "empty")


def tag_over_tags(entry: Entry[Tag], category: str, scope: Scope, problems: list[Problem]) -> ResolvedTag | None:
    """A band or computed tag; ``scope`` holds every tag it may read."""
    tag = entry.spec
    try:
        if tag.band is not None:
            return _band(entry, category, scope)
        node = _parse(tag.expression or "", scope, "value", expect=None)
        _fits(tag.type, node.type, "value")
        return ResolvedTag(
            tag.code,
            category,
            tag.title,
            tag.type,
            entry,
            "computed",
            _tag_meaning(tag, meaning(node)),
            tags=names_read(node),
            node=node,
            values=declared_values(tag),
            vaulted=bool(sealed_names(node, scope=scope)),
        )
    except TagFault as fault:
        problems.append(entry.problem(str(fault), *fault.place))
        return None


def _band(entry: Entry[Tag], category: str, scope: Scope) -> ResolvedTag:
    tag = entry.spec
    assert tag.band is not None
    node = _parse(tag.band.of, scope, "band", "of", expect=None)
    if node.type is None or not node.type.numeric:
        raise TagFault(f"band of '{tag.band.of}', a {node.type}: bands are for numbers", "band", "of")
    if tag.type.kind != "text":
        raise TagFault(f"a band holds the codes of its steps, so its type is text, not {tag.type}", "type")
    try:
        tree = _tiers(node, tag.band)
    except ExpressionError as error:
        raise TagFault(str(error), "band") from error
    return ResolvedTag(
        tag.code,
        category,
        tag.title,
        tag.type,
        entry,
        "band",
        _tag_meaning(tag, meaning(tree)),
        tags=names_read(node),
        node=tree,
        values=declared_values(tag),
    )


def _tiers(node: Node, band: Band) -> Node:
    """``case when node >= … then '…' …``, the highest first; without the tag there is no tier."""
    branches: list[Node] = []
    for step in reversed(band.steps):
        if step.lowest is not None:
            inside = apply(">=", (node, _edge(step.lowest)))
        else:
            inside = apply("not", (apply("is null", (node,)),))
        branches += [inside, Literal(step.code, TEXT)]
    return apply("case", (*branches, Literal(None, None)))


def _edge(lowest: float) -> Node:
    """The lower end of a tier as a constant of the expression language: with the digits it is written with."""
    written = f"{Decimal(str(lowest)):f}"
    found = number_literal(written.removeprefix("-"))
    return apply("negate", (found,)) if written.startswith("-") else found


def _from_master(entry: Entry[Tag], category: str, sources: Mapping[str, ResolvedSource]) -> ResolvedTag:
    tag, value = entry.spec, entry.spec.value
    assert value is not None and value.master is not None and value.of is not None
    source = _source(sources, value.master, "master")
    node = _parse(value.of, source.scope, "value", "of", expect=None)
    _fits(tag.type, node.type, "type")
    return ResolvedTag(
        tag.code,
        category,
        tag.title,
        tag.type,
        entry,
        "value",
        _tag_meaning(tag, repr((value.master, meaning(node)))),
        fields=frozenset((source.code, name) for name in names_read(node)),
        master=source.code,
        node=node,
        values=declared_values(tag, source.values.get(value.of.strip())),
        vaulted=bool(sealed_names(node, scope=source.scope)),
    )


def _from_fact(
    entry: Entry[Tag], category: str, sources: Mapping[str, ResolvedSource], code: str, window: Window
) -> ResolvedTag:
    tag, value = entry.spec, entry.spec.value
    assert value is not None and value.fact is not None and value.agg is not None
    source = _source(sources, value.fact, "fact")
    scope = source.scope
    of = _parse(value.of, scope, "value", "of", expect=None) if value.of else None
    where = _parse(value.where, scope, "value", "where", expect=BOOLEAN) if value.where else None
    by, descending = _measure(value.by, scope, "by")
    if not descending:
        raise TagFault(f"by '{value.by}': the largest comes first; write it without asc", "value", "by")
    ties = _ties(value, of, scope)
    _check_aggregate(tag, value, of)
    equals = _equals(value, of, source.values.get((value.of or "").strip()))
    aggregate = Aggregate(source.code, value.agg, window, of, where, by, ties, value.k, value.q, equals)
    nodes = [node for node in (of, where, by.of, *(tie.measure.of for tie in ties)) if node is not None]
    fields: set[Field] = {(source.code, name) for node in nodes for name in names_read(node)}
    assert source.spec.time is not None
    fields.add((source.code, source.spec.time))
    keeps = value.agg in CARRYING
    text = repr((value.fact, value.agg, window, [meaning(node) for node in nodes], bool(of), bool(where)))
    rest = repr((by.agg, [(tie.measure.agg, tie.descending) for tie in ties], value.k, value.q, equals))
    return ResolvedTag(
        code,
        category,
        _windowed(tag.title, window),
        tag.type,
        entry,
        "value",
        _tag_meaning(tag, text + rest),
        fields=frozenset(fields),
        aggregate=aggregate,
        values=declared_values(tag, source.values.get((value.of or "").strip()) if keeps else None),
        vaulted=keeps and bool(sealed_names(of, scope=scope)),
    )


def _ties(value: Value, of: Node | None, scope: Scope) -> tuple[Tie, ...]:
    """The tie rules; ``<of> asc`` at the end is what holds anyway: the smaller value."""
    found = []
    for number, text in enumerate(value.ties):
        by_value = _VALUE_LAST.fullmatch(text)
        if by_value and of is not None and not _MEASURE.fullmatch(text.translate(_HALF_WIDTH)):
            node = _parse(by_value.group(1), scope, "value", "ties", number, expect=None)
            if node == of and number == len(value.ties) - 1:
                continue
        found.append(Tie(*_measure(text, scope, "ties", number)))
    return tuple(found)


def _equals(value: Value, of: Node | None, values: tuple[str, ...] | None) -> str | int | None:
    """The value whose share is wanted, of the field's own type and one of its values."""
    if value.equals is None or of is None or of.type is None:
        return None
    try:
        found: str | int = read_constant(value.equals, of.type)
    except ValueError as error:
        raise TagFault(f"{error}, and '{value.of}' is one", "value", "equals") from error
    if values is not None and str(found) not in values:
        raise TagFault(f"'{found}' is no value of {value.of}{did_you_mean(str(found), values)}", "value", "equals")
    return found


def _check_aggregate(tag: Tag, value: Value, of: Node | None) -> None:
    """Refuse an aggregation its field can't carry, or a type it can't give."""
    agg, kind = value.agg, of.type if of else None
    numeric = ("sum", "avg", "median", "quantile")
    if agg in numeric and (kind is None or not kind.numeric):
        raise TagFault(f"agg {agg} needs a number, and '{value.of}' is a {kind}", "value", "of")
    if agg in ("top", "top_k", "list", "share") and (kind is None or kind.kind not in ("text", "integer")):
        raise TagFault(f"agg {agg} needs text or integer values, and '{value.of}' is a {kind}", "value", "of")
    if value.q is not None and not 0 <= value.q <= 1:
        raise TagFault(f"q is {value.q}; a quantile lies between 0 and 1", "value", "q")
    if value.k < 1:
        raise TagFault(f"k is {value.k}; it must be at least 1", "value", "k")
    _fits(tag.type, _result(agg or "", kind), "type")


def _result(agg: str, of: DataType | None) -> DataType | None:
    if agg in ("count", "count_distinct", "days_since_first", "days_since_last"):
        return INTEGER
    if agg in ("avg", "share", "median", "quantile"):
        return FLOAT
    if agg in ("top_k", "list"):
        assert of is not None
        return list_of(of.kind)
    return of


def _fits(declared: DataType, actual: DataType | None, *place: str | int) -> None:
    """The declared type must hold the actual one; a number may be declared as any wider or decimal one."""
    if actual is None or declared == actual:
        return
    if declared.kind == actual.kind and declared.kind != "list":
        return
    if declared.numeric and actual.numeric and declared.kind != "integer":
        return
    hint = "; wrap it in round(), floor() or ceil()" if declared.kind == "integer" and actual.numeric else ""
    raise TagFault(f"the tag is declared {declared} but its value is {actual}{hint}", *place)


def _measure(text: str, scope: Scope, *place: str | int) -> tuple[Measure, bool]:
    found = _MEASURE.fullmatch(text.translate(_HALF_WIDTH))
    agg = found.group(1).lower() if found else ""
    if not found or (agg == "count") != (not found.group(2).strip()):
        message = f"'{text}' is no measure; write count() or sum(field), for ties with asc or desc"
        raise TagFault(message, "value", *place)
    descending = (found.group(3) or "desc").lower() == "desc"
    if agg == "count":
        return Measure("count", type=INTEGER), descending
    node = _parse(text[found.start(2) : found.end(2)], scope, "value", *place, expect=None)
    if node.type is None or not node.type.numeric:
        raise TagFault(f"'{text}': sum needs a number", "value", *place)
    return Measure("sum", node, node.type), descending


def _source(sources: Mapping[str, ResolvedSource], code: str, kind: str) -> ResolvedSource:
    if code not in sources or sources[code].spec.kind != kind:
        known = [name for name, source in sources.items() if source.spec.kind == kind]
        raise TagFault(f"'{code}' is no {kind}{did_you_mean(code, known)}", "value", kind)
    return sources[code]


def _parse(text: str, scope: Scope, *place: str | int, expect: DataType | None) -> Node:
    try:
        return parse(text, scope, expect=expect)
    except ExpressionError as error:
        raise TagFault(str(error), *place) from error


def _windowed(title: Title, window: Window) -> Title:
    more = window.title
    return Title(zh=f"{title.zh}（{more.zh}）", en=f"{title.en} ({more.en})") if more else title


def _tag_meaning(tag: Tag, how: str) -> str:
    return repr((tag.code, str(tag.type), how, tag.empty_value, tag.null_policy))
