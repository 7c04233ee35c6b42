"""scores/*.yaml: models over tags. This file holds RFM.

RFM (Hughes, Strategic Database Marketing, 1994) scores recency, frequency and monetary value from 1 to
``bins`` by quantile edges, or by the cuts given here. Persons with equal values always share a score.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from valtag_assets.spec.block import Block, Code, Refresh, Title

MEASURES = ("recency", "frequency", "monetary")
Threshold = Literal["mean", "median"]
Scoring = Literal["independent", "nested"]
OneOrder = Literal["score", "apart"]
MONTH = 28  # days: the shortest month, so that there is always a snapshot a month old


class Tier(Block):
    """A named tier: the scores of R, F and M it takes (all, where left out). The first match counts."""

    code: Code
    title: Title
    r: tuple[int, ...] = ()
    f: tuple[int, ...] = ()
    m: tuple[int, ...] = ()


class Rfm(Block):
    """One RFM model: three tags, how they are cut, and what the cells are called.

    ``cuts`` replace the quantile edges of a measure. A value on a cut has the lower of the two scores: with
    cuts [1, 2, 5, 10] of frequency one order scores 1, two score 2, eleven score 5; with cuts [7, 30, 90, 180]
    of recency (days, fewer are better) six days score 5, seven score 4, two hundred score 1.

    ``quadrant_threshold``: R is near at or below it, F and M are high at or above it.

    ``scoring``: ``independent`` cuts each measure over everybody; ``nested`` cuts F anew within each R score, and M
    within each pair of R and F (Hughes), so that every cell is about as large.

    ``one_order``: ``apart`` keeps F 1 for persons with one order (or none), and cuts F 2 and above by the quantiles
    of the others, which a majority with one order would else swallow; ``score`` cuts everybody alike.

    ``compare_days``: tiers are compared with those of the newest snapshot at least so many days older.
    """

    score: Code
    model: Literal["rfm"] = "rfm"
    title: Title
    meaning: str | None = None
    owner: str | None = None
    refresh: Refresh | None = None
    recency: Code
    frequency: Code
    monetary: Code
    where: str | None = None
    bins: int = 5
    scoring: Scoring = "independent"
    one_order: OneOrder = "score"
    compare_days: int = Field(default=MONTH, ge=1)
    cuts: dict[Literal["recency", "frequency", "monetary"], tuple[float, ...]] = {}
    quadrant_threshold: Threshold | dict[Literal["recency", "frequency", "monetary"], float] = "mean"
    tiers: tuple[Tier, ...] = ()

    @field_validator("bins")
    @classmethod
    def _bins(cls, bins: int) -> int:
        if not 2 <= bins <= 9:
            raise ValueError(f"bins is {bins}; 2 to 9 keep the RFM code one digit each")
        return bins

    @model_validator(mode="after")
    def _cuts(self) -> "Rfm":
        for name, edges in self.cuts.items():
            ascend = all(map(math.isfinite, edges)) and list(edges) == sorted(set(edges))
            if len(edges) != self.bins - 1 or not ascend:
                raise ValueError(f"cuts.{name} needs {self.bins - 1} ascending edges for {self.bins} bins")
        if self.one_order == "apart" and "frequency" in self.cuts:
            raise ValueError("one_order: apart cuts frequency by quantiles: leave it or cuts.frequency out")
        if isinstance(self.quadrant_threshold, dict) and set(self.quadrant_threshold) != set(MEASURES):
            raise ValueError("quadrant_threshold needs recency, frequency and monetary")
        if fault := next(self._tier_faults(), None):
            raise ValueError(fault)
        return self

    def _tier_faults(self) -> Iterator[str]:
        """What keeps the tiers from being a partition of all cells, each with at least one cell."""
        scores = range(1, self.bins + 1)
        if not self.tiers and self.bins != 5:
            yield "the built-in tiers are for 5 bins; with other bins, write tiers"
            return
        codes = [tier.code for tier in self.named_tiers]
        for tier in self.named_tiers:
            if codes.count(tier.code) > 1:
                yield f"two tiers are called '{tier.code}'"
            if strange := sorted({*tier.r, *tier.f, *tier.m} - {*scores}):
                yield f"tier '{tier.code}' takes score {strange[0]}, and scores are 1 to {self.bins}"
        found = {(r, f, m): self.tier_of(r, f, m) for r in scores for f in scores for m in scores}
        for (r, f, m), named in found.items():
            if named is None:
                yield f"tiers leave cells without a name, the first is R{r} F{f} M{m}"
        used = {tier.code for tier in found.values() if tier is not None}
        for code in codes:
            if code not in used:
                yield f"no cell is left for tier '{code}': the tiers before it take them all"

    @property
    def named_tiers(self) -> tuple[Tier, ...]:
        return self.tiers or COMMON_TIERS

    def tier_of(self, r: int, f: int, m: int) -> Tier | None:
        """The tier of one cell: the first whose lists hold its scores."""
        for tier in self.named_tiers:
            if all(not wanted or got in wanted for got, wanted in ((r, tier.r), (f, tier.f), (m, tier.m))):
                return tier
        return None


def _tier(code: str, zh: str, en: str, r: Any, f: Any) -> Tier:
    return Tier(code=code, title=Title(zh=zh, en=en), r=r, f=f)


# The common eleven names over recency and frequency scores.
COMMON_TIERS: tuple[Tier, ...] = (
    _tier("champions", "冠军客户", "Champions", (5,), (4, 5)),
    _tier("loyal", "忠诚客户", "Loyal", (3, 4), (4, 5)),
    _tier("potential_loyalist", "潜在忠诚", "Potential loyalist", (4, 5), (2, 3)),
    _tier("new_customers", "新客户", "New customers", (5,), (1,)),
    _tier("promising", "有潜力", "Promising", (4,), (1,)),
    _tier("need_attention", "需要关注", "Need attention", (3,), (3,)),
    _tier("about_to_sleep", "即将沉睡", "About to sleep", (3,), (1, 2)),
    _tier("cannot_lose", "不可流失", "Cannot lose them", (1,), (5,)),
    _tier("at_risk", "流失风险", "At risk", (1, 2), (3, 4, 5)),
    _tier("hibernating", "沉睡客户", "Hibernating", (2,), (1, 2)),
    _tier("lost", "已流失", "Lost", (1,), (1, 2)),
)

# The eight quadrants of the Chinese field: R near, F high, M high.
QUADRANTS: dict[str, Title] = {
    "111": Title(zh="重要价值", en="Important, valued"),
    "101": Title(zh="重要发展", en="Important, to develop"),
    "011": Title(zh="重要保持", en="Important, to keep"),
    "001": Title(zh="重要挽留", en="Important, to win back"),
    "110": Title(zh="一般价值", en="General, valued"),
    "100": Title(zh="一般发展", en="General, to develop"),
    "010": Title(zh="一般保持", en="General, to keep"),
    "000": Title(zh="一般挽留", en="General, to win back"),
}

# What the columns of a score are called, by what follows the score's code.
COLUMN_TITLES: dict[str, Title] = {
    "r": Title(zh="近度得分", en="Recency score"),
    "f": Title(zh="频度得分", en="Frequency score"),
    "m": Title(zh="金额得分", en="Monetary score"),
    "code": Title(zh="RFM 编码", en="RFM code"),
    "quadrant": Title(zh="八象限", en="Quadrant"),
    "tier": Title(zh="分层", en="Tier"),
}
