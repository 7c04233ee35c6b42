"""The table of effects from what was counted: intervals, what would not have been, cost and return."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.trigger_effect import ALL, FLAGS, SUMS
from valtag_assets.expression.resolved_delivery import ResolvedTrigger
from valtag_assets.models.lift import Arm, Interval, cuped, detectable, newcombe, welch
from valtag_assets.spec.effect import COLUMNS, MONEY, ROW
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT

RANDOMISED, ASSOCIATION, INSUFFICIENT = "randomised", "association", "insufficient"
_ARROW = {TEXT: pa.string(), INTEGER: pa.int64(), FLOAT: pa.float64(), MONEY: pa.decimal128(38, 4)}
_DIGITS = 6
_CENTS = Decimal("0.0001")

Counted = Mapping[str, Any]


def effect_lines(
    trigger: ResolvedTrigger,
    arms: Sequence[Counted],
    funnel: Sequence[Counted],
    costs: Mapping[str, Decimal],
    *,
    held_out: bool,
) -> list[dict[str, Any]]:
    """One row per period and step, and per period all steps together first, with the columns of ``spec.effect``.

    ``arms`` and ``funnel``: rows of ``arms_expression`` and ``funnel_expression``. ``costs``: of a message to each
    destination. ``held_out``: whether somebody is held out by lot; where nobody is, there is no lift.
    """
    periods = sorted({row["period"] for row in arms}, key=lambda period: (period != ALL, period))
    lines: list[dict[str, Any]] = []
    for period in periods or [ALL]:
        own = [row for row in funnel if row["period"] == period]
        both = {row["treated"]: row for row in arms if row["period"] == period}
        spent = sum((costs.get(row["destination"], Decimal(0)) * row["counted"] for row in own), Decimal(0))
        judged = _judged(trigger, both, spent, held_out=held_out)
        lines.append({"period": period, "step": ALL, **_sums(own, costs), **judged})
        steps = [action.step for action in trigger.spec.actions]
        gone = sorted({row["step"] for row in own} - set(steps))
        for step in (*steps, *gone):
            mine = [row for row in own if row["step"] == step]
            lines.append(
                {"period": period, "step": step, "channel": trigger.channels.get(step), **_sums(mine, costs)}
            )
    return [{**dict.fromkeys(COLUMNS), **line, ROW: number} for number, line in enumerate(lines)]


def _sums(rows: Sequence[Counted], costs: Mapping[str, Decimal]) -> dict[str, Any]:
    cost = sum((costs.get(row["destination"], Decimal(0)) * row["sent"] for row in rows), Decimal(0))
    return {flag: sum(row[flag] for row in rows) for flag in FLAGS} | {"cost": cost.quantize(_CENTS)}


def _judged(
    trigger: ResolvedTrigger, both: Mapping[bool, Counted], spent: Decimal, *, held_out: bool
) -> dict[str, Any]:
    """What the entries of one period came to; the lift only where persons were held out by lot."""
    effect = trigger.effect
    assert effect is not None
    sizes = {side: int(both[side]["n"]) if side in both else 0 for side in (True, False)}
    hits = {side: int(both[side]["converted"]) if side in both else 0 for side in (True, False)}
    found: dict[str, Any] = {
        "entered": sum(row["entered"] for row in both.values()),
        "not_over": sum(row["not_over"] for row in both.values()),
        "treated": sizes[True],
        "control": sizes[False],
        "treated_conversions": hits[True],
        "control_conversions": hits[False],
    }
    one, other = (_arm(both.get(side)) for side in (True, False))
    if effect.value is not None:
        found["treated_revenue"], found["control_revenue"] = (_money(arm.y) for arm in (one, other))
    if not held_out:
        return {**found, "evidence": ASSOCIATION if sizes[True] else INSUFFICIENT}
    if min(sizes.values()) < 2:
        return {**found, "evidence": INSUFFICIENT}
    lift = newcombe(hits[True], sizes[True], hits[False], sizes[False])
    share = sum(hits.values()) / sum(sizes.values())
    found |= {"evidence": RANDOMISED, "detectable": _number(detectable(share, sizes[True], sizes[False]))}
    found |= _interval("lift", lift) | _interval("more_conversions", lift.times(sizes[True]))
    if effect.value is None:
        return found
    if effect.spec.adjust is not None:
        found["adjusted"] = effect.spec.adjust
        one, other = cuped(one, other)
    revenue = welch(one, other)
    more = revenue.times(sizes[True])
    found |= _interval("revenue_lift", revenue) | _interval("more_revenue", more)
    if spent > 0:
        cost = float(spent)
        found |= _interval("roi", Interval(*((end - cost) / cost for end in (more.value, more.low, more.high))))
    return found


def _arm(row: Counted | None) -> Arm:
    if row is None:
        return Arm(0, *([0.0] * len(SUMS)))
    return Arm(int(row["n"]), *(float(row[name] or 0) for name in SUMS))


def _interval(name: str, interval: Interval) -> dict[str, float | None]:
    ends = {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {column: _number(value) for column, value in ends.items()}


def _number(value: Any) -> float | None:
    """Rounded to ``_DIGITS`` places after the point; None for what can't be told."""
    return round(float(value), _DIGITS) + 0.0 if np.isfinite(value) else None


def _money(value: float) -> Decimal:
    return Decimal(str(value)).quantize(_CENTS)


def write_lines(lines: Sequence[Mapping[str, Any]], into: Path) -> None:
    """The lines as one Parquet file."""
    schema = pa.schema([(name, _ARROW[kind]) for name, (kind, _) in COLUMNS.items()])
    pq.write_table(pa.Table.from_pylist([dict(line) for line in lines], schema), into)
