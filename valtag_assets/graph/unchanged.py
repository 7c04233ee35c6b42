"""Whether a run would change anything, asked before Dagster is started."""

from collections.abc import Collection, Iterator
from datetime import date

import dagster as dg

from valtag_assets.graph.allocations import allocation_plan
from valtag_assets.graph.clean import clean_plan
from valtag_assets.graph.comments import table_comments
from valtag_assets.graph.deliveries import delivering, delivery_plan, sending_place
from valtag_assets.graph.effects import effect_plan, judged_triggers
from valtag_assets.graph.identity import persons_plan, strangers_plan
from valtag_assets.graph.identity_rows import keyed_plans
from valtag_assets.graph.identity_suggestions import suggestion_plans
from valtag_assets.graph.identity_tables import identity_table_plans
from valtag_assets.graph.insight import insight_plan
from valtag_assets.graph.lists import list_plan, list_sources
from valtag_assets.graph.publishing import Plan, unchanged
from valtag_assets.graph.receipts import take_in_receipts
from valtag_assets.graph.reports import report_plan
from valtag_assets.graph.scores import score_plan
from valtag_assets.graph.segments import segment_plan
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.graph.tags import category_plan
from valtag_assets.graph.triggers import trigger_plan
from valtag_assets.warehouse.snapshot import TableRef


def nothing_to_do(setting: Setting, instance: dg.DagsterInstance, as_of: date, tables: Collection[str]) -> bool:
    """Is every one of ``tables`` served as a run for ``as_of`` would make it, and known to this Dagster?"""
    if any(delivering(setting)):
        take_in_receipts(setting, sending_place(setting))
    made = {plan.table.key: plan for plan in plans(setting, as_of)}
    if not all(table in made and unchanged(setting, made[table]) for table in tables):
        return False
    refs = [TableRef.parse(table) for table in tables]
    if any(setting.warehouse.described(ref) != table_comments(setting.resolved, ref) for ref in refs):
        return False  # the run renews the comments of the views, and computes nothing
    # A new DAGSTER_HOME over an old warehouse: the run fills the pages of its UI.
    records = instance.get_asset_records([asset_key(table) for table in tables])
    known = {record.asset_entry.asset_key for record in records if record.asset_entry.last_materialization}
    return known >= {asset_key(table) for table in tables}


def plans(setting: Setting, as_of: date) -> Iterator[Plan]:
    """The plan of every table, in the order of the flow, from what is served now."""
    resolved = setting.resolved
    for source in resolved.sources.values():
        yield clean_plan(setting, source, run_id="")
    yield from identity_table_plans(setting)
    yield from keyed_plans(setting)
    yield from suggestion_plans(setting)
    yield persons_plan(setting)
    yield strangers_plan(setting)
    for source in list_sources(setting):
        yield list_plan(setting, source)
    for category in resolved.categories.values():
        yield category_plan(setting, category, as_of)
    for score in resolved.scores.values():
        yield score_plan(setting, score, as_of)
    for allocation in resolved.allocations.values():
        yield allocation_plan(setting, allocation, as_of)
    for segment in resolved.segments.values():
        yield segment_plan(setting, segment, as_of)
    for report in resolved.reports.values():
        yield report_plan(setting, report, as_of)
    for trigger in resolved.triggers.values():
        yield trigger_plan(setting, trigger, as_of)
    for delivery in delivering(setting):
        yield delivery_plan(setting, delivery, as_of)
    for trigger in judged_triggers(setting):
        yield effect_plan(setting, trigger, as_of)
    if resolved.tags:
        yield insight_plan(setting, as_of)
