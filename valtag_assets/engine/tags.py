"""A category's table: one row per person of the population, one column per tag, at an as-of date."""

import functools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.answers import simple_answer
from valtag_assets.engine.checkpoints import answers_table, read_state, state_table
from valtag_assets.engine.facts import fact_columns
from valtag_assets.engine.persons import OWNER, PERSON, beside, keyed, persons_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.successors import linked, renamed_once
from valtag_assets.engine.tiles import Layer, aggregate_of
from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.convert import constant, convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import Resolved, ResolvedCategory, ResolvedTag
from valtag_assets.spec.constant import read_constant

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
    resolved: Resolved,
    category: ResolvedCategory,
    as_of: date,
    *,
    previous: bool | Collection[str] = False,
    layers: Sequence[Layer] = (),
) -> ibis.Table:
    """Every tag of ``category`` at ``as_of``, sorted by person: (person_id, one column per tag).

    Reads the unbound tables identity/persons, clean/<source> and tags/<other category>; tags of ``layers`` not
    from the rows of a fact, but from the layer's checkpoint of that as-of (``checkpoint_name``). With ``previous``
    also the category's own snapshot of an earlier as-of, under the name "previous": from it tags with
    null_policy keep_last take the value they would otherwise lose, as ``successors.renamed_once`` says of persons
    who turned out to be one. ``previous`` may be the columns that the snapshot has; True stands for every tag.
    ``empty`` comes last: it is for persons who never had a value.
    """
    table = persons_table()
    mine = {tag.code for tag in category.tags}
    merged = {tag.code: layer for layer in layers for tag in layer.group.tags if tag.code in mine}
    for layer in {layer.name: layer for layer in merged.values()}.values():
        table = beside(table, _from_checkpoint(layer, mine, as_of))
    for part in _parts(resolved, [tag for tag in category.tags if tag.code not in merged], as_of):
        table = beside(table, part)
    for code in category.categories:
        read = {name for tag in category.tags for name in tag.tags if resolved.category_of(name) == code}
        if read:
            table = beside(table, category_table(resolved, code).select(PERSON, *sorted(read)))
    kept = _kept(category, previous)
    if kept:
        own = category_table(resolved, category.code).schema()
        before = unbound(PREVIOUS, {PERSON: own[PERSON]} | {code: own[code] for code in kept})
        before = renamed_once(before) if linked(resolved) else before
        table = beside(table, before.rename({f"_{code}": code for code in kept}))
    table = table.mutate(*[_final(table[tag.code], tag, table) for tag in category.tags if tag.kind == "value"])
    for step in _steps(category):
        table = table.mutate(*[over_tags(tag, table, as_of) for tag in step])
    return table.select(PERSON, *[tag.code for tag in category.tags]).order_by(PERSON)


def _steps(category: ResolvedCategory) -> list[list[ResolvedTag]]:
    """The tags over tags, each in a step after those of the category that it reads. A step is one SELECT: one for
    every tag would soon be nested deeper than SQL can be written or read."""
    depth: dict[str, int] = {}
    steps: dict[int, list[ResolvedTag]] = {}
    for tag in category.tags:
        if tag.kind != "value":
            depth[tag.code] = 1 + max((depth[name] for name in tag.tags if name in depth), default=0)
            steps.setdefault(depth[tag.code], []).append(tag)
    return [steps[number] for number in sorted(steps)]


def tag_expression(
    resolved: Resolved, code: str, as_of: date, *, previous: bool | Collection[str] = False
) -> ibis.Table:
    """One tag alone, with what it rests on inside its category: what ``valtag sql`` shows.

    ``previous`` as in ``category_expression``.
    """
    category = resolved.categories[resolved.tags[code].category]
    return tags_expression(resolved, category, [code], as_of, previous=previous)


