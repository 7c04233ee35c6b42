"""A column that names the unit of another: 分 or 元 beside an amount."""

from collections.abc import Sequence
from dataclasses import replace

from valtag_assets.engine.inventory.profile import Column
from valtag_assets.engine.inventory.words import MONEY, words
from valtag_assets.spec.block import Title
from valtag_assets.spec.source import Unit

FACTORS: dict[str, float] = {"元": 1, "分": 0.01, "角": 0.1, "万元": 10_000, "yuan": 1, "fen": 0.01}
CURRENCIES = frozenset(["CNY", "RMB", "USD", "HKD", "EUR", "JPY", "GBP", "TWD", "KRW", "SGD", "AUD", "MOP", "THB"])
_MOST = 0.9  # of the values must be known units


def with_units(columns: Sequence[Column]) -> list[Column]:
    """The columns; amounts whose row names their unit are converted to one."""
    found = list(columns)
    for unit in columns:
        known = {value: many for value, many in unit.counted.top if value in FACTORS}
        if len(known) < 2 or sum(known.values()) < _MOST * unit.counted.present:
            continue
        amounts = [i for i, c in enumerate(found) if c.type.numeric and words(c.name) & MONEY]
        close = [i for i in amounts if words(found[i].name) & words(unit.name)]
        chosen = close or (amounts if len(amounts) == 1 else [])
        for i in chosen:
            found[i] = _converted(found[i], unit, known)
    return _with_currencies(found)


def _with_currencies(columns: list[Column]) -> list[Column]:
    """Amounts beside a column of several currencies: nobody can guess the rates, so that is only said."""
    for currency in columns:
        known = [value for value, _ in currency.counted.top if value.upper() in CURRENCIES]
        if len(known) < 2 or len(known) < _MOST * currency.counted.values:
            continue
        listed = ", ".join(known)
        note = Title(
            zh=f"{currency.code} 有多种币种（{listed}），换算率需人工填写",
            en=f"several currencies by {currency.code} ({listed}): give factors",
        )
        columns = [
            replace(c, anomalies=(note, *c.anomalies)) if c.type.numeric and words(c.name) & MONEY else c
            for c in columns
        ]
    return columns


def _converted(column: Column, unit: Column, known: dict[str, int]) -> Column:
    factors = {name: FACTORS[name] for name in known}
    listed = ", ".join(f"{name} {many:,}" for name, many in known.items())
    field = column.guess.field.model_copy(update={"unit": (Unit(to="元", by=unit.code, factors=dict(factors)),)})
    note = Title(zh=f"单位由 {unit.code} 说明：{listed}", en=f"{unit.code} names the unit: {listed}")
    return replace(column, guess=replace(column.guess, field=field), anomalies=(note, *column.anomalies))
