"""RFM in the graph: scores of persons from their tags."""

from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine.concentration import read_concentration
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.rfm import (
    Group,
    cell_sizes,
    quadrant_groups,
    revenue_concentration,
    rfm_expression,
    tier_groups,
    tier_titles,
)
from valtag_assets.engine.scores import score_table, scores_name
from valtag_assets.engine.session import Engine
from valtag_assets.engine.transitions import count_moves
from valtag_assets.expression.resolved import ResolvedRfm, code_version
from valtag_assets.graph.gates import ask
from valtag_assets.graph.plots import rfm_heat_map
from valtag_assets.graph.publishing import Plan, Written, meaning_of
from valtag_assets.graph.score_pages import (
    concentration_metrics,
    concentration_page,
    snapshot_before,
    transition_metrics,
    transition_page,
)
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.successors import successor_inputs, wanted_successors
from valtag_assets.graph.tags import data_until, read_categories, wanted_tags
from valtag_assets.quality.plan import private_columns, score_expectations
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


def rfm_plan(setting: Setting, score: ResolvedRfm, as_of: date) -> Plan:
    """How the score's table of ``as_of`` is made."""
    resolved = setting.resolved
    wanted = [wanted_tags(setting, code, as_of, tags) for code, tags in read_categories(setting, score).items()]
    gate = ask(setting.warehouse, [*wanted, *wanted_successors(setting)])
    table, meaning, titles = TableRef("scores", score.code), meaning_of(score.meaning), tier_titles(score.spec)
    before = snapshot_before(setting.warehouse, table, as_of, meaning, score.spec.compare_days)

    def write(engine: Engine, into: Path) -> Written:
        expression = rfm_expression(resolved, score, as_of)
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        target = into / "part-0.parquet"
        engine.write(expression, inputs, target)
        cells = cell_sizes(resolved, score, as_of)
        sizes = engine.fetch(cells, {**inputs, scores_name(score.code): [target]}).to_pylist()
        metrics = {"cells": sizes, "sql": engine.sql(expression), "score": code_version(score.meaning)}
        concentrated = engine.fetch(revenue_concentration(resolved, score, as_of), inputs).to_pylist()[0]
        metrics |= concentration_metrics(read_concentration(concentrated))
        tiers = partial(count_moves, engine, score_table(score), f"{score.code}_tier", [target])
        metrics |= transition_metrics(before, partial(tiers, successors=successor_inputs(gate)))
        return Written(metrics, data_until(gate, as_of))

    def picture(snapshot: Snapshot) -> dict[str, Any]:
        cells = snapshot.metrics["cells"]
        unit = resolved.catalog.project.currency
        return {
            "heat map 热力图": rfm_heat_map(score.spec, cells, unit),
            "tiers 分层": dg.MetadataValue.table(_records(tier_groups(score.spec, cells))),
            "quadrants 八象限": dg.MetadataValue.table(_records(quadrant_groups(cells))),
            **transition_page(snapshot, titles, score.spec.compare_days),
            **concentration_page(snapshot, unit),
            "SQL": dg.MetadataValue.md(f"```sql\n{snapshot.metrics.get('sql', '')}\n```"),
        }

    return Plan(
        table=table,
        as_of=as_of,
        meaning=meaning,
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT, **score.columns},
        private=private_columns(resolved, score),
        write=write,
        # What the tiers are compared with is no input of the table, but of what is told about it.
        fingerprint="" if before is None else f"compared with {before.as_of} {before.content_hash}",
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
