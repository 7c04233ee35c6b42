"""Measure the columns of one table over all rows, read as their guessed fields would be cleaned: cleaning's own plan
is what runs, so a share that can be read here is a share that will be."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time

import ibis
from ibis.expr.types import Table, Value

from valtag_assets.engine.cleaning.field import raw_column
from valtag_assets.engine.cleaning.judge import planned
from valtag_assets.engine.cleaning.plan import FieldPlan
from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory.counting import EXACT
from valtag_assets.engine.inventory.loading import Loaded
from valtag_assets.engine.inventory.profile import Counted, Guess, Measured
from valtag_assets.engine.inventory.words import BIRTH, words
from valtag_assets.spec.project import Project
from valtag_assets.spec.source import Field

QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
EARLY = date(1990, 1, 1)  # few tables of a company reach further back
BORN_EARLY = date(1905, 1, 1)
TIMES = 1000  # a value more than so many times the median lies beyond the bulk


def measure(
    engine: DuckDBEngine,
    loaded: Loaded,
    guesses: Sequence[Guess],
    counts: Sequence[Counted],
    project: Project,
    today: date,
) -> list[Measured]:
    """Every column, measured; in two scans, the second only for numbers that reach far."""
    if loaded.rows > EXACT:
        guesses = [_as_written(guess, counted) for guess, counted in zip(guesses, counts, strict=True)]
    table = loaded.table
    table = table.select(**{raw_column(guess.field): table[guess.field.source_name] for guess in guesses})
    plans, staged = planned([guess.field for guess in guesses], project, table, {})
    wanted = {}
    for i, guess in enumerate(guesses):
        plan = plans[guess.field.name]
        for name, value in _figures(plan, staged, today, exact=loaded.rows <= EXACT).items():
            wanted[f"{name}_{i}"] = value
    found = engine.fetch(staged.aggregate(**wanted), loaded.inputs).to_pylist()[0]
    measured = [
        Measured(
            missing=int(found[f"missing_{i}"] or 0),
            unread=int(found.get(f"unread_{i}") or 0),
            low=found.get(f"low_{i}"),
            high=found.get(f"high_{i}"),
            quantiles=tuple(
                float(value) for q in range(len(QUANTILES)) if (value := found.get(f"q{q}_{i}")) is not None
            ),
            negative=int(found.get(f"negative_{i}") or 0),
            early=int(found.get(f"early_{i}") or 0),
            late=int(found.get(f"late_{i}") or 0),
        )
        for i in range(len(guesses))
    ]
    return _beyond(engine, loaded, staged, [plans[guess.field.name] for guess in guesses], measured)


def _as_written(guess: Guess, counted: Counted) -> Guess:
    """Of a large table, values are not trimmed again where no value of the sample had to be: that would be half of
    the time."""
    if counted.trimmed or counted.widened:
        return guess
    return replace(guess, field=guess.field.model_copy(update={"trim": False, "half_width": False}))


def _figures(plan: FieldPlan, staged: Table, today: date, *, exact: bool) -> dict[str, Value]:
    value = staged[plan.column]
    present = staged[plan.column_at("rewrite")]
    found: dict[str, Value] = {"missing": present.isnull().sum()}
    if plan.rules:
        found["unread"] = ibis.or_(*(rule.flag(staged) for rule in plan.rules)).sum()
    kind = plan.field.type
    if kind.numeric:
        number = value.cast("float64")
        found |= {"low": value.min(), "high": value.max(), "negative": (number < 0).sum()}
        for i, q in enumerate(QUANTILES):
            found[f"q{i}"] = number.quantile(q) if exact else number.approx_quantile(q)
    elif kind.temporal:
        early = value < _moment(first_day(plan.field), kind.kind, time.min)
        late = value > _moment(today, kind.kind, time.max)
        found |= {"early": early.sum(), "late": late.sum()}
        found |= {"low": value.min(where=~early), "high": value.max(where=~late)}
    return found


def first_day(field: Field) -> date:
    """A time before this day is taken for an error."""
    return BORN_EARLY if words(field.source_name) & BIRTH else EARLY


def _moment(day: date, kind: str, at: time) -> Value:
    if kind == "date":
        return ibis.literal(day, type="date")
    return ibis.literal(datetime.combine(day, at), type="timestamp")


def _beyond(
    engine: DuckDBEngine, loaded: Loaded, staged: Table, plans: Sequence[FieldPlan], measured: list[Measured]
) -> list[Measured]:
    limits = {
        i: TIMES * abs(item.quantiles[2])
        for i, item in enumerate(measured)
        if item.quantiles
        and item.quantiles[2]
        and max(abs(item.high), abs(item.low)) > TIMES * abs(item.quantiles[2])
    }
    if not limits:
        return measured
    counts = {f"b{i}": (staged[plans[i].column].cast("float64").abs() > limit).sum() for i, limit in limits.items()}
    found = engine.fetch(staged.aggregate(**counts), loaded.inputs).to_pylist()[0]
    return [
        replace(item, beyond=int(found[f"b{i}"] or 0)) if i in limits else item for i, item in enumerate(measured)
    ]
