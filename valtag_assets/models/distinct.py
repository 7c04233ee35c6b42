"""Distinct rows of a few arrays, so that costly work is done once for each. Few values per column are the rule."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]


def distinct(*columns: Array) -> tuple[list[Array], Numbers, Numbers]:
    """The distinct rows, as columns; for each row the number of its distinct one; and the place of one of each."""
    number = _dense(*row_keys(*columns))
    first = np.empty(number.max(initial=-1) + 1, dtype=np.intp)
    first[number] = np.arange(len(number))
    return [column[first] for column in columns], number, first


def row_keys(*columns: Array) -> tuple[Numbers, int]:
    """A whole number for each row, equal for equal rows, and what all of them are below."""
    keys, below = np.zeros(columns[0].shape, dtype=np.intp), 1
    for column in columns:
        if not len(column) or column.min() == column.max():
            continue
        at, many = _places(column)
        if below > (1 << 62) // many:
            keys, below = _dense(keys, below), len(keys)
        keys, below = keys * many + at, below * many
    return keys, below


def _places(column: Array) -> tuple[Numbers, int]:
    """A whole number for each value, and what all are below: small whole numbers themselves, or places in order."""
    if column.min() >= 0 and column.max() <= 1024:
        whole = column.astype(np.intp)
        if (whole == column).all():
            return whole, int(whole.max()) + 1
    values = np.unique(column)
    return np.searchsorted(values, column), len(values)


def _dense(keys: Numbers, below: int) -> Numbers:
    """The keys as 0, 1, … in their order, by a table of all that may be or, where that is too long, a search."""
    if below > 8 * len(keys) + 1024:
        return np.searchsorted(np.unique(keys), keys)
    there = np.zeros(below, dtype=bool)
    there[keys] = True
    return (np.cumsum(there) - 1)[keys]
