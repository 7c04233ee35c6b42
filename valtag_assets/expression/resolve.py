"""A catalog resolved: every reference met, every expression typed, cycles refused.

This is all of ``valtag check``; it reads YAML only, no data.
"""

import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from valtag_assets.expression.kept import Kept, KeptFile
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.naming import naming_faults
from valtag_assets.expression.parse import ExpressionError, parse
from valtag_assets.expression.resolve_allocation import resolve_allocations
from valtag_assets.expression.resolve_channel import resolve_channels
from valtag_assets.expression.resolve_delivery import resolve_deliveries, resolve_destinations
from valtag_assets.expression.resolve_identity import resolve_identity
from valtag_assets.expression.resolve_placement import resolve_placements
from valtag_assets.expression.resolve_report import resolve_reports
from valtag_assets.expression.resolve_score import resolve_scores
from valtag_assets.expression.resolve_segment import exclusions, resolve_segments, rule_scope
from valtag_assets.expression.resolve_source import resolve_source
from valtag_assets.expression.resolve_tag import (
    concrete_codes,
    declared_symbol,
    empty_faults,
    tag_over_tags,
    tag_symbol,
    value_tags,
)
from valtag_assets.expression.resolve_trigger import resolve_triggers
from valtag_assets.expression.resolve_vault import vault_faults
from valtag_assets.expression.resolved import (
    Resolved,
    ResolvedCategory,
    ResolvedLaw,
    ResolvedSource,
    ResolvedTag,
)
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.catalog import Catalog, Entry, read_catalog
from valtag_assets.spec.problem import CatalogError, Problem
from valtag_assets.spec.tag import Tag
from valtag_assets.spec.types import BOOLEAN

# Containers made while a catalog is read, from which on a look through them is noticed; some 4,000 tags.
_MANY_OBJECTS = 200_000


def resolve_catalog(root: Path, keep_in: Path | None = None) -> Resolved:
    """Load and resolve the catalog folder ``root``. Raises CatalogError with every mistake of every file.

    What was read of a big catalog is kept below the folder ``keep_in``.
    """
    with _nothing_thrown_away():
        kept = Kept(keep_in, root)
        reading = read_catalog(root, kept.read)
        resolved, problems = _resolve(reading.catalog, kept.files)
        problems = [*reading.problems, *(p for p in problems if not reading.blames_lost(p))]
        if problems:
            raise CatalogError(problems)
        kept.keep(resolved.catalog, resolved.tags)
    return resolved


