"""What a model of future orders knows of a person: order days and spend, as of several dates at once.

Orders of one local day are one purchase. A day on which something only came back is none: it changes what was
spent, not how recently or how often was bought. All dates are counted in days before the as-of, so that every
engine gives the same integers.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.facts import between, fact_columns, fields_read
from valtag_assets.engine.partials import time_of
from valtag_assets.engine.persons import OWNER, PERSON, beside, keyed, persons_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.sums import total
from valtag_assets.expression.compile import compile_condition, compile_value
from valtag_assets.expression.convert import convert
from valtag_assets.expression.resolved import Aggregate, Resolved, ResolvedLtv, ResolvedSource
from valtag_assets.spec.types import FLOAT, decimal

DAYS, PURCHASES, SAMPLED = "days", "purchases", "sampled"
AGE, ORDERED, MONEY = "_age", "_ordered", "_money"
# Money is added as it is written, whatever its scale: ten digits after the point, as for floats.
EXACT = decimal(38, 10)


def purchases_columns(cuts: int) -> dict[str, str]:
    """The columns of ``purchases_expression`` for so many cuts, with their Ibis types."""
    found = {PERSON: "string", "first": "int64"}
    for number in range(cuts):
        found |= {f"last_{number}": "int64", f"days_{number}": "int64", f"spend_{number}": "float64"}
    return found


def purchases_table(cuts: int) -> ibis.Table:
    """What ``purchases_expression`` gave, as an unbound table."""
    return unbound(PURCHASES, purchases_columns(cuts))


def purchases_expression(ages: Sequence[int], *, sampled: bool = False) -> ibis.Table:
    """One row per person of the population, or of those in ``sampled``, with an order up to the as-of; sorted.

    Reads ``days``. ``ages`` are the dates from which it is looked back, in days before the as-of, the first being 0.
    ``first``: days since the first order day. Of the n-th date ``last_<n>``: days from the last order day up to it
    to the as-of, null without one; ``days_<n>``: order days up to it; ``spend_<n>``: what was paid up to it, less
    what came back, in the currency of the spend tag.
    """
    days = _days_table()
    ordered, age = days[ORDERED] > 0, days[AGE]
    found: dict[str, ir.Value] = {"first": age.max(where=ordered)}
    for number, until in enumerate(ages):
        # Nobody's day lies after the as-of, so the first date needs no condition.
        seen = age >= until if until > 0 else None
        spend = days[MONEY].sum(where=seen).fill_null(0)
        found[f"last_{number}"] = age.min(where=ordered if seen is None else ordered & seen)
        found[f"days_{number}"] = ordered.cast("int64").sum(where=seen).fill_null(0).cast("int64")
        found[f"spend_{number}"] = convert(spend.cast("decimal(38,10)"), EXACT, FLOAT)
    persons = unbound(SAMPLED, {PERSON: "string"}) if sampled else persons_table()
    table = days.group_by(OWNER).aggregate(**found)
    table = table.filter(table["first"].notnull()).rename({PERSON: OWNER})
    return table.semi_join(persons, PERSON).order_by(PERSON)


def days_expression(resolved: Resolved, ltv: ResolvedLtv, as_of: date) -> ibis.Table:
    """(_person, _age, _ordered, _money) per person and local day on which anything happened: the rows of an order,
    and what was paid less what came back. From this everything else is made, so facts are read once."""
    facts = sorted({item.fact for item in ltv.aggregates})
    parts = [_of_fact(resolved.sources[fact], ltv, as_of) for fact in facts]
    if len(parts) == 1:
        return parts[0]
    every = ibis.union(*parts)
    return every.group_by([OWNER, AGE]).aggregate(
        **{ORDERED: every[ORDERED].max(), MONEY: convert(every[MONEY].sum(), EXACT, EXACT)}
    )


def _days_table() -> ibis.Table:
    return unbound(DAYS, {OWNER: "string", AGE: "int64", ORDERED: "int64", MONEY: "decimal(38,10)"})


def _of_fact(source: ResolvedSource, ltv: ResolvedLtv, as_of: date) -> ibis.Table:
    mine = [item for item in ltv.aggregates if item.fact == source.code]
    time = time_of(source).code
    table = keyed(source, {time}.union(*(fields_read(source, item) for item in mine)))
    moment = table[time]
    table = table.filter(table[OWNER].notnull(), *between(moment, None, as_of))
    table = table.mutate(**{AGE: ibis.literal(as_of).delta(table[time].cast("date"), unit="day").cast("int64")})
    # As columns, since what is added up may be the same for every row.
    paid = {f"_paid{n}": item for n, item in enumerate((ltv.spend, ltv.refunds)) if item in mine and item is not None}
    table = table.mutate(**{name: _value(table, item, as_of) for name, item in paid.items()})
    ordered: ir.Value = ibis.literal(0, "int64")
    if ltv.orders.fact == source.code:
        ordered = table.count(where=_counts(table, ltv.orders, as_of))
    money: ir.Value = ibis.literal(0).cast("decimal(38,10)")
    for name, item in paid.items():
        found = _money(table, name, item, as_of)
        money = money + found if item is ltv.spend else money - found
    return table.group_by([OWNER, AGE]).aggregate(**{ORDERED: ordered, MONEY: money.cast("decimal(38,10)")})


def _counts(table: ibis.Table, aggregate: Aggregate, as_of: date) -> ir.BooleanValue | None:
    """Whether a row is (part of) an order; None: every row is."""
    conditions = [compile_condition(aggregate.where, table, as_of)] if aggregate.where is not None else []
    if aggregate.of is not None:
        conditions.append(compile_value(aggregate.of, table, as_of).notnull())
    return ibis.and_(*conditions) if conditions else None


def _value(table: ibis.Table, aggregate: Aggregate, as_of: date) -> ir.Value:
    assert aggregate.of is not None
    return compile_value(aggregate.of, table, as_of)


def _money(table: ibis.Table, name: str, aggregate: Aggregate, as_of: date) -> ir.Value:
    assert aggregate.of is not None and aggregate.of.type is not None
    where = compile_condition(aggregate.where, table, as_of) if aggregate.where is not None else None
    return total(table[name], aggregate.of.type, where).cast("decimal(38,10)").fill_null(0)


def newcomers_expression(holdout: int, cuts: int) -> ibis.Table:
    """(_age, newcomers, again) per local day, of the persons who were customers before the held-out period: those
    whose first order day it is, and those who had ordered before; sorted. Reads ``days`` and ``purchases``."""
    days, bought = _days_table(), purchases_table(cuts)
    before = bought.filter(bought["first"] >= holdout).select(PERSON, "first")
    mine = days.filter(days[ORDERED] > 0).inner_join(before, days[OWNER] == before[PERSON])
    new = mine["first"] == mine[AGE]
    counted = mine.group_by(AGE).aggregate(
        newcomers=new.cast("int64").sum().cast("int64"), again=(~new).cast("int64").sum().cast("int64")
    )
    return counted.order_by(AGE)


def customers_expression(cuts: int) -> ibis.Table:
    """One row: how many ``customers`` there are."""
    table = purchases_table(cuts)
    return table.aggregate(customers=table.count())


def rows_alike(cuts: int) -> ibis.Table:
    """(x, t_x, T, customers): persons with the same history up to the as-of, in days; sorted."""
    table = purchases_table(cuts)
    alike = table.select(x=table["days_0"] - 1, t_x=table["first"] - table["last_0"], T=table["first"])
    return alike.group_by(["x", "t_x", "T"]).aggregate(customers=alike.count()).order_by(["x", "t_x", "T"])


def sample_expression(cuts: int, seed: int, share: float) -> ibis.Table:
    """(person_id): a share of the persons in ``purchases``, drawn by ``seed``, the same on every engine; sorted."""
    table = purchases_table(cuts).select(PERSON)
    if share < 1:
        drawn = (table[PERSON] + f"|{seed}").hexdigest("md5")
        table = table.filter(drawn.substr(0, 8) < f"{int(share * 2**32):08x}")
    return table.order_by(PERSON)


def features_expression(resolved: Resolved, ltv: ResolvedLtv, as_of: date, sampled: bool) -> ibis.Table:
    """(person_id, one float per feature) at ``as_of`` of those in ``purchases``, or in ``sampled``; sorted."""
    persons = unbound(SAMPLED if sampled else PURCHASES, {PERSON: "string"})
    table = persons
    for part in _feature_parts(resolved, ltv, as_of):
        table = beside(table, part)
    values = {tag.code: convert(table[tag.code], tag.type, FLOAT) for tag in ltv.features}
    return table.select(PERSON, **values).order_by(PERSON)


def _feature_parts(resolved: Resolved, ltv: ResolvedLtv, as_of: date) -> Iterator[ibis.Table]:
    for fact in ltv.facts:
        own = [tag for tag in ltv.features if tag.aggregate is not None and tag.aggregate.fact == fact]
        if own:
            yield from fact_columns(resolved.sources[fact], own, as_of)
