"""Where identifiers were seen: the rows of every source as the identifiers they bear, and the nodes these are.

A key that nobody used for ``valid_for`` days may be somebody else's afterwards: it is one node per epoch, told apart
by the date on which the epoch began (``since``; null for the first, and for keys with only one).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.keys import normalised, usable
from valtag_assets.engine.identity.sealing import unsealed
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.engine.persons import clean_table
from valtag_assets.engine.sums import total
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity, Slot
from valtag_assets.spec.types import INTEGER

BLOCKED, MALFORMED = "blocked", "malformed"


@dataclass(frozen=True)
class Nodes:
    """``table``: (id, rank, key, since, until: dates, first_seen, last_seen, rows, sources) of every usable key, the
    ids in order of strength, key and epoch from 0. ``patterns``: the distinct sets of nodes that rows bear, a column
    per slot. ``refused``: (rank, key, reason, first_seen, last_seen, rows, sources) of values that are no keys."""

    table: ibis.Table
    patterns: ibis.Table
    refused: ibis.Table


def find_nodes(work: Work, resolved: Resolved) -> Nodes:
    """The identifiers of the clean tables, whose files ``work`` has under their names."""
    identity = resolved.identity
    assert identity is not None
    bearing = [resolved.sources[code] for code, named in identity.fields.items() if named]
    seen = work.keep("seen", *(sightings(source, identity) for source in bearing))
    dated = _in_epochs(work, identity, seen)
    nodes = work.keep("nodes", _numbered(identity, dated))
    return Nodes(nodes, work.keep("patterns", _patterns(identity, dated, nodes)), _refused(identity, seen))


def sightings(source: ResolvedSource, identity: ResolvedIdentity) -> ibis.Table:
    """Rows of ``source`` that bear the same identifiers as one row: a key per slot, in ``x_…`` the values that are no
    keys, the ``day`` where some kind needs it, ``source``, how many ``rows``, ``first_seen`` and ``last_seen``."""
    table = unsealed(source, identity, clean_table(source))
    found = slot_keys(source, identity, table)
    raw = {slot: table[field].cast("string") for field, slot in identity.fields[source.code]}
    null = ibis.null("string")
    columns: dict[str, ir.Value] = {slot.name: found.get(slot, null) for slot in identity.slots}
    for slot in identity.slots:
        key = None if slot not in raw else usable(raw[slot], identity.kinds[slot.rank])
        columns[_raw(slot)] = null if key is None else key.isnull().ifelse(raw[slot], null)
    moment = moment_of(source, table)
    dated = any(identity.kinds[slot.rank].days for slot in raw)
    day = moment.date() if dated else ibis.null("date")
    rows = table.select(source=ibis.literal(source.code), day=day, moment=moment, **columns)
    groups = rows.group_by(["source", "day", *columns])
    return groups.aggregate(rows=rows.count(), first_seen=rows["moment"].min(), last_seen=rows["moment"].max())


def slot_keys(source: ResolvedSource, identity: ResolvedIdentity, table: ibis.Table) -> dict[Slot, ir.StringValue]:
    """The key in each slot of the rows of ``source``; the same key in two slots of a kind counts in the first."""
    found: dict[Slot, ir.StringValue] = {}
    for field, slot in identity.fields[source.code]:
        key = usable(table[field], identity.kinds[slot.rank])
        for other, same in found.items():
            if other.rank == slot.rank:
                key = key.nullif(same)
        found[slot] = key
    return found


def moment_of(source: ResolvedSource, table: ibis.Table) -> ir.TimestampValue:
    """When a row happened; null where the source does not say: such rows know a key's present owner."""
    if source.spec.time is None:
        return ibis.null("timestamp(6)")
    return table[source.spec.time].cast("timestamp(6)")


def within(since: ir.DateValue, until: ir.DateValue, day: ir.DateValue) -> ir.BooleanValue:
    """Whether ``day`` lies in the epoch; the present one for no day."""
    begun = since.isnull() | (day >= since)
    return day.isnull().ifelse(until.isnull(), begun & (until.isnull() | (day < until)))


def _raw(slot: Slot) -> str:
    return f"x{slot.name}"


def _since(slot: Slot) -> str:
    return f"s{slot.name}"


def _until(slot: Slot) -> str:
    return f"u{slot.name}"


