"""What the plots of a model of value show, as JSON: observed against expected, and what the model believes."""

from typing import Any

import numpy as np
import pyarrow as pa

from valtag_assets.engine.ltv.backtest import Bench
from valtag_assets.engine.ltv.forecasts import Fitted
from valtag_assets.engine.ltv.histories import Array
from valtag_assets.models import orders

MOST_ORDERS = 8
# Customers are put together by the time they were observed, into so many groups, to add up their distributions.
GROUPS = 40
POINTS = 60


def pictures(bench: Bench, winner: str, fitted: Fitted, days: pa.Table) -> dict[str, Any]:
    """``days``: (_age, newcomers, again) of ``newcomers_expression``."""
    earlier = bench.base(winner, bench.held_out)
    return {
        "frequency": _frequency(bench, fitted),
        "tracking": _tracking(earlier, days, bench.ltv.holdout),
        "alive": _alive(bench, fitted),
    }


def _frequency(bench: Bench, fitted: Fitted) -> dict[str, list[float]]:
    """Persons by repeat orders up to the as-of, 0, 1, … and the rest: as counted, and as the model expects."""
    histories = bench.at(0)
    actual = np.bincount(np.minimum(histories.x, MOST_ORDERS).astype(np.int64), minlength=MOST_ORDERS + 1)
    expected = np.zeros(MOST_ORDERS + 1)
    edges = np.unique(np.quantile(histories.T, np.linspace(0, 1, GROUPS + 1)))
    place = np.clip(np.searchsorted(edges, histories.T, side="right") - 1, 0, max(len(edges) - 2, 0))
    for group in np.unique(place):
        observed = histories.T[place == group]
        chances = orders.pmf(fitted.orders, MOST_ORDERS, float(observed.mean()) / fitted.unit)
        expected += len(observed) * np.append(chances, max(0.0, 1 - chances.sum()))
    return {"orders": list(range(MOST_ORDERS + 1)), "actual": actual.tolist(), "expected": expected.round(2).tolist()}


def _tracking(model: Fitted, days: pa.Table, holdout: int) -> dict[str, Any]:
    """Cumulative repeat orders of those who were customers before the held-out period: as counted, and as expected
    by the model that knows nothing of the period. ``days`` before the as-of, oldest first."""
    if model.faults or not len(days):
        return {}
    age = days["_age"].to_numpy().astype(np.int64)
    oldest = int(age.max())
    came, again = np.zeros(oldest + 1), np.zeros(oldest + 1)
    came[oldest - age] = days["newcomers"].to_numpy()
    again[oldest - age] = days["again"].to_numpy()
    # The curve of one customer, by days since the first order; all others are the same, shifted.
    since = np.arange(oldest + 1)
    one = orders.expected_purchases(model.orders, since / model.unit)
    expected = np.convolve(came, one)[: oldest + 1]
    at = np.unique(np.linspace(0, oldest, POINTS).astype(np.int64))
    return {
        "days": (oldest - at).tolist(),
        "actual": np.cumsum(again)[at].tolist(),
        "expected": expected[at].round(2).tolist(),
        "held_out": holdout,
    }


def _alive(bench: Bench, fitted: Fitted) -> dict[str, Any]:
    """P(alive) by order days and days since the last of them, for persons known as long as half of all."""
    histories = bench.at(0)
    known = float(np.quantile(histories.T, 0.5)) if len(histories) else 0.0
    x = np.arange(MOST_ORDERS + 1, dtype=np.float64)
    silent: Array = np.linspace(0, known, 11).round()
    # Somebody with one order has been silent all the time.
    t_x = np.where(x[:, None] > 0, known - silent[None, :], 0.0)
    alive = orders.p_alive(fitted.orders, x[:, None], t_x / fitted.unit, known / fitted.unit)
    return {"orders": (x + 1).tolist(), "silent": silent.tolist(), "alive": alive.round(4).tolist(), "known": known}
