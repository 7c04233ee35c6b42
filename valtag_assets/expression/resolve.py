"""A catalog resolved: every reference met, every expression typed, cycles refused.

This is all of ``valtag check``; it reads YAML only, no data.
"""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from valtag_assets.expression.lineage import meaning, names_read
from valtag_assets.expression.naming import naming_faults
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolve_source import resolve_source
from valtag_assets.expression.resolve_tag import (
    concrete_codes,
    declared_values,
    tag_over_tags,
    tag_symbol,
    value_tags,
)
from valtag_assets.expression.resolved import (
    Resolved,
    ResolvedCategory,
    ResolvedLaw,
    ResolvedRule,
    ResolvedScore,
    ResolvedSegment,
    ResolvedSource,
    ResolvedTag,
)
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.catalog import Catalog, Entry, load_catalog
from valtag_assets.spec.problem import CatalogError, Problem, did_you_mean
from valtag_assets.spec.score import MEASURES, QUADRANTS, Rfm
from valtag_assets.spec.segment import Rule, Segment
from valtag_assets.spec.tag import Tag
from valtag_assets.spec.types import BOOLEAN, INTEGER, TEXT


def resolve_catalog(root: Path) -> Resolved:
    """Load and resolve the catalog folder ``root``. Raises CatalogError with every mistake."""
    return resolve(load_catalog(root))


def resolve(catalog: Catalog) -> Resolved:
    """Resolve ``catalog``. Raises CatalogError with every mistake."""
    problems: list[Problem] = []
    sources = _sources(catalog, problems)
    tags = _tags(catalog, sources, problems)
    _stop_if(problems)
    categories = _categories(catalog, tags, problems)
    scores = {code: _score(entry, tags, problems) for code, entry in catalog.scores.items()}
    _score_columns_are_new(catalog, tags, scores, problems)
    segments = _segments(catalog, tags, scores, problems)
    _stop_if(problems)
    return Resolved(catalog, sources, tags, categories, scores, segments)


def tag_scope(tags: Iterable[ResolvedTag]) -> Scope:
    """The tags an expression may name, with the values each may take."""
    return Scope([tag_symbol(tag) for tag in tags], "tag")


def _stop_if(problems: list[Problem]) -> None:
    if problems:
        raise CatalogError(problems)


def _sources(catalog: Catalog, problems: list[Problem]) -> dict[str, ResolvedSource]:
    """Lookups first, since the other sources take columns from them; given back in file order."""
    ordered = sorted(catalog.sources.items(), key=lambda item: item[1].spec.kind != "lookup")
    found: dict[str, ResolvedSource] = {}
    for code, entry in ordered:
        found[code] = resolve_source(entry, found, problems)
    return {code: found[code] for code in catalog.sources}


def _tags(
    catalog: Catalog, sources: Mapping[str, ResolvedSource], problems: list[Problem]
) -> dict[str, ResolvedTag]:
    """Every tag column of the catalog; tags over tags are typed in the order they rest on each other."""
    category_of = {tag.code: code for code, entry in catalog.categories.items() for tag in entry.spec.tags}
    found: dict[str, ResolvedTag] = {}
    waiting: dict[str, Entry[Tag]] = {}
    for code, entry in catalog.tags.items():
        problems.extend(entry.problem(fault, "code") for fault in naming_faults(entry.spec))
        if entry.spec.kind != "value":
            waiting[code] = entry
            continue
        for tag in value_tags(entry, category_of[code], sources, problems):
            if tag.code in found:
                problems.append(entry.problem(f"tag '{tag.code}' is defined twice", "code"))
            found[tag.code] = tag
    _tags_over_tags(catalog, waiting, category_of, found, problems)
    written = [name for entry in catalog.tags.values() for name in concrete_codes(entry.spec)]
    return {name: found[name] for name in written if name in found}


def _tags_over_tags(
    catalog: Catalog,
    waiting: dict[str, Entry[Tag]],
    category_of: Mapping[str, str],
    found: dict[str, ResolvedTag],
    problems: list[Problem],
) -> None:
    """Resolve bands and computed tags until none is left; what waits for itself is a cycle."""
    symbols = [tag_symbol(tag) for tag in found.values()]
    symbols += [_waiting_symbol(entry.spec) for code, entry in waiting.items() if code not in found]
    # A value tag that is itself at fault keeps its name, so that its readers are not blamed for it.
    known = {symbol.code for symbol in symbols}
    for entry in catalog.tags.values():
        symbols += [Symbol(code, entry.spec.type) for code in concrete_codes(entry.spec) if code not in known]
    scope = Scope(symbols, "tag")
    for code, entry in waiting.items():
        tag = tag_over_tags(entry, category_of[code], scope, problems)
        if tag is not None:
            if code in found:
                problems.append(entry.problem(f"tag '{code}' is defined twice", "code"))
            found[code] = tag
    graph = {code: found[code].tags for code in waiting if code in found}
    cycle = _cycle(graph)
    if cycle:
        chain = " → ".join(cycle)
        problems.append(waiting[cycle[0]].problem(f"tags rest on each other in a circle: {chain}", "value"))


def _categories(
    catalog: Catalog, tags: Mapping[str, ResolvedTag], problems: list[Problem]
) -> dict[str, ResolvedCategory]:
    found = {code: _category(catalog, code, tags, problems) for code in catalog.categories}
    cycle = _cycle({code: frozenset(item.categories) for code, item in found.items()})
    if cycle:
        message = (
            f"categories read each other in a circle: {' → '.join(cycle)}; "
            "move the tags that read both into a category of their own"
        )
        problems.append(catalog.categories[cycle[0]].problem(message, "category"))
    return found


