"""The jobs: everything for one as-of, its two halves, what runs every day, the nightly recheck, the health page."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from valtag_assets.engine.tags import tags_name
from valtag_assets.graph import clean, health, identity, messages, sources
from valtag_assets.graph.recheck import recheck_keys
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key, refresh_of

REFRESH = "refresh"
DAILY = "daily"
INTAKE = "intake"
DERIVE = "derive"
HEALTH = "health"
RECHECK = "recheck"
TRIGGERS = "triggers"
MESSAGES = "messages"

_INTAKE_GROUPS = (sources.GROUP, clean.GROUP, identity.GROUP)


def jobs(setting: Setting) -> list[Any]:
    """``daily`` is what the schedule runs: everything but the categories that are computed on demand."""
    nightly = dg.AssetSelection.checks(*recheck_keys(setting))
    everything = dg.AssetSelection.all(include_sources=True) - dg.AssetSelection.groups(health.GROUP) - nightly
    intake = dg.AssetSelection.groups(*_INTAKE_GROUPS, include_sources=True)
    on_demand = [
        asset_key(tags_name(code))
        for code in setting.resolved.categories
        if refresh_of(setting, code).schedule == "on_demand"
    ]
    daily = everything - dg.AssetSelection.assets(*on_demand) if on_demand else everything
    chosen = {
        REFRESH: (everything, "全部阶段 · Everything for one as-of"),
        DAILY: (daily, "每日刷新，不含按需类目 · Every day: all but what is computed on demand"),
        INTAKE: (intake, "读取、清洗、人群总体 · Read, clean, identify: no as-of needed"),
        DERIVE: (everything - intake, "标签、得分、人群、报表 · Tags, scores, segments and reports of one as-of"),
        RECHECK: (nightly, "抽样全量重算比对 · A sample recomputed from clean rows and compared"),
        HEALTH: (dg.AssetSelection.groups(health.GROUP), "健康表 · The table of health"),
    }
    if setting.resolved.triggers:
        sending = dg.AssetSelection.assets(asset_key(messages.MESSAGES))
        says = "触发器所需的一切，然后发送 · What triggers read, the triggers, their messages"
        chosen[TRIGGERS] = (sending.upstream(), says)
        chosen[MESSAGES] = (sending, "规划并发送到期消息 · Plan and send what is due")
    return [dg.define_asset_job(name, selection, description=says) for name, (selection, says) in chosen.items()]


def part_of(job: dg.JobDefinition, tables: Iterable[str]) -> dg.JobDefinition:
    """The job for these of its tables alone.

    Its checks are named, for Dagster would add every check of a table: those of the nightly recheck too.
    """
    keys = frozenset(map(asset_key, tables))
    checks = frozenset(check for check in job.asset_layer.asset_graph.asset_check_keys if check.asset_key in keys)
    return job.get_subset(asset_selection=keys, asset_check_selection=checks)
