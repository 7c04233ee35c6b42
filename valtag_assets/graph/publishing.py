"""Write, audit, publish: the one way a table comes into the warehouse.

A table is computed into a staging folder, audited there, and only then published. What fails a check of the
whole table is never published: the last good snapshot stays served, the attempt is recorded with its reason,
and the step fails. What fails a check of one tag is published with its verdict, and the readers of that tag
are held. An unchanged table (same meaning, same inputs) is not computed again.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
import duckdb

from valtag_assets.engine.faults import impersonal, impersonal_trace
from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.engine.session import Engine, EngineError
from valtag_assets.expression.resolved import code_version
from valtag_assets.graph.checks import check_results, gate_result
from valtag_assets.graph.comments import table_comments
from valtag_assets.graph.gates import Gate, in_words
from valtag_assets.graph.metadata import materialization_metadata
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting, TableDone
from valtag_assets.graph.unsealing import looks_at, unsealed
from valtag_assets.quality.audit import audit
from valtag_assets.quality.change import Change, audit_change
from valtag_assets.quality.expectation import Expectation
from valtag_assets.quality.figures import part_figures, whole_profile
from valtag_assets.quality.profile import profile
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Attempt, Outcome, Snapshot, TableRef, Verdict

# What a company's tables or its disk can do to us; the message names the fix.
FAULTS = (SourceError, WarehouseError, EngineError, duckdb.Error, OSError)
Results = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


class TableFault(Exception):
    """A fault of valtag while it made a table: where, and what, without any value of the table's."""


@dataclass(frozen=True)
class Written:
    """What computing a table left beside the Parquet files in the staging folder.

    ``shared``: parts of earlier snapshots that still hold, by name. ``inputs``: snapshots this one needs beside
    those of the gate, as table key → id.
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    data_until: datetime | None = None
    shared: Mapping[str, Snapshot] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How one table of one as-of is made.

    ``meaning`` is everything in the catalog its values depend on; ``fingerprint`` stands for inputs that are
    no tables (source files). ``write`` puts Parquet files into the folder it is given. ``expectations``
    may use what was written and the previous snapshot; ``verdicts`` are those that follow from numbers
    or from the audit;
    ``joined`` are further tables a law may read; ``picture`` is more metadata for the asset page.
    ``in_parts``: the table is kept in parts, so that a profile of what adds up is enough, and only parts that
    changed are profiled and audited. ``drifting``: its columns with a stability check. ``counted``: its checks are
    counted by the engine that made it, as all are on a cluster, since there are many such tables, each small.
    ``tokens``: its columns that hold tokens of personal texts.
    """

    table: TableRef
    as_of: date | None
    meaning: str
    gate: Gate
    key: tuple[str, ...]
    columns: Mapping[str, DataType]
    private: frozenset[str]
    write: Callable[[Engine, Path], Written]
    expectations: Callable[[Written, Snapshot | None], Sequence[Expectation]]
    verdicts: Callable[[Written, Sequence[Verdict]], Sequence[Verdict]] = lambda _, __: ()
    fingerprint: str = ""
    joined: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    in_parts: bool = False
    counted: bool = False
    drifting: Mapping[str, DataType] = field(default_factory=dict)
    tokens: frozenset[str] = frozenset()
    picture: Callable[[Snapshot], Mapping[str, Any]] = lambda _: {}

    def input_hash(self) -> str:
        """Equal exactly when computing again would give the same table and the same verdicts."""
        inputs = sorted((key, snapshot.content_hash) for key, snapshot in self.gate.snapshots.items())
        held = sorted((key, sorted(snapshot.held)) for key, snapshot in self.gate.snapshots.items())
        text = repr((self.meaning, self.as_of, self.fingerprint, inputs, held))
        return hashlib.sha256(text.encode()).hexdigest()


def build(
    context: dg.AssetExecutionContext, setting: Setting, engine: EngineSession, make: Callable[[], Plan]
) -> Results:
    """Plan, compute, audit and publish the asset's table; yields its events. Raises dg.Failure when refused.

    One run makes a table at a time: ``make`` is called when it is this one's turn, so what another run has
    published meanwhile is seen, and not computed again.
    """
    started = time.monotonic()
    table = TableRef(*context.asset_key.path)
    with ExitStack() as turn:
        try:
            turn.enter_context(setting.warehouse.making(table, context.run_id, setting.clock()))
            plan = make()
        except WarehouseError as error:
            setting.listen(TableDone(table.key, "failed", time.monotonic() - started, reason=str(error)))
            raise dg.Failure(f"{table} is not made: {error}", allow_retries=False) from error
        yield from _build(context, setting, engine, plan, started)