def _category(
    catalog: Catalog, code: str, tags: Mapping[str, ResolvedTag], problems: list[Problem]
) -> ResolvedCategory:
    own = {name: tag for name, tag in tags.items() if tag.category == code}
    order = TopologicalSorter({name: sorted(tag.tags & own.keys()) for name, tag in own.items()})
    laws = _laws(catalog, code, tags, problems)
    read = {tags[name].category for tag in own.values() for name in tag.tags}
    read |= {tags[name].category for law in laws for name in law.tags}
    fields = {source for tag in own.values() for source, _ in tag.fields}
    fields |= {tag.aggregate.fact for tag in own.values() if tag.aggregate}
    return ResolvedCategory(
        code=code,
        tags=tuple(own[name] for name in order.static_order()),
        laws=laws,
        sources=tuple(sorted(fields)),
        categories=tuple(sorted(read - {code})),
        meaning=repr(sorted(tag.meaning for tag in own.values())),
    )


def _laws(
    catalog: Catalog, code: str, tags: Mapping[str, ResolvedTag], problems: list[Problem]
) -> tuple[ResolvedLaw, ...]:
    entry, found = catalog.categories[code], []
    scope = tag_scope(tags.values())
    for number, law in enumerate(entry.spec.laws):
        try:
            node = parse(law.law, scope, expect=BOOLEAN)
        except ExpressionError as error:
            problems.append(entry.problem(str(error), "laws", number, "law"))
            continue
        if not any(tags[name].category == code for name in names_read(node)):
            problems.append(entry.problem(f"law '{law.law}' reads no tag of {code}", "laws", number, "law"))
        found.append(ResolvedLaw(law.name, node, law.severity, names_read(node), law.law))
    return tuple(found)


def _score(entry: Entry[Rfm], tags: Mapping[str, ResolvedTag], problems: list[Problem]) -> ResolvedScore:
    rfm, code = entry.spec, entry.spec.score
    for name in MEASURES:
        tag = tags.get(getattr(rfm, name))
        if tag is None:
            message = f"'{getattr(rfm, name)}' is no tag{did_you_mean(getattr(rfm, name), list(tags))}"
            problems.append(entry.problem(message, name))
        elif not tag.type.numeric:
            problems.append(entry.problem(f"'{tag.code}' is a {tag.type}; RFM needs numbers", name))
    where = None
    if rfm.where is not None:
        try:
            scope = tag_scope(tags.values())
            where = parse(rfm.where, scope, expect=BOOLEAN)
        except ExpressionError as error:
            problems.append(entry.problem(str(error), "where"))
    read = {getattr(rfm, name) for name in MEASURES} | (names_read(where) if where else set())
    columns = {f"{code}_{letter}": INTEGER for letter in "rfm"}
    columns |= {f"{code}_{name}": TEXT for name in ("code", "quadrant", "tier")}
    values = {
        f"{code}_quadrant": tuple(QUADRANTS),
        f"{code}_tier": tuple(tier.code for tier in rfm.named_tiers),
    }
    unnamed = rfm.model_copy(update={"title": None, "meaning": None, "owner": None, "where": None})
    text = repr((repr(unnamed), meaning(where) if where else None))
    return ResolvedScore(code, entry, where, frozenset(read), columns, values, text)


def _score_columns_are_new(
    catalog: Catalog,
    tags: Mapping[str, ResolvedTag],
    scores: Mapping[str, ResolvedScore],
    problems: list[Problem],
) -> None:
    for code, score in scores.items():
        for column in score.columns:
            if column in tags:
                message = f"score '{code}' gives a column '{column}', and a tag has that code already"
                problems.append(catalog.scores[code].problem(message, "score"))


def _segments(
    catalog: Catalog,
    tags: Mapping[str, ResolvedTag],
    scores: Mapping[str, ResolvedScore],
    problems: list[Problem],
) -> dict[str, ResolvedSegment]:
    symbols = [tag_symbol(tag) for tag in tags.values()]
    symbols += [
        Symbol(column, kind, score.values.get(column))
        for score in scores.values()
        for column, kind in score.columns.items()
    ]
    scope = Scope(symbols, "tag or score")
    found = {}
    for code, entry in catalog.segments.items():
        rule = _rule(entry, entry.spec.rule, scope, ("rule",), problems)
        read = _reads(rule)
        found[code] = ResolvedSegment(
            code, entry, rule, read & tags.keys(), read - tags.keys(), repr(_rule_meaning(rule))
        )
    return found


def _rule(
    entry: Entry[Segment], rule: Rule, scope: Scope, place: tuple[str | int, ...], problems: list[Problem]
) -> ResolvedRule:
    if rule.condition is not None:
        try:
            return ResolvedRule("condition", parse(rule.condition, scope, expect=BOOLEAN))
        except ExpressionError as error:
            problems.append(entry.problem(str(error), *place))
            return ResolvedRule("condition")
    name, rules = rule.branch()
    below = [_rule(entry, item, scope, (*place, name, number), problems) for number, item in enumerate(rules)]
    return ResolvedRule(name, rules=tuple(below))  # type: ignore[arg-type]


def _reads(rule: ResolvedRule) -> frozenset[str]:
    own = names_read(rule.node) if rule.node is not None else frozenset()
    return own.union(*(_reads(item) for item in rule.rules))


def _rule_meaning(rule: ResolvedRule) -> object:
    if rule.node is not None:
        return meaning(rule.node)
    return (rule.branch, [_rule_meaning(item) for item in rule.rules])


def _cycle(graph: Mapping[str, frozenset[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _waiting_symbol(tag: Tag) -> Symbol:
    """A tag over tags, before its own expression is read: its declared type is enough to type its readers."""
    return Symbol(tag.code, tag.type, declared_values(tag), (tag.title.zh, tag.title.en))
