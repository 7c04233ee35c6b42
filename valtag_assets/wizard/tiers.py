"""Tiers (枚举) of proposed numbers: by shares of the persons where money is spent, by months where time passes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from valtag_assets.engine.likeness import as_numbers
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.types import parse_type
from valtag_assets.wizard.distribution import round_step
from valtag_assets.wizard.making import Proposal, over_tags

# Of those who spent anything: the upper half, the upper fifth, the upper twentieth.
_SHARES = (("middle", "中", "Middle", 0.5), ("high", "高", "High", 0.8), ("top", "顶级", "Top", 0.95))
_AGO = (
    ("within_30d", 0, "30天内", "Within 30 days"),
    ("within_90d", 31, "31-90天", "31 to 90 days ago"),
    ("within_180d", 91, "91-180天", "91 to 180 days ago"),
    ("longer_ago", 181, "180天以前", "Longer ago"),
)
_AGES = (
    ("age_under_18", None, "18岁以下", "Under 18"),
    ("age_18_25", 18, "18-25岁", "18 to 25"),
    ("age_26_35", 26, "26-35岁", "26 to 35"),
    ("age_36_50", 36, "36-50岁", "36 to 50"),
    ("age_over_50", 51, "50岁以上", "Over 50"),
)


def tiers(resolved: Resolved, kept: Sequence[Proposal], values: Mapping[str, pa.ChunkedArray]) -> Iterator[Proposal]:
    """The first spend of the proposals ``kept`` in tiers, and the recency of the first fact. ``values``: of their
    columns."""
    taken = set(resolved.tags)
    spend = next((p for p in kept if p.code == "spend" and "spend" in p.columns.values()), None)
    if spend is not None and "spend_tier" not in taken:
        steps = _money_steps(as_numbers(values["spend"], parse_type(spend.tag["type"])))
        if len(steps) > 1:
            why = "the upper half, fifth and twentieth of those who spent"
            yield _band(spend, "spend_tier", ("消费档", "Spend tier"), "tier", steps, why)
    recency = next((p for p in kept if p.code.startswith("days_since_last_")), None)
    if recency is not None:
        noun = recency.code.removeprefix("days_since_last_")
        zh, en = recency.tag["title"]["zh"].removesuffix("距今天数"), noun.replace("_", " ")
        steps = [_step(code, low, zh_, en_) for code, low, zh_, en_ in _AGO]
        if f"last_{noun}_tier" not in taken:
            title = (f"{zh}档", f"Last {en}, tier")
            yield _band(recency, f"last_{noun}_tier", title, "tier", steps, "recency as campaigns name it")


def age_band(age: Proposal) -> Proposal:
    """The tiers of an age."""
    steps = [_step(code, low, zh, en) for code, low, zh, en in _AGES]
    title = (f"{age.tag['title']['zh']}段", f"{age.tag['title']['en']} band")
    return _band(age, f"{age.code}_band", title, "about", steps, "ages as campaigns name them")


def _band(
    of: Proposal, code: str, title: tuple[str, str], group: str, steps: list[dict[str, Any]], reason: str
) -> Proposal:
    return over_tags(of, code, title, group, {"type": "text", "band": {"of": of.code, "steps": steps}}, reason)


def _money_steps(numbers: Any) -> list[dict[str, Any]]:
    spent = numbers[numbers > 0]
    if not len(spent):
        return []
    edges = [float(np.quantile(spent, share)) for *_, share in _SHARES]
    rounded = [_round(edge) for edge in edges]
    if rounded != sorted(set(rounded)):
        return []
    found = [
        _step("none", None, "未消费", "Nothing"),
        _step("low", 0.01, f"{rounded[0]:,g} 以下", f"Below {rounded[0]:,g}"),
    ]
    for (code, *_), low, high in zip(_SHARES, rounded, [*rounded[1:], None], strict=True):
        said = f"{low:,g}-{high:,g}" if high is not None else f"{low:,g} 以上"
        found.append(_step(code, low, said, said if high is not None else f"From {low:,g}"))
    return found


def _round(edge: float) -> float:
    """To two digits that people remember: 1,237 → 1,200."""
    step = round_step(edge / 20)
    return round(edge / step) * step


def _step(code: str, low: float | None, zh: str, en: str) -> dict[str, Any]:
    start = {} if low is None else {"from": int(low) if low == int(low) else low}
    return {"code": code, **start, "title": {"zh": zh, "en": en}}
