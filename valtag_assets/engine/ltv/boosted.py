"""The boosted model: trees over a person's history, the tags the catalog names, and what the base model expects.

For businesses where the base model's assumptions fail, as in very frequent grocery shopping. Trees learn from several
earlier periods that overlap, and are averaged with the base model: trees of one period alone carry its season and the
age of its customers into the next.

Histogram gradient boosting (Ke et al., LightGBM, 2017) as in scikit-learn; Poisson loss for orders and spend, which
are never below 0.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valtag_assets.engine.ltv.forecasts import Fitted, Forecast
from valtag_assets.engine.ltv.histories import Array, Histories, Outcomes

# Half trees, half base model.
WEIGHT = 0.5
_TREES: dict[str, Any] = {
    "learning_rate": 0.06,
    "max_iter": 120,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 40,
    "l2_regularization": 1.0,
    "early_stopping": False,
}


@dataclass(frozen=True)
class Lesson:
    """One earlier period to learn from: what was known, what the base model then expected, and what came of it."""

    histories: Histories
    base: Fitted
    outcomes: Outcomes


@dataclass(frozen=True)
class Boosted:
    """Trees for orders, spend and the chance of an order in the next ``days``.

    ``looks_at``: which columns of ``_seen`` they know; one without any value in the lessons (a tag of a fact that
    began later) teaches nothing.
    """

    orders: Any
    spend: Any
    chance: Any
    days: int
    looks_at: NDArray[np.bool_]

    @classmethod
    def learn(cls, lessons: Sequence[Lesson], days: int, seed: int) -> "Boosted | None":
        """None where there is nothing to tell apart: nobody ordered, or everybody did."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        seen = np.vstack([_seen(lesson.histories, lesson.base, days) for lesson in lessons])
        ordered = np.concatenate([lesson.outcomes.orders for lesson in lessons])
        paid = np.maximum(np.concatenate([lesson.outcomes.spend for lesson in lessons]), 0.0)
        if not 0 < np.count_nonzero(ordered) < len(ordered) or not paid.any():
            return None
        known: NDArray[np.bool_] = np.asarray((~np.isnan(seen)).any(axis=0))
        seen, options = seen[:, known], {**_TREES, "random_state": seed % 2**32}
        with _one_thread():
            return cls(
                HistGradientBoostingRegressor(loss="poisson", **options).fit(seen, ordered),
                HistGradientBoostingRegressor(loss="poisson", **options).fit(seen, paid),
                HistGradientBoostingClassifier(**options).fit(seen, ordered > 0),
                days,
                known,
            )

    def forecast(self, histories: Histories, base: Fitted) -> Forecast:
        """What the persons will do in the next period: half of what the trees say, half of what ``base`` does."""
        seen, other = _seen(histories, base, self.days)[:, self.looks_at], base.forecast(histories, self.days)
        assert other.p_order is not None
        with _one_thread():
            return Forecast(
                _halfway(self.orders.predict(seen), other.orders),
                _halfway(self.spend.predict(seen), other.spend),
                _halfway(self.chance.predict_proba(seen)[:, 1], other.p_order),
            )


def _one_thread() -> AbstractContextManager[Any]:
    """Threads of trees wait for each other busily: beside other work that took twenty times as long."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="openmp")


def _halfway(trees: Array, base: Array) -> Array:
    return WEIGHT * trees + (1 - WEIGHT) * base


def _seen(histories: Histories, base: Fitted, days: int) -> Array:
    """One row per person: what the trees look at."""
    expected = base.forecast(histories, days)
    assert expected.p_order is not None
    own = [
        histories.x,
        histories.t_x,
        histories.T,
        histories.T - histories.t_x,
        np.divide(histories.t_x, histories.x, out=np.zeros(len(histories)), where=histories.x > 0),
        histories.recent,
        histories.earlier,
        histories.recent_spend,
        histories.spend,
        expected.orders,
        expected.p_order,
        base.worth(histories),
    ]
    return np.column_stack([*own, histories.features])
