"""What a tag contributes to conversions, in honest layers (转化率贡献).

Measured: inside triggers with persons held out by lot, how much more the trigger does for holders of the tag's value
than for the others, as values were on entering. Where nobody is held out: only how far the value and conversion go
together among those who were sent to (an association). Too few persons: insufficient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from valtag_assets.engine.effect_lines import RANDOMISED
from valtag_assets.models.information import Counts, above_chance
from valtag_assets.models.lift import Interval, less, newcombe, pooled
from valtag_assets.spec.insight import Insight

MEASURED, ASSOCIATION, INSUFFICIENT = "measured", "association", "insufficient"
_DIGITS = 6

Levels = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Contribution:
    """``value`` is a difference of lifts with its interval (measured), or an information value above chance
    (association), from so many ``persons``."""

    evidence: str = INSUFFICIENT
    value: float | None = None
    low: float | None = None
    high: float | None = None
    persons: int = 0

    def strength(self, insight: Insight) -> float | None:
        """0 to 1: of a measured one what its interval leaves for sure, of an association at most a half; None where
        nothing can be told."""
        if self.value is None:
            return None
        if self.low is not None and self.high is not None:
            sure = max(self.low, -self.high, 0.0)
            return min(1.0, sure / insight.full_lift)
        return min(1.0, max(0.0, self.value) / insight.full_iv) / 2


def contributions(effects: Sequence[Mapping[str, Any]], insight: Insight) -> dict[str, Contribution]:
    """The contribution of every tag that some trigger kept. ``effects``: metrics of the newest tables of effects."""
    measured: dict[str, list[tuple[Interval, int]]] = {}
    sent: dict[str, list[Levels]] = {}
    for metrics in effects:
        lot = metrics["lines"][0]["evidence"] == RANDOMISED
        for tag, levels in _by_tag(metrics["levels"]).items():
            found = _measured(levels, insight.least) if lot else None
            if found is not None:
                measured.setdefault(tag, []).append((found, sum(row["persons"] for row in levels)))
            sent.setdefault(tag, []).append([row for row in levels if row["treated"]])
    told = {tag: _associated(campaigns, insight) for tag, campaigns in sent.items()}
    return told | {tag: _pooled(parts) for tag, parts in measured.items()}


def _by_tag(levels: Levels) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in levels:
        found.setdefault(row["tag"], []).append(row)
    return found


def _measured(levels: Levels, least: int) -> Interval | None:
    """The lift of holders less that of the others; None where one of the four groups is too small."""
    lifts = []
    for holder in (True, False):
        cells = []
        for treated in (True, False):
            own = [row for row in levels if row["holder"] == holder and row["treated"] == treated]
            cells += [sum(row["converted"] for row in own), sum(row["persons"] for row in own)]
        if min(cells[1], cells[3]) < least:
            return None
        lifts.append(newcombe(*cells))
    return less(*lifts)


def _pooled(parts: Sequence[tuple[Interval, int]]) -> Contribution:
    found = pooled([interval for interval, _ in parts], [float(persons) for _, persons in parts])
    value, low, high = (round(float(end), _DIGITS) for end in (found.value, found.low, found.high))
    return Contribution(MEASURED, value, low, high, sum(persons for _, persons in parts))


def _by_level(levels: Levels, what: str) -> Counts:
    numbers = sorted({row["level"] for row in levels})
    sums = [sum(row[what] for row in levels if row["level"] == number) for number in numbers]
    return np.array(sums, dtype=np.int64)


def _associated(campaigns: Sequence[Levels], insight: Insight) -> Contribution:
    """How far value and conversion go together within each campaign."""
    counts = []
    for levels in campaigns:
        persons, converted = (_by_level(levels, what) for what in ("persons", "converted"))
        if persons.sum() - converted.sum() >= insight.least <= converted.sum():
            counts.append((persons, converted))
    value = above_chance(counts, insight.permutations, insight.seed)
    if np.isnan(value):
        return Contribution()
    return Contribution(ASSOCIATION, round(value, _DIGITS), persons=int(sum(part.sum() for part, _ in counts)))
