"""Persons scored: probabilities, orders, spend and value, with intervals; then tiers, by the engine.

Numbers come in batches of persons, so that memory does not grow with their number. They are rounded (a millionth,
a cent), so that another processor's last bit is nobody's other value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.ltv.boosted import Boosted
from valtag_assets.engine.ltv.forecasts import Fitted
from valtag_assets.engine.ltv.histories import Array, Histories, Persons, Steps
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.purchases import purchases_table
from valtag_assets.engine.rfm import Group
from valtag_assets.engine.scores import score_table
from valtag_assets.engine.session import unbound
from valtag_assets.engine.sums import total
from valtag_assets.expression.convert import constant, convert
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolved import ResolvedLtv
from valtag_assets.models import orders, spend
from valtag_assets.spec.ltv import Ltv, ValueTier
from valtag_assets.spec.types import FLOAT, decimal

PREDICTED = "predicted"
DIGITS, CENTS = 6, 2
BATCH = 500_000
# How far the trees may move the base model when what they say of one period is carried to another.
_LEAST, _MOST = 0.05, 20.0
_TINY = 1e-6
YEAR = 365.0
# What decimal(18,2) holds.
MOST_MONEY = 1e16


@dataclass(frozen=True)
class Shift:
    """What trees said of one period, as factors on what the base model says; carried so to other periods."""

    orders: Array
    spend: Array
    power: Array

    @classmethod
    def of(cls, boosted: Boosted, histories: Histories, base: Fitted) -> "Shift":
        trees, other = boosted.forecast(histories, base), base.forecast(histories, boosted.days)
        assert trees.p_order is not None and other.p_order is not None
        none = [np.log1p(-np.clip(chance, _TINY, 1 - _TINY)) for chance in (trees.p_order, other.p_order)]
        return cls(
            _factor(trees.orders, other.orders), _factor(trees.spend, other.spend), _factor(*(-none[0], -none[1]))
        )


def _factor(value: Array, base: Array) -> Array:
    found: Array = np.clip(value / np.maximum(base, _TINY), _LEAST, _MOST)
    return found


@dataclass(frozen=True)
class Outlook:
    """What a fitted model says of some persons, for any number of days ahead."""

    fitted: Fitted
    histories: Histories
    shift: Shift | None = None

    @property
    def _seen(self) -> tuple[Array, Array, Array]:
        alike, unit = self.histories.alike, self.fitted.unit
        return alike.x, alike.t_x / unit, alike.T / unit

    def chance(self, days: int) -> Array:
        """The probability of at least one order."""
        found = orders.p_order(self.fitted.orders, *self._seen, days / self.fitted.unit)[self.histories.alike.place]
        if self.shift is not None:
            found = -np.expm1(self.shift.power * np.log1p(-np.minimum(found, 1 - _TINY)))
        return found

    def orders(self, days: int) -> Array:
        """Expected orders."""
        found = orders.expected_orders(self.fitted.orders, *self._seen, days / self.fitted.unit)
        return self._shifted(found[self.histories.alike.place])

    def spend(self, days: int) -> Array:
        """Expected spend."""
        found = orders.expected_orders(self.fitted.orders, *self._seen, days / self.fitted.unit)
        money = found[self.histories.alike.place] * self.fitted.worth(self.histories)
        return money if self.shift is None else money * self.shift.spend

    def alive(self) -> Array:
        """The base model's probability of not having left for good. It can't be observed."""
        return orders.p_alive(self.fitted.orders, *self._seen)[self.histories.alike.place]

    def value(self, horizon: int, yearly: float, margin: float) -> Array:
        """Spend to the horizon, each step of about a time unit discounted to today, times the margin."""
        unit = self.fitted.unit
        steps = ceil(horizon / unit)
        per_unit = (1 + yearly) ** (unit / YEAR) - 1
        ahead = horizon / unit
        found = orders.discounted_orders(self.fitted.orders, *self._seen, ahead, per_unit, ahead / steps)
        money = found[self.histories.alike.place] * self.fitted.worth(self.histories) * margin
        return money if self.shift is None else money * self.shift.spend

    def orders_between(self, days: int, interval: float) -> tuple[Array, Array]:
        """The ends of the interval that holds the number of orders with (at least) that probability."""
        ends = []
        for level, whole in ((0.5 - interval / 2, np.floor), (0.5 + interval / 2, np.ceil)):
            found = orders.order_quantile(self.fitted.orders, *self._seen, days / self.fitted.unit, level)
            ends.append(whole(self._shifted(found[self.histories.alike.place].astype(np.float64))))
        return ends[0], ends[1]

    def spend_between(self, days: int, interval: float) -> tuple[Array, Array]:
        """The same for what will be spent."""
        scale = self.fitted.spend.gamma + self.histories.paid
        if self.shift is not None:
            scale = scale * self.shift.spend
        ends = []
        for level in (0.5 - interval / 2, 0.5 + interval / 2):
            found = spend.spend_quantile(
                self.fitted.orders, self.fitted.spend, *self._seen, days / self.fitted.unit, level
            )
            ends.append(found[self.histories.alike.place] * scale)
        return ends[0], ends[1]

    def _shifted(self, values: Array) -> Array:
        return values if self.shift is None else values * self.shift.orders


def person_columns(ltv: Ltv, outlook: Outlook) -> dict[str, Array]:
    """Every number of the score, by the name of its column without the score's code."""
    found = {"alive": np.round(outlook.alive(), DIGITS)}
    for days in ltv.horizons:
        found[f"buy_{days}d"] = np.round(outlook.chance(days), DIGITS)
        found[f"orders_{days}d"] = np.round(outlook.orders(days), DIGITS)
        found[f"spend_{days}d"] = np.round(outlook.spend(days), CENTS)
        if ltv.interval is not None:
            low, high = outlook.orders_between(days, ltv.interval)
            found |= {f"orders_{days}d_low": low, f"orders_{days}d_high": high}
            low, high = outlook.spend_between(days, ltv.interval)
            found |= {f"spend_{days}d_low": np.round(low, CENTS), f"spend_{days}d_high": np.round(high, CENTS)}
    found["order_value"] = np.round(outlook.fitted.worth(outlook.histories), CENTS)
    found["clv"] = np.round(outlook.value(ltv.clv.horizon, ltv.clv.discount_rate, ltv.clv.margin), CENTS)
    found["churn_risk"] = np.round(1 - outlook.chance(ltv.churn), DIGITS)
    return found


