"""Models of when customers order: fitted to counts, and what they predict of each customer.

All predictions take arrays (or numbers) that broadcast; times are in the unit of the fit. What is costly depends on
few numbers (mostly x and T), so it is computed once for each distinct combination: callers need not collapse rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from valtag_assets.models import bgnbd, pareto
from valtag_assets.models.counts import Array, Counts
from valtag_assets.models.distinct import distinct
from valtag_assets.models.family import Family
from valtag_assets.models.optimum import NEAR_A_LIMIT, Likelihood, Optimum, highest
from valtag_assets.models.quantiles import Rows, smallest
from valtag_assets.models.regularity import constant, most_likely

PARAMETERS = {
    "mbg_nbd": ("r", "alpha", "a", "b"),
    "bg_nbd": ("r", "alpha", "a", "b"),
    "pareto_nbd": ("r", "alpha", "s", "beta"),
    "mbg_cnbd_k": ("r", "alpha", "a", "b", "k"),
}
MODELS = tuple(PARAMETERS)


@dataclass(frozen=True)
class Fit:
    """A model with its parameters. ``errors``: standard errors of the logarithms of the parameters."""

    model: str
    parameters: dict[str, float]
    log_likelihood: float
    customers: float
    converged: bool
    evaluations: int
    message: str
    errors: dict[str, float] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """Why the fit must not be served; nothing where it may."""
        if not self.converged:
            return [f"not converged: {self.message}"]
        numbers = [*self.parameters.values(), self.log_likelihood]
        if not all(map(math.isfinite, numbers)) or min(self.parameters.values()) <= 0:
            return ["a parameter or the log-likelihood is not a finite number"]
        return []

    def warnings(self) -> list[str]:
        """What to know of a fit that may be served."""
        found = [self.message] if self.converged and self.message == NEAR_A_LIMIT else []
        loose = [name for name, error in self.errors.items() if not error < 1]
        if loose:
            found.append(f"poorly determined by the data: {', '.join(loose)} (standard error of the logarithm ≥ 1)")
        of = self.parameters
        if ("a" in of and (of["a"] < 0.05 or of["a"] + of["b"] > 50)) or of.get("s", 1) < 0.05:
            found.append("no dropout: hardly any customer leaves, or all do alike (a or s < 0.05, or a + b > 50)")
        return found


def given(model: str, **parameters: float) -> Fit:
    """A model with parameters from elsewhere, as published ones."""
    expected = PARAMETERS[model]
    if set(parameters) != set(expected):
        raise ValueError(f"{model} has the parameters {', '.join(expected)}")
    return Fit(model, dict(parameters), math.nan, math.nan, True, 0, "given")


def fit(model: str, counts: Counts) -> Fit:
    """Maximum likelihood. Odd data give a fit that says so (``faults``); only an unknown model raises ValueError."""
    if model not in MODELS:
        raise ValueError(f"no model {model!r}; there are {', '.join(MODELS)}")
    shortage = _shortage(counts)
    if shortage:
        nothing = dict.fromkeys(PARAMETERS[model], math.nan)
        return Fit(model, nothing, math.nan, counts.customers, False, 0, shortage)
    unit = counts.total(counts.T) / counts.customers
    scaled = counts.scaled(unit)

    def fitted(k: int) -> Optimum:
        return highest(likelihood(model, scaled, k), _starts(model, scaled, k))

    k, found = most_likely(scaled, fitted) if model == "mbg_cnbd_k" else (1, fitted(1))
    return _fitted(model, counts, unit, k, found)


def _shortage(counts: Counts) -> str:
    if not counts.customers:
        return "no customers"
    if not counts.total(counts.T):
        return "no time was observed after the first orders"
    if not counts.total(counts.x):
        return "no customer ordered twice"
    return ""


def _starts(model: str, counts: Counts, k: int) -> list[list[float]]:
    """Start values with the mean rate of the data."""
    rate = k * float(np.clip(counts.total(counts.x) / counts.total(counts.T), 1e-3, 1e3))
    if model == "pareto_nbd":
        return [[0.7, 0.5 / rate, 0.7, 0.5], [2.0, 2.0 / rate, 0.3, 1.0], [0.2, 0.1 / rate, 1.5, 2.0]]
    return [[0.7, 0.5 / rate, 0.8, 2.5], [2.0, 2.0 / rate, 0.2, 2.0], [0.2, 0.1 / rate, 1.5, 1.5]]


def _fitted(model: str, counts: Counts, unit: float, k: int, found: Optimum) -> Fit:
    names = [name for name in PARAMETERS[model] if name != "k"]
    values = np.exp(found.at)
    values[[name in TIMES for name in names]] *= unit
    # The density of an order's time is per unit of time.
    value = found.value - counts.total(counts.x) / counts.customers * math.log(unit)
    if k > 1:
        value += constant(counts.scaled(unit), k)
    errors = (found.errors / math.sqrt(counts.customers)).tolist()
    parameters = dict(zip(names, values.tolist(), strict=True))
    return Fit(
        model,
        {**parameters, "k": float(k)} if model == "mbg_cnbd_k" else parameters,
        float(value) * counts.customers,
        counts.customers,
        found.converged,
        found.evaluations,
        found.message,
        dict(zip(names, errors, strict=True)),
    )


TIMES = ("alpha", "beta")
"""The parameters that are times."""


def likelihood(model: str, counts: Counts, k: int = 1) -> Likelihood:
    """The mean log-likelihood of a customer by the logarithms of the model's parameters, without k."""
    if model == "pareto_nbd":
        return pareto.likelihood(counts)
    return bgnbd.likelihood(counts, shift=int(model != "bg_nbd"), k=k)