def _in_epochs(work: Work, identity: ResolvedIdentity, seen: ibis.Table) -> ibis.Table:
    """``seen`` with the epoch of every slot's key beside."""
    timed = [slot for slot in identity.slots if identity.kinds[slot.rank].days]
    none = {name: ibis.null("date") for slot in identity.slots for name in (_since(slot), _until(slot))}
    if timed:
        epochs = work.keep("epochs", *(_epochs(identity, seen, rank) for rank in sorted({s.rank for s in timed})))
        if work.number(epochs):
            for slot in timed:
                mine = epochs.filter(epochs["rank"] == slot.rank).select(_key="key", _since="since", _until="until")
                fits = [seen[slot.name] == mine["_key"], within(mine["_since"], mine["_until"], seen["day"])]
                both = seen.left_join(mine, fits)
                seen = both.rename({_since(slot): "_since", _until(slot): "_until"}).drop("_key")
                none = {name: value for name, value in none.items() if name not in (_since(slot), _until(slot))}
    return seen.mutate(**none) if len(none) == 2 * len(identity.slots) else work.keep("dated", seen.mutate(**none))


def _epochs(identity: ResolvedIdentity, seen: ibis.Table, rank: int) -> ibis.Table:
    """(rank, key, since, until) of the keys of a kind that have more than one epoch."""
    days = identity.kinds[rank].days
    assert days is not None
    slots = identity.slots_of(rank)
    used = united([seen.select(key=slot.name, day="day") for slot in slots], distinct=True)
    used = used.filter(used["key"].notnull(), used["day"].notnull())
    before = used["day"].lag().over(group_by="key", order_by="day")
    gaps = used.mutate(before=before).filter(lambda table: table["day"].delta(table["before"], unit="day") > days)
    until = gaps["day"].lead().over(group_by="key", order_by="day")
    later = gaps.select("key", since="day", until=until)
    first = gaps.group_by("key").aggregate(until=gaps["day"].min()).mutate(since=ibis.null("date"))
    both = ibis.union(later, first.select("key", "since", "until"))
    return both.select(rank=ibis.literal(rank, "int64"), key="key", since="since", until="until")


def _numbered(identity: ResolvedIdentity, dated: ibis.Table) -> ibis.Table:
    epoch = ["rank", "key", "since", "until"]
    tall = [
        dated.filter(dated[slot.name].notnull()).select(
            *("source", "rows", "first_seen", "last_seen"),
            rank=ibis.literal(slot.rank, "int64"),
            key=slot.name,
            since=_since(slot),
            until=_until(slot),
        )
        for slot in identity.slots
    ]
    named = _counted(identity, united(tall), epoch)
    order = [named["rank"], named["key"], named["since"].asc(nulls_first=True)]
    return named.mutate(id=ibis.row_number().over(order_by=order).cast("int64"))


def _counted(identity: ResolvedIdentity, tall: ibis.Table, by: list[str]) -> ibis.Table:
    """One row per ``by``: its rows, when it was first and last seen, and in which sources, as a list of codes."""
    there = {f"_{code}": (tall["source"] == code).any() for code in identity.fields}
    counted = tall.group_by(by).aggregate(
        rows=total(tall["rows"], INTEGER).cast("int64"),
        first_seen=tall["first_seen"].min(),
        last_seen=tall["last_seen"].max(),
        **there,
    )
    listed = ibis.literal("")
    for code in identity.fields:
        listed = listed + counted[f"_{code}"].ifelse(f"{code}, ", "")
    sources = listed.re_replace(r", \z", "")
    return counted.select(*by, "rows", "first_seen", "last_seen", sources=sources)


def _patterns(identity: ResolvedIdentity, dated: ibis.Table, nodes: ibis.Table) -> ibis.Table:
    """The distinct rows of two nodes or more: an int64 per slot, or null."""
    table = dated
    for slot in identity.slots:
        mine = nodes.filter(nodes["rank"] == slot.rank).select(_key="key", _begun="since", _id="id")
        fits = [table[slot.name] == mine["_key"]]
        if identity.kinds[slot.rank].days:
            fits.append(table[_since(slot)].identical_to(mine["_begun"]))
        table = table.left_join(mine, fits).drop(slot.name, "_key", "_begun").rename({slot.name: "_id"})
    names = [slot.name for slot in identity.slots]
    there = sum((table[name].notnull().cast("int64") for name in names[1:]), table[names[0]].notnull().cast("int64"))
    return table.filter(there > 1).select(*names).distinct()


def _refused(identity: ResolvedIdentity, seen: ibis.Table) -> ibis.Table:
    tall = list(_refused_values(identity, seen))
    counted = _counted(identity, united(tall), ["rank", "key", "reason"])
    return counted.select("rank", "key", "reason", "rows", "first_seen", "last_seen", "sources")


def _refused_values(identity: ResolvedIdentity, seen: ibis.Table) -> Iterator[ibis.Table]:
    for slot in identity.slots:
        raw = seen[_raw(slot)]
        key = normalised(raw, identity.kinds[slot.rank].normalise)
        reason = key.isnull().ifelse(MALFORMED, BLOCKED)
        rows = seen.filter(raw.notnull()).select("source", "rows", "first_seen", "last_seen", key=raw, reason=reason)
        yield rows.mutate(rank=ibis.literal(slot.rank, "int64"))