def write_predicted(
    ltv: Ltv, fitted: Fitted, boosted: Boosted | None, purchases: Path, features: Path | None, into: Path
) -> None:
    """Score everybody in ``purchases`` (with ``features`` in the same order) into a Parquet file of floats."""
    writer: pq.ParquetWriter | None = None
    steps = Steps.to_score(ltv.holdout)
    try:
        for table, seen in _batches(purchases, features):
            histories = Persons.of(table, (seen,), steps).at(0)
            shift = Shift.of(boosted, histories, fitted) if boosted is not None else None
            columns = person_columns(ltv, Outlook(fitted, histories, shift))
            part = pa.table({PERSON: table[PERSON], **{name: pa.array(values) for name, values in columns.items()}})
            writer = writer or pq.ParquetWriter(into, part.schema, compression="zstd")
            writer.write_table(part)
    finally:
        if writer is not None:
            writer.close()


def too_much(predicted: Path) -> bool:
    """Whether any number in the file is beyond what money can hold; the file's own statistics tell."""
    told = pq.ParquetFile(predicted).metadata
    groups = [told.row_group(number) for number in range(told.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    return any(column.statistics.max >= MOST_MONEY for column in columns if column.path_in_schema != PERSON)


def write_nobody(ltv: Ltv, into: Path) -> None:
    """The same file without a row."""
    names = [name for name, (kind, _) in ltv.column_titles().items() if kind.kind != "text"]
    schema = pa.schema([(PERSON, pa.string()), *((name, pa.float64()) for name in names)])
    pq.write_table(schema.empty_table(), into)


def _batches(purchases: Path, features: Path | None) -> Iterator[tuple[pa.Table, Array]]:
    rows = pq.ParquetFile(purchases)
    beside = pq.ParquetFile(features).iter_batches(BATCH) if features is not None else None
    for batch in rows.iter_batches(BATCH):
        table = pa.Table.from_batches([batch])
        seen = np.zeros((len(table), 0))
        if beside is not None:
            seen = feature_array(pa.Table.from_batches([next(beside)]))
        yield table, seen


def feature_array(table: pa.Table) -> Array:
    """(persons, features) of a table of ``features_expression``; NaN where a tag has no value."""
    columns = [
        table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in table.column_names if name != PERSON
    ]
    return np.column_stack(columns) if columns else np.zeros((len(table), 0))


def ltv_expression(score: ResolvedLtv) -> ibis.Table:
    """The published table from ``predicted``: types, value tiers, levels of churn risk; sorted by person."""
    ltv, code = score.spec, score.code
    names = [name.removeprefix(f"{code}_") for name in score.columns]
    floats = {name: "float64" for name in names if name not in ("tier", "churn")}
    table = unbound(PREDICTED, {PERSON: "string", **floats})
    table = table.cross_join(_tier_edges(table, ltv.tiers))
    made: dict[str, ir.Value] = {"tier": _tier(table, ltv.tiers), "churn": _churn(table, ltv)}
    found: Mapping[str, ir.Value] = {
        f"{code}_{name}": made[name] if name in made else convert(table[name], FLOAT, score.columns[f"{code}_{name}"])
        for name in names
    }
    typed = [found[name].cast(to_ibis_type(kind)).name(name) for name, kind in score.columns.items()]
    return table.select(PERSON, *typed).order_by(PERSON)


def tier_sizes(score: ResolvedLtv) -> ibis.Table:
    """(tier, persons, least, clv, spend) per value tier: its least value, all its value, what was spent up to now."""
    own, bought = score_table(score), purchases_table(Steps.to_score(score.spec.holdout).cuts)
    table = own.inner_join(bought.select(PERSON, "spend_0"), PERSON)
    tiers = table.group_by(tier=table[f"{score.code}_tier"]).aggregate(
        persons=lambda t: t.count(),
        least=lambda t: convert(t[f"{score.code}_clv"].min(), score.columns[f"{score.code}_clv"], FLOAT),
        clv=lambda t: convert(t[f"{score.code}_clv"].sum().cast("decimal(38,2)"), decimal(38, 2), FLOAT),
        spend=lambda t: convert(total(t["spend_0"], FLOAT), decimal(38, 10), FLOAT),
    )
    return tiers.order_by("tier")


def value_groups(ltv: Ltv, sizes: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Every tier of the catalog, from the rows of ``tier_sizes``: its persons and their CLV."""
    known = {row["tier"]: row for row in sizes}
    persons, clv = (sum(row[name] for row in sizes) or 1 for name in ("persons", "clv"))
    rows = [(tier, known.get(tier.code, {"persons": 0, "clv": 0.0})) for tier in ltv.tiers]
    return [
        Group(tier.code, tier.title, row["persons"], row["persons"] / persons, row["clv"], row["clv"] / clv)
        for tier, row in rows
    ]


def _tier_edges(table: ibis.Table, tiers: Sequence[ValueTier]) -> ibis.Table:
    """One row: _edge_<n>, the least value of the n-th tier. Equal values share a tier, so one may hold more than
    its share: never fewer of the most valuable are left out than its share says."""
    lows = [tier.lowest for tier in tiers[:-1]]
    if lows[0] is not None:
        one = table.aggregate(persons=table.count())
        return one.select(**{f"_edge_{n}": ibis.literal(float(low or 0)) for n, low in enumerate(lows)})
    counted = table.group_by("clv").aggregate(n=lambda t: t.count())
    above = counted.mutate(
        upto=counted["n"].sum().over(ibis.cumulative_window(order_by=counted["clv"].desc())),
        everybody=counted["n"].sum().over(ibis.window()),
    )
    edges, share = {}, 0.0
    for number, tier in enumerate(tiers[:-1]):
        share += tier.share or 0.0
        enough = above["upto"].cast("float64") >= ibis.literal(share) * above["everybody"].cast("float64")
        edges[f"_edge_{number}"] = above["clv"].max(where=enough)
    return above.aggregate(**edges)


def _tier(table: ibis.Table, tiers: Sequence[ValueTier]) -> ir.Value:
    # Who is worth nothing is in the last tier, however few are worth anything.
    worth = table["clv"] > 0
    branches = [
        (worth & (table["clv"] >= table[f"_edge_{n}"]), ibis.literal(tier.code)) for n, tier in enumerate(tiers[:-1])
    ]
    return ibis.cases(*branches, else_=ibis.literal(tiers[-1].code))


def _churn(table: ibis.Table, ltv: Ltv) -> ir.Value:
    levels = ltv.churn_levels
    branches = [
        (table["churn_risk"] >= constant(level.lowest, FLOAT), ibis.literal(level.code)) for level in levels[:-1]
    ]
    return ibis.cases(*branches, else_=ibis.literal(levels[-1].code))
