"""How far revenue is concentrated in few persons: the share of the top ones (Pareto), and the Gini index.

Amounts below zero (more refunded than bought) count as zero and are told; so shares lie between 0 and 1. The share
of the top p % is a point of the Lorenz curve, which runs straight between persons (Lorenz, Publications of the
American Statistical Association 9, 1905): with 30 persons the top 5 % are one and a half. Equal persons need no
order, since whichever of them is taken spends the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from valtag_assets.engine.sums import total
from valtag_assets.expression.convert import convert
from valtag_assets.spec.types import FLOAT, DataType

SHOWN = (1, 5, 10, 20, 50)  # percent of persons, in tables
POINTS = (1, 2, 5, *range(10, 100, 10))  # and of the curve


@dataclass(frozen=True)
class Concentration:
    """Of so many ``persons``, ``below_zero`` of them with a negative amount, who spent ``revenue`` in all.

    ``top``: percent of persons → their share of the revenue, 0 to 1. ``gini``: 0 when all spend alike, near 1 when
    one spends all. Both without a value where there is no revenue.
    """

    persons: int
    below_zero: int
    revenue: float
    gini: float | None
    top: Mapping[int, float]


def concentration_expression(table: ibis.Table, column: str, kind: DataType) -> ibis.Table:
    """One row that ``read_concentration`` reads, of ``column`` (a number of type ``kind``), one row per person."""
    valued = table.select(v=convert(table[column], kind, FLOAT)).drop_null("v")
    amount = ibis.greatest(valued["v"], ibis.literal(0.0))
    counted = valued.mutate(v=amount, below=valued["v"] < 0).group_by("v")
    grouped = counted.aggregate(n=lambda t: t.count(), below=lambda t: t.count(where=t["below"]))
    ranked = grouped.mutate(
        upto=grouped["n"].sum().over(ibis.cumulative_window(order_by=ibis.desc("v"))),
        everybody=grouped["n"].sum().over(ibis.window()),
    )
    before = ranked["upto"] - ranked["n"]
    # Each value's part is one float however rows lie, and ``total`` adds them exactly.
    sums = {"revenue": ranked["n"].cast("float64"), "gini": _gini_weight(ranked, before)}
    sums |= {f"top_{percent}": _taken(ranked, before, percent) for percent in POINTS}
    parts = ranked.mutate(**{name: ranked["v"] * weight for name, weight in sums.items()})
    return parts.aggregate(
        persons=parts["n"].sum(),
        below_zero=parts["below"].sum(),
        **{name: total(parts[name], FLOAT) for name in sums},
    )


def _gini_weight(ranked: ibis.Table, before: ir.Value) -> ir.Value:
    """G = Σ x_i (N + 1 − 2i) / (N Σ x), largest first: n equal ones after ``before`` weigh n (N − 2 before − n)."""
    balance = (ranked["everybody"] - 2 * before - ranked["n"]).cast("float64")
    return ranked["n"].cast("float64") * balance / ranked["everybody"].cast("float64")


def _taken(ranked: ibis.Table, before: ir.Value, percent: int) -> ir.Value:
    """How many of the value's persons are among the top ``percent``, the last of them in part."""
    hundredths = ranked["everybody"] * percent - before * 100
    none, every = ibis.literal(0, "int64"), ranked["n"] * 100
    return ibis.greatest(none, ibis.least(hundredths, every)).cast("float64") / 100.0


def read_concentration(row: Mapping[str, Any]) -> Concentration:
    """From the one row of ``concentration_expression``."""
    persons, below_zero, revenue = int(row["persons"] or 0), int(row["below_zero"] or 0), row["revenue"] or 0
    if not revenue:
        return Concentration(persons, below_zero, 0.0, None, {})
    top = {percent: float(row[f"top_{percent}"] / revenue) for percent in POINTS}
    return Concentration(persons, below_zero, float(revenue), float(row["gini"] / revenue), top)
