"""Distinct rows of a few arrays, so that costly work is done once for each. Few values per column are the rule."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]
_SMALL = 1 << 20
"""Whole numbers up to here, such as days, are keys as they are."""


def distinct(*columns: Array) -> tuple[list[Array], Numbers, Numbers]:
    """The distinct rows, as columns; for each row the number of its distinct one; and the place of one of each."""
    number = _dense(*_keys(*columns))
    first = np.empty(number.max(initial=-1) + 1, dtype=np.intp)
    first[number] = np.arange(len(number))
    return [column[first] for column in columns], number, first


def counted(*columns: Array) -> tuple[list[Array], Numbers]:
    """The distinct rows, as columns, and how many rows each stands for."""
    order, new = _ordered(*_keys(*columns))
    starts = np.flatnonzero(new)
    first = order[starts]
    return [column[first] for column in columns], np.diff(np.append(starts, len(order)))


def _keys(*columns: Array) -> tuple[Numbers, int]:
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
    if column.min() >= 0 and column.max() <= _SMALL:
        whole = column.astype(np.intp)
        if (whole == column).all():
            return whole, int(whole.max()) + 1
    values = np.unique(column)
    return np.searchsorted(values, column), len(values)


def _dense(keys: Numbers, below: int) -> Numbers:
    """The keys as 0, 1, … in their order, by a table of all that may be or, where that is too long, by sorting."""
    if below > 8 * len(keys) + 1024:
        order, new = _ordered(keys, below)
        number = np.empty_like(keys)
        number[order] = np.cumsum(new) - 1
        return number
    there = np.zeros(below, dtype=bool)
    there[keys] = True
    return (np.cumsum(there) - 1)[keys]


def _ordered(keys: Numbers, below: int) -> tuple[Numbers, NDArray[np.bool_]]:
    """The places of the keys in their order, and whether each differs from the one before."""
    many = len(keys)
    if below < (1 << 62) // max(many, 1):
        # Keys and places in one number: sorting numbers is several times faster than sorting places.
        both = keys * many + np.arange(many)
        both.sort()
        keys, order = np.divmod(both, many)
    else:
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
    return order, np.diff(keys, prepend=-1) > 0
