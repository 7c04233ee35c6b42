"""Stage *scores*: one asset per model; how RFM is made of tags. How customer value is: ltv.py."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.rfm import (
    Group,
    cell_sizes,
    quadrant_groups,
    rfm_expression,
    tier_groups,
)
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.tags import tags_name
from valtag_assets.expression.resolved import ResolvedLtv, ResolvedRfm, ResolvedScore, code_version
from valtag_assets.graph.checks import check_specs
from valtag_assets.graph.gates import ask
from valtag_assets.graph.ltv import ltv_plan, read_tables
from valtag_assets.graph.metadata import describe, score_schema
from valtag_assets.graph.plots import rfm_heat_map
from valtag_assets.graph.publishing import Plan, Results, Written, build, meaning_of
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import as_of_partitions, asset_key, automation, freshness, run_as_of
from valtag_assets.graph.tags import data_until, wanted_tags
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.ltv import gate_verdicts, ltv_expectations
from valtag_assets.quality.plan import score_expectations
from valtag_assets.spec.score import Rfm
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

GROUP = "5_scores"


def score_assets(setting: Setting) -> list[dg.AssetsDefinition]:
    """One asset per score of the catalog."""
    return [_score_asset(setting, score) for score in setting.resolved.scores.values()]


def read_categories(setting: Setting, score: ResolvedScore) -> dict[str, frozenset[str]]:
    """The categories a score reads, with the tags of each."""
    found: dict[str, set[str]] = {}
    for tag in score.tags:
        found.setdefault(setting.resolved.category_of(tag), set()).add(tag)
    return {code: frozenset(tags) for code, tags in sorted(found.items())}


def _score_asset(setting: Setting, score: ResolvedScore) -> dg.AssetsDefinition:
    catalog = setting.resolved.catalog
    refresh = score.spec.refresh or catalog.project.refresh
    key = asset_key(scores_name(score.code))

    @dg.asset(
        key=key,
        deps=[asset_key(name) for name in _upstream(setting, score)],
        group_name=GROUP,
        description=describe(score.spec.title, score.spec.meaning, _convention(score)),
        owners=[catalog.owner_of(score.spec)],
        kinds={setting.engines.of(scores_name(score.code)), "parquet"},
        code_version=meaning_of(score.meaning),
        partitions_def=as_of_partitions(setting),
        freshness_policy=freshness(setting, refresh),
        automation_condition=automation(refresh),
        metadata={"dagster/column_schema": score_schema(score)},
        check_specs=check_specs(
            key,
            lambda previous: _expectations(setting, score, previous),
            score.columns,
            gate_verdicts(setting.resolved, score, None) if isinstance(score, ResolvedLtv) else (),
        ),
        output_required=False,
    )
    def scores(context: dg.AssetExecutionContext, engine: EngineSession) -> Results:
        as_of = run_as_of(context, setting)
        yield from build(context, setting, engine, lambda: score_plan(setting, score, as_of))

    return scores


def _upstream(setting: Setting, score: ResolvedScore) -> list[str]:
    if isinstance(score, ResolvedLtv):
        return read_tables(score)
    return [tags_name(code) for code in read_categories(setting, score)]


def _expectations(setting: Setting, score: ResolvedScore, previous: Snapshot | None) -> list[Expectation]:
    if isinstance(score, ResolvedLtv):
        return ltv_expectations(setting.resolved, score, previous)
    assert isinstance(score, ResolvedRfm)
    return score_expectations(setting.resolved, score, previous)


def score_plan(setting: Setting, score: ResolvedScore, as_of: date) -> Plan:
    """How the score's table of ``as_of`` is made."""
    if isinstance(score, ResolvedLtv):
        return ltv_plan(setting, score, as_of)
    assert isinstance(score, ResolvedRfm)
    return rfm_plan(setting, score, as_of)


def _convention(score: ResolvedScore) -> str:
    if isinstance(score, ResolvedLtv):
        return _ltv_convention(score)
    rfm = score.spec
    assert isinstance(rfm, Rfm)
    threshold = rfm.quadrant_threshold if isinstance(rfm.quadrant_threshold, str) else "fixed"
    return (
        f"R `{rfm.recency}` · F `{rfm.frequency}` · M `{rfm.monetary}`；1–{rfm.bins} 分，同值同分；"
        f"象限阈值 quadrant threshold: {threshold}. Equal values share a score; 5 is best."
    )


def _ltv_convention(score: ResolvedLtv) -> str:
    ltv = score.spec
    less = f" − `{ltv.refunds}`" if ltv.refunds else ""
    return (
        f"订单 orders `{ltv.orders}` · 消费 spend `{ltv.spend}`{less}（{score.currency}）；"
        f"候选 candidates {', '.join(ltv.models)}；留出期 held out {ltv.holdout}d；时间单位 unit {ltv.unit}d。"
        "Orders of one day are one purchase. Published only when it beats forecasts without a model on the held-out"
        " period; otherwise the last good table stays served, and readers are held."
    )


def rfm_plan(setting: Setting, score: ResolvedRfm, as_of: date) -> Plan:
    """How the RFM table of ``as_of`` is made of tags."""
    resolved = setting.resolved
    wanted = [wanted_tags(setting, code, as_of, tags) for code, tags in read_categories(setting, score).items()]
    gate = ask(setting.warehouse, wanted)

    def write(engine: Engine, into: Path) -> Written:
        expression = rfm_expression(resolved, score, as_of)
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        target = into / "part-0.parquet"
        engine.write(expression, inputs, target)
        cells = cell_sizes(resolved, score, as_of)
        sizes = engine.fetch(cells, {**inputs, scores_name(score.code): [target]}).to_pylist()
        metrics = {"cells": sizes, "sql": engine.sql(expression), "score": code_version(score.meaning)}
        return Written(metrics, data_until(gate, as_of))

    def picture(snapshot: Snapshot) -> dict[str, Any]:
        cells = snapshot.metrics["cells"]
        unit = resolved.catalog.project.currency
        return {
            "heat map 热力图": rfm_heat_map(score.spec, cells, unit),
            "tiers 分层": dg.MetadataValue.table(_records(tier_groups(score.spec, cells))),
            "quadrants 八象限": dg.MetadataValue.table(_records(quadrant_groups(cells))),
            "SQL": dg.MetadataValue.md(f"```sql\n{snapshot.metrics.get('sql', '')}\n```"),
        }

    return Plan(
        table=TableRef("scores", score.code),
        as_of=as_of,
        meaning=meaning_of(score.meaning),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT, **score.columns},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, previous: score_expectations(resolved, score, previous),
        picture=picture,
    )


def _records(groups: list[Group]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "code": group.code,
                "name": f"{group.title.zh} · {group.title.en}",
                "persons": group.persons,
                "share": f"{group.share:.1%}",
                "monetary": round(group.monetary, 2),
                "revenue share": f"{group.revenue_share:.1%}",
            }
        )
        for group in groups
    ]
