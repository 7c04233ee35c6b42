"""Stage *scores*: one asset per model. How each kind is made: rfm.py, ltv.py."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.resolved import Resolved, ResolvedLtv, ResolvedRfm, ResolvedScore
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.comments import ltv_convention, rfm_convention
from valtag_assets.graph.ltv import ltv_plan, read_tables
from valtag_assets.graph.metadata import describe, score_schema
from valtag_assets.graph.publishing import Plan, Results, build, meaning_of
from valtag_assets.graph.rfm import rfm_plan
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.successors import successor_deps
from valtag_assets.graph.tags import read_categories
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.ltv import gate_verdicts, ltv_expectations
from valtag_assets.quality.plan import score_expectations
from valtag_assets.spec.block import Title
from valtag_assets.warehouse.snapshot import Snapshot, Verdict

GROUP = "5_scores"


def score_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per score of the catalog."""
    return [_score_asset(setting, score) for score in setting.resolved.scores.values()]


def score_plan(setting: Setting, score: ResolvedScore, as_of: date) -> Plan:
    """How the score's table of ``as_of`` is made."""
    if isinstance(score, ResolvedLtv):
        return ltv_plan(setting, score, as_of)
    assert isinstance(score, ResolvedRfm)
    return rfm_plan(setting, score, as_of)


def _score_asset(setting: Setting, score: ResolvedScore) -> dg.AssetsDefinition:
    catalog = setting.resolved.catalog
    refresh = score.spec.refresh or catalog.project.refresh
    key = asset_key(scores_name(score.code))
    words = convention(setting.resolved, score)

    @dg.asset(
        key=key,
        deps=[*map(asset_key, _upstream(setting, score)), *successor_deps(setting)],
        group_name=GROUP,
        description=describe(score.spec.title, score.spec.meaning, f"{words.zh}。\n\n{words.en}."),
        owners=[catalog.owner_of(score.spec)],
        kinds={setting.engines.of(scores_name(score.code)), "parquet"},
        code_version=meaning_of(score.meaning),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={"dagster/column_schema": score_schema(score)},
        check_specs=check_specs(
            key,
            lambda previous: _expectations(setting.resolved, score, previous),
            score.columns,
            _verdicts(setting.resolved, score),
        ),
        output_required=False,
    )
    def scores(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: score_plan(setting, score, as_of))

    return scores


def convention(resolved: Resolved, score: ResolvedScore) -> Title:
    """How the model is made, in words."""
    if isinstance(score, ResolvedLtv):
        return ltv_convention(score)
    assert isinstance(score, ResolvedRfm)
    return rfm_convention(resolved, score)


def _upstream(setting: Setting, score: ResolvedScore) -> list[str]:
    categories = [tags_name(code) for code in read_categories(setting, score)]
    if isinstance(score, ResolvedLtv):
        return [*read_tables(setting.resolved, score), *categories]
    return categories


def _expectations(resolved: Resolved, score: ResolvedScore, previous: Snapshot | None) -> list[Expectation]:
    if isinstance(score, ResolvedLtv):
        return ltv_expectations(resolved, score, previous)
    assert isinstance(score, ResolvedRfm)
    return score_expectations(resolved, score, previous)


def _verdicts(resolved: Resolved, score: ResolvedScore) -> Sequence[Verdict]:
    return gate_verdicts(resolved, score, None) if isinstance(score, ResolvedLtv) else ()
