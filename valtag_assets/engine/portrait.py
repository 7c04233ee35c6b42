"""An audience portrayed (画像分析): every tag and score column of its members against everybody else's.

The audience is any table of persons. Sums are made in the engine, per table of tags: one group-by for numbers and
coverage, one for the values of categories. What follows from the sums is engine.effects.

Compared are the audience and *the rest*: everybody who is not in it, or the members of another audience who are not.
Shares are also set against *the reference*, everybody, or that other audience without those in both: an index of 100
is the same share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from valtag_assets.engine import effects
from valtag_assets.engine.effects import Effect, Sample
from valtag_assets.engine.persons import PERSON, persons_table
from valtag_assets.engine.session import Engine, Inputs, unbound
from valtag_assets.engine.sums import total
from valtag_assets.expression.convert import convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.spec.types import FLOAT, INTEGER, DataType

SIDES, IN = "sides", "_in"
FEWEST = 30  # members, or values of a tag, below which figures would mislead
MOST_VALUES = 1000  # a text with more is no category
BINS = 20
Kind = Literal["number", "date", "category", "list", "unfilled"]


@dataclass(frozen=True)
class Column:
    """A column to compare, of the table ``tags/…`` or ``scores/…``. ``closed``: its values are a known list."""

    table: str
    code: str
    type: DataType
    closed: bool = False

    @property
    def kind(self) -> Kind:
        if self.type.temporal:
            return "date"
        if self.type.kind == "list":
            return "list"
        return "number" if self.type.numeric else "category"


@dataclass(frozen=True)
class ValueShare:
    """One value, or item of lists: who has it, of those with any value. ``index`` None: nobody of the reference."""

    value: str
    members: int
    share: float
    reference_share: float
    index: float | None
    z: float | None
    p: float | None
    adjusted: float | None = None


@dataclass(frozen=True)
class Difference:
    """What sets the audience apart in one column.

    ``members``, ``rest``: how many have a value. Means and medians of numbers; of dates in days before the as-of.
    ``values``: the shares, largest difference first. ``alike``: of "unfilled", further columns that are empty for
    just as many persons on both sides, as columns of one origin are.
    """

    code: str
    table: str
    kind: Kind
    members: int
    rest: int
    effect: Effect
    adjusted: float | None = None
    means: tuple[float, float] | None = None
    medians: tuple[float, float] | None = None
    values: Sequence[ValueShare] = ()
    alike: Sequence[str] = ()


@dataclass(frozen=True)
class Portrait:
    """``members`` and ``rest`` are persons. ``differences``: the strongest first; ``too_few``: columns, and why."""

    members: int
    rest: int
    differences: Sequence[Difference]
    too_few: Mapping[str, str]

    @property
    def comparable(self) -> bool:
        return min(self.members, self.rest) >= FEWEST


@dataclass(frozen=True)
class Comparison:
    """Who is compared: the file of sides, and the engine and files to ask."""

    engine: Engine
    inputs: Inputs
    as_of: date
    members: int
    rest: int
    everybody: bool


def compare(
    engine: Engine, inputs: Inputs, as_of: date, members: ibis.Table, against: ibis.Table | None, work: Path
) -> Comparison:
    """Put every person on a side. ``members`` and ``against`` are tables with person_id over ``inputs``, which also
    hold the population; members who are not of the population are left out."""
    file = work / "sides.parquet"
    engine.write(sides_expression(members, against), inputs, file)
    bound: Inputs = {**inputs, SIDES: [file]}
    counts = {row[IN]: row["n"] for row in engine.fetch(_sizes(), bound).to_pylist()}
    return Comparison(engine, bound, as_of, counts.get(True, 0), counts.get(False, 0), against is None)


def sides_expression(members: ibis.Table, against: ibis.Table | None) -> ibis.Table:
    """(person_id, _in): members true, the rest false; each person once."""
    persons = persons_table()
    chosen = members.select(_member=members[PERSON]).distinct()
    table = persons.left_join(chosen, persons[PERSON] == chosen["_member"])
    inside = table["_member"].notnull()
    if against is None:
        return table.select(PERSON, **{IN: inside})
    other = against.select(_other=against[PERSON]).distinct()
    both = table.left_join(other, table[PERSON] == other["_other"])
    inside = both["_member"].notnull()
    return both.filter(inside | both["_other"].notnull()).select(PERSON, **{IN: inside})


def portrait(comparison: Comparison, columns: Sequence[Column], *, fewest: int = FEWEST) -> Portrait:
    """Every column compared, the strongest difference first; nothing where a side has fewer than ``fewest``."""
    if min(comparison.members, comparison.rest) < fewest:
        return Portrait(comparison.members, comparison.rest, (), {})
    found: list[Difference] = []
    few: dict[str, str] = {}
    filled: dict[tuple[int, int], list[Column]] = {}
    for table in dict.fromkeys(column.table for column in columns):
        own = [column for column in columns if column.table == table]
        sides = {row[IN]: row for row in _sums(comparison, table, own)}
        counted = _counted(comparison, table, own)
        for number, column in enumerate(own):
            n, other = (sides.get(side, {}).get(f"n_{number}", 0) for side in (True, False))
            filled.setdefault((n, other), []).append(column)
            if min(n, other) < fewest:
                few[column.code] = f"too few values: {n} in the audience, {other} in the rest"
            elif column.kind in ("number", "date"):
                found.append(_of_numbers(column, n, other, [sides[True], sides[False]], number))
            elif too_many(counted[column.code], column, n + other):
                few[column.code] = "too many different values to be a category"
            else:
                found.append(_of_values(comparison, column, n, other, counted[column.code]))
    everybody = comparison.members + comparison.rest
    found += [_of_unfilled(comparison, own, *key) for key, own in filled.items() if sum(key) < everybody]
    return Portrait(comparison.members, comparison.rest, _ranked(found), few)


def _sums(comparison: Comparison, table: str, columns: Sequence[Column]) -> list[dict[str, Any]]:
    expression = sums_expression(table, columns, comparison.as_of)
    return comparison.engine.fetch(expression, comparison.inputs).to_pylist()


def _counted(comparison: Comparison, table: str, columns: Sequence[Column]) -> dict[str, list[tuple[str, int, int]]]:
    """By category or list of the table: each value with the persons of both sides who have it."""
    groups = [column for column in columns if column.kind in ("category", "list")]
    found: dict[str, list[tuple[str, int, int]]] = {column.code: [] for column in groups}
    if groups:
        for row in comparison.engine.fetch(values_expression(table, groups), comparison.inputs).to_pylist():
            found[row["column"]].append((row["value"], row["n_in"], row["n_out"]))
    return found


def too_many(counted: Sequence[tuple[str, int, int]], column: Column, filled: int) -> bool:
    """Whether an open text is no category: over 1,000 values, or over 20 and one for every two persons."""
    if column.closed:
        return False
    return len(counted) > MOST_VALUES or (len(counted) > BINS and 2 * len(counted) > filled)


# Sums


def sums_expression(table: str, columns: Sequence[Column], as_of: date) -> ibis.Table:
    """(_in, per column i: n_i filled; of numbers and dates s_i sum, v_i sample variance, m_i median), one row per
    side."""
    joined = _joined(table, columns)
    made: dict[str, ir.Value] = {}
    for number, column in enumerate(columns):
        value = joined[column.code]
        made[f"n_{number}"] = value.count()
        if column.kind in ("number", "date"):
            figure, kind = _figure(value, column, as_of)
            made[f"s_{number}"] = total(figure, kind)
            floating = convert(figure, kind, FLOAT)
            made[f"v_{number}"] = floating.var(how="sample")
            made[f"m_{number}"] = floating.median()
    return joined.group_by(IN).aggregate(**made)


def values_expression(table: str, columns: Sequence[Column]) -> ibis.Table:
    """(column, value, n_in, n_out): how many of each side have a value, or have it among their items; the commonest
    values of each column, one more than ``MOST_VALUES`` at most unless they are a closed list."""
    joined = _joined(table, columns)
    found = []
    for column in columns:
        value = joined[column.code]
        rows = joined.select(IN, value=value.unnest() if column.kind == "list" else value)
        if column.kind == "list":
            persons = joined.select(PERSON, IN, value=value.unnest()).distinct()
            rows = persons.select(IN, "value")
        rows = rows.filter(rows["value"].notnull())
        counts = rows.group_by("value").aggregate(
            n_in=rows[IN].cast("int64").sum(), n_out=(~rows[IN]).cast("int64").sum()
        )
        if not column.closed:
            most = counts.mutate(_all=counts["n_in"] + counts["n_out"])
            counts = most.order_by([most["_all"].desc(), most["value"]]).limit(MOST_VALUES + 1)
        found.append(
            counts.select(
                column=ibis.literal(column.code),
                value=counts["value"].cast("string"),
                n_in=convert(counts["n_in"], INTEGER, INTEGER),
                n_out=convert(counts["n_out"], INTEGER, INTEGER),
            )
        )
    return ibis.union(*found) if len(found) > 1 else found[0]


def _joined(table: str, columns: Sequence[Column]) -> ibis.Table:
    """(_in, person_id, the columns) of everybody on a side who has a row in the table."""
    schema = {PERSON: ibis.dtype("string")} | {column.code: to_ibis_type(column.type) for column in columns}
    own = unbound(table, schema).select(*schema)
    sides = unbound(SIDES, {PERSON: "string", IN: "boolean"}).rename({"_side": PERSON})
    return own.inner_join(sides, own[PERSON] == sides["_side"]).drop("_side")


def _sizes() -> ibis.Table:
    sides = unbound(SIDES, {PERSON: "string", IN: "boolean"})
    return sides.group_by(IN).aggregate(n=sides.count())


def _figure(value: ir.Value, column: Column, as_of: date) -> tuple[ir.Value, DataType]:
    """A number as it is; a date as whole days before the as-of."""
    if column.kind == "number":
        return value, column.type
    return convert(ibis.literal(as_of).delta(value.cast("date"), unit="day"), INTEGER, INTEGER), INTEGER


# Differences


def _of_numbers(column: Column, n: int, other: int, sides: Sequence[Mapping[str, Any]], number: int) -> Difference:
    sums = [float(side[f"s_{number}"]) for side in sides]
    means = sums[0] / n, sums[1] / other
    one, rest = (
        Sample(size, mean, side[f"v_{number}"]) for size, mean, side in zip((n, other), means, sides, strict=True)
    )
    medians = float(sides[0][f"m_{number}"]), float(sides[1][f"m_{number}"])
    effect = effects.of_numbers(one, rest)
    return Difference(column.code, column.table, column.kind, n, other, effect, means=means, medians=medians)


def _of_values(
    comparison: Comparison, column: Column, n: int, other: int, counted: Sequence[tuple[str, int, int]]
) -> Difference:
    shares = [_share(comparison, value, hits, n, others, other) for value, hits, others in counted]
    if column.kind == "list":
        effect = _strongest(counted, n, other)
    else:
        effect = effects.of_categories([(hits, others) for _, hits, others in counted])
    apart = sorted(shares, key=lambda item: (-abs(item.z or 0.0), item.value))
    return Difference(column.code, column.table, column.kind, n, other, effect, values=apart)


def _strongest(counted: Sequence[tuple[str, int, int]], n: int, other: int) -> Effect:
    """Items of lists exclude nothing, so there is no one table of them: the strongest item speaks, its p times the
    number of items (Bonferroni)."""
    found = [effects.of_shares(hits, n, others, other)[1] for _, hits, others in counted]
    if not found:
        return Effect("phi", None, 0.0, None, "no list has an item")
    best = max(found, key=lambda effect: effect.strength)
    return replace(best, p=None if best.p is None else min(1.0, best.p * len(found)))


def _of_unfilled(comparison: Comparison, columns: Sequence[Column], n: int, other: int) -> Difference:
    """Who has no value in the columns, that are filled for equally many; the first of them speaks for all."""
    empty, others = comparison.members - n, comparison.rest - other
    share = _share(comparison, "", empty, comparison.members, others, comparison.rest)
    _, effect = effects.of_shares(empty, comparison.members, others, comparison.rest)
    first, *more = columns
    alike = tuple(column.code for column in more)
    return Difference(first.code, first.table, "unfilled", n, other, effect, values=[share], alike=alike)


def _share(comparison: Comparison, value: str, hits: int, n: int, others: int, other: int) -> ValueShare:
    z, effect = effects.of_shares(hits, n, others, other)
    have, size = (hits + others, n + other) if comparison.everybody else (others, other)
    reference = have / size if size else 0.0
    index = hits / n / reference * 100 if reference and n else None
    return ValueShare(value, hits, hits / n if n else 0.0, reference, index, z, effect.p)


def _ranked(found: Sequence[Difference]) -> list[Difference]:
    """By strength, p-values corrected for the number of columns, those of values for the number of values."""
    corrected = effects.adjusted([item.effect.p for item in found])
    values = iter(effects.adjusted([share.p for item in found for share in item.values]))
    made = [
        replace(item, adjusted=p, values=[replace(share, adjusted=next(values)) for share in item.values])
        for item, p in zip(found, corrected, strict=True)
    ]
    return sorted(made, key=lambda item: (-item.effect.strength, item.table, item.code, item.kind))


# Distributions, for pictures


@dataclass(frozen=True)
class Histogram:
    """``edges`` (one more than bins) and per side the share of its values in each bin; the outer 1 % at either end
    lies in the outer bins."""

    edges: Sequence[float]
    members: Sequence[float]
    rest: Sequence[float]


def histogram(comparison: Comparison, column: Column) -> Histogram | None:
    """How a number or date spreads on both sides; None for one that has a single value."""
    ends = comparison.engine.fetch(_ends(column, comparison.as_of), comparison.inputs).to_pylist()[0]
    low, high = ends["low"], ends["high"]
    if low is None or high <= low:
        return None
    whole = column.type.kind == "integer" or column.kind == "date"
    if whole and high - low < BINS:
        edges = [low - 0.5 + step for step in range(int(high - low) + 2)]
    else:
        edges = [low + (high - low) * step / BINS for step in range(BINS + 1)]
    rows = comparison.engine.fetch(_binned(column, comparison.as_of, edges), comparison.inputs).to_pylist()
    shares = []
    for side in (True, False):
        counts = {row["bin"]: row["n"] for row in rows if row[IN] is side}
        whole_side = sum(counts.values()) or 1
        shares.append([counts.get(place, 0) / whole_side for place in range(len(edges) - 1)])
    return Histogram(edges, shares[0], shares[1])


def _ends(column: Column, as_of: date) -> ibis.Table:
    joined = _joined(column.table, [column])
    figure, kind = _figure(joined[column.code], column, as_of)
    floating = convert(figure, kind, FLOAT)
    return joined.aggregate(low=floating.quantile(0.01), high=floating.quantile(0.99))


def _binned(column: Column, as_of: date, edges: Sequence[float]) -> ibis.Table:
    joined = _joined(column.table, [column])
    figure, kind = _figure(joined[column.code], column, as_of)
    known = joined.mutate(_figure=convert(figure, kind, FLOAT)).filter(joined[column.code].notnull())
    passed = [(known["_figure"] >= edge).cast("int64") for edge in edges[1:-1]]
    place = sum(passed, start=ibis.literal(0, "int64"))
    table = known.select(IN, bin=place)
    return table.group_by([IN, "bin"]).aggregate(n=table.count())
