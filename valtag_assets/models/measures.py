"""How good predictions were against what happened: ``actual`` and ``predicted`` per customer, and how many they are.

Customers with equal predictions count as one group, so the order of the rows is of no consequence.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valtag_assets.models.counts import Array

FLOOR = 0.001
"""The least prediction a Poisson deviance takes: an order where none was possible would cost infinitely much."""


def rmse(actual: Any, predicted: Any, weight: Any = None) -> float:
    """Root of the mean squared error."""
    actual, predicted, weight = _rows(actual, predicted, weight)
    return float(np.sqrt(_mean((actual - predicted) ** 2, weight)))


def mae(actual: Any, predicted: Any, weight: Any = None) -> float:
    """Mean absolute error. It rewards predicting the median, which is mostly zero."""
    actual, predicted, weight = _rows(actual, predicted, weight)
    return _mean(np.abs(actual - predicted), weight)


def bias(actual: Any, predicted: Any, weight: Any = None) -> float:
    """Predicted total / actual total - 1; infinite where something was predicted and nothing happened."""
    actual, predicted, weight = _rows(actual, predicted, weight)
    happened, expected = float(weight @ actual), float(weight @ predicted)
    if happened == 0:
        return 0.0 if expected == 0 else float("inf")
    return expected / happened - 1


def poisson_deviance(actual: Any, predicted: Any, weight: Any = None) -> float:
    """Mean of 2 (y log(y / m) - (y - m)) for counts y ≥ 0 and predictions m, raised to FLOOR."""
    actual, predicted, weight = _rows(actual, predicted, weight)
    predicted = np.maximum(predicted, FLOOR)
    ratio = np.log(np.where(actual > 0, actual, 1) / np.where(actual > 0, predicted, 1))
    return _mean(2 * (actual * ratio - (actual - predicted)), weight)


def brier(happened: Any, probability: Any, weight: Any = None) -> float:
    """Mean squared error of a probability; ``happened`` is 0 or 1."""
    happened, probability, weight = _rows(happened, probability, weight)
    return _mean((happened - probability) ** 2, weight)


def lorenz(actual: Any, predicted: Any, weight: Any = None) -> tuple[Array, Array]:
    """Points of the curve: share of the customers with the highest predictions → their share of ``actual``.

    From (0, 0) to (1, 1), a point after each group of equal predictions; straight where nothing happened at all.
    """
    actual, predicted, weight = _rows(actual, predicted, weight)
    _, people, happened = _groups(actual, -predicted, weight)
    customers = np.append(0, np.cumsum(people)) / max(people.sum(), _TINY)
    total = happened.sum()
    return customers, np.append(0, np.cumsum(happened)) / total if total > 0 else customers


def gini(actual: Any, predicted: Any, weight: Any = None) -> float:
    """Normalised Gini: the area between ``lorenz`` and the diagonal, against that of a perfect order.

    1 for a perfect order, about 0 for chance; 0 where all are alike.
    """
    perfect = _area(*lorenz(actual, actual, weight))
    return _area(*lorenz(actual, predicted, weight)) / perfect if perfect > _TINY else 0.0


@dataclass(frozen=True)
class Deciles:
    """One row per group of rising prediction: its number (1 is lowest), customers, mean predicted, mean actual."""

    number: Array
    customers: Array
    predicted: Array
    actual: Array


def deciles(actual: Any, predicted: Any, weight: Any = None, groups: int = 10) -> Deciles:
    """Customers by tenths of the order of their predictions; those with equal predictions stay together.

    A group of equal predictions goes to the tenth in which its middle lies, so there may be fewer than ten.
    """
    actual, predicted, weight = _rows(actual, predicted, weight)
    value, people, happened = _groups(actual, predicted, weight)
    middle = np.cumsum(people) - people / 2
    at = np.minimum((middle / max(people.sum(), _TINY) * groups).astype(np.int64), groups - 1)
    numbers, at = np.unique(at, return_inverse=True)
    totals = [_sums(at, part, len(numbers)) for part in (people, people * value, happened)]
    return Deciles(numbers.astype(np.float64) + 1, totals[0], totals[1] / totals[0], totals[2] / totals[0])


def calibration_error(actual: Any, predicted: Any, weight: Any = None, groups: int = 10) -> float:
    """Mean distance of predicted and actual means of ``deciles``, by customers, relative to the mean of ``actual``.

    The expected calibration error (ECE); infinite where something was predicted and nothing happened.
    """
    table = deciles(actual, predicted, weight, groups)
    apart = float(table.customers @ np.abs(table.predicted - table.actual))
    happened = float(table.customers @ table.actual)
    if happened == 0:
        return 0.0 if apart == 0 else float("inf")
    return apart / happened


_TINY = 1e-300


def _rows(actual: Any, predicted: Any, weight: Any) -> tuple[Array, Array, Array]:
    actual, predicted = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    weight = np.ones_like(actual) if weight is None else np.asarray(weight, dtype=np.float64)
    if actual.ndim != 1 or not actual.shape == predicted.shape == weight.shape:
        raise ValueError("actual, predicted and weight are arrays of one length")
    if not all(np.isfinite(values).all() for values in (actual, predicted, weight)):
        raise ValueError("actual, predicted and weight are finite numbers")
    return actual, predicted, weight


def _mean(values: Array, weight: Array) -> float:
    """nan without customers: there is nothing to say."""
    total = weight.sum()
    return float(weight @ values / total) if total > 0 else float("nan")


def _groups(actual: Array, by: Array, weight: Array) -> tuple[Array, Array, Array]:
    """The distinct values of ``by``, rising, with how many customers and how much of ``actual`` each has."""
    held = weight > 0
    value, at = np.unique(by[held], return_inverse=True)
    people, happened = (_sums(at, part[held], len(value)) for part in (weight, weight * actual))
    return value, people, happened


def _sums(at: NDArray[np.intp], of: Array, groups: int) -> Array:
    return np.bincount(at, weights=of, minlength=groups).astype(np.float64)


def _area(customers: Array, share: Array) -> float:
    return float(np.trapezoid(share, customers)) - 0.5
