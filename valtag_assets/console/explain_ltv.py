"""A number of a model of customer value explained: the person's history, the parameters, and the number made anew."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from valtag_assets.console.explain_rows import Looking
from valtag_assets.console.explanation import Proof
from valtag_assets.engine.ltv.backtest import BOOSTED
from valtag_assets.engine.ltv.forecasts import Fitted
from valtag_assets.engine.ltv.histories import Persons, Steps
from valtag_assets.engine.ltv.scoring import Outlook, person_columns
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.purchases import DAYS, days_expression, purchases_expression
from valtag_assets.engine.session import Inputs
from valtag_assets.expression.resolved import ResolvedLtv

TREES = "trees learned from everybody have a part in it; only a whole run makes it anew"


def ltv_words(
    looking: Looking, score: ResolvedLtv, as_of: date, metrics: Mapping[str, Any], inputs: Inputs
) -> tuple[list[str], dict[str, Any]]:
    """How a person's numbers come about, and all of them once more ({} where trees have a part in them).

    ``inputs`` are the facts, and a population of that one person.
    """
    resolved, engine, work, ltv = looking.resolved, looking.engine, looking.work, score.spec
    steps = Steps.to_score(ltv.holdout)
    days = work / f"{score.code}.days.parquet"
    engine.write(days_expression(resolved, score, as_of), inputs, days)
    table = engine.fetch(purchases_expression(steps.ages), {PERSONS: inputs[PERSONS], DAYS: [days]})
    persons = Persons.of(table, (), steps)
    histories = persons.at(0)
    if not len(histories):
        return ["not scored: no order up to the as-of"], {}
    x, t_x, known, spend = (float(v[0]) for v in (histories.x, histories.t_x, histories.T, histories.spend))
    back = f" less {ltv.refunds}" if ltv.refunds else ""
    how = [
        f"ordered on {x + 1:.0f} days ({ltv.orders}), the first {known:.0f} and the last {known - t_x:.0f} days ago",
        f"paid {spend:,.2f} {score.currency} in all ({ltv.spend}{back})",
        f"model {metrics['model']}: " + ", ".join(f"{k} {v:.6g}" for k, v in metrics["parameters"].items()),
        f"chosen because: {metrics['backtest']['why']}",
    ]
    if metrics["model"] == BOOSTED:
        return how, {}
    outlook = Outlook(Fitted.published(metrics["model"], metrics["parameters"], ltv.unit), histories)
    again: dict[str, Any] = {name: float(values[0]) for name, values in person_columns(ltv, outlook).items()}
    again["tier"] = next((t["tier"] for t in _by_value(metrics) if again["clv"] >= t["least"]), None)
    levels = ltv.churn_levels
    again["churn"] = next(level.code for level in levels if again["churn_risk"] >= (level.lowest or 0))
    return how, again


def ltv_proof(value: Any, code: str, again: Mapping[str, Any]) -> Proof:
    """Whether the number made anew is the served one, to the last digit that is kept."""
    if code not in again:
        return Proof(None, why=TREES)
    found = again[code]
    equal = found == value if isinstance(found, str) else math.isclose(float(value), found, abs_tol=1e-9)
    return Proof(equal, found)


def _by_value(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(metrics["tiers"], key=lambda tier: -tier["least"])
