"""Tiles: person × day partial aggregates of a fact, and what the catalog needs of them.

The tags of a fact that look at rows alone share one tile per person and day; tags that compare the values of a
field (a mode, a distinct count, a list, a share, a quantile) share one per person, day and value of it. A tile
does not know the as-of: its windows are applied when tiles are merged.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import ibis
import ibis.expr.datatypes as dt

from valtag_assets.engine.answers import SIMPLE, VALUE, simple_partials, value_partials
from valtag_assets.engine.partials import TIMELESS, Need, Partial, mergeable, names_of, of_rows, time_of, type_of
from valtag_assets.engine.persons import OWNER, keyed
from valtag_assets.engine.session import unbound
from valtag_assets.expression.compile import compile_value
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.lineage import names_read
from valtag_assets.expression.resolved import Aggregate, Resolved, ResolvedSource, ResolvedTag
from valtag_assets.expression.tree import Node

DAY = "_day"


@dataclass(frozen=True)
class Group:
    """The tags that share tiles: all over one fact, and over the values of one field of it (or of none)."""

    source: ResolvedSource
    value: Node | None
    tags: tuple[ResolvedTag, ...]

    @cached_property
    def name(self) -> str:
        """A name that stands for the fact and the field in any catalog; fit for a folder."""
        return f"{self.source.code}.{'rows' if self.value is None else _digest(repr(self.value))}"

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """Every partial over every window some tag looks at, in a fixed order."""
        found = {need.column: need for tag in self.tags for need in needs_of(self.source, tag)}
        return tuple(found[column] for column in sorted(found))

    @cached_property
    def partials(self) -> tuple[Partial, ...]:
        found = {need.partial.id: need.partial for need in self.needs}
        return tuple(found[name] for name in sorted(found))

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(partial.id for partial in self.partials)

    @property
    def keys(self) -> tuple[str, ...]:
        """What a row of the group's checkpoint is about."""
        return (OWNER,) if self.value is None else (OWNER, VALUE)

    def of(self, tags: Iterable[ResolvedTag]) -> "Group":
        """The same group with these tags alone."""
        return Group(self.source, self.value, tuple(tags))

    @cached_property
    def key_types(self) -> dict[str, dt.DataType]:
        types = {OWNER: dt.string}
        if self.value is not None:
            assert self.value.type is not None
            types[VALUE] = to_ibis_type(self.value.type)
        return types


def aggregate_of(tag: ResolvedTag) -> Aggregate:
    assert tag.aggregate is not None
    return tag.aggregate


def needs_of(source: ResolvedSource, tag: ResolvedTag) -> list[Need]:
    """The partials of one tag, over its window."""
    aggregate = aggregate_of(tag)
    simple = aggregate.agg in SIMPLE
    partials = simple_partials(source, aggregate) if simple else value_partials(aggregate)
    return [Need(partial, aggregate.window) for partial in partials]


def groups_of(resolved: Resolved, tags: Iterable[ResolvedTag]) -> list[Group]:
    """The groups of those of ``tags`` that can be merged from tiles, in a fixed order."""
    found: dict[tuple[str, str], list[ResolvedTag]] = defaultdict(list)
    for tag in tags:
        aggregate = tag.aggregate
        if aggregate is not None and mergeable(aggregate):
            value = "" if aggregate.agg in SIMPLE else repr(aggregate.of)
            found[aggregate.fact, value].append(tag)
    groups = []
    for (fact, value), members in sorted(found.items()):
        of = aggregate_of(members[0]).of if value else None
        groups.append(Group(resolved.sources[fact], of, tuple(members)))
    return groups


def tile_table(group: Group, partials: Sequence[Partial], name: str) -> ibis.Table:
    """Tiles as an unbound table ``name``: person, day, value if the group has one, then the partials."""
    columns = {OWNER: group.key_types[OWNER], DAY: dt.date, **group.key_types}
    columns |= {partial.id: type_of(partial) for partial in partials}
    table = unbound(name, columns)
    # A file may hold more partials than are asked for, and in another order.
    return table.select(**{column: table[column] for column in columns})


def tile_expression(group: Group, partials: Sequence[Partial]) -> ibis.Table:
    """The tiles of the fact's clean rows: one row per person and day (and value) that has any, in no order."""
    time = time_of(group.source).code
    read = {time} | names_of(partials) | (set() if group.value is None else names_read(group.value))
    rows = keyed(group.source, read)
    rows = rows.filter(rows[OWNER].notnull()).mutate(**{DAY: rows[time].cast("date")})
    if group.value is not None:
        rows = rows.mutate(**{VALUE: compile_value(group.value, rows, TIMELESS)})
        rows = rows.filter(rows[VALUE].notnull())
    found = rows.group_by([DAY, *group.keys]).aggregate(*[of_rows(item, rows).name(item.id) for item in partials])
    return found.select(OWNER, DAY, *group.keys[1:], *[item.id for item in partials])


# --- layers: tiles built for an earlier catalog serve a later one --------------------------------------------


@dataclass(frozen=True)
class Layer:
    """Tile files of one group that hold ``partials``, and the tags (those of ``group``) merged from them."""

    group: Group
    partials: tuple[Partial, ...]

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(partial.id for partial in self.partials)

    @cached_property
    def name(self) -> str:
        """A name that stands for the files' columns; fit for a folder."""
        return f"{self.group.name}.{_digest(repr(sorted(self.ids)))}"


def layers_of(group: Group, known: Iterable[frozenset[str]]) -> list[Layer]:
    """``group`` split by the sets of partials that tiles exist for; what none of them has makes a new layer.

    So a new tag gets tiles of its own, and those of all others stay as they are.
    """
    waiting, layers = list(group.tags), []
    # A partial that no tag of this catalog has can't be built for new days: the layer goes on without it.
    live = {ids & group.ids for ids in known} - {frozenset()}
    # The widest first, so that what was built together is read together.
    for ids in sorted(live, key=lambda ids: (-len(ids), sorted(ids))):
        fitting = [tag for tag in waiting if ids.issuperset(group.of([tag]).ids)]
        if fitting:
            layers.append(Layer(group.of(fitting), tuple(p for p in group.partials if p.id in ids)))
            waiting = [tag for tag in waiting if tag not in fitting]
    if waiting:
        rest = group.of(waiting)
        layers.append(Layer(rest, rest.partials))
    return layers


def answer_id(tag: ResolvedTag) -> str:
    """Equal for tags with equal answers, whatever they are called."""
    return _digest(repr((tag.aggregate, tag.type)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
