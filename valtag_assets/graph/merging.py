"""A daily category rests on tiles and checkpoints; every other one, and every full run, on the clean rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.incremental import Incremental, file_of, forget, layers, parts_of
from valtag_assets.engine.persons import keyed_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import checkpoint_name
from valtag_assets.engine.tiles import Group, Layer, groups_of
from valtag_assets.expression.resolved import ResolvedCategory
from valtag_assets.graph.gates import Gate
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import is_partitioned, refresh_of


@dataclass(frozen=True)
class Merging:
    """The layers a category is merged from, the files of their checkpoints, and what was done to have them."""

    layers: Sequence[Layer]
    inputs: Mapping[str, Sequence[Path]]
    told: Mapping[str, Any]

    @classmethod
    def of(cls, setting: Setting, engine: Engine, category: ResolvedCategory, gate: Gate, as_of: date) -> "Merging":
        """Bring the checkpoints of ``as_of`` up to date that the category needs; of a full run, none."""
        if setting.full:
            # What is computed from all rows is the measure: tiles and checkpoints start anew from it.
            forget_merging(setting, category)
        if setting.full or not is_partitioned(refresh_of(setting, category.code)):
            return cls((), {}, {})
        work = Incremental(engine, setting.derived)
        used, inputs = [], {}
        for group in merged_groups(setting):
            for layer in layers(setting.derived, group):
                if any(tag.category == category.code for tag in layer.group.tags):
                    parts = parts_of(gate.snapshots[keyed_name(group.source)])
                    inputs[checkpoint_name(layer)] = [file_of(layer, work.checkpoint(layer, parts, as_of))]
                    used.append(layer)
        told = {"layers": [item.to_json() for item in work.told], "healed": work.files.healed}
        return cls(used, inputs, told)


def merged_groups(setting: Setting) -> list[Group]:
    """The groups of all daily categories together: those that share a fact share its tiles."""
    resolved = setting.resolved
    daily = [code for code in resolved.categories if is_partitioned(refresh_of(setting, code))]
    return groups_of(resolved, (tag for code in daily for tag in resolved.categories[code].tags))


def forget_merging(setting: Setting, category: ResolvedCategory) -> None:
    """Remove the tiles and checkpoints the category's tags are merged from; the next run makes them again."""
    for group in groups_of(setting.resolved, category.tags):
        forget(setting.derived, group)


def merging_metadata(told: Mapping[str, Any]) -> dict[str, Any]:
    """What was done, for the asset page: a row per layer (there is none of masters), and what was found damaged."""
    rows = [
        dg.TableRecord(
            {
                "fact 事实": layer["fact"],
                "tags 标签": len(layer["tags"]),
                "checkpoint 检查点": layer["how"],
                "tiles made 新切片": _some(layer["tiles_made"]),
                "touched 变动": -1 if layer["touched"] is None else layer["touched"],
            }
        )
        for layer in told["layers"]
    ]
    healed = {"healed 已修复": "; ".join(told["healed"])} if told["healed"] else {}
    merged = {"merged from tiles 日切片合并": dg.MetadataValue.table(rows)} if rows else {}
    return {**merged, **healed}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 3 else f"{names[0]} … {names[-1]} ({len(names)})"
