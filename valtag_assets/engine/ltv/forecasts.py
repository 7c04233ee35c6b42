"""Forecasts of one period ahead: three that need no model, and those of a fitted customer-base model."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valtag_assets.engine.ltv.histories import Alike, Array, Histories, Outcomes
from valtag_assets.models import orders, spend
from valtag_assets.spec.ltv import Ltv

BINS = 5


@dataclass(frozen=True)
class Forecast:
    """Per person: expected orders, expected spend, the probability of at least one order (None: not said)."""

    orders: Array
    spend: Array
    p_order: Array | None = None


@dataclass(frozen=True)
class Fitted:
    """A customer-base model of orders and the Gamma-Gamma model of their value, fitted at one date.

    ``unit``: days in its time unit.
    """

    orders: orders.Fit
    spend: spend.SpendFit
    unit: int

    @classmethod
    def published(cls, model: str, parameters: Mapping[str, float], unit: int) -> "Fitted":
        """The model with the parameters that were published with it (``parameters``)."""
        given = dict(parameters)
        p, q, gamma = (given.pop(f"spend_{name}") for name in ("p", "q", "gamma"))
        worth = spend.SpendFit(p, q, gamma, math.nan, math.nan, True, "published")
        return cls(orders.given(model, **given), worth, unit)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why nothing of it may be published."""
        return _of_both(self.orders.faults(), self.spend.faults())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth knowing of it."""
        return _of_both(self.orders.warnings(), self.spend.warnings())

    @property
    def parameters(self) -> dict[str, float]:
        """Of both, in one; none of them has a name of the other's."""
        worth = {"spend_p": self.spend.p, "spend_q": self.spend.q, "spend_gamma": self.spend.gamma}
        return {**self.orders.parameters, **worth}

    def forecast(self, histories: Histories, days: int) -> Forecast:
        """What the persons will do in the next ``days``."""
        alike, ahead = histories.alike, days / self.unit
        seen = alike.x, alike.t_x / self.unit, alike.T / self.unit
        expected = orders.expected_orders(self.orders, *seen, ahead)[alike.place]
        chance = orders.p_order(self.orders, *seen, ahead)[alike.place]
        return Forecast(expected, expected * self.worth(histories), chance)

    def worth(self, histories: Histories) -> Array:
        """The expected value of one order."""
        return spend.expected_spend(self.spend, histories.orders, histories.paid / histories.orders)


def _of_both(orders_say: Sequence[str], spend_says: Sequence[str]) -> tuple[str, ...]:
    return (*(f"orders: {text}" for text in orders_say), *(f"value of an order: {text}" for text in spend_says))


def fit_orders(model: str, alike: Alike, ltv: Ltv) -> orders.Fit:
    """When customers order."""
    return orders.fit(model, alike.counts(ltv.unit, ltv.calibration))


def fit_worth(histories: Histories, ltv: Ltv) -> spend.SpendFit:
    """What their orders are worth, from those who paid anything at all."""
    paid = histories.paid > 0
    if ltv.calibration is not None:
        paid &= ltv.calibration >= histories.T
    n = histories.orders[paid]
    return spend.fit_spend(n, histories.paid[paid] / n, np.ones(len(n)))


# Forecasts without a model


def rate(histories: Histories, days: int) -> Forecast:
    """As often, and for as much, as since the first order."""
    per_day = np.divide(days, histories.T, out=np.zeros(len(histories)), where=histories.T > 0)
    return Forecast(histories.x * per_day, histories.paid * per_day)


def last_period(histories: Histories, _: int) -> Forecast:
    """As in the last period."""
    return Forecast(histories.recent, np.maximum(histories.recent_spend, 0.0))


@dataclass(frozen=True)
class Cells:
    """The mean of the persons in the same cell of recency, frequency and monetary quintiles, one period earlier."""

    edges: tuple[Array, ...]
    orders: Array
    spend: Array

    @classmethod
    def learn(cls, histories: Histories, outcomes: Outcomes) -> "Cells":
        edges = tuple(_edges(values) for values in _measures(histories))
        place = _cell(histories, edges)
        size = np.bincount(place, minlength=BINS**3)
        means = [
            np.where(
                size > 0, np.bincount(place, done, BINS**3) / np.maximum(size, 1), done.mean() if len(done) else 0
            )
            for done in (outcomes.orders, outcomes.spend)
        ]
        return cls(edges, means[0], np.maximum(means[1], 0.0))

    def forecast(self, histories: Histories) -> Forecast:
        place = _cell(histories, self.edges)
        return Forecast(self.orders[place], self.spend[place])


def _measures(histories: Histories) -> tuple[Array, ...]:
    return (histories.t_x - histories.T, histories.orders, histories.spend)


def _edges(values: Array) -> Array:
    shares = np.arange(1, BINS) / BINS
    return np.quantile(values, shares, method="inverted_cdf") if len(values) else np.zeros(BINS - 1)


def _cell(histories: Histories, edges: tuple[Array, ...]) -> NDArray[np.int64]:
    r, f, m = (
        np.searchsorted(edge, values, side="left") for edge, values in zip(edges, _measures(histories), strict=True)
    )
    return (r * BINS + f) * BINS + m


def naive_forecasts(histories: Histories, before: Histories, since: Outcomes, days: int) -> Mapping[str, Forecast]:
    """Every forecast without a model; ``before`` and ``since``: a period earlier, and what came of it."""
    found: dict[str, Callable[[], Forecast]] = {
        "rate": lambda: rate(histories, days),
        "last_period": lambda: last_period(histories, days),
    }
    if len(before):
        found["rfm_cells"] = lambda: Cells.learn(before, since).forecast(histories)
    return {name: make() for name, make in found.items()}
