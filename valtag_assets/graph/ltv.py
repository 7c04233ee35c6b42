"""Customer value in the graph: published only when the held-out period bears the model out."""

import tempfile
from datetime import date, timedelta
from pathlib import Path

from valtag_assets.engine.ltv.making import Making
from valtag_assets.engine.persons import PERSON, PERSONS, clean_name
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolved import ResolvedLtv, code_version
from valtag_assets.graph.gates import Wanted, ask
from valtag_assets.graph.ltv_page import ltv_page
from valtag_assets.graph.publishing import Plan, Written, meaning_of
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.tags import data_until
from valtag_assets.quality.ltv import drift, gate_measures, gate_verdicts, ltv_expectations
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.snapshot import Snapshot, TableRef


def read_tables(score: ResolvedLtv) -> list[str]:
    """The tables a model of value is made of: orders themselves, since the past is needed as it was then."""
    return [PERSONS, *map(clean_name, score.facts)]


def ltv_plan(setting: Setting, score: ResolvedLtv, as_of: date) -> Plan:
    """How the score's table of ``as_of`` is made."""
    resolved, ref = setting.resolved, TableRef("scores", score.code)
    gate = ask(setting.warehouse, [Wanted(name) for name in read_tables(score)])

    def write(engine: Engine, into: Path) -> Written:
        inputs = {key: snapshot.files for key, snapshot in gate.snapshots.items()}
        with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
            making = Making(resolved, score, as_of, engine, inputs, Path(folder))
            metrics = making.write(into / "part-0.parquet")
        metrics["score"] = code_version(score.meaning)
        if "backtest" in metrics:
            before = setting.warehouse.latest(ref, on_or_before=as_of - timedelta(days=1))
            known = before.metrics.get("parameters", {}) if before is not None else {}
            moved = drift(metrics["parameters"], known)
            metrics["gate"] = {**gate_measures(metrics["backtest"]), "parameter_drift": moved}
        return Written(metrics, data_until(gate, as_of))

    return Plan(
        table=ref,
        as_of=as_of,
        meaning=meaning_of(score.meaning),
        gate=gate,
        key=(PERSON,),
        columns={PERSON: TEXT, **score.columns},
        private=frozenset({PERSON}),
        write=write,
        expectations=lambda written, previous: ltv_expectations(resolved, score, _alike(score, previous)),
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
