"""What a model of customer value must satisfy: the table's own checks, and the gate on the held-out period."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from valtag_assets.expression.resolved import Resolved, ResolvedLtv
from valtag_assets.quality.column import catalog_checks, in_range, one_of, present, rule_at
from valtag_assets.quality.expectation import Expectation, with_unique_names
from valtag_assets.quality.plan import private_columns, score_column
from valtag_assets.quality.table import KEY, key_expectations, row_count, schema
from valtag_assets.spec.block import Check, Title
from valtag_assets.spec.ltv import Gate, Limit
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, Verdict

# A shifted distribution of value is warned of (Siddiqi, Credit Risk Scorecards, 2006: above 0.25 a large shift).
STEADY = Check(stability=0.25, severity="warn")
# The share of customers who ordered in the held-out period of the sets that the limit of the Brier score is from.
COMMON = 0.3
SHARES = ("alive", "churn_risk", "buy_")

TITLES: Mapping[str, Title] = {
    "enough": Title(zh="客户数与历史长度足够", en="enough customers and history to fit on"),
    "fitted": Title(zh="参数收敛且有限", en="the parameters are finite and converged"),
    "orders_bias": Title(zh="留出期总订单偏差", en="total orders of the held-out period: predicted / actual - 1"),
    "spend_bias": Title(zh="留出期总消费偏差", en="total spend of the held-out period: predicted / actual - 1"),
    "deviance": Title(zh="泊松偏差优于最佳朴素预测", en="Poisson deviance / that of the best naive forecast"),
    "gini": Title(zh="排序不差于最佳朴素预测", en="normalised Gini: the best naive forecast's less the model's"),
    "calibration": Title(zh="十分位校准误差", en="relative calibration error of the deciles"),
    "brier": Title(zh="购买概率的 Brier 分数", en="Brier score of P(an order) / that of a constant"),
    "holdout_orders": Title(zh="留出期观察到的订单数", en="orders observed in the held-out period"),
    "parameter_drift": Title(zh="参数相对上次的漂移", en="largest relative change of a parameter since the last fit"),
}


def ltv_expectations(resolved: Resolved, score: ResolvedLtv, previous: Snapshot | None) -> list[Expectation]:
    """One row per person, no missing number, probabilities from 0 to 1, nothing below 0, known tiers."""
    entry, metrics = score.entry, previous.metrics if previous is not None else {}
    found = [
        *key_expectations(entry, resolved),
        row_count(entry, resolved, 1, 0.5, previous, severity="warn"),
        *schema(entry, resolved, {KEY: TEXT, **score.columns}),
    ]
    for name, kind in score.columns.items():
        short = name.removeprefix(f"{score.code}_")
        column = score_column(resolved, score, name, kind, metrics)
        found.append(present(column))
        if name in score.values:
            found.append(one_of(column, tuple(score.values[name])))
        else:
            found.append(in_range(column, 0, 1 if short.startswith(SHARES) else None, "model"))
        # Of a column above internal no distribution is kept that another could be compared with.
        if short == "clv" and name not in private_columns(resolved, score):
            found.extend(catalog_checks(column, [STEADY]))
    return with_unique_names(found)


def gate_measures(backtest: Mapping[str, Any]) -> dict[str, float | None]:
    """What the gate looks at, from ``Backtest.told``; None where it could not be measured, as the Brier score where
    everybody ordered or nobody did."""
    judged, winner = backtest["held_out"], backtest["winner"]
    mine = judged.get(winner)
    others = [found for name, found in judged.items() if name != winner]
    if mine is None:
        return {"holdout_orders": float(backtest["holdout_orders"])}
    constant = mine["brier_constant"]
    return {
        "orders_bias": mine["orders_bias"],
        "spend_bias": mine["spend_bias"],
        "deviance": _over(mine["deviance"], min(found["deviance"] for found in others)),
        "gini": max(found["gini"] for found in others) - mine["gini"],
        "calibration": mine["calibration"],
        "brier": None if mine["brier"] is None or not constant else _over(mine["brier"], constant),
        "holdout_orders": float(backtest["holdout_orders"]),
    }


def _over(value: float, other: float) -> float:
    """A ratio of errors: 1 where both are nothing, and as large as JSON can tell where only the other is."""
    if other:
        return value / other
    return 1.0 if value == 0 else sys.float_info.max


def gate_verdicts(resolved: Resolved, score: ResolvedLtv, told: Mapping[str, Any] | None) -> list[Verdict]:
    """The verdicts of the gate; ``told`` are the metrics of the fit. Without them: which checks there are."""
    found = [_enough(resolved, score, told), _fitted(resolved, score, told)]
    measured = told.get("gate", {}) if told is not None else {}
    for name in (name for name in TITLES if name not in ("enough", "fitted")):
        limit = _limit(score.spec.gate, name, told)
        if told is None or measured.get(name) is not None:
            found.append(_measured(resolved, score, name, limit, measured.get(name)))
    return found


def _limit(gate: Gate, name: str, told: Mapping[str, Any] | None) -> Limit:
    """The limit of a measure, which for the Brier score depends on how many ordered at all.

    Of an event as rare as a share s, a forecast can explain about (spread of the chances)² s / (1 - s) of the
    variance. The limits say how much it must explain where COMMON ordered, and proportionally less below.
    """
    limit: Limit = getattr(gate, name)
    judged = told["backtest"]["held_out"].get(told["backtest"]["winner"]) if told and "backtest" in told else None
    if name != "brier" or judged is None:
        return limit
    share = (1 - math.sqrt(max(0.0, 1 - 4 * judged["brier_constant"]))) / 2
    part = min(1.0, share / (1 - share) / (COMMON / (1 - COMMON)))
    ends = {end: None if value is None else 1 - (1 - value) * part for end, value in limit}
    return Limit(**ends)


def _enough(resolved: Resolved, score: ResolvedLtv, told: Mapping[str, Any] | None) -> Verdict:
    short = told["shortfalls"] if told is not None else []
    said = "; ".join(f"{item['found']} of {item['needed']} {item['what']}" for item in short)
    return _verdict(resolved, score, "enough", not short, said or None, None)


def _fitted(resolved: Resolved, score: ResolvedLtv, told: Mapping[str, Any] | None) -> Verdict:
    faults = told["faults"] if told is not None else []
    return _verdict(resolved, score, "fitted", not faults, "; ".join(faults) or None, None)


def _measured(resolved: Resolved, score: ResolvedLtv, name: str, limit: Limit, value: float | None) -> Verdict:
    worse = _worse(name)
    blocked = value is not None and limit.block is not None and worse(value, limit.block)
    warned = value is not None and limit.warn is not None and worse(value, limit.warn)
    bound = limit.block if blocked or limit.warn is None else limit.warn
    side = "min_value" if name == "holdout_orders" else "max_value"
    expected = {side: bound} if bound is not None else None
    if not blocked and warned:
        return _verdict(resolved, score, name, False, value, expected, warns=True)
    return _verdict(resolved, score, name, not blocked, value, expected, warns=limit.block is None)


def _worse(name: str) -> Callable[[float, float], bool]:
    if name == "holdout_orders":
        return lambda value, limit: value < limit
    if name.endswith("_bias"):
        return lambda value, limit: abs(value) > limit
    return lambda value, limit: value > limit


def _verdict(
    resolved: Resolved,
    score: ResolvedLtv,
    name: str,
    passed: bool,
    observed: Any,
    expected: Any,
    *,
    warns: bool = False,
) -> Verdict:
    title = TITLES[name]
    detail: dict[str, Any] = {
        "title": {"zh": title.zh, "en": title.en},
        "rule": rule_at(score.entry, resolved.catalog.root, "gate", name),
        "observed": observed,
        "expected": expected if expected is not None else (None if passed else title.en),
        "sample": [],
    }
    return Verdict(name, None, "warn" if warns else "error", passed, "nothing" if warns else "table", detail=detail)


def drift(parameters: Mapping[str, float], before: Mapping[str, float]) -> float | None:
    """The largest relative change of a parameter; None where another model was fitted before."""
    if not parameters or parameters.keys() != before.keys():
        return None
    return max(abs(value / before[name] - 1) for name, value in parameters.items() if before[name])
