"""What all models of orders say of a customer; horizons and times in the unit of the fit, arrays of one length."""

from typing import Protocol

from valtag_assets.models.counts import Array


class Family(Protocol):
    """A model at its parameters. ``phases``: the states that a living customer may be in, mostly one."""

    @property
    def phases(self) -> int: ...

    def states(self, x: Array, t_x: Array, T: Array) -> Array:
        """P(alive at T and in phase j), shape (phases, rows)."""

    def mean(self, x: Array, T: Array, horizon: Array) -> Array:
        """E[orders in (T, T + horizon]] given alive in phase j, shape (phases, rows)."""

    def tail(self, x: Array, T: Array, horizon: Array, n: Array) -> Array:
        """P(at least n ≥ 1 orders in (T, T + horizon]) given alive in phase j, shape (phases, rows)."""
