"""Where identifiers were seen: the rows of every source as the identifiers they bear, and the nodes these are.

A key that nobody used for ``valid_for`` days may be somebody else's afterwards: it is one node per epoch, told apart
by the date on which the epoch began (``since``; null for the first, and for keys with only one).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.identity.keys import normalised, usable
from valtag_assets.engine.identity.numbers import Numbers
from valtag_assets.engine.identity.sealing import unsealed
from valtag_assets.engine.identity.work import Work, united
from valtag_assets.engine.persons import clean_table
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.expression.resolved_identity import ResolvedIdentity, Slot

BLOCKED, MALFORMED = "blocked", "malformed"
# Of a number of sources: engines take a small literal for an int32, and all files of a table must have one type.
_BITS = 31


@dataclass(frozen=True)
class Nodes:
    """``table``: (id, rank, key, since, until: dates, first_seen, last_seen, rows, and ``bits`` of sources) of every
    usable key, in no order. ``patterns``: the nodes of rows that bear two or more, a column per slot; not distinct.
    ``refused``: (rank, key, reason, first_seen, last_seen, rows, ``bits``) of values that are no keys. ``numbers``:
    how ids are made."""

    table: ibis.Table
    patterns: ibis.Table
    refused: ibis.Table
    numbers: Numbers


def find_nodes(work: Work, resolved: Resolved) -> Nodes:
    """The identifiers of the clean tables, whose files ``work`` has under their names."""
    identity = resolved.identity
    assert identity is not None
    bearing = [resolved.sources[code] for code, named in identity.fields.items() if named]
    for seed in count():
        numbers = Numbers(len(identity.kinds), seed)
        seen = work.keep("seen", *(sightings(source, identity, numbers) for source in bearing))
        dated = _in_epochs(work, identity, numbers, seen)
        nodes = work.keep("nodes", united([_counted_keys(identity, dated, rank) for rank in identity.ranks_borne]))
        if _all_differ(work, nodes):
            return Nodes(nodes, _patterns(work, identity, dated), _refused(identity, seen), numbers)
    raise AssertionError("seeds end")


def _all_differ(work: Work, nodes: ibis.Table) -> bool:
    told = work.rows(nodes.aggregate(nodes=nodes.count(), ids=nodes["id"].nunique()))[0]
    return bool(told["nodes"] == told["ids"])


def sightings(source: ResolvedSource, identity: ResolvedIdentity, numbers: Numbers) -> ibis.Table:
    """Rows of ``source`` that bear the same identifiers as one row: per slot the key and in ``i…`` its first epoch's
    number, or null and a value that is no key; the ``day`` where some kind needs it, the source's ``bits``, how many
    ``rows``, ``first_seen`` and ``last_seen``."""
    table, borne = unsealed(source, identity, clean_table(source)), identity.fields[source.code]
    keys = {slot.name: key for slot, key in slot_keys(source, identity, table).items()}
    moment = moment_of(source, table)
    rows = table.select(
        moment=moment, **{f"x{slot.name}": table[field].cast("string") for field, slot in borne}, **keys
    )
    texts: dict[str, ir.Value] = {}
    for _, slot in borne:
        key, value = rows[slot.name], rows[f"x{slot.name}"]
        # No key because the slot before has the same is no reason to be refused.
        no_key = usable(value, identity.kinds[slot.rank]).isnull().ifelse(value, None)
        texts |= {slot.name: ibis.coalesce(key, no_key), _known(slot): key.notnull()}
    dated = any(identity.kinds[slot.rank].days for _, slot in borne)
    day = {"day": rows["moment"].date()} if dated else {}
    rows = rows.select("moment", **texts, **day)
    groups = rows.group_by([*day, *texts])
    found = groups.aggregate(rows=rows.count(), first_seen=rows["moment"].min(), last_seen=rows["moment"].max())
    there = {slot for _, slot in borne}
    columns: dict[str, ir.Value] = {}
    for slot in identity.slots:
        columns[slot.name] = found[slot.name] if slot in there else ibis.null("string")
        number = found[_known(slot)].ifelse(numbers.of(slot.rank, found[slot.name]), None) if slot in there else None
        columns[_id(slot)] = ibis.null("int64") if number is None else number
    own = {name: ibis.literal(codes.get(source.code, 0), "int64") for name, codes in bits(identity).items()}
    columns["day"] = found["day"] if dated else ibis.null("date")
    return found.select("rows", "first_seen", "last_seen", **own, **columns)


def bits(identity: ResolvedIdentity) -> Mapping[str, Mapping[str, int]]:
    """A set of sources as numbers: the columns of these, and in each the bits of the sources it tells of."""
    found: dict[str, dict[str, int]] = {}
    for place, code in enumerate(identity.fields):
        found.setdefault(f"in{place // _BITS}", {})[code] = 1 << place % _BITS
    return found


def sources(identity: ResolvedIdentity, table: ibis.Table) -> ir.StringValue:
    """The codes of the sources whose ``bits`` are set."""
    listed = ibis.literal("")
    for name, codes in bits(identity).items():
        for code, bit in codes.items():
            listed = listed + ((table[name] & bit) > 0).ifelse(f", {code}", "")
    return listed.substr(len(", "))


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


def _known(slot: Slot) -> str:
    return f"n{slot.name}"


def _id(slot: Slot) -> str:
    return f"i{slot.name}"


def _since(slot: Slot) -> str:
    return f"s{slot.name}"


def _until(slot: Slot) -> str:
    return f"u{slot.name}"


def _in_epochs(work: Work, identity: ResolvedIdentity, numbers: Numbers, seen: ibis.Table) -> ibis.Table:
    """``seen`` with the epoch of every slot's key beside, and the numbers of these."""
    timed = [slot for slot in identity.slots if identity.kinds[slot.rank].days]
    none = {name: ibis.null("date") for slot in identity.slots for name in (_since(slot), _until(slot))}
    ranks = sorted({slot.rank for slot in timed})
    epochs = work.keep("epochs", *(_epochs(identity, seen, rank) for rank in ranks)) if ranks else None
    if epochs is None or not work.number(epochs):
        return seen.mutate(**none)
    for slot in timed:
        mine = epochs.filter(epochs["rank"] == slot.rank).select(_key="key", _since="since", _until="until")
        fits = [seen[_id(slot)].notnull(), seen[slot.name] == mine["_key"]]
        both = seen.left_join(mine, [*fits, within(mine["_since"], mine["_until"], seen["day"])])
        both = both.mutate(**{_id(slot): numbers.later(both[_id(slot)], both["_since"])})
        seen = both.rename({_since(slot): "_since", _until(slot): "_until"}).drop("_key")
        none = {name: value for name, value in none.items() if name not in (_since(slot), _until(slot))}
    return work.keep("dated", seen.mutate(**none))


