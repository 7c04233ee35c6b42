"""Checkpoints: what every person's tags need of a fact at one as-of, and how the next as-of continues from it.

A checkpoint has one row per person (per person and value, for tags over the values of a field) and one column
per need: a partial over a window, with absolute dates. From the checkpoint of one as-of, that of another is

    old + tiles that entered a window − tiles that left one,

where tiles of corrected rows leave as they were and enter as they are. Counts and sums are added and
subtracted exactly. A minimum, maximum, first or last can't be subtracted: where what leaves *is* the value, the
person is merged from tiles again. Nothing else is touched, so the work is that of the tiles that moved.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.answers import ranked_values, value_answer, value_partials
from valtag_assets.engine.partials import Need, Partial, merged, type_of
from valtag_assets.engine.persons import OWNER
from valtag_assets.engine.session import unbound
from valtag_assets.engine.tiles import DAY, Group, aggregate_of, tile_table
from valtag_assets.engine.windows import moved, span_of
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import Aggregate, ResolvedTag, Window

TILES = "tiles"
WAS, IS = "tiles_before", "tiles_after"
# A name no table of the warehouse has: two of these are files of one statement.
OLD, DELTA, CARRIED, AGAIN, FRESH = "checkpoint", "delta", "carried", "again", "fresh"
STATE, ANSWERS = "state", "answers"


def windows_of(needs: Collection[Need]) -> list[Window]:
    """The windows of the needs, each once, in a fixed order."""
    return sorted({need.window for need in needs}, key=lambda window: (window.kind, window.days))


def state_table(group: Group, needs: Sequence[Need], name: str) -> ibis.Table:
    """A checkpoint's rows as an unbound table ``name``."""
    columns = {**group.key_types, **{need.column: type_of(need.partial) for need in needs}}
    table = unbound(name, columns)
    return table.select(**{column: table[column] for column in columns})


def read_state(state: ibis.Table, aggregate: Aggregate, partial: Partial) -> ir.Value:
    """A partial of a tag from its person's row of a checkpoint, as ``simple_answer`` reads it."""
    column = state[Need(partial, aggregate.window).column]
    if partial.kind in ("first", "last"):
        return column["value"]
    if partial.kind != "sum":
        return column
    # What was added and taken away again leaves 0, where there is nothing any more.
    counted = state[Need(replace(partial, kind="count"), aggregate.window).column]
    return ibis.ifelse(counted > 0, column, ibis.null(column.type()))


def merge_expression(group: Group, needs: Sequence[Need], as_of: date) -> ibis.Table:
    """The checkpoint of ``as_of`` merged from ``TILES``, all of them."""
    return _alive(group, _merge(group, needs, as_of, tile_table(group, _partials(needs), TILES)), needs)


def _merge(group: Group, needs: Sequence[Need], as_of: date, tiles: ibis.Table) -> ibis.Table:
    spans = {window: span_of(window, as_of) for window in windows_of(needs)}
    last = max(span.last for span in spans.values())
    tiles = tiles.filter(tiles[DAY] <= ibis.literal(last, type="date"))
    found = []
    for need in needs:
        where = None if spans[need.window].first is None and spans[need.window].last == last else spans[need.window]
        column = tiles[need.partial.id]
        held = None if where is None else where.holds(tiles[DAY])
        found.append(merged(need.partial, column, held).name(need.column))
    return tiles.group_by(list(group.keys)).aggregate(*found)


def _alive(group: Group, table: ibis.Table, needs: Sequence[Need]) -> ibis.Table:
    """Without the values that no window sees: what is left of a corrected row must not linger."""
    if group.value is None:
        return table
    counts = [table[need.column] > 0 for need in needs if need.partial.kind == "count"]
    return table.filter(ibis.or_(*counts)) if counts else table


