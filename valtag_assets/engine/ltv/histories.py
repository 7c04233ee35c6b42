"""Order histories as arrays: what was known of persons at a date, and what they did afterwards.

The dates are 0, 1, 2, … steps before the as-of, some steps making one held-out period. A history at one of them
holds nothing later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from valtag_assets.models.counts import Counts

Array = NDArray[np.float64]
# With more different rows than this, those of one time unit are put together before a fit: parameters then move
# by about a thousandth, and ten million persons fit in seconds.
MOST_ROWS = 100_000


@dataclass(frozen=True)
class Histories:
    """Persons known at one date; arrays of equal length, times in days.

    ``x``: order days after the first; ``t_x``: days from the first to the last of them; ``T``: days since the
    first. ``spend``: net of what came back. ``recent`` / ``earlier`` and ``recent_spend``: order days and spend of
    the last period and the one before. ``features``: (persons, tags), NaN where there is none.
    """

    x: Array
    t_x: Array
    T: Array
    spend: Array
    recent: Array
    earlier: Array
    recent_spend: Array
    features: Array

    def __len__(self) -> int:
        return len(self.x)

    @property
    def orders(self) -> Array:
        """Order days, the first included."""
        return self.x + 1

    @property
    def paid(self) -> Array:
        """Spend with nothing below 0: who got more back than they paid is worth nothing, not less."""
        return np.maximum(self.spend, 0.0)

    @cached_property
    def alike(self) -> "Alike":
        """The different (x, t_x, T), and which of them each person has."""
        return Alike.of(self.x, self.t_x, self.T, np.ones(len(self.x)))


@dataclass(frozen=True)
class Outcomes:
    """What the same persons did in the period after the date."""

    orders: Array
    spend: Array


@dataclass(frozen=True)
class Alike:
    """Different histories with how many persons share each, in days; ``place`` is the row of each person."""

    x: Array
    t_x: Array
    T: Array
    weight: Array
    place: NDArray[np.int64]

    @classmethod
    def of(cls, x: Array, t_x: Array, T: Array, weight: Array) -> "Alike":
        # One integer stands for the three: comparing rows one by one takes ten times as long.
        base = float(T.max(initial=0.0)) + 1
        keys = (x * base + t_x) * base + T
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        sums = np.bincount(place, weights=weight, minlength=len(first)).astype(np.float64)
        return cls(x[first], t_x[first], T[first], sums, place)

    def counts(self, unit: int, newest: int | None) -> Counts:
        """What a model is fitted on, in units of so many days; only persons whose first order is at most
        ``newest`` days old."""
        kept = np.ones(len(self.x), bool) if newest is None else newest >= self.T
        x, t_x, T, weight = self.x[kept], self.t_x[kept], self.T[kept], self.weight[kept]
        if len(x) > MOST_ROWS:
            whole = Alike.of(x, np.floor(t_x / unit), np.floor(T / unit), weight)
            t_x, T = (np.bincount(whole.place, values * weight) / whole.weight for values in (t_x, T))
            x, weight = whole.x, whole.weight
        return Counts(x=x, t_x=t_x / unit, T=T / unit, weight=weight)


@dataclass(frozen=True)
class Steps:
    """The dates looked back from: ``cuts`` of them, ``period`` steps apart making one period of ``holdout`` days.

    Trees learn from periods that overlap, so they need steps shorter than a period.
    """

    holdout: int
    period: int
    cuts: int

    @classmethod
    def to_score(cls, holdout: int) -> "Steps":
        """As much as is known of everybody: now, and what was recent."""
        return cls(holdout, 1, 3)

    @classmethod
    def to_compare(cls, holdout: int, trees: bool) -> "Steps":
        """Two periods to choose on after the held-out one, one or two before each to learn from, and what was
        recent then."""
        return cls(holdout, 3, 19) if trees else cls(holdout, 1, 6)

    def age(self, cut: int) -> int:
        """Days before the as-of."""
        return round(cut * self.holdout / self.period)

    @property
    def ages(self) -> list[int]:
        return [self.age(cut) for cut in range(self.cuts)]


@dataclass(frozen=True)
class Persons:
    """The rows of ``purchases_expression`` as arrays, with the features of each date beside."""

    columns: Mapping[str, Array]
    features: tuple[Array, ...]
    steps: "Steps"

    @classmethod
    def of(cls, table: pa.Table, features: tuple[Array, ...], steps: "Steps") -> "Persons":
        columns = {
            name: table[name].to_numpy(zero_copy_only=False).astype(np.float64)
            for name in table.column_names
            if name != "person_id"
        }
        return cls(columns, features, steps)

    def known(self, cut: int) -> NDArray[np.bool_]:
        """Who had an order at the date ``cut`` steps before the as-of."""
        return self.columns[f"days_{cut}"] > 0

    def fitted_on(self, cut: int, newest: int | None) -> int:
        """How many persons a model of that date is fitted on: of those known then, whose first order was at most
        ``newest`` days old."""
        known = self.known(cut)
        if newest is not None:
            known = known & (self.columns["first"] - self.steps.age(cut) <= newest)
        return int(known.sum())

    @property
    def oldest(self) -> int:
        """Days since the first order of all."""
        return int(self.columns["first"].max(initial=0.0))

    def at(self, cut: int) -> Histories:
        """What was known then."""
        mask, age, period = self.known(cut), float(self.steps.age(cut)), self.steps.period
        first, last = self.columns["first"][mask], self.columns[f"last_{cut}"][mask]
        days = self.columns[f"days_{cut}"][mask]
        spend = self.columns[f"spend_{cut}"][mask]
        before = [self.columns.get(f"days_{cut + step}", np.zeros(len(mask)))[mask] for step in (period, 2 * period)]
        earlier_spend = self.columns.get(f"spend_{cut + period}", np.zeros(len(mask)))[mask]
        return Histories(
            x=days - 1,
            t_x=first - last,
            T=first - age,
            spend=spend,
            recent=days - before[0],
            earlier=before[0] - before[1],
            recent_spend=spend - earlier_spend,
            features=self.features[cut][mask] if self.features else np.zeros((int(mask.sum()), 0)),
        )

    def after(self, cut: int) -> Outcomes:
        """What was done in the period that followed, which must lie before the as-of."""
        mask, end = self.known(cut), cut - self.steps.period
        orders, spend = (self.columns[f"{name}_{end}"] - self.columns[f"{name}_{cut}"] for name in ("days", "spend"))
        return Outcomes(orders[mask], spend[mask])
