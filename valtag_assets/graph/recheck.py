"""The nightly check: what is served against a full recompute of a sample of persons from the clean rows.

Any difference is an error. It blocks the table as a refusal does, and throws the category's tiles and
checkpoints away, so that the next run starts from the clean rows.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from valtag_assets.engine import recompute
from valtag_assets.engine.persons import PERSONS, keyed_name
from valtag_assets.engine.session import Engine, Inputs
from valtag_assets.engine.tags import PREVIOUS, category_expression, tags_name
from valtag_assets.expression.resolved import ResolvedCategory
from valtag_assets.graph.merging import forget_merging
from valtag_assets.graph.session import EngineSession
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.stages import asset_key
from valtag_assets.spec.masking import mask_key
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Attempt, Snapshot, TableRef

CHECK = "equals_full_recompute"
SHOWN = 5


@dataclass(frozen=True)
class Difference:
    """A tag whose served value is not what the clean rows give, with some masked persons and both values."""

    tag: str
    persons: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Rechecked:
    """What a recheck of one snapshot found."""

    snapshot: Snapshot
    persons: int
    absent: int
    differences: Sequence[Difference]

    @property
    def passed(self) -> bool:
        return not self.differences and not self.absent

    @property
    def reason(self) -> str:
        words = [f"{item.tag} of {item.persons} of {self.persons} persons" for item in self.differences]
        words += [f"{self.absent} persons are not served"] if self.absent else []
        return f"differs from a full recompute: {'; '.join(words)}"


def recheck(setting: Setting, engine: Engine, category: ResolvedCategory, snapshot: Snapshot) -> Rechecked:
    """Compute the sample of the snapshot's as-of from the very inputs the snapshot was made of; compare.

    WarehouseError when one of them is gone.
    """
    resolved = setting.resolved
    inputs: dict[str, Sequence[Path]] = {}
    for key, name in snapshot.inputs.items():
        found = setting.warehouse.find(TableRef.parse(key), name)
        if found is None:
            raise WarehouseError(
                f"{key} {name}, which {snapshot.table} {snapshot.as_of} was made of, has been removed"
            )
        inputs[key] = found.files
    wanted = resolved.catalog.project.recheck
    with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        files = _recomputed(setting, engine, category, snapshot, inputs, Path(folder))
        compared = {recompute.AGAIN: files[recompute.AGAIN], recompute.SERVED: snapshot.files}
        counts = engine.fetch(recompute.differing_counts(resolved, category.code), compared).to_pylist()[0]
        differences = [
            Difference(tag.code, number, _examples(setting, engine, category, tag.code, compared))
            for tag in category.tags
            if (number := int(counts[recompute.count_column(tag.code)] or 0))
        ]
    assert counts["_persons"] <= wanted.persons
    return Rechecked(snapshot, counts["_persons"], int(counts["_absent"] or 0), differences)


def _recomputed(
    setting: Setting, engine: Engine, category: ResolvedCategory, snapshot: Snapshot, inputs: Inputs, work: Path
) -> Inputs:
    """The sampled persons' rows of the category from clean rows alone."""
    as_of = snapshot.as_of
    assert as_of is not None
    resolved, wanted = setting.resolved, setting.resolved.catalog.project.recheck
    sample, again = work / "sample.parquet", work / "again.parquet"
    drawn = recompute.sample_expression(wanted.persons, wanted.seed, as_of)
    engine.write(drawn, {PERSONS: inputs[PERSONS]}, sample)
    files: dict[str, Sequence[Path]] = {**inputs, PERSONS: [sample]}
    for code in category.sources:
        name, rows = keyed_name(resolved.sources[code]), work / f"{code}.parquet"
        expression = recompute.rows_of_sample(resolved.sources[code])
        engine.write(expression, {name: inputs[name], recompute.SAMPLE: [sample]}, rows)
        files[name] = [rows]
    kept = _kept(setting, snapshot, files)
    engine.write(category_expression(resolved, category, as_of, previous=kept), files, again)
    return {recompute.AGAIN: [again]}


def _kept(setting: Setting, snapshot: Snapshot, files: dict[str, Sequence[Path]]) -> list[str]:
    """The columns of the day before, added to ``files``, if the snapshot has kept last values from it."""
    name = snapshot.metrics.get("kept_from")
    if name is None:
        return []
    before = setting.warehouse.find(snapshot.table, name)
    if before is None:
        raise WarehouseError(f"{snapshot.table} {name}, from which {snapshot.as_of} kept values, has been removed")
    files[PREVIOUS] = before.files
    return [name for name, _ in before.columns]


def _examples(
    setting: Setting, engine: Engine, category: ResolvedCategory, code: str, compared: Inputs
) -> Sequence[str]:
    shown = setting.resolved.tags[code].spec.access == "public"
    rows = engine.fetch(recompute.differing_rows(setting.resolved, category.code, code, SHOWN), compared)
    return [
        f"{mask_key(row['person_id'])}" + (f": served {row['served']}, rows give {row['again']}" if shown else "")
        for row in rows.to_pylist()
    ]


def block(setting: Setting, found: Rechecked, run_id: str) -> None:
    """Record that the snapshot is not to be read, and forget what it was merged from."""
    snapshot = found.snapshot
    setting.warehouse.record_attempt(
        snapshot.table,
        Attempt(snapshot.as_of, setting.clock(), run_id, snapshot.input_hash, "refused", reason=found.reason),
    )
    forget_merging(setting, setting.resolved.categories[snapshot.table.name])


def recheck_assets(setting: Setting) -> list[dg.AssetChecksDefinition]:
    """One standing check per category."""
    return [_check(setting, category) for category in setting.resolved.categories.values()]


def _check(setting: Setting, category: ResolvedCategory) -> dg.AssetChecksDefinition:
    wanted = setting.resolved.catalog.project.recheck

    @dg.asset_check(
        name=CHECK,
        asset=asset_key(tags_name(category.code)),
        description=f"抽样 {wanted.persons} 人，从清洁数据全量重算，逐格比对 · "
        f"{wanted.persons} sampled persons recomputed from the clean rows, compared cell by cell",
    )
    def equals_full_recompute(context: dg.AssetCheckExecutionContext, engine: EngineSession) -> dg.AssetCheckResult:
        snapshot = setting.warehouse.latest(TableRef("tags", category.code))
        if snapshot is None or setting.warehouse.blocked(snapshot.table, snapshot.as_of) is not None:
            return dg.AssetCheckResult(passed=True, description="nothing is served that could be compared")
        with engine.open(tags_name(category.code)) as opened:
            found = recheck(setting, opened, category, snapshot)
        if not found.passed:
            block(setting, found, context.run.run_id)
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=None if found.passed else found.reason,
            metadata=_shown(found, len(category.tags)),
        )

    return equals_full_recompute


def _shown(found: Rechecked, tags: int) -> dict[str, Any]:
    rows = [
        dg.TableRecord({"tag": item.tag, "persons": item.persons, "examples": "; ".join(item.examples)})
        for item in found.differences
    ]
    compared = {
        "persons 人数": found.persons,
        "cells 单元格": found.persons * tags,
        "snapshot 快照": found.snapshot.id,
    }
    return compared | ({"differences 差异": dg.MetadataValue.table(rows)} if rows else {})


def recheck_keys(setting: Setting) -> list[dg.AssetCheckKey]:
    """The standing checks: what the nightly job runs, and no other."""
    return [dg.AssetCheckKey(asset_key(tags_name(code)), CHECK) for code in setting.resolved.categories]