def _epochs(identity: ResolvedIdentity, seen: ibis.Table, rank: int) -> ibis.Table:
    """(rank, key, since, until) of the keys of a kind that have more than one epoch."""
    days = identity.kinds[rank].days
    assert days is not None
    slots = identity.slots_of(rank)
    keyed = [seen.filter(seen[_id(slot)].notnull(), seen["day"].notnull()) for slot in slots]
    both = zip(slots, keyed, strict=True)
    used = united([rows.select(key=slot.name, day="day") for slot, rows in both], distinct=True)
    before = used["day"].lag().over(group_by="key", order_by="day")
    gaps = used.mutate(before=before).filter(lambda table: table["day"].delta(table["before"], unit="day") > days)
    until = gaps["day"].lead().over(group_by="key", order_by="day")
    later = gaps.select("key", since="day", until=until)
    first = gaps.group_by("key").aggregate(until=gaps["day"].min()).mutate(since=ibis.null("date"))
    both = ibis.union(later, first.select("key", "since", "until"))
    return both.select(rank=ibis.literal(rank, "int64"), key="key", since="since", until="until")


def _counted_keys(identity: ResolvedIdentity, dated: ibis.Table, rank: int) -> ibis.Table:
    """The nodes of a kind."""
    about = [*bits(identity), "rows", "first_seen", "last_seen"]
    slots = [(slot, dated.filter(dated[_id(slot)].notnull())) for slot in identity.slots_of(rank)]
    tall = united(
        [
            rows.select(*about, id=_id(slot), key=slot.name, since=_since(slot), until=_until(slot))
            for slot, rows in slots
        ]
    )
    # Without ``valid_for`` there is one epoch, and to group by it as well is dear.
    spans = ["since", "until"]
    epoch = spans if identity.kinds[rank].days else []
    counted = _counted(identity, tall, ["key", *epoch], id=tall["id"].min())
    counted = counted.mutate(**{name: ibis.null("date") for name in spans if name not in epoch})
    columns = ("id", "rank", "key", "since", "until", "first_seen", "last_seen", "rows", *bits(identity))
    return counted.mutate(rank=ibis.literal(rank, "int64")).select(*columns)


def _counted(identity: ResolvedIdentity, tall: ibis.Table, by: Sequence[str], **more: ir.Value) -> ibis.Table:
    """One row per ``by``: its rows, when it was first and last seen, in which sources, and ``more``."""
    there = {name: tall[name].bit_or() for name in bits(identity)}
    # DuckDB adds integers to an int128, which no file holds: a number that is an integer again, once for every group.
    rows = tall["rows"].sum().cast("decimal(38, 0)").cast("int64")
    seen = {"first_seen": tall["first_seen"].min(), "last_seen": tall["last_seen"].max()}
    return tall.group_by(by).aggregate(rows=rows, **seen, **there, **more)


def _patterns(work: Work, identity: ResolvedIdentity, dated: ibis.Table) -> ibis.Table:
    names = [slot.name for slot in identity.slots]
    table = dated.select(**{slot.name: _id(slot) for slot in identity.slots})
    there = sum((table[name].notnull().cast("int64") for name in names[1:]), table[names[0]].notnull().cast("int64"))
    borne = table.filter(there > 1)
    by_day = any(identity.kinds[slot.rank].days for slot in identity.slots)
    return work.keep("patterns", borne.distinct()) if by_day else borne


def _refused(identity: ResolvedIdentity, seen: ibis.Table) -> ibis.Table:
    return _counted(identity, united(list(_refused_values(identity, seen))), ["rank", "key", "reason"])


def _refused_values(identity: ResolvedIdentity, seen: ibis.Table) -> Iterator[ibis.Table]:
    for slot in identity.slots:
        rows = seen.filter(seen[_id(slot)].isnull(), seen[slot.name].notnull())
        value = rows[slot.name]
        reason = normalised(value, identity.kinds[slot.rank].normalise).isnull().ifelse(MALFORMED, BLOCKED)
        rank = ibis.literal(slot.rank, "int64")
        about = [*bits(identity), "rows", "first_seen", "last_seen"]
        yield rows.select(*about, key=value, reason=reason, rank=rank)
