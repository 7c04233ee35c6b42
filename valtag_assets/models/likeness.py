"""How closely two tags say the same, 0 to 1: by ranks of numbers, by tables of categories.

* Numbers: the absolute value of Spearman's rank correlation (Spearman 1904), equal values sharing their mean rank.
* Categories: Cramér's V corrected for its bias (Bergsma 2013, Journal of the Korean Statistical Society 42:323-328).

A pair is compared only where nearly the same persons have both: those who have both, of those who have either.
"""

import numpy as np
import numpy.typing as npt

SAME_PERSONS = 0.95

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def of_numbers(columns: Numbers) -> Numbers:
    """[tag, tag] likeness of numbers [person, tag], NaN where a person has none; 0 where two can't be compared."""
    from scipy.stats import rankdata

    known = ~np.isnan(columns)
    ranks = rankdata(columns, axis=0, nan_policy="omit")
    centred = np.where(known, ranks - np.nanmean(np.where(known, ranks, np.nan), axis=0), 0.0)
    length = np.sqrt(np.square(centred).sum(axis=0))
    scaled = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    found: Numbers = np.minimum(np.abs(scaled.T @ scaled), 1.0) * _same_persons(known)
    return found


def of_categories(columns: Codes) -> Numbers:
    """[tag, tag] likeness of categories [person, tag] numbered from 0, −1 where a person has none."""
    known = columns >= 0
    comparable = _same_persons(known)
    found = np.zeros(comparable.shape)
    for one in range(columns.shape[1]):
        for other in range(one + 1, columns.shape[1]):
            if comparable[one, other]:
                both = known[:, one] & known[:, other]
                found[one, other] = found[other, one] = _cramer(columns[both, one], columns[both, other])
    return found


def _same_persons(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    has = known.astype(np.float64)
    both = has.T @ has
    either = has.sum(axis=0)[:, None] + has.sum(axis=0)[None, :] - both
    found: npt.NDArray[np.bool_] = np.divide(both, either, out=np.zeros_like(both), where=either > 0) >= SAME_PERSONS
    return found


def _cramer(one: Codes, other: Codes) -> float:
    one, other = np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]
    rows, columns, n = int(one.max()) + 1, int(other.max()) + 1, len(one)
    if min(rows, columns) < 2:
        return 0.0
    table = np.bincount(one * columns + other, minlength=rows * columns).reshape(rows, columns)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    square = float((np.square(table - expected) / expected).sum()) / n
    square = max(0.0, square - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(square / least))) if least > 0 else 0.0