@contextmanager
def _nothing_thrown_away() -> Iterator[None]:
    """Without garbage collection: what is made of a catalog stays, and looking through it again and again would take
    a third of the time. What is made of a big one is never looked through at all."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY_OBJECTS:
            gc.freeze()
        if collects:
            gc.enable()


def resolve(catalog: Catalog) -> Resolved:
    """Resolve ``catalog``. Raises CatalogError with every mistake."""
    resolved, problems = _resolve(catalog, {})
    if problems:
        raise CatalogError(problems)
    return resolved


def _resolve(catalog: Catalog, kept: Mapping[Path, KeptFile]) -> tuple[Resolved, list[Problem]]:
    problems: list[Problem] = []
    sources = _sources(catalog, problems)
    tags, scope_of_tags = _tags(catalog, sources, kept, problems)
    symbols = list(scope_of_tags)
    categories = _categories(catalog, tags, scope_of_tags, problems)
    problems.extend(vault_faults(tags, sources))
    scores = resolve_scores(catalog, tags, symbols, problems)
    scope = rule_scope(symbols, scores, sources, tuple(catalog.segments))
    segments = resolve_segments(catalog, tags, scope, problems)
    channels = resolve_channels(catalog, scope, problems)
    excluded = exclusions(catalog, scope)
    reports = resolve_reports(catalog, sources, tags, scope, problems)
    placements = resolve_placements(catalog, tags, scope.columns, problems)
    destinations = resolve_destinations(catalog, tags, scope.columns, problems)
    triggers = resolve_triggers(catalog, tags, scope, channels, excluded, destinations, problems)
    resolved = Resolved(
        catalog=catalog,
        sources=sources,
        tags=tags,
        categories=categories,
        scores=scores,
        segments=segments,
        channels=channels,
        exclusions=excluded,
        rules=scope,
        reports=reports,
        placements=placements,
        allocations=resolve_allocations(catalog, tags, scores, problems),
        triggers=triggers,
        destinations=destinations,
        deliveries=resolve_deliveries(catalog, destinations, tags, scope.columns, problems),
        identity=resolve_identity(catalog, sources, problems),
    )
    return resolved, problems


def _symbols(catalog: Catalog, tags: Mapping[str, ResolvedTag]) -> list[Symbol]:
    """Every tag that is written down. A tag at fault keeps its name, so that its readers are not blamed for it."""
    found = {}
    for entry in catalog.tags.values():
        for code in concrete_codes(entry.spec):
            found[code] = tag_symbol(tags[code]) if code in tags else declared_symbol(entry.spec, code)
    return list(found.values())


def _sources(catalog: Catalog, problems: list[Problem]) -> dict[str, ResolvedSource]:
    """Lookups first, since the other sources take columns from them; given back in file order."""
    ordered = sorted(catalog.sources.items(), key=lambda item: item[1].spec.kind != "lookup")
    keyed = catalog.identity.spec.sources if catalog.identity is not None else {}
    found: dict[str, ResolvedSource] = {}
    for code, entry in ordered:
        found[code] = resolve_source(entry, found, problems, keyed=code in keyed)
    return {code: found[code] for code in catalog.sources}


def _tags(
    catalog: Catalog,
    sources: Mapping[str, ResolvedSource],
    kept: Mapping[Path, KeptFile],
    problems: list[Problem],
) -> tuple[dict[str, ResolvedTag], Scope]:
    """Every tag column of the catalog that is sound, in the order of the files; and the names of all of them."""
    category_of = {tag.code: code for code, entry in catalog.categories.items() for tag in entry.spec.tags}
    found: dict[str, ResolvedTag] = {}
    for code, entry in catalog.tags.items():
        if entry.file in kept:
            if entry.spec.kind == "value":
                found |= {tag.code: tag for tag in kept[entry.file].columns[code]}
            continue
        problems.extend(entry.problem(fault, "code") for fault in naming_faults(entry.spec))
        problems.extend(empty_faults(entry))
        if entry.spec.kind == "value":
            own = value_tags(entry, category_of.get(code, ""), sources, problems)
            found |= {tag.code: tag for tag in own}
    _columns_are_new(catalog, problems)
    waiting = {code: entry for code, entry in catalog.tags.items() if entry.spec.kind != "value"}
    scope = Scope(_symbols(catalog, found), "tag")
    holding = {file for file, known in kept.items() if known.holds(scope)}
    for code, entry in waiting.items():
        if entry.file in holding:
            [found[code]] = kept[entry.file].columns[code]
            continue
        tag = tag_over_tags(entry, category_of.get(code, ""), scope, problems)
        if tag is not None:
            found[code] = tag
    cycle = _cycle({code: found[code].tags for code in waiting if code in found})
    if cycle:
        chain = " → ".join(cycle)
        problems.append(waiting[cycle[0]].problem(f"tags rest on each other in a circle: {chain}", "value"))
    written = [name for entry in catalog.tags.values() for name in concrete_codes(entry.spec)]
    return {name: found[name] for name in written if name in found}, scope


def _columns_are_new(catalog: Catalog, problems: list[Problem]) -> None:
    """Refuse a column that two tags would give, as a window may (spend with 30d, and spend_30d)."""
    first: dict[str, Entry[Tag]] = {}
    for entry in catalog.tags.values():
        for code, window in concrete_codes(entry.spec).items():
            if code in first:
                other = first[code].problem("", "code")
                at = f"already at {other.file.name}:{other.line} (tag '{first[code].spec.code}')"
                wide = f" by its window {window.suffix.lstrip('_')}" if window.suffix else ""
                message = f"tag '{entry.spec.code}' gives the column '{code}'{wide}, which is defined {at}"
                problems.append(entry.problem(message, "windows" if window.suffix else "code"))
            first.setdefault(code, entry)


def _categories(
    catalog: Catalog, tags: Mapping[str, ResolvedTag], scope: Scope, problems: list[Problem]
) -> dict[str, ResolvedCategory]:
    owned: dict[str, dict[str, ResolvedTag]] = defaultdict(dict)
    for name, tag in tags.items():
        owned[tag.category][name] = tag
    found = {code: _category(catalog, code, owned[code], tags, scope, problems) for code in catalog.categories}
    cycle = _cycle({code: frozenset(item.categories) for code, item in found.items()})
    if cycle:
        message = (
            f"categories read each other in a circle: {' → '.join(cycle)}; "
            "move the tags that read both into a category of their own"
        )
        problems.append(catalog.categories[cycle[0]].problem(message, "category"))
    return found


def _category(
    catalog: Catalog,
    code: str,
    own: Mapping[str, ResolvedTag],
    tags: Mapping[str, ResolvedTag],
    scope: Scope,
    problems: list[Problem],
) -> ResolvedCategory:
    laws = _laws(catalog, code, scope, problems)
    problems.extend(_keeping_faults(catalog, code))
    named: set[str] = set().union(*(tag.tags for tag in own.values()), *(law.tags for law in laws))
    read = {tags[name].category for name in named if name in tags}
    fields = {source for tag in own.values() for source, _ in tag.fields}
    fields |= {tag.aggregate.fact for tag in own.values() if tag.aggregate}
    return ResolvedCategory(
        code=code,
        tags=tuple(_in_order(own)),
        laws=laws,
        sources=tuple(sorted(fields)),
        categories=tuple(sorted(read - {code})),
        meaning=repr(sorted(tag.meaning for tag in own.values())),
    )


def _keeping_faults(catalog: Catalog, code: str) -> Iterator[Problem]:
    """A value kept from the day before needs a table of the day before: a daily category."""
    refresh = catalog.categories[code].spec.refresh or catalog.project.refresh
    for tag in catalog.categories[code].spec.tags:
        if tag.null_policy == "keep_last" and refresh.schedule != "daily":
            message = (
                f"keep_last takes the value of the day before, and '{code}' is refreshed {refresh.schedule}:"
                " give the category refresh: {schedule: daily}, or the tag null_policy: clear"
            )
            yield catalog.tags[tag.code].problem(message, "null_policy")


def _in_order(own: Mapping[str, ResolvedTag]) -> list[ResolvedTag]:
    """The tags as written, but each after those it reads. The same in every process: columns keep their order."""
    ordered: dict[str, ResolvedTag] = {}

    def place(tag: ResolvedTag, above: frozenset[str]) -> None:
        for name in sorted(name for name in tag.tags if name in own and name not in ordered and name not in above):
            place(own[name], above | {name})
        ordered.setdefault(tag.code, tag)

    for tag in own.values():
        place(tag, frozenset({tag.code}))
    return list(ordered.values())


def _laws(catalog: Catalog, code: str, scope: Scope, problems: list[Problem]) -> tuple[ResolvedLaw, ...]:
    entry, found = catalog.categories[code], []
    own = {name for tag in entry.spec.tags for name in concrete_codes(tag)}
    for number, law in enumerate(entry.spec.laws):
        try:
            node = parse(law.law, scope, expect=BOOLEAN)
        except ExpressionError as error:
            problems.append(entry.problem(str(error), "laws", number, "law"))
            continue
        if not names_read(node) & own:
            problems.append(entry.problem(f"law '{law.law}' reads no tag of {code}", "laws", number, "law"))
        found.append(ResolvedLaw(law.name, node, law.severity, names_read(node), law.law))
    return tuple(found)


def _cycle(graph: Mapping[str, frozenset[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []
