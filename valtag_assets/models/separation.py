"""How well a number tells those to whom something happened from the others.

AUC, the area under the ROC curve: the chance that of one person of each kind the first has the larger number, equal
ones counting half. Its interval: DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837-845), from mid-ranks (Sun
and Xu 2014, IEEE Signal Processing Letters 21:1389-1393), on the logit scale, so that it stays inside 0 and 1 (Pepe
2003, The Statistical Evaluation of Medical Tests, section 5.2).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Z95 = 1.959963984540054

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Auc:
    """0.5 is chance; below it, smaller numbers go with the event. ``low`` to ``high``: 95 %."""

    value: float
    low: float
    high: float


def auc(numbers: Numbers, happened: npt.NDArray[np.bool_]) -> Auc | None:
    """AUC of ``numbers`` (no NaN) for ``happened``; None unless there are two of either kind."""
    from scipy.stats import rankdata

    one, other = numbers[happened], numbers[~happened]
    m, n = len(one), len(other)
    if min(m, n) < 2:
        return None
    ranks = rankdata(np.concatenate([one, other]))
    beaten = (ranks[:m] - rankdata(one)) / n
    losing = 1 - (ranks[m:] - rankdata(other)) / m
    value = float(beaten.mean())
    error = float(np.sqrt(beaten.var(ddof=1) / m + losing.var(ddof=1) / n))
    if not 0 < value < 1:
        return Auc(value, value, value)
    middle, wide = np.log(value / (1 - value)), _Z95 * error / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (middle - wide, middle + wide))
    return Auc(value, low, high)
