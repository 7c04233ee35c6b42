"""What the models of orders are fitted to: how often and how recently customers ordered, equal rows collapsed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valtag_assets.models.distinct import counted

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Four arrays of one length, in one time unit; a row stands for ``weight`` customers.

    ``x``: order days after the first, 0 or more; ``t_x``: time of the last of them since the first, 0 where x = 0;
    ``T``: time observed since the first order, at least t_x. Raises ValueError for other shapes or times.
    """

    x: Array
    t_x: Array
    T: Array
    weight: Array

    def __post_init__(self) -> None:
        arrays = {name: np.asarray(getattr(self, name), dtype=np.float64) for name in ("x", "t_x", "T", "weight")}
        for name, values in arrays.items():
            if values.ndim != 1 or values.shape != arrays["x"].shape:
                raise ValueError(f"{name} has the shape {values.shape}; x has {arrays['x'].shape}")
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"{name} is negative or not finite")
            object.__setattr__(self, name, values)
        # Averages of a group may be off by a rounding.
        if (arrays["t_x"] > arrays["T"] * (1 + 1e-9)).any():
            raise ValueError("an order lies after the end of the observed time: t_x > T")

    @property
    def customers(self) -> float:
        return float(self.weight.sum())

    def total(self, of: Array) -> float:
        """Sum over customers."""
        return float((self.weight * of).sum())

    def scaled(self, unit: float) -> "Counts":
        """The same with times divided by ``unit``."""
        return Counts(self.x, self.t_x / unit, self.T / unit, self.weight)


def collapsed(x: Any, t_x: Any, T: Any) -> Counts:
    """Counts of customers given one by one."""
    (x, t_x, T), weight = counted(*(np.asarray(column, dtype=np.float64) for column in (x, t_x, T)))
    return Counts(x, t_x, T, weight.astype(np.float64))
