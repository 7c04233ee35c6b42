"""A category's table: one row per person of the population, one column per tag, at an as-of date."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.facts import fact_columns
from valtag_assets.engine.persons import PERSON, keyed, persons_table
from valtag_assets.engine.session import unbound
from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.convert import convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import Resolved, ResolvedCategory, ResolvedTag

PREVIOUS = "previous"


def tags_name(category: str) -> str:
    """The table key of a category's tags."""
    return f"tags/{category}"


def category_table(resolved: Resolved, code: str) -> ibis.Table:
    """The published tags of a category as an unbound table."""
    tags = resolved.categories[code].tags
    schema = {PERSON: ibis.dtype("string")} | {tag.code: to_ibis_type(tag.type) for tag in tags}
    return unbound(tags_name(code), schema)


def category_expression(
    resolved: Resolved, category: ResolvedCategory, as_of: date, *, previous: bool = False
) -> ibis.Table:
    """Every tag of ``category`` at ``as_of``, sorted by person.

    Reads the unbound tables identity/persons, clean/<source> and tags/<other category>; with ``previous``
    also the category's own snapshot of an earlier as-of under the name "previous", from which tags with
    null_policy keep_last take the value they would otherwise lose.
    """
    table = persons_table()
    for part in _parts(resolved, category, as_of):
        table = _with(table, part)
    for code in category.categories:
        read = {name for tag in category.tags for name in tag.tags if resolved.category_of(name) == code}
        if read:
            table = _with(table, category_table(resolved, code).select(PERSON, *sorted(read)))
    table = _filled(table, [tag for tag in category.tags if tag.kind == "value"])
    for tag in category.tags:
        if tag.kind != "value":
            table = _filled(table.mutate(**{tag.code: _over_tags(tag, table, as_of)}), [tag])
    if previous:
        table = _kept(table, category, category_table(resolved, category.code))
    return table.select(PERSON, *[_typed(table, tag) for tag in category.tags]).order_by(PERSON)


def tag_expression(resolved: Resolved, code: str, as_of: date) -> ibis.Table:
    """One tag alone, with what it rests on inside its category: what ``valtag sql`` shows."""
    tag = resolved.tags[code]
    category = resolved.categories[tag.category]
    wanted, waiting = set[str](), [code]
    while waiting:
        name = waiting.pop()
        if name not in wanted and resolved.tags[name].category == category.code:
            wanted.add(name)
            waiting.extend(resolved.tags[name].tags)
    only = ResolvedCategory(
        code=category.code,
        tags=tuple(item for item in category.tags if item.code in wanted),
        laws=(),
        sources=category.sources,
        categories=category.categories,
        meaning=category.meaning,
    )
    return category_expression(resolved, only, as_of).select(PERSON, code)


def _parts(resolved: Resolved, category: ResolvedCategory, as_of: date) -> list[ibis.Table]:
    """Tables with one row per person that together hold the category's value tags."""
    masters: dict[str, list[ResolvedTag]] = defaultdict(list)
    facts: dict[str, list[ResolvedTag]] = defaultdict(list)
    for tag in category.tags:
        if tag.master is not None:
            masters[tag.master].append(tag)
        elif tag.aggregate is not None:
            facts[tag.aggregate.fact].append(tag)
    found = []
    for code, tags in masters.items():
        rows = keyed(resolved.sources[code])
        values = {tag.code: compile_value(tag.node, rows, as_of, tag.type) for tag in tags if tag.node}
        found.append(rows.select(PERSON, **values))
    for code, tags in facts.items():
        found.extend(fact_columns(resolved.sources[code], tags, as_of))
    return found


def _with(table: ibis.Table, part: ibis.Table) -> ibis.Table:
    """Left join by person; ``part`` has each person at most once, so rows neither multiply nor vanish."""
    renamed = part.rename({f"_{PERSON}": PERSON})
    return table.left_join(renamed, table[PERSON] == renamed[f"_{PERSON}"]).drop(f"_{PERSON}")


def _filled(table: ibis.Table, tags: Sequence[ResolvedTag]) -> ibis.Table:
    """Put ``empty`` where there was nothing to compute from."""
    filled = {
        tag.code: table[tag.code].fill_null(ibis.literal(tag.spec.empty).cast(table[tag.code].type()))
        for tag in tags
        if tag.spec.empty is not None
    }
    return table.mutate(**filled) if filled else table


def _over_tags(tag: ResolvedTag, table: ibis.Table, as_of: date) -> ir.Value:
    assert tag.node is not None and tag.node.type is not None
    return compile_value(tag.node, table, as_of, to=tag.type)


def _kept(table: ibis.Table, category: ResolvedCategory, own: ibis.Table) -> ibis.Table:
    tags = [tag.code for tag in category.tags if tag.spec.null_policy == "keep_last"]
    before = unbound(PREVIOUS, own.schema())
    before = before.select(PERSON, *[before[code].name(f"_{code}") for code in tags])
    joined = _with(table, before)
    return joined.mutate(**{code: joined[code].fill_null(joined[f"_{code}"]) for code in tags})


def _typed(table: ibis.Table, tag: ResolvedTag) -> ir.Value:
    """The tag's column in exactly its declared type, whatever the engine made of the expression."""
    return convert(table[tag.code], tag.type, tag.type).name(tag.code)
