"""How useful each tag is: one score of published parts and weights, and what to do about it (标签价值评分).

A part that can't be told (no messages yet, too few conversions) is left out of the weighted mean, and counts neither
for nor against the tag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.contribution import ASSOCIATION, Contribution
from valtag_assets.expression.resolved import Resolved
from valtag_assets.expression.uses import Uses, automations, tag_uses
from valtag_assets.spec.block import Title
from valtag_assets.spec.insight import COLUMNS, Insight
from valtag_assets.spec.types import FLOAT, INTEGER, TEXT

KEEP, IMPROVE, MERGE, RETIRE = "keep", "improve", "merge", "retire"
_ARROW = {TEXT: pa.string(), INTEGER: pa.int64(), FLOAT: pa.float64()}
_DIGITS = 4


@dataclass(frozen=True)
class Seen:
    """What the newest snapshots say of a tag: its coverage, the share of its checks that passed, the age of its data
    in days, how many different values it has; None where it can't be told."""

    coverage: float | None = None
    quality: float | None = None
    age_days: int | None = None
    distinct: int | None = None


@dataclass(frozen=True)
class Known:
    """Everything there is to judge tags by. ``sent``: messages of 30 days by (trigger or delivery, code); ``twins``:
    the tag most like each, and how closely."""

    seen: Mapping[str, Seen]
    sent: Mapping[tuple[str, str], int]
    contributions: Mapping[str, Contribution]
    twins: Mapping[str, tuple[str, float]]


def usefulness(resolved: Resolved, known: Known) -> list[dict[str, Any]]:
    """One row per tag, the most useful first, with the columns of ``spec.insight``."""
    insight, uses, sending = resolved.catalog.project.insight, tag_uses(resolved), automations(resolved)
    rows = {}
    for code, tag in resolved.tags.items():
        seen, own = known.seen.get(code, Seen()), uses[code]
        found = known.contributions.get(code, Contribution())
        messages = sum(known.sent.get(thing, 0) for thing in own.automations)
        parts = tag_parts(insight, own, seen, found, messages, sum(known.sent.values()))
        rows[code] = {
            "tag": code,
            "category": tag.category,
            "score": weighed(insight, parts),
            "direct": len(own.direct),
            "indirect": len(own.indirect),
            "automations": len(own.automations),
            "automation_share": round(len(own.automations) / len(sending), _DIGITS) if sending else None,
            "messages": messages,
            "coverage": seen.coverage,
            "distinct": seen.distinct,
            "quality": seen.quality,
            "age_days": seen.age_days,
            "evidence": found.evidence,
            "contribution": found.value,
            "contribution_low": found.low,
            "contribution_high": found.high,
            "persons": found.persons,
        }
    for code, row in rows.items():
        twin, likeness = known.twins.get(code, (None, None))
        close = twin in rows and likeness is not None and likeness >= insight.redundant
        row["twin"], row["likeness"] = (twin, likeness) if close else (None, None)
    advised = [{**row, "advice": advice(insight, row, rows, uses[code])} for code, row in rows.items()]
    return sorted(advised, key=lambda row: (-row["score"], row["tag"]))


def tag_parts(
    insight: Insight, uses: Uses, seen: Seen, contribution: Contribution, messages: int, all_messages: int
) -> dict[str, float | None]:
    """Each part of the score, 0 to 1; an indirect use counts half."""
    return {
        "use": min(1.0, (len(uses.direct) + len(uses.indirect) / 2) / insight.full_use),
        "messages": messages / all_messages if all_messages else None,
        "coverage": seen.coverage,
        "contribution": contribution.strength(insight),
        "quality": seen.quality,
        "freshness": None if seen.age_days is None else max(0.0, 1 - seen.age_days / insight.full_age),
    }


def weighed(insight: Insight, parts: Mapping[str, float | None]) -> float:
    """The mean of the parts that are known, by the project's weights."""
    weights = insight.weights.model_dump()
    known = {name: value for name, value in parts.items() if value is not None}
    whole = sum(weights[name] for name in known)
    return round(sum(weights[name] * value for name, value in known.items()) / whole, _DIGITS) if whole else 0.0


def advice(insight: Insight, row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]], uses: Uses) -> str:
    """What to do with the tag of a row: the less useful of two that say the same is to be merged into the other,
    unless the other is made from it; one that nothing reads is given up when its score is low or it says nothing."""
    twin = rows.get(row["twin"] or "")
    made_from_it = twin is not None and ("tag", twin["tag"]) in (*uses.direct, *uses.indirect)
    if twin is not None and not made_from_it and (row["score"], twin["tag"]) < (twin["score"], row["tag"]):
        return MERGE
    mute = is_constant(row) or is_nearly_empty(insight, row)
    if not row["direct"]:
        return RETIRE if mute or row["score"] < insight.retire else IMPROVE
    return IMPROVE if mute or row["score"] < insight.keep else KEEP


def is_constant(row: Mapping[str, Any]) -> bool:
    """Whether the tag has one value for everybody who has any: it sets nobody apart."""
    return row["distinct"] is not None and row["distinct"] <= 1


def is_nearly_empty(insight: Insight, row: Mapping[str, Any]) -> bool:
    """Whether hardly anybody has a value."""
    return row["coverage"] is not None and row["coverage"] < insight.nearly_empty


def reasons(insight: Insight, row: Mapping[str, Any]) -> list[Title]:
    """Why the tag of a row is not simply kept, with the numbers; nothing for one that is."""
    found = []
    if row["advice"] == MERGE:
        same = f"{row['twin']} ({row['likeness']:.2f})"
        found.append(Title(zh=f"与 {same} 重复", en=f"says the same as {same}"))
    if not row["direct"]:
        found.append(Title(zh="无人使用", en="nothing reads it"))
    if is_constant(row):
        found.append(Title(zh="取值恒定", en="one value for everybody"))
    if is_nearly_empty(insight, row):
        found.append(
            Title(zh=f"几乎为空：覆盖 {row['coverage']:.1%}", en=f"nearly empty: {row['coverage']:.1%} covered")
        )
    if row["advice"] != KEEP and not found:
        found.append(Title(zh=f"评分 {row['score']:.2f} 偏低", en=f"its score is low: {row['score']:.2f}"))
    return found


def expected_score(insight: Insight, coverage: float | None, information: float | None) -> float:
    """The usefulness, 0 to 1, to expect of a tag that nothing reads yet: of its coverage, and of how far it sets
    apart those for whom something happened (``information``: an information value above chance, an association)."""
    evidence = Contribution(ASSOCIATION, information) if information is not None else Contribution()
    return weighed(insight, {"coverage": coverage, "contribution": evidence.strength(insight)})


def write_usefulness(rows: Sequence[Mapping[str, Any]], into: Path) -> None:
    """The rows as one Parquet file."""
    schema = pa.schema([(name, _ARROW[kind]) for name, (kind, _) in COLUMNS.items()])
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), into)
