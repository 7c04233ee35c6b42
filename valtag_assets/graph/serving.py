"""Stage *serving*: the store that `valtag serve` answers from, made after everything it rests on."""

import dagster as dg

from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key, automation
from valtag_assets.serving.building import build_store
from valtag_assets.serving.published import published

GROUP = "8_serving"
LOOKUP = "serving/lookup"


def is_served(setting: Setting) -> bool:
    """Whether the catalog says that somebody asks for single persons: it names keys or placements."""
    catalog = setting.resolved.catalog
    return bool(catalog.access.keys or catalog.placements)


def serving_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """The store, for a catalog that is served; of others `valtag serve` makes it when it is asked to."""
    return [_lookup(setting)] if is_served(setting) else []


def _lookup(setting: Setting) -> dg.AssetsDefinition:
    resolved = setting.resolved
    upstream = [*map(tags_name, resolved.categories), *map(scores_name, resolved.scores)]
    upstream += map(segments_name, resolved.segments)

    @dg.asset(
        key=asset_key(LOOKUP),
        deps=[asset_key(table) for table in upstream],
        group_name=GROUP,
        description="**在线查询 · Lookup**\n\n每人一条记录：标签、得分、人群、内容变体 · "
        "One record per person: tags, scores, segments, content variants. `valtag serve` answers from it.",
        owners=[resolved.catalog.project.owner],
        kinds={"duckdb", "sqlite"},
        automation_condition=automation(resolved.catalog.project.refresh),
        metadata={"placements 内容位": ", ".join(resolved.placements) or "none"},
    )
    def lookup() -> dg.MaterializeResult:
        now = published(setting.warehouse, resolved)
        made = build_store(setting.derived, resolved, now, setting.spill)
        held = {name: origin.as_of if origin else "none" for name, origin in now.held.items()}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(made.name),
            metadata={
                "dagster/row_count": made.about["persons"],
                "as-of": str(now.as_of),
                "bytes 字节": sum(made.about["files"].values()),
                "held tags served as of 暂停标签沿用": dg.MetadataValue.json(held),
                "never published 未发布": dg.MetadataValue.json(list(now.missing)),
            },
        )

    return lookup
