"""Distinct rows of a few arrays, so that costly work is done once for each."""

import numpy as np
from numpy.typing import NDArray

from valtag_assets.models.counts import Array


def distinct(*columns: Array) -> tuple[list[Array], NDArray[np.intp], NDArray[np.intp]]:
    """The distinct rows, as columns; for each row the number of its distinct one; and the place of one of each."""
    number = np.zeros(columns[0].shape, dtype=np.intp)
    for column in columns:
        if len(column) and column.min() == column.max():
            continue
        values, at = np.unique(column, return_inverse=True)
        _, number = np.unique(number * len(values) + at, return_inverse=True)
    first = np.empty(number.max(initial=-1) + 1, dtype=np.intp)
    first[number] = np.arange(len(number))
    return [column[first] for column in columns], number, first