# --- moving to another as-of ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """From the checkpoint of ``before`` to that of ``as_of``, for ``needs`` both of them have.

    ``changed``: some tile files differ; ``WAS`` are those as they were, ``IS`` as they are. ``TILES`` are the
    files that are the same for both.
    """

    group: Group
    needs: tuple[Need, ...]
    before: date
    as_of: date
    changed: bool
    same: bool

    @property
    def extremes(self) -> list[Need]:
        return [need for need in self.needs if not need.partial.additive]

    def delta(self) -> ibis.Table:
        """What moved, one row per key: per need the net sum, or the extreme of what entered; and of what left.

        Reads ``TILES`` where ``same``, and ``WAS`` and ``IS`` where ``changed``.
        """
        signed = self._signed()
        found = []
        for need in self.needs:
            column, enters, leaves = signed[need.partial.id], signed[_enters(need)], signed[_leaves(need)]
            entered = merged(need.partial, column, enters)
            if need.partial.additive:
                kind = type_of(need.partial)
                zero = ibis.literal(0).cast(kind)
                left = merged(need.partial, column, leaves)
                net = (entered.fill_null(zero) - left.fill_null(zero)).cast(kind)
                found.append(net.name(need.column))
            else:
                found += [entered.name(need.column), merged(need.partial, column, leaves).name(_gone(need))]
        return signed.group_by(list(self.group.keys)).aggregate(*found)

    def _signed(self) -> ibis.Table:
        """The tiles that enter or leave some window, with a flag for each."""
        tables = []
        partials = _partials(self.needs)
        if self.same:
            tiles = tile_table(self.group, partials, TILES)
            spans = moved(windows_of(self.needs), self.before, self.as_of)
            tiles = tiles.filter(ibis.or_(ibis.literal(False), *[span.holds(tiles[DAY]) for span in spans]))
            tables.append(tiles.mutate(_was=ibis.literal(True), _is=ibis.literal(True)))
        if self.changed:
            tables.append(self._compared(partials))
        table = ibis.union(*tables) if len(tables) > 1 else tables[0]
        flags: dict[str, ir.BooleanValue] = {}
        for window in windows_of(self.needs):
            now = table["_is"] & span_of(window, self.as_of).holds(table[DAY])
            then = table["_was"] & span_of(window, self.before).holds(table[DAY])
            flags |= {f"_enters_{window.suffix}": now & ~then, f"_leaves_{window.suffix}": then & ~now}
        table = table.mutate(**flags)
        return table.filter(ibis.or_(*[table[flag] for flag in flags]))

    def _compared(self, partials: Sequence[Partial]) -> ibis.Table:
        """The tiles of changed files, each with whether it was there and whether it is: equal tiles are one row."""
        was, now = (tile_table(self.group, partials, name) for name in (WAS, IS))
        both = ibis.union(was.mutate(_old=1, _new=0), now.mutate(_old=0, _new=1))
        columns = list(was.columns)
        found = both.group_by(columns).aggregate(_o=both["_old"].max(), _n=both["_new"].max())
        return found.select(*columns, _was=found["_o"] == 1, _is=found["_n"] == 1)

    def carried(self) -> ibis.Table:
        """The rows of ``OLD`` that ``DELTA`` touches, without the extremes that left."""
        old, delta = state_table(self.group, self.needs, OLD), self._delta_table()
        gone = delta.select(*self.group.keys, *[delta[_gone(need)] for need in self.extremes])
        table = old.join(gone, list(self.group.keys))
        lost = {need.column: _lost(table, need) for need in self.extremes}
        cells = {
            name: lost[name].ifelse(ibis.null(table[name].type()), table[name]) if name in lost else table[name]
            for name in old.columns
        }
        flags = {_lost_name(window): self._any_lost(lost, window) for window in windows_of(self.extremes)}
        return table.select(**cells, **flags)

    def _any_lost(self, lost: dict[str, ir.BooleanValue], window: Window) -> ir.BooleanValue:
        return ibis.or_(*[lost[need.column] for need in self.extremes if need.window == window])

    def losses(self) -> ibis.Table:
        """One row: of how many persons an extreme left, by window."""
        carried = self._carried_table()
        found = {window.suffix: carried[_lost_name(window)].sum() for window in windows_of(self.extremes)}
        return carried.aggregate(**{f"w{name}": count for name, count in found.items()})

    def again(self, windows: Sequence[Window]) -> ibis.Table:
        """The extremes of these windows, merged from ``TILES`` (all of the as-of) for the persons who lost one."""
        needs = [need for need in self.extremes if need.window in windows]
        carried = self._carried_table()
        lost = carried.filter(ibis.or_(*[carried[_lost_name(window)] for window in windows]))
        tiles = tile_table(self.group, _partials(needs), TILES)
        return _merge(self.group, needs, self.as_of, tiles.semi_join(lost.select(*self.group.keys), self.group.keys))

    def state(self, again: Sequence[Window], carried: bool) -> ibis.Table:
        """The checkpoint of ``as_of``: what ``DELTA`` does not touch as it is in ``OLD``, the rest merged.

        ``again`` are the windows of ``AGAIN``. ``carried``: read ``CARRIED``, which a group without extremes
        doesn't need.
        """
        keys = list(self.group.keys)
        old, delta = state_table(self.group, self.needs, OLD), self._delta_table().select(*keys, *self._columns())
        parts = [self._carried_table().select(*keys, *self._columns()) if carried else old.semi_join(delta, keys)]
        parts.append(delta)
        if again:
            needs = [need for need in self.extremes if need.window in again]
            parts.append(_padded(self.group, needs, self.needs, state_table(self.group, needs, AGAIN)))
        rows = ibis.union(*parts)
        touched = rows.group_by(keys).aggregate(
            *[merged(need.partial, rows[need.column]).name(need.column) for need in self.needs]
        )
        table = ibis.union(old.anti_join(delta, keys), _alive(self.group, touched, self.needs))
        return table.select(*keys, *self._columns())

    def _columns(self) -> list[str]:
        return [need.column for need in self.needs]

    def _delta_table(self) -> ibis.Table:
        columns = {**self.group.key_types, **{need.column: type_of(need.partial) for need in self.needs}}
        return unbound(DELTA, columns | {_gone(need): type_of(need.partial) for need in self.extremes})

    def _carried_table(self) -> ibis.Table:
        columns = {**self.group.key_types, **{need.column: type_of(need.partial) for need in self.needs}}
        return unbound(CARRIED, columns | {_lost_name(window): "boolean" for window in windows_of(self.extremes)})


def delta_count(group: Group) -> ibis.Table:
    """One row: how many keys the ``DELTA`` touches."""
    delta = unbound(DELTA, group.key_types)
    return delta.aggregate(touched=delta.count())


def widened(group: Group, known: Sequence[Need], fresh: Sequence[Need]) -> ibis.Table:
    """The checkpoint ``OLD`` with the needs ``known``, and ``FRESH`` with others, as one with all of them."""
    needs = [*known, *fresh]
    parts = [
        _padded(group, part, needs, state_table(group, part, name)) for part, name in ((known, OLD), (fresh, FRESH))
    ]
    rows = ibis.union(*parts)
    merge = [merged(need.partial, rows[need.column]).name(need.column) for need in needs]
    return rows.group_by(list(group.keys)).aggregate(*merge)


def _padded(group: Group, some: Sequence[Need], needs: Sequence[Need], table: ibis.Table) -> ibis.Table:
    """``table``, which has ``some`` of the needs, with nothing in the others."""
    there = {need.column for need in some}
    columns = {
        need.column: table[need.column] if need.column in there else ibis.null(type_of(need.partial))
        for need in needs
    }
    return table.select(*group.keys, **columns)


def _lost(table: ibis.Table, need: Need) -> ir.BooleanValue:
    """Whether what left a window is the very value it had."""
    return (table[_gone(need)] == table[need.column]).fill_null(False)


def _enters(need: Need) -> str:
    return f"_enters_{need.window.suffix}"


def _leaves(need: Need) -> str:
    return f"_leaves_{need.window.suffix}"


def _gone(need: Need) -> str:
    return f"_gone_{need.column}"


def _lost_name(window: Window) -> str:
    return f"_lost_{window.suffix}"


def _partials(needs: Sequence[Need]) -> list[Partial]:
    found = {need.partial.id: need.partial for need in needs}
    return [found[name] for name in sorted(found)]


# --- answers: tags over the values of a field, per person ----------------------------------------------------


def answers_expression(group: Group, only: bool) -> ibis.Table:
    """(person, one column per tag of the group) from ``STATE``; with ``only``, of the persons in ``DELTA``."""
    values = state_table(group, group.needs, STATE)
    if only:
        delta = unbound(DELTA, {OWNER: "string"})
        values = values.semi_join(delta, OWNER)
    columns = {tag.code: _columns_of(group, tag) for tag in group.tags}
    counted = {tag.code: (aggregate_of(tag), values[columns[tag.code][0]]) for tag in group.tags}
    values = ranked_values(values, OWNER, counted)
    found = []
    for tag in group.tags:
        count, *measures = (values[column] for column in columns[tag.code])
        ranking = [measure.fill_null(ibis.literal(0).cast(measure.type())) for measure in measures]
        aggregate = aggregate_of(tag)
        found.append(value_answer(values, tag.code, aggregate, tag.type, count > 0, ranking).name(tag.code))
    return values.group_by(OWNER).aggregate(*found)


def _columns_of(group: Group, tag: ResolvedTag) -> list[str]:
    return [Need(partial, aggregate_of(tag).window).column for partial in value_partials(aggregate_of(tag))]


def answers_table(group: Group, name: str) -> ibis.Table:
    """Answers as an unbound table: (person, one column per tag of the group)."""
    columns = {OWNER: group.key_types[OWNER], **{tag.code: to_ibis_type(tag.type) for tag in group.tags}}
    table = unbound(name, columns)
    return table.select(**{column: table[column] for column in columns})


def updated_answers(group: Group) -> ibis.Table:
    """``ANSWERS`` of another as-of with those of the persons in ``DELTA`` replaced by ``FRESH``."""
    delta = unbound(DELTA, {OWNER: "string"})
    return ibis.union(answers_table(group, ANSWERS).anti_join(delta, OWNER), answers_table(group, FRESH))