def family(fit: Fit) -> Family:
    """The model at the parameters of the fit."""
    values = dict(fit.parameters)
    if fit.model == "pareto_nbd":
        return pareto.Pareto(**values)
    k = int(values.pop("k", 1))
    return bgnbd.BetaGeometric(**values, shift=int(fit.model != "bg_nbd"), k=k)


def p_alive(fit: Fit, x: Any, t_x: Any, T: Any) -> Array:
    """P(the customer will ever be able to order again). It cannot be observed, and depends on the model."""
    x, t_x, T = arrays(x, t_x, T)
    return family(fit).states(x.ravel(), t_x.ravel(), T.ravel()).sum(axis=0).reshape(x.shape)


def p_order(fit: Fit, x: Any, t_x: Any, T: Any, horizon: Any) -> Array:
    """P(at least one order in (T, T + horizon])."""
    one = np.ones(1)
    return _expected(fit, (x, t_x, T, horizon), lambda model, x, T, until: model.tail(x, T, until, one))


def expected_orders(fit: Fit, x: Any, t_x: Any, T: Any, horizon: Any) -> Array:
    """E[orders in (T, T + horizon]]."""
    return _expected(fit, (x, t_x, T, horizon), lambda model, x, T, until: model.mean(x, T, until))


def discounted_orders(fit: Fit, x: Any, t_x: Any, T: Any, horizon: float, rate: float, step: float) -> Array:
    """Present value, in orders, of the orders in (T, T + horizon].

    Orders of a step count at its end: sum over steps k = 1, 2, … of E[orders in step k] / (1 + rate)^(k step), where
    ``rate`` is the discount per time unit; a last, shorter step counts at the horizon. Raises ValueError where the
    horizon is negative, the step not positive or the rate -1 or less.
    """
    if horizon < 0 or step <= 0 or rate <= -1:
        raise ValueError(f"cannot discount by {rate} over {horizon} in steps of {step}")
    whole = np.arange(1, math.floor(horizon / step * (1 + 1e-12)) + 1) * step
    ends = np.append(whole, horizon) if not len(whole) or whole[-1] < horizon * (1 - 1e-9) else whole
    factors = (1 + rate) ** -ends
    # Each cumulative mean counts with the loss of value between its own end and the next.
    factors[:-1] -= factors[1:]

    def discounted(model: Family, x: Array, T: Array, _: Array) -> Array:
        cumulative = model.mean(np.tile(x, len(ends)), np.tile(T, len(ends)), np.repeat(ends, len(x)))
        return np.einsum("pek,e->pk", cumulative.reshape(model.phases, len(ends), len(x)), factors)

    return _expected(fit, (x, t_x, T, 0.0), discounted)


def order_quantile(fit: Fit, x: Any, t_x: Any, T: Any, horizon: Any, level: Any) -> Array:
    """The smallest n with P(n or fewer orders in (T, T + horizon]) ≥ level, for levels in (0, 1)."""
    flat = arrays(x, t_x, T, horizon, 1 - levels(level))
    shape = flat[0].shape
    x, t_x, T, horizon, limit = (values.ravel() for values in flat)
    model = family(fit)
    states = model.states(x, t_x, T)
    # Most customers will not order: that is seen where it is cheap.
    once = p_order(fit, x, t_x, T, horizon)
    _, alike, first = distinct(x, T, horizon)

    def at_least(rows: Rows, n: Array) -> Array:
        (_, n), number, one = distinct(alike[rows].astype(np.float64), n)
        lone = first[alike[rows[one]]]
        return np.einsum("pk,pk->k", states[:, rows], model.tail(x[lone], T[lone], horizon[lone], n)[:, number])

    return smallest(at_least, once, limit).reshape(shape)


def levels(level: Any) -> Array:
    level = np.asarray(level, dtype=np.float64)
    if not ((level > 0) & (level < 1)).all():
        raise ValueError("a level lies between 0 and 1")
    return level


def expected_purchases(fit: Fit, t: Any) -> Array:
    """E[X(t)]: repeat orders of a new customer in the time t since the first order."""
    return expected_orders(fit, 0.0, 0.0, 0.0, t)


def pmf(fit: Fit, n_max: int, t: float) -> Array:
    """P(X(t) = n) of a new customer for n = 0, …, n_max - 1."""
    at_least = np.ones(n_max + 1)
    n, nothing = np.arange(1.0, n_max + 1), np.zeros(n_max)
    model = family(fit)
    alive = model.states(nothing[:1], nothing[:1], nothing[:1])
    at_least[1:] = (alive * model.tail(nothing, nothing, np.full(n_max, float(t)), n)).sum(axis=0)
    return np.maximum(at_least[:-1] - at_least[1:], 0)


def arrays(*values: Any) -> list[Array]:
    return [np.asarray(value, dtype=np.float64) for value in np.broadcast_arrays(*values)]


def _expected(
    fit: Fit, given: tuple[Any, Any, Any, Any], of: Callable[[Family, Array, Array, Array], Array]
) -> Array:
    """The mean over the states of a customer of what depends on the state and on (x, T, horizon) only."""
    x, t_x, T, horizon = arrays(*given)
    model = family(fit)
    (lone_x, lone_T, lone_horizon), number, _ = distinct(x.ravel(), T.ravel(), horizon.ravel())
    value = of(model, lone_x, lone_T, lone_horizon)[:, number]
    return np.einsum("pk,pk->k", model.states(x.ravel(), t_x.ravel(), T.ravel()), value).reshape(x.shape)