def _build(
    context: dg.AssetExecutionContext, setting: Setting, engine: EngineSession, plan: Plan, started: float
) -> Results:
    yield gate_result(plan.gate, context.asset_key)
    if not plan.gate.open:
        reason = "inputs held: " + "; ".join(plan.gate.faults)
        _refuse(context, setting, plan, started, reason, "refused", ())
    current = unchanged(setting, plan)
    if current is not None:
        _reword(context, setting, plan, started)
        setting.listen(_done(plan, "reused", started, current.rows))
        yield from _events(context, setting, plan, current, reused=True)
        return
    try:
        published = _compute(context, setting, engine, plan, started)
    except FAULTS as error:
        _refuse(context, setting, plan, started, impersonal(error), "failed", ())
    except BaseException as error:
        # A fault of ours, or somebody ended the run: readers must know that this table was not made.
        _record(context, setting, plan, impersonal(error), "failed", ())
        if isinstance(error, Exception):
            raise TableFault(f"{plan.table}: {impersonal_trace(error)}") from None
        raise
    if isinstance(published, Snapshot):
        setting.listen(_done(plan, "published", started, published.rows))
        yield from _events(context, setting, plan, published, reused=False)
        return
    yield from check_results(published, _check_names(context), context.asset_key)
    failed = [verdict for verdict in published if verdict.holds == "table" and not verdict.passed]
    reason = "checks failed: " + "; ".join(in_words(verdict) for verdict in failed)
    _refuse(context, setting, plan, started, reason, "refused", published)


def _reword(context: dg.AssetExecutionContext, setting: Setting, plan: Plan, started: float) -> None:
    """Let the views say what the catalog says now: other words are no reason to compute a table again."""
    try:
        if setting.warehouse.describe(plan.table, table_comments(setting.resolved, plan.table)):
            setting.warehouse.rebuild_views()
    except FAULTS as error:
        _refuse(context, setting, plan, started, impersonal(error), "failed", ())


def unchanged(setting: Setting, plan: Plan) -> Snapshot | None:
    """The snapshot served already, if computing ``plan`` again would only give the same."""
    if setting.full or not plan.gate.open or setting.warehouse.blocked(plan.table, plan.as_of) is not None:
        return None
    current = setting.warehouse.current(plan.table, plan.as_of)
    if current is None or current.input_hash != plan.input_hash():
        return None
    return current if damage(current) is None else None


def _compute(
    context: dg.AssetExecutionContext,
    setting: Setting,
    session: EngineSession,
    plan: Plan,
    started: float,
) -> Snapshot | Sequence[Verdict]:
    """Stage and audit; the published snapshot, or the verdicts that forbid publishing."""
    warehouse = setting.warehouse
    previous = _previous(setting, plan)
    with warehouse.staging(plan.table) as staged, session.open(plan.table.key) as engine:
        written = plan.write(engine, staged.path)
        for name, snapshot in written.shared.items():
            warehouse.share(staged, snapshot, name)
        files = sorted(staged.path.glob("*.parquet"))
        look = _profile(engine, plan, files, written)
        computed = time.monotonic()
        expected = plan.expectations(written, previous)
        audited = _audit(engine, setting, plan, files, written, expected, look["profile"])
        verdicts = [*audited, *plan.verdicts(written, audited)]
        checked = time.monotonic()
        if any(verdict.holds == "table" and not verdict.passed for verdict in verdicts):
            return verdicts
        metrics = {**written.metrics, **look, "meaning": plan.meaning}
        warehouse.describe(plan.table, table_comments(setting.resolved, plan.table))
        metrics["seconds"] = {"compute": round(computed - started, 3), "audit": round(checked - computed, 3)}
        return warehouse.publish(
            staged,
            as_of=plan.as_of,
            known_at=setting.clock(),
            input_hash=plan.input_hash(),
            catalog_hash=setting.resolved.catalog.digest,
            run_id=context.run_id,
            data_until=written.data_until,
            inputs={**{key: snapshot.id for key, snapshot in plan.gate.snapshots.items()}, **written.inputs},
            verdicts=verdicts,
            metrics=metrics,
            key=plan.key,
        )


def _profile(engine: Engine, plan: Plan, files: Sequence[Path], written: Written) -> dict[str, Any]:
    """The metric ``profile``; of a table in parts also ``figures``, those of each part."""
    if not plan.in_parts:
        return {"profile": profile(engine, files, plan.columns, plan.private)}
    before = next(iter(written.shared.values()), None)
    known = before.metrics["figures"] if before is not None else {}
    kept = {name: known[name] for name in written.shared}
    columns = before.metrics["profile"]["columns"] if before is not None else None
    if columns is None:
        columns = profile(engine, files, plan.drifting, plan.private)["columns"]
    bins = {name: columns[name]["histogram"] for name in plan.drifting if "histogram" in columns[name]}
    new = {file.name: file for file in files if file.name not in kept}
    figures = {**kept, **part_figures(engine, new, plan.columns, plan.private, bins)}
    return {"profile": whole_profile(figures.values(), plan.columns, bins), "figures": figures}


