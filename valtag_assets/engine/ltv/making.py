"""One computation of a model of value: orders are read once, into a working file; all else is made from that."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis
import numpy as np

from valtag_assets.engine.ltv.backtest import BASE, BOOSTED, Bench, run_backtest, shortfalls
from valtag_assets.engine.ltv.boosted import Boosted
from valtag_assets.engine.ltv.forecasts import Fitted, fit_orders, fit_worth
from valtag_assets.engine.ltv.histories import Alike, Persons, Steps
from valtag_assets.engine.ltv.pictures import pictures
from valtag_assets.engine.ltv.scoring import (
    MOST_MONEY,
    PREDICTED,
    feature_array,
    ltv_expression,
    tier_sizes,
    too_much,
    write_nobody,
    write_predicted,
)
from valtag_assets.engine.purchases import (
    DAYS,
    PURCHASES,
    SAMPLED,
    customers_expression,
    days_expression,
    features_expression,
    newcomers_expression,
    purchases_expression,
    rows_alike,
    sample_expression,
)
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.session import Engine, Inputs
from valtag_assets.expression.resolved import Resolved, ResolvedLtv


@dataclass(frozen=True)
class Making:
    """``inputs``: the population and the facts the score reads; ``folder``: for working files."""

    resolved: Resolved
    score: ResolvedLtv
    as_of: date
    engine: Engine
    inputs: Inputs
    folder: Path

    def write(self, into: Path) -> dict[str, Any]:
        """Write the table. What was fitted, compared and judged comes back as JSON; without enough to fit on, or
        with a bad fit, the table is of nobody, and the reason is in ``shortfalls`` or ``faults``."""
        ltv, engine = self.score.spec, self.engine
        persons = self.persons()
        short = shortfalls(persons, ltv)
        told: dict[str, Any] = {"sql": engine.sql(self._expression), "faults": []}
        told["shortfalls"] = [asdict(item) for item in short]
        if short:
            write_nobody(ltv, self._predicted)
        else:
            told |= self._scored(persons)
        engine.write(ltv_expression(self.score), {PREDICTED: [self._predicted]}, into)
        made: Inputs = {scores_name(self.score.code): [into], PURCHASES: [self._purchases]}
        told["tiers"] = engine.fetch(tier_sizes(self.score), made).to_pylist()
        return told

    def persons(self) -> Persons:
        """Everybody's purchases into the working file; those on whom models are compared come back."""
        self.engine.write(self._expression, self.inputs, self._days)
        bought = purchases_expression(self._steps.ages)
        self.engine.write(bought, {**self.inputs, DAYS: [self._days]}, self._purchases)
        return self._sample()

    @cached_property
    def _expression(self) -> ibis.Table:
        return days_expression(self.resolved, self.score, self.as_of)

    @property
    def _days(self) -> Path:
        return self.folder / "days.parquet"

    @property
    def _steps(self) -> Steps:
        return Steps.to_score(self.score.spec.holdout)

    @property
    def _purchases(self) -> Path:
        return self.folder / "purchases.parquet"

    @property
    def _predicted(self) -> Path:
        return self.folder / "predicted.parquet"

    def _sample(self) -> Persons:
        """The persons on whom models are compared, with the features of every date."""
        ltv, files = self.score.spec, {PURCHASES: [self._purchases]}
        customers = self.engine.fetch(customers_expression(self._steps.cuts), files).to_pylist()[0]["customers"]
        share = min(1.0, ltv.sample / customers) if customers else 1.0
        sampled = self.folder / "sampled.parquet"
        self.engine.write(sample_expression(self._steps.cuts, ltv.seed, share), files, sampled)
        steps = Steps.to_compare(ltv.holdout, BOOSTED in ltv.models)
        expression = purchases_expression(steps.ages, sampled=True)
        table = self.engine.fetch(expression, {DAYS: [self._days], SAMPLED: [sampled]})
        return Persons.of(table, self._features(sampled, steps), steps)

    def _features(self, sampled: Path, steps: Steps) -> tuple[np.ndarray, ...]:
        if not self.score.features:
            return ()
        found = []
        for age in steps.ages:
            day = self.as_of - timedelta(days=age)
            expression = features_expression(self.resolved, self.score, day, sampled=True)
            found.append(feature_array(self.engine.fetch(expression, {**self.inputs, SAMPLED: [sampled]})))
        return tuple(found)

    def _scored(self, persons: Persons) -> dict[str, Any]:
        """Compare, judge, fit on everything, and score everybody if that went well."""
        ltv, bench = self.score.spec, Bench(persons, self.score.spec)
        backtest = run_backtest(bench)
        fitted = self._fitted(BASE if backtest.winner == BOOSTED else backtest.winner, persons)
        faults = [*fitted.faults, *backtest.faults]
        if faults:
            write_nobody(ltv, self._predicted)
        else:
            self._write_predicted(fitted, bench.boosted(0) if backtest.winner == BOOSTED else None)
            if too_much(self._predicted):
                faults.append(f"an expected spend is {MOST_MONEY:g} or more: is {ltv.spend} in the right unit?")
                write_nobody(ltv, self._predicted)
        came = newcomers_expression(ltv.holdout, self._steps.cuts)
        days = self.engine.fetch(came, {DAYS: [self._days], PURCHASES: [self._purchases]})
        return {
            "model": backtest.winner,
            "parameters": fitted.parameters,
            "warnings": list(fitted.warnings),
            "faults": faults,
            "backtest": backtest.told(),
            "pictures": {} if faults else pictures(bench, backtest.winner, fitted, days),
        }

    def _fitted(self, model: str, persons: Persons) -> Fitted:
        """The model of everybody's orders; what they are worth, of those in the sample."""
        ltv = self.score.spec
        rows = self.engine.fetch(rows_alike(self._steps.cuts), {PURCHASES: [self._purchases]})
        columns = [rows[name].to_numpy().astype(np.float64) for name in ("x", "t_x", "T", "customers")]
        return Fitted(fit_orders(model, Alike.of(*columns), ltv), fit_worth(persons.at(0), ltv), ltv.unit)

    def _write_predicted(self, fitted: Fitted, boosted: Boosted | None) -> None:
        features = None
        if boosted is not None and self.score.features:
            features = self.folder / "features.parquet"
            expression = features_expression(self.resolved, self.score, self.as_of, sampled=False)
            self.engine.write(expression, {**self.inputs, PURCHASES: [self._purchases]}, features)
        write_predicted(self.score.spec, fitted, boosted, self._purchases, features, self._predicted)
