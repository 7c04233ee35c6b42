"""The whole graph on one page: sources → clean → identity → tags → scores → segments → what is made of them."""

import os

import dagster as dg
from dagster_duckdb import DuckDBResource

from valtag_assets.graph.allocations import allocation_assets
from valtag_assets.graph.clean import clean_assets
from valtag_assets.graph.deliveries import delivery_assets
from valtag_assets.graph.drivers import schedules, sensors
from valtag_assets.graph.effects import effect_assets
from valtag_assets.graph.health import health_assets
from valtag_assets.graph.identity import identity_assets
from valtag_assets.graph.identity_rows import keyed_assets
from valtag_assets.graph.identity_suggestions import suggestion_assets
from valtag_assets.graph.identity_tables import identity_table_assets
from valtag_assets.graph.insight import insight_assets
from valtag_assets.graph.jobs import jobs
from valtag_assets.graph.lists import list_assets
from valtag_assets.graph.messages import message_assets
from valtag_assets.graph.recheck import recheck_assets
from valtag_assets.graph.reports import report_assets
from valtag_assets.graph.scores import score_assets
from valtag_assets.graph.segments import segment_assets
from valtag_assets.graph.serving import serving_assets
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting, setting_from
from valtag_assets.graph.sources import source_assets
from valtag_assets.graph.tags import tag_assets
from valtag_assets.graph.triggers import trigger_assets
from valtag_assets.graph.upkeep import vacuum_job


def build_definitions(setting: Setting) -> dg.Definitions:
    """The asset graph of one catalog in one data folder."""
    return dg.Definitions(
        assets=[
            *source_assets(setting),
            *clean_assets(setting),
            *identity_table_assets(setting),
            *keyed_assets(setting),
            *suggestion_assets(setting),
            *identity_assets(setting),
            *list_assets(setting),
            *tag_assets(setting),
            *score_assets(setting),
            *allocation_assets(setting),
            *segment_assets(setting),
            *report_assets(setting),
            *trigger_assets(setting),
            *message_assets(setting),
            *delivery_assets(setting),
            *effect_assets(setting),
            *insight_assets(setting),
            *serving_assets(setting),
            *health_assets(setting),
        ],
        asset_checks=recheck_assets(setting),
        jobs=[*jobs(setting), vacuum_job(setting)],
        schedules=schedules(setting),
        sensors=sensors(setting),
        resources={
            "engine": EngineSession(
                duckdb=DuckDBResource(database=":memory:"),
                spill=str(setting.spill),
                engines=setting.engines.model_dump(),
            )
        },
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads; "Reload" reads the catalog again."""
    return build_definitions(setting_from(os.environ))
