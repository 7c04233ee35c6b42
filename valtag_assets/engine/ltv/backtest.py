"""The backtest: which model is taken, and whether it is good enough to be published.

Candidates are compared on one or two periods that ended a held-out period before the as-of; the winner is fitted
anew and judged on the held-out period itself, which no choice has seen; only then is it fitted on everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import Any

import numpy as np

from valtag_assets.engine.ltv.boosted import Boosted, Lesson
from valtag_assets.engine.ltv.forecasts import Fitted, Forecast, fit_orders, fit_worth, naive_forecasts
from valtag_assets.engine.ltv.histories import Outcomes, Persons
from valtag_assets.engine.ltv.scoring import Outlook, Shift
from valtag_assets.models import measures
from valtag_assets.spec.ltv import Ltv

# Periods before the as-of at whose beginning models are fitted: to be judged, and to be compared.
HELD_OUT = 1
CHOSEN_ON = (2, 3)
BOOSTED = "boosted"
BASE = "mbg_nbd"
# A candidate must be better than one before it in the list by more than this share of its error.
MARGIN = 0.01


@dataclass(frozen=True)
class Shortfall:
    """What is missing before anything can be fitted: how much there is, and how much it takes."""

    what: str
    found: int
    needed: int


@dataclass(frozen=True)
class Judged:
    """Measures of one forecast against what happened. ``covered``: see ``_covered``."""

    rmse: float
    mae: float
    deviance: float
    gini: float
    orders_bias: float
    spend_bias: float
    spend_mae: float
    calibration: float
    brier: float | None
    brier_constant: float
    covered: float | None = None


MEASURES = tuple(item.name for item in fields(Judged))


@dataclass(frozen=True)
class Backtest:
    """What was compared and judged. ``choice``: model → period → RMSE; ``held_out``: forecast → measures.

    ``deciles``: of the winner, (number, persons, mean predicted, mean actual orders), from the lowest to the
    highest; ``lorenz``: (share of persons, share of their orders), from the highest prediction down, in hundredths.
    """

    winner: str
    why: str
    choice: Mapping[str, Mapping[str, float]]
    held_out: Mapping[str, Judged]
    persons: int
    customers: int
    holdout_orders: int
    faults: tuple[str, ...] = field(default=())
    deciles: Sequence[Sequence[float]] = ()
    lorenz: Sequence[Sequence[float]] = ()

    def told(self) -> dict[str, Any]:
        """As JSON; a number that is not finite, as a ratio to nothing, is null."""
        found = asdict(self)
        for judged in found["held_out"].values():
            judged |= {name: None for name, value in judged.items() if value is not None and not np.isfinite(value)}
        return found


def shortfalls(persons: Persons, ltv: Ltv) -> list[Shortfall]:
    """What is missing; nothing is fitted unless this is empty."""
    found: list[Shortfall] = []
    if persons.oldest < ltv.least_history:
        found.append(Shortfall("days of history", persons.oldest, ltv.least_history))
    customers = persons.fitted_on(HELD_OUT * persons.steps.period, ltv.calibration)
    if customers < ltv.gate.customers:
        what = "customers before the held-out period"
        if ltv.calibration is not None:
            what += f" whose first order was at most {ltv.calibration} days old (calibration)"
        found.append(Shortfall(what, customers, ltv.gate.customers))
    return found


class Bench:
    """Fits and forecasts at the dates of one data set; each fit is made once."""

    def __init__(self, persons: Persons, ltv: Ltv) -> None:
        self.persons, self.ltv = persons, ltv
        period = persons.steps.period
        self.held_out, self.chosen_on = HELD_OUT * period, [number * period for number in CHOSEN_ON]
        self.at = cache(persons.at)
        self.after = cache(persons.after)
        self.worth = cache(lambda cut: fit_worth(self.at(cut), ltv))
        self.fitted = cache(self._fitted)
        self.boosted = cache(self._boosted)

    def _fitted(self, model: str, cut: int) -> Fitted:
        return Fitted(fit_orders(model, self.at(cut).alike, self.ltv), self.worth(cut), self.ltv.unit)

    def _boosted(self, cut: int) -> Boosted | None:
        lessons = [
            Lesson(self.at(earlier), self.fitted(BASE, earlier), self.after(earlier))
            for earlier in range(cut + self.persons.steps.period, cut + 2 * self.persons.steps.period + 1)
            if self.enough(earlier, self.persons.steps.age(1)) and not self.fitted(BASE, earlier).faults
        ]
        return Boosted.learn(lessons, self.ltv.holdout, self.ltv.seed) if lessons else None

    def base(self, model: str, cut: int) -> Fitted:
        """The customer-base model under ``model``: trees rest on one too."""
        return self.fitted(BASE if model == BOOSTED else model, cut)

    def enough(self, cut: int, history: int | None = None) -> bool:
        """Whether enough customers were known, for ``history`` days (a whole period, where it is left out), to fit
        anything at that date."""
        if cut >= self.persons.steps.cuts:
            return False
        age = self.persons.steps.age(cut)
        known = self.persons.fitted_on(cut, self.ltv.calibration)
        needed = age + (self.ltv.holdout if history is None else history)
        return self.persons.oldest >= needed and known >= self.ltv.gate.customers

    def forecast(self, model: str, cut: int) -> Forecast | None:
        """What ``model`` forecast at that date; None where it could not be fitted."""
        if not self.enough(cut):
            return None
        if model == BOOSTED:
            base, trees = self.fitted(BASE, cut), self.boosted(cut)
            return None if trees is None or base.faults else trees.forecast(self.at(cut), base)
        fitted = self.fitted(model, cut)
        return None if fitted.faults else fitted.forecast(self.at(cut), self.ltv.holdout)


def choose(bench: Bench) -> tuple[str, str, dict[str, dict[str, float]]]:
    """(winner, why, RMSE of every model and period). Boosted trees must win on every period there is."""
    ltv = bench.ltv
    errors: dict[str, dict[str, float]] = {}
    for model in ltv.models:
        for cut in bench.chosen_on:
            forecast = bench.forecast(model, cut)
            if forecast is not None:
                error = measures.rmse(bench.after(cut).orders, forecast.orders)
                errors.setdefault(model, {})[str(cut)] = error
    if ltv.pin is not None:
        return ltv.pin, "pinned by the catalog", errors
    first, newest = ltv.models[0], str(bench.chosen_on[0])
    if not any(newest in found for found in errors.values()):
        return first, "too short a history to compare on: the first of models is taken", errors
    base = [model for model in ltv.models if model != BOOSTED and newest in errors.get(model, {})]
    winner: str = first
    for model in base:
        if newest not in errors.get(winner, {}) or errors[model][newest] < errors[winner][newest] * (1 - MARGIN):
            winner = model
    periods = errors.get(BOOSTED, {})
    rivals = errors.get(winner, {})
    if periods and all(periods[cut] < rivals.get(cut, np.inf) * (1 - MARGIN) for cut in periods):
        winner = BOOSTED
    return winner, _why(winner, errors, newest), errors


def _why(winner: str, errors: Mapping[str, Mapping[str, float]], cut: str) -> str:
    others = {model: found[cut] for model, found in errors.items() if model != winner and cut in found}
    if not others or cut not in errors.get(winner, {}):
        return "the only candidate that could be fitted"
    nearest = min(others, key=lambda model: (others[model], model))
    margin = 1 - errors[winner][cut] / others[nearest]
    said = f"RMSE {errors[winner][cut]:.4g} against {others[nearest]:.4g} of {nearest} ({margin:+.1%})"
    return said if margin > MARGIN else f"{said}; among equals the first of models is taken"


def run_backtest(bench: Bench) -> Backtest:
    """Choose on earlier periods, judge on the held-out one."""
    ltv, persons = bench.ltv, bench.persons
    winner, why, errors = choose(bench)
    cut, before = bench.held_out, bench.chosen_on[0]
    histories, outcomes = bench.at(cut), bench.after(cut)
    faults = bench.base(winner, cut).faults
    forecasts = dict(naive_forecasts(histories, bench.at(before), bench.after(before), ltv.holdout))
    told = bench.forecast(winner, cut)
    if not outcomes.orders.any() or outcomes.spend.sum() <= 0:
        faults = (*faults, "nothing was bought in the held-out period: there is nothing to judge by")
    if told is None:
        faults = (*faults, f"{winner} can't be fitted at the beginning of the held-out period")
    else:
        forecasts[winner] = told
    judged = {name: judge(forecast, outcomes) for name, forecast in forecasts.items()}
    if told is not None and ltv.interval is not None:
        judged[winner] = replace(judged[winner], covered=_covered(bench, winner, ltv.interval))
    return Backtest(
        winner=winner,
        why=why,
        choice=errors,
        held_out=judged,
        persons=len(persons.columns["first"]),
        customers=len(histories),
        holdout_orders=int(outcomes.orders.sum()),
        faults=faults,
        deciles=_deciles(told, outcomes) if told is not None else (),
        lorenz=_lorenz(told, outcomes) if told is not None else (),
    )


def judge(forecast: Forecast, outcomes: Outcomes) -> Judged:
    """Every measure of one forecast."""
    happened = (outcomes.orders > 0).astype(np.float64)
    constant = measures.brier(happened, np.full(len(happened), happened.mean()))
    chance = forecast.p_order
    return Judged(
        rmse=measures.rmse(outcomes.orders, forecast.orders),
        mae=measures.mae(outcomes.orders, forecast.orders),
        deviance=measures.poisson_deviance(outcomes.orders, forecast.orders),
        gini=measures.gini(outcomes.orders, forecast.orders),
        orders_bias=measures.bias(outcomes.orders, forecast.orders),
        spend_bias=measures.bias(outcomes.spend, forecast.spend),
        spend_mae=measures.mae(outcomes.spend, forecast.spend),
        calibration=measures.calibration_error(outcomes.orders, forecast.orders),
        brier=None if chance is None else measures.brier(happened, chance),
        brier_constant=constant,
    )


def _covered(bench: Bench, winner: str, interval: float) -> float:
    """The share of persons whose orders of the held-out period lie in the interval; it should be ``interval`` or
    more, since orders are whole."""
    cut, base = bench.held_out, bench.base(winner, bench.held_out)
    trees = bench.boosted(cut) if winner == BOOSTED else None
    shift = Shift.of(trees, bench.at(cut), base) if trees is not None else None
    low, high = Outlook(base, bench.at(cut), shift).orders_between(bench.ltv.holdout, interval)
    done = bench.after(cut).orders
    return float(((low <= done) & (done <= high)).mean())


def _deciles(forecast: Forecast, outcomes: Outcomes) -> list[list[float]]:
    found = measures.deciles(outcomes.orders, forecast.orders)
    return np.column_stack([found.number, found.customers, found.predicted, found.actual]).tolist()


def _lorenz(forecast: Forecast, outcomes: Outcomes) -> list[list[float]]:
    """At every hundredth of persons: few enough to keep, many enough to draw."""
    persons, share = measures.lorenz(outcomes.orders, forecast.orders)
    at = np.linspace(0, 1, 101)
    return np.column_stack([at, np.interp(at, persons, share)]).round(6).tolist()
