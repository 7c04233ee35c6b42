"""What the asset pages of identities show: sizes, what was refused and why, how many rows found a person."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from valtag_assets.engine.identity.linking import CONFLICT, SHARED
from valtag_assets.engine.identity.sightings import BLOCKED, MALFORMED
from valtag_assets.expression.resolved import Resolved
from valtag_assets.graph.figures import Bars, bars_figure
from valtag_assets.graph.identity_figures import sizes_figure
from valtag_assets.graph.plots import as_image
from valtag_assets.warehouse.snapshot import Snapshot

_REASONS = {BLOCKED: "屏蔽", MALFORMED: "不合格式", SHARED: "共用", CONFLICT: "冲突"}


def identity_picture(resolved: Resolved, snapshot: Snapshot) -> Mapping[str, Any]:
    """Of the keys, how many identifiers persons have; of all identifiers, how many of each kind are used and not."""
    metrics = snapshot.metrics
    if "sizes" in metrics:
        return {
            "plot 每人标识数": as_image("sizes", sizes_figure, metrics["sizes"]),
            "persons 人数": metrics["persons"],
            "largest 最多标识": metrics["largest"],
        }
    if "kinds" in metrics:
        return {"plot 标识": _kinds(resolved, metrics)}
    return {}


def rows_picture(snapshot: Snapshot) -> Mapping[str, Any]:
    """How many rows found their person."""
    rows, unmatched = snapshot.metrics["rows"], snapshot.metrics["keying"]["unmatched"]
    share = round(1 - unmatched / rows["clean"], 4) if rows["clean"] else None
    bars = Bars("", [rows["clean"] - unmatched, unmatched], [f"{rows['clean'] - unmatched:,}", f"{unmatched:,}"])
    plot = as_image("matched", bars_figure, ["有归属 matched", "无归属 unmatched"], [bars], width=4.4)
    told = {"rows merged 合并行": rows["merged"], "rows unmatched 无归属行": unmatched}
    return {"plot 归属": plot, **told, **({} if share is None else {"match rate 归属率": share})}


def _kinds(resolved: Resolved, metrics: Mapping[str, Any]) -> dg.MetadataValue:
    identity = resolved.identity
    assert identity is not None
    panels = []
    titles = {"": "可用 used", **{reason: f"{_REASONS[reason]} {reason}" for reason in sorted(metrics["refused"])}}
    for reason, title in titles.items():
        counts = metrics["refused"][reason] if reason else metrics["kinds"]
        values = [counts.get(kind.code, 0) for kind in identity.kinds]
        panels.append(Bars(title, values, [f"{value:,}" if value else "" for value in values]))
    labels = [f"{kind.title.zh} {kind.code}" for kind in identity.kinds]
    return as_image("kinds", bars_figure, labels, panels)
