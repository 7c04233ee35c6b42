"""The jobs: everything for one as-of, and its two halves."""

from typing import Any

import dagster as dg

from valtag_assets.graph import clean, health, identity, sources

INTAKE = "intake"
DERIVE = "derive"
REFRESH = "refresh"
HEALTH = "health"

_INTAKE_GROUPS = (sources.GROUP, clean.GROUP, identity.GROUP)


def jobs() -> list[Any]:
    """``refresh`` is the daily job; ``intake`` needs no as-of, ``derive`` is all that follows from it."""
    every = dg.AssetSelection.all(include_sources=True)
    intake = dg.AssetSelection.groups(*_INTAKE_GROUPS, include_sources=True)
    page = dg.AssetSelection.groups(health.GROUP)
    return [
        dg.define_asset_job(
            REFRESH, every - page, description="每日刷新：全部阶段 · Everything for one as-of"
        ),
        dg.define_asset_job(
            INTAKE, intake, description="读取、清洗、人群 · Read, clean, identify: no as-of needed"
        ),
        dg.define_asset_job(
            DERIVE,
            every - intake - page,
            description="标签、得分、人群 · Tags, scores, segments of one as-of",
        ),
        dg.define_asset_job(HEALTH, page, description="健康表 · The table of health"),
    ]
