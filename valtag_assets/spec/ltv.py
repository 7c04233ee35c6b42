"""scores/*.yaml with ``model: ltv``: what a person will order and spend, and what that is worth today (客户终身价值).

Which orders and what spend is said by two tags, so that a model and a tag can never mean different things. The
thresholds of the gate are those that told good fits from bad ones on real data sets; each can be set otherwise.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valtag_assets.spec.block import Block, Code, Refresh, Starting, Title
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT, DataType, decimal

Candidate = Literal["mbg_nbd", "bg_nbd", "pareto_nbd", "mbg_cnbd_k", "boosted"]
CANDIDATES: tuple[Candidate, ...] = ("mbg_nbd", "bg_nbd", "pareto_nbd", "mbg_cnbd_k", "boosted")
MONEY = decimal(18, 2)
_DAYS = re.compile(r"([1-9]\d{0,4})d")
_MOST_DAYS = 3660


def _read_days(value: Any) -> Any:
    found = _DAYS.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found.group(1)) > _MOST_DAYS:
        raise ValueError(f"'{value}' is no number of days: write it as in 90d, at most {_MOST_DAYS}d")
    return int(found.group(1))


Days = Annotated[int, BeforeValidator(_read_days, json_schema_input_type=str)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Limit(Block):
    """From where a measure of the gate is warned of, and from where the model is not published.

    Both may be left out. ``warn`` and ``block`` are on the same side of good.
    """

    warn: Finite | None = None
    block: Finite | None = None


def _limit(warn: float | None, block: float | None) -> Limit:
    return Limit(warn=warn, block=block)


class Gate(Block):
    """What a model must show on the held-out period before anything of it is published.

    ``orders_bias``, ``spend_bias``: predicted over actual total, less one, either way. ``deviance``: Poisson
    deviance over that of the best naive forecast. ``gini``: how much worse than the best naive one it may rank
    (normalised Gini, naive less model). ``calibration``: mean error of the ten deciles of prediction, relative.
    ``brier``: score of the probability of an order over that of a constant; where fewer than three in ten ordered,
    the limits move towards 1 as their odds do, since less can be told. ``holdout_orders``: so many orders must
    have been observed in the period. ``customers`` and ``history`` are checked before anything is fitted.
    """

    orders_bias: Limit = _limit(0.15, 0.25)
    spend_bias: Limit = _limit(0.25, 0.35)
    deviance: Limit = _limit(0.90, 1.00)
    gini: Limit = _limit(0.005, 0.015)
    calibration: Limit = _limit(0.25, 0.30)
    brier: Limit = _limit(0.85, 0.90)
    holdout_orders: Limit = _limit(500, 100)
    parameter_drift: Limit = _limit(0.25, None)
    customers: int = Field(default=200, ge=1)
    history: Days | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Gate":
        for name in GATE_MEASURES:
            limit, least = getattr(self, name), name == "holdout_orders"
            if name != "gini" and (lowest := min(limit.warn or 0, limit.block or 0)) < 0:
                raise ValueError(f"{name}: {lowest:g} is below 0, and a measure never is: leave it out for no limit")
            if limit.warn is None or limit.block is None:
                continue
            if (limit.block > limit.warn) if least else (limit.block < limit.warn):
                raise ValueError(f"{name}: block {limit.block:g} lies on the good side of warn {limit.warn:g}")
        return self


GATE_MEASURES = (
    "orders_bias",
    "spend_bias",
    "deviance",
    "gini",
    "calibration",
    "brier",
    "holdout_orders",
    "parameter_drift",
)


class ValueTier(Starting):
    """A tier of customer value: the next ``share`` of persons by value, or everybody ``from`` that value on.

    The last tier has neither: it takes the rest.
    """

    code: Code
    title: Title
    share: float | None = Field(default=None, gt=0, lt=1)
    lowest: Decimal | None = Field(default=None, gt=0)


class ChurnLevel(Starting):
    """A level of churn risk: from this probability of no order on. The last has none: it takes the rest."""

    code: Code
    title: Title
    lowest: float | None = Field(default=None, gt=0, lt=1)


def _tier(code: str, zh: str, en: str, share: float | None) -> ValueTier:
    return ValueTier(code=code, title=Title(zh=zh, en=en), share=share)


def _level(code: str, zh: str, en: str, lowest: float | None) -> ChurnLevel:
    return ChurnLevel(code=code, title=Title(zh=zh, en=en), lowest=lowest)


COMMON_TIERS = (
    _tier("top", "顶级价值", "Top value", 0.05),
    _tier("high", "高价值", "High value", 0.15),
    _tier("middle", "中价值", "Middle value", 0.30),
    _tier("low", "低价值", "Low value", None),
)
COMMON_LEVELS = (
    _level("high", "高流失风险", "High risk of churn", 0.8),
    _level("middle", "中流失风险", "Some risk of churn", 0.5),
    _level("low", "低流失风险", "Low risk of churn", None),
)


class Clv(Block):
    """Value today of what will be spent: to which horizon, discounted by which yearly rate, at which margin."""

    horizon: Days = 365
    discount_rate: float = Field(default=0.10, ge=0, le=1)
    margin: float = Field(default=1.0, gt=0, le=1)


class Ltv(Block):
    """A model of future orders and spend.

    ``orders`` is a tag that counts orders (its windows aside), ``spend`` one that sums what was paid, ``refunds``
    one that sums, as positive amounts, what was given back. Orders of one local day are one purchase.

    ``unit``: the time unit of the parameters. ``calibration``: parameters are fitted on the persons whose first
    order is at most so old (everybody, where it is left out). ``holdout``: the length of the period on which
    models are compared and judged. ``horizons``: what is predicted. ``interval``: the probability that the
    interval beside a prediction holds the outcome; null: no intervals.

    ``models`` are the candidates, the first being preferred among equals; ``pin`` one of them that is taken
    without a choice (but not without the gate). ``features``: tags over facts that the boosted model reads
    beside a person's orders. ``compare``: tiers are compared with those of the newest snapshot at least so many
    days older. ``sample``: models are compared on so many persons at most, drawn by ``seed``.
    """

    score: Code
    model: Literal["ltv"]
    title: Title
    meaning: str | None = None
    owner: str | None = None
    refresh: Refresh | None = None
    orders: Code
    spend: Code
    refunds: Code | None = None
    unit: Days = 7
    calibration: Days | None = None
    holdout: Days = 90
    horizons: tuple[Days, ...] = (30, 90, 365)
    interval: float | None = Field(default=0.8, gt=0, lt=1)
    clv: Clv = Clv()
    models: tuple[Candidate, ...] = ("mbg_nbd", "mbg_cnbd_k", "boosted")
    pin: Candidate | None = None
    features: tuple[Code, ...] = ()
    sample: int = Field(default=200_000, ge=1_000)
    seed: int = 1
    gate: Gate = Gate()
    compare: Days = 28
    churn: Days = 90
    churn_levels: tuple[ChurnLevel, ...] = COMMON_LEVELS
    tiers: tuple[ValueTier, ...] = COMMON_TIERS

    @field_validator("features")
    @classmethod
    def _no_feature_twice(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((code for code in features if features.count(code) > 1), None):
            raise ValueError(f"'{twice}' is named twice")
        return features

    @field_validator("tiers")
    @classmethod
    def _tiers(cls, tiers: tuple[ValueTier, ...]) -> tuple[ValueTier, ...]:
        _check_tiers(tiers)
        return tiers

    @field_validator("churn_levels")
    @classmethod
    def _levels(cls, levels: tuple[ChurnLevel, ...]) -> tuple[ChurnLevel, ...]:
        _check_levels(levels)
        return levels

    @field_validator("horizons", "models")
    @classmethod
    def _some_once(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if not given or len(set(given)) != len(given):
            raise ValueError(f"needs at least one, and none twice: {list(given)}")
        return given

    @model_validator(mode="after")
    def _whole(self) -> "Ltv":
        if self.pin is not None and self.pin not in self.models:
            raise ValueError(f"pin '{self.pin}' is none of models: {', '.join(self.models)}")
        if "boosted" in self.models and "mbg_nbd" not in self.models:
            raise ValueError("boosted reads what mbg_nbd predicts: add mbg_nbd to models")
        if self.features and "boosted" not in self.models:
            raise ValueError("features are read by the model boosted alone: add it to models, or take them out")
        return self

    @property
    def least_history(self) -> int:
        """So many days must lie between the first order and the as-of: a period to fit on and one to judge by."""
        return self.gate.history if self.gate.history is not None else 2 * self.holdout

    def column_titles(self) -> dict[str, tuple[DataType, Title]]:
        """Every column the model gives, in order, with its type and title."""
        found = {"alive": (FLOAT, Title(zh="仍活跃概率", en="P(alive)"))}
        for days in self.horizons:
            found |= self._of_horizon(days)
        worth = Title(zh="单次购买预计金额", en="Expected value of an order")
        clv = f"未来{self.clv.horizon}天客户终身价值（折现）", f"Customer lifetime value to {self.clv.horizon} days"
        return found | {
            "order_value": (MONEY, worth),
            "clv": (MONEY, Title(zh=clv[0], en=clv[1])),
            "tier": (TEXT, Title(zh="价值分层", en="Value tier")),
            "churn_risk": (FLOAT, Title(zh="流失概率", en=f"P(no order in {self.churn} days)")),
            "churn": (TEXT, Title(zh="流失预警", en="Churn risk")),
        }

    def _of_horizon(self, days: int) -> dict[str, tuple[DataType, Title]]:
        zh, en = f"未来{days}天", f"in {days} days"
        found = {f"buy_{days}d": (FLOAT, Title(zh=f"{zh}复购概率", en=f"P(an order {en})"))}
        for name, kind, ends, words in (
            ("orders", FLOAT, INTEGER, ("预计购买次数", "Expected orders")),
            ("spend", MONEY, MONEY, ("预计消费金额", "Expected spend")),
        ):
            found[f"{name}_{days}d"] = (kind, Title(zh=zh + words[0], en=f"{words[1]} {en}"))
            if self.interval is not None:
                for end, says in (("low", ("下限", "lower end")), ("high", ("上限", "upper end"))):
                    title = Title(zh=zh + words[0] + says[0], en=f"{words[1]} {en}, {says[1]}")
                    found[f"{name}_{days}d_{end}"] = (ends, title)
        return found


def _check_tiers(tiers: tuple[ValueTier, ...]) -> None:
    codes = [tier.code for tier in tiers]
    if twice := next((code for code in codes if codes.count(code) > 1), None):
        raise ValueError(f"two tiers are called '{twice}'")
    if len(tiers) < 2 or tiers[-1].share is not None or tiers[-1].lowest is not None:
        raise ValueError("at least two, and the last takes the rest: it has neither share nor from")
    shares = [tier.share for tier in tiers[:-1] if tier.share is not None]
    lows = [tier.lowest for tier in tiers[:-1] if tier.lowest is not None]
    if (shares and lows) or len(shares or lows) != len(tiers) - 1:
        raise ValueError("every one but the last has a share of persons, or every one a from")
    if shares and sum(shares) >= 1:
        raise ValueError(f"the shares make {sum(shares):g}, and nothing is left for '{codes[-1]}'")
    if lows != sorted(lows, reverse=True) or len(set(lows)) != len(lows):
        raise ValueError("from must descend, the most valuable tier first")


def _check_levels(levels: tuple[ChurnLevel, ...]) -> None:
    lows = [level.lowest for level in levels[:-1]]
    codes = [level.code for level in levels]
    if len(levels) < 2 or levels[-1].lowest is not None or None in lows:
        raise ValueError("at least two; every one but the last has a from")
    known = [low for low in lows if low is not None]
    if known != sorted(set(known), reverse=True) or len(set(codes)) != len(codes):
        raise ValueError("from must descend, the riskiest first, and no code comes twice")