def _audit(
    engine: Engine,
    setting: Setting,
    plan: Plan,
    files: Sequence[Path],
    written: Written,
    expected: Sequence[Expectation],
    shape: Mapping[str, Any],
) -> list[Verdict]:
    """Of a table in parts that shares some with a snapshot, only the others are read."""
    before = next(iter(written.shared.values()), None) if plan.in_parts else None
    # A table made on a cluster is audited there.
    counting = engine if plan.counted or engine.name == "spark" else None
    looking = looks_at(expected, plan.tokens)
    names = frozenset(item.column for item in looking if item.column is not None)
    gone = [file for file in before.files if file.name not in written.shared] if before is not None else []
    came = [file for file in files if file.name not in written.shared]
    told = {verdict.check for verdict in before.verdicts} if before is not None else frozenset[str]()
    read = [*came, *gone] if all(item.check in told for item in looking) else [*files, *gone]
    with unsealed(engine, setting, read, plan.columns, names, plan.key[0], before) as opened:
        came, gone, files = ([opened.get(file, file) for file in some] for some in (came, gone, files))
        if before is None:
            return audit(files, expected, plan.key[0], plan.joined, engine=counting)
        change = Change(before.verdicts, came, gone, files, shape, plan.columns, counting)
        return audit_change(engine, change, expected, plan.key[0], setting.spill)


def _previous(setting: Setting, plan: Plan) -> Snapshot | None:
    """The last good snapshot to compare with: of an earlier as-of, else the one now served for this one.

    A column that is held there is compared with the newest snapshot in which it was not: a bad load must never
    become the measure of the good one that repairs it.
    """
    current = setting.warehouse.current(plan.table, plan.as_of)
    if plan.as_of is None:
        return current
    earlier = date.fromordinal(plan.as_of.toordinal() - 1)
    found = setting.warehouse.latest(plan.table, on_or_before=earlier) or current
    return _with_good_columns(setting, found) if found is not None and found.held else found


def _with_good_columns(setting: Setting, snapshot: Snapshot) -> Snapshot:
    """``snapshot`` with the profile of each held column taken from the newest one before in which it was good."""
    shape = snapshot.metrics["profile"]
    columns = {name: seen for name, seen in shape["columns"].items() if name not in snapshot.held}
    missing = set(snapshot.held)
    older = sorted(setting.warehouse.snapshots(snapshot.table), key=lambda item: item.known_at, reverse=True)
    for item in (other for other in older if other.known_at < snapshot.known_at):
        seen = item.metrics["profile"]["columns"]
        good = {name for name in missing if name in seen and name not in item.held}
        columns |= {name: seen[name] for name in good}
        missing -= good
        if not missing:
            break
    return replace(snapshot, metrics={**snapshot.metrics, "profile": {**shape, "columns": columns}})


def _events(
    context: dg.AssetExecutionContext, setting: Setting, plan: Plan, snapshot: Snapshot, *, reused: bool
) -> Results:
    metadata = {**plan.picture(snapshot), **materialization_metadata(setting, snapshot, reused=reused)}
    yield dg.MaterializeResult(data_version=dg.DataVersion(snapshot.content_hash[:32]), metadata=metadata)
    yield from check_results(snapshot.verdicts, _check_names(context), context.asset_key)


def _done(
    plan: Plan, outcome: Outcome, started: float, rows: int | None = None, reason: str | None = None
) -> TableDone:
    return TableDone(plan.table.key, outcome, time.monotonic() - started, rows, reason, plan.as_of)


def _check_names(context: dg.AssetExecutionContext) -> list[str]:
    return sorted(key.name for key in context.selected_asset_check_keys)


def _refuse(
    context: dg.AssetExecutionContext,
    setting: Setting,
    plan: Plan,
    started: float,
    reason: str,
    outcome: Outcome,
    verdicts: Sequence[Verdict],
) -> NoReturn:
    """Record the attempt, tell the listener, fail the step."""
    _record(context, setting, plan, reason, outcome, verdicts)
    setting.listen(_done(plan, outcome, started, reason=reason))
    good = setting.warehouse.latest(plan.table)
    kept = f"; {good.id} of {good.as_of or 'all time'} stays served" if good else "; nothing was served before"
    # Not from the error: Dagster would keep what that says, and it may say a value.
    raise dg.Failure(f"{plan.table} is not published: {reason}{kept}", allow_retries=False) from None


def _record(
    context: dg.AssetExecutionContext,
    setting: Setting,
    plan: Plan,
    reason: str,
    outcome: Outcome,
    verdicts: Sequence[Verdict],
) -> None:
    setting.warehouse.record_attempt(
        plan.table,
        Attempt(
            as_of=plan.as_of,
            at=setting.clock(),
            run_id=context.run_id,
            input_hash=plan.input_hash(),
            outcome=outcome,
            verdicts=tuple(verdicts),
            reason=reason,
        ),
    )


def meaning_of(*parts: object) -> str:
    """A code version from everything a table's values depend on."""
    return code_version(repr(parts))
