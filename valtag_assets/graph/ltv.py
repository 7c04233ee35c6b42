"""Customer value in the graph: published only when the held-out period bears the model out."""

import tempfile
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from valtag_assets.engine.concentration import concentration_expression, read_concentration
from valtag_assets.engine.ltv.making import Making
from valtag_assets.engine.persons import PERSON, PERSONS, keyed_names
from valtag_assets.engine.scores import score_table
from valtag_assets.engine.session import Engine
from valtag_assets.engine.transitions import count_moves
from valtag_assets.expression.resolved import Resolved, ResolvedLtv, code_version
from valtag_assets.graph.gates import Gate, Wanted, ask
from valtag_assets.graph.ltv_page import ltv_page
from valtag_assets.graph.publishing import Plan, Written, meaning_of
from valtag_assets.graph.score_pages import concentration_metrics, snapshot_before, transition_metrics
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.successors import successor_inputs, wanted_successors
from valtag_assets.graph.tags import data_until, read_categories, wanted_tags
from valtag_assets.quality.ltv import drift, gate_measures, gate_verdicts, ltv_expectations
from valtag_assets.quality.plan import private_columns
from valtag_assets.spec.ltv import MONEY
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


def read_tables(resolved: Resolved, score: ResolvedLtv) -> list[str]:
    """The tables a model of value is made of: orders themselves, since the past is needed as it was then."""
    return [PERSONS, *keyed_names(resolved, score.facts)]


def _gate(setting: Setting, score: ResolvedLtv, as_of: date) -> Gate:
    """What the score reads, and whether the tags that say what it reads are good.

    Of the tags only the verdicts are asked for: a sum that is held for its drift comes of the rows the model reads.
    """
    names = read_tables(setting.resolved, score)
    rows = ask(setting.warehouse, [*map(Wanted, names), *wanted_successors(setting)])
    categories = read_categories(setting, score)
    tags = ask(setting.warehouse, [wanted_tags(setting, code, as_of, read) for code, read in categories.items()])
    return replace(rows, faults=[*rows.faults, *tags.faults], held=tags.held, wanted=[*rows.wanted, *tags.wanted])


def ltv_plan(setting: Setting, score: ResolvedLtv, as_of: date) -> Plan:
    """How the score's table of ``as_of`` is made."""
    resolved, ref = setting.resolved, TableRef("scores", score.code)
    gate = _gate(setting, score, as_of)
    meaning = meaning_of(score.meaning)
    compared = snapshot_before(setting.warehouse, ref, as_of, meaning, score.spec.compare)

    def write(engine: Engine, into: Path) -> Written:
        inputs, target = {key: snapshot.files for key, snapshot in gate.snapshots.items()}, into / "part-0.parquet"
        with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
            making = Making(resolved, score, as_of, engine, inputs, Path(folder))
            metrics = making.write(target)
        metrics["score"] = code_version(score.meaning)
        if metrics["tiers"]:
            tiers = partial(count_moves, engine, score_table(score), f"{score.code}_tier", [target])
            tiers = partial(tiers, successors=successor_inputs(gate))
            found = concentration_expression(score_table(score), f"{score.code}_clv", MONEY)
            row = engine.fetch(found, {ref.key: [target]}).to_pylist()[0]
            metrics |= concentration_metrics(read_concentration(row)) | transition_metrics(compared, tiers)
        if "backtest" in metrics:
            before = setting.warehouse.latest(ref, on_or_before=as_of - timedelta(days=1))
            known = before.metrics.get("parameters", {}) if before is not None else {}
            moved = drift(metrics["parameters"], known)
            metrics["gate"] = {**gate_measures(metrics["backtest"]), "parameter_drift": moved}
        return Written(metrics, data_until(gate, as_of))

    return Plan(
        table=ref,
        as_of=as_of,
        meaning=meaning,
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT, **score.columns},
        private=private_columns(resolved, score),
        write=write,
        fingerprint="" if compared is None else f"compared with {compared.as_of} {compared.content_hash}",
        expectations=lambda written, previous: ltv_expectations(resolved, score, _alike(score, previous)),
        counted=True,
        verdicts=lambda written, _: gate_verdicts(resolved, score, written.metrics),
        picture=lambda snapshot: ltv_page(score, snapshot, _earlier(setting, snapshot)),
    )


def _alike(score: ResolvedLtv, previous: Snapshot | None) -> Snapshot | None:
    """The previous snapshot if it meant the same: of another model's numbers nothing can be expected."""
    same = previous is not None and previous.metrics.get("score") == code_version(score.meaning)
    return previous if same else None


def _earlier(setting: Setting, snapshot: Snapshot) -> list[Snapshot]:
    """The newest snapshot of every earlier as-of, newest first."""
    assert snapshot.as_of is not None
    older = [s for s in setting.warehouse.snapshots(snapshot.table) if s.as_of and s.as_of < snapshot.as_of]
    newest = {s.as_of: s for s in sorted(older, key=lambda item: item.known_at)}
    return [newest[day] for day in sorted(newest, key=str, reverse=True)]