def tags_expression(
    resolved: Resolved,
    category: ResolvedCategory,
    codes: Sequence[str],
    as_of: date,
    *,
    previous: bool | Collection[str] = False,
) -> ibis.Table:
    """(person_id, one column per code, all of ``category``), computed with no more than they rest on inside it."""
    wanted, waiting = set[str](), list(codes)
    while waiting:
        name = waiting.pop()
        if name not in wanted and resolved.tags[name].category == category.code:
            wanted.add(name)
            waiting.extend(resolved.tags[name].tags)
    only = replace(category, tags=tuple(item for item in category.tags if item.code in wanted), laws=())
    return category_expression(resolved, only, as_of, previous=previous).select(PERSON, *codes)


def over_tags(tag: ResolvedTag, table: ibis.Table, as_of: date) -> ir.Value:
    """The column of a band or computed tag from a table that has the tags it reads, and as ``_<code>`` the value
    it keeps, if it keeps one."""
    return _final(_over_tags(tag, table, as_of), tag, table)


def checkpoint_name(layer: Layer) -> str:
    """The table key of a layer's checkpoint: its state, or its answers if it compares values."""
    return f"checkpoints/{layer.name}"


def _from_checkpoint(layer: Layer, wanted: Collection[str], as_of: date) -> ibis.Table:
    """(person_id, one column per wanted tag of the layer) from its checkpoint at ``as_of``."""
    group, name = layer.group, checkpoint_name(layer)
    tags = [tag for tag in group.tags if tag.code in wanted]
    if group.value is not None:
        return answers_table(group, name).select(**{PERSON: OWNER}, **{tag.code: tag.code for tag in tags})
    state = state_table(group, group.needs, name)
    found = []
    for tag in tags:
        aggregate = aggregate_of(tag)
        read = functools.partial(read_state, state, aggregate)
        found.append(simple_answer(group.source, aggregate, tag.type, as_of, read).name(tag.code))
    return state.select(state[OWNER].name(PERSON), *found)


def _parts(resolved: Resolved, wanted: Sequence[ResolvedTag], as_of: date) -> list[ibis.Table]:
    """Tables with one row per person that together hold the value tags of ``wanted``, from masters and facts."""
    masters: dict[str, list[ResolvedTag]] = defaultdict(list)
    facts: dict[str, list[ResolvedTag]] = defaultdict(list)
    for tag in wanted:
        if tag.master is not None:
            masters[tag.master].append(tag)
        elif tag.aggregate is not None:
            facts[tag.aggregate.fact].append(tag)
    found = []
    for code, tags in masters.items():
        rows = keyed(resolved.sources[code])
        values = {tag.code: compile_value(tag.node, rows, as_of, tag.type) for tag in tags if tag.node}
        found.append(rows.select(rows[OWNER].name(PERSON), *[value.name(name) for name, value in values.items()]))
    for code, tags in facts.items():
        found.extend(fact_columns(resolved.sources[code], tags, as_of))
    return found


def _over_tags(tag: ResolvedTag, table: ibis.Table, as_of: date) -> ir.Value:
    assert tag.node is not None
    return compile_value(tag.node, table, as_of, to=tag.type)


def _kept(category: ResolvedCategory, previous: bool | Collection[str]) -> list[str]:
    """The tags that keep their last value, as far as the previous snapshot has them."""
    codes = [tag.code for tag in category.tags if tag.spec.null_policy == "keep_last"]
    return [code for code in codes if previous is True or (previous and code in previous)]


def _final(value: ir.Value, tag: ResolvedTag, table: ibis.Table) -> ir.Value:
    """The tag's column in exactly its declared type; where there is no value: the kept one, then ``empty``."""
    value = convert(value, tag.type, tag.type)
    if f"_{tag.code}" in table.columns:
        value = value.fill_null(convert(table[f"_{tag.code}"], tag.type, tag.type))
    empty = tag.spec.empty_value
    if empty is not None:
        value = value.fill_null(constant(read_constant(empty, tag.type), tag.type))
    return value.name(tag.code)
