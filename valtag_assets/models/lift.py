"""What a treatment did, from two arms drawn by lot: differences with intervals. Every function takes arrays, too.

* Shares: Newcombe 1998, Statistics in Medicine 17:873-890, method 10: the Wilson (1927) intervals of both shares,
  squared and added. Wald's interval covers too seldom where shares are small.
* Means: Welch 1947, Biometrika 34:28-35: variances need not be equal.
* CUPED: Deng, Xu, Kohavi & Walker 2013, WSDM: y − θ (x − x̄) with θ = cov(x, y) / var(x) over both arms, where x was
  known before. It has the mean of y and a variance smaller by the squared correlation.
* A difference of differences: Zou & Donner 2008, Statistics in Medicine 27:1693-1702 (MOVER), which is Newcombe's
  way of adding intervals, for any two.
* The smallest difference found: Fleiss, Levin & Paik 2003, Statistical Methods for Rates and Proportions, chapter 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
POWER = 0.8

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it. NaN: can't be told."""

    value: Any
    low: Any
    high: Any

    def times(self, factor: Any) -> "Interval":
        """All three times a factor that is not negative."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Arm:
    """One arm: ``n`` persons and sums over them, of what they spent after (y) and a number known before (x)."""

    n: Any
    y: Any
    yy: Any
    x: Any = 0.0
    xx: Any = 0.0
    xy: Any = 0.0

    @property
    def mean(self) -> Any:
        with np.errstate(all="ignore"):
            return np.divide(self.y, self.n)

    @property
    def variance(self) -> Any:
        """Of the sample; NaN of fewer than two."""
        with np.errstate(all="ignore"):
            between = np.maximum(np.subtract(self.yy, np.divide(np.square(self.y), self.n)), 0.0)
            return np.where(np.greater(self.n, 1), between / np.subtract(self.n, 1.0), np.nan)


def wilson(hits: Any, n: Any, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """The interval of one share (Wilson 1927)."""
    z = _z(confidence)
    with np.errstate(all="ignore"):
        share = np.divide(hits, n)
        middle = (share + z * z / (2 * np.asarray(n))) / (1 + z * z / np.asarray(n))
        half = z / (1 + z * z / np.asarray(n)) * np.sqrt(share * (1 - share) / n + z * z / (4 * np.square(n)))
    return middle - half, middle + half


def newcombe(hits: Any, n: Any, other_hits: Any, other_n: Any, confidence: float = CONFIDENCE) -> Interval:
    """The difference of two independent shares (method 10). NaN where an arm is empty."""
    with np.errstate(all="ignore"):
        share, other = np.divide(hits, n), np.divide(other_hits, other_n)
    one = Interval(share, *wilson(hits, n, confidence))
    return less(one, Interval(other, *wilson(other_hits, other_n, confidence)))


def less(one: Interval, other: Interval) -> Interval:
    """The difference of two independent estimates from their intervals (MOVER)."""
    value = one.value - other.value
    low = value - np.sqrt(np.square(one.value - one.low) + np.square(other.high - other.value))
    high = value + np.sqrt(np.square(one.high - one.value) + np.square(other.value - other.low))
    return Interval(value, low, high)


def pooled(parts: Sequence[Interval], weights: Sequence[float]) -> Interval:
    """The weighted mean of independent estimates from their intervals (MOVER)."""
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    value, low, high = (np.array([getattr(part, end) for part in parts]) for end in ("value", "low", "high"))
    middle = float(shares @ value)
    below, above = (float(np.sqrt(np.square(shares * (end - value)).sum())) for end in (low, high))
    return Interval(middle, middle - below, middle + above)


def welch(one: Arm, other: Arm, confidence: float = CONFIDENCE) -> Interval:
    """The difference of two means. NaN where an arm has fewer than two persons."""
    from scipy.stats import t

    with np.errstate(all="ignore"):
        parts = np.divide(one.variance, one.n), np.divide(other.variance, other.n)
        spread = parts[0] + parts[1]
        freedom = np.square(spread) / (
            np.square(parts[0]) / np.subtract(one.n, 1.0) + np.square(parts[1]) / np.subtract(other.n, 1.0)
        )
        # Two arms that never vary: the difference is exact.
        half = np.where(spread == 0, 0.0, t.ppf((1 + confidence) / 2, freedom) * np.sqrt(spread))
        value = one.mean - other.mean
    return Interval(value, value - half, value + half)


def cuped(one: Arm, other: Arm) -> tuple[Arm, Arm]:
    """Both arms with y adjusted by x; as they are where x does not vary."""
    with np.errstate(all="ignore"):
        n, x, y = np.add(one.n, other.n), one.x + other.x, one.y + other.y
        varies = one.xx + other.xx - np.square(x) / n
        theta = np.where(varies > 1e-9, (one.xy + other.xy - x * y / n) / varies, 0.0)
        middle = np.divide(x, n)
    return _adjusted(one, theta, middle), _adjusted(other, theta, middle)


def _adjusted(arm: Arm, theta: Any, middle: Any) -> Arm:
    x = arm.x - arm.n * middle
    xx = arm.xx - 2 * middle * arm.x + arm.n * np.square(middle)
    xy = arm.xy - middle * arm.y
    return Arm(arm.n, arm.y - theta * x, arm.yy - 2 * theta * xy + np.square(theta) * xx)


def detectable(share: Any, n: Any, other_n: Any, confidence: float = CONFIDENCE, power: float = POWER) -> Any:
    """The smallest difference from a ``share`` that arms of these sizes find so often. NaN where one is empty."""
    from scipy.stats import norm

    with np.errstate(all="ignore"):
        spread = np.sqrt(np.asarray(share) * (1 - np.asarray(share)) * (np.divide(1, n) + np.divide(1, other_n)))
        found = (_z(confidence) + norm.ppf(power)) * spread
    return np.where(np.isfinite(found), found, np.nan)


def _z(confidence: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + confidence) / 2))
