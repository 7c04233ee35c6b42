"""``valtag explain``: a served value, its definition and checks, and everything it rests on, down to source rows.

Everything is read from the very snapshots the value was made of, and the value is computed once more from exactly
what is shown.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from valtag_assets.console.doors import require_visible, through
from valtag_assets.console.explain_ltv import ltv_proof, ltv_words
from valtag_assets.console.explain_rows import Looking, Tables, row_of_master, rows_of_fact
from valtag_assets.console.explain_words import band_words, definition_of, score_words
from valtag_assets.console.explanation import Check, Explanation, Proof
from valtag_assets.console.history import find_snapshot
from valtag_assets.console.opened import opened_explanation, opened_value
from valtag_assets.console.person import whom
from valtag_assets.engine import explain as rests
from valtag_assets.engine.access import Need, served_need
from valtag_assets.engine.brands import brand_field
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.persons import (
    PERSON,
    PERSONS,
    clean_name,
    keyed_name,
    keyed_names,
    one_person,
    persons_table,
)
from valtag_assets.engine.reader import Reader
from valtag_assets.engine.rfm import cut_expression, rfm_expression
from valtag_assets.engine.scores import score_table
from valtag_assets.engine.session import Inputs
from valtag_assets.engine.tags import category_table, tags_name
from valtag_assets.engine.vault import vaulted_tags
from valtag_assets.expression.resolved import ResolvedLtv, ResolvedRfm, ResolvedTag, code_version
from valtag_assets.expression.value_titles import column_title, value_titles
from valtag_assets.graph.gates import in_words
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.successors import kept_inputs
from valtag_assets.spec.access import UNSAID, Asking
from valtag_assets.spec.catalog import Entry
from valtag_assets.spec.masking import MASK
from valtag_assets.spec.mistake import Mistake
from valtag_assets.spec.problem import did_you_mean
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

CHILD_ROWS = 5


@dataclass(frozen=True)
class Asked:
    """Whose value of which tag or score column. ``limit``: so many rows; ``deep``: so many levels of tags below."""

    person: str
    tag: str
    as_of: date | None = None
    by: Asking = UNSAID
    limit: int = 20
    deep: int = 3


def explain(setting: Setting, asked: Asked) -> Explanation:
    """Raises Mistake for whoever or whatever does not exist, was never published, or may not be read."""
    with through(setting, "explain", asked.by, asked.tag, person=asked.person) as visit:
        visit.person = whom(setting, visit.reader, asked.person)
        found = explained(setting, visit.reader, replace(asked, person=visit.person), said=asked.person)
        visit.rows, visit.tags = 1, [asked.tag]
    return found


def explained(setting: Setting, reader: Reader, asked: Asked, said: str | None = None) -> Explanation:
    """``explain`` for a reader who has come in already. ``said``: by what the person was named; where that was
    somebody's id at the as-of, it is that person who is explained, merged or not since."""
    ref = _table_of(setting, asked.tag)
    reader.require_persons()
    reader.require(served_need(setting.resolved, asked.tag), asked.tag)
    require_visible(setting, reader, asked.person)
    if ref not in setting.warehouse.tables():
        raise Mistake(f"{asked.tag} was never published: {ref} has no snapshot; valtag run computes it")
    snapshot = find_snapshot(setting, ref.key, asked.as_of)
    if said is not None and said != asked.person and _has(setting, snapshot, said):
        asked = replace(asked, person=said)
    with _looking(setting, reader, asked) as looking:
        return opened_explanation(setting, _Explaining(setting, looking).found(asked.tag, snapshot, asked.deep))


def _has(setting: Setting, snapshot: Snapshot, person: str) -> bool:
    """Whether the snapshot has a row of that person."""
    name = snapshot.table.key
    with open_duckdb(setting.spill) as engine:
        return bool(engine.fetch(one_person(person, name), {name: snapshot.files}).num_rows)


@contextmanager
def _looking(setting: Setting, reader: Reader, asked: Asked) -> Iterator[Looking]:
    with open_duckdb(setting.spill) as engine, tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        yield Looking(setting.resolved, engine, Path(folder), asked.person, reader, asked.limit)


def _table_of(setting: Setting, code: str) -> TableRef:
    resolved = setting.resolved
    if code in resolved.tags:
        return TableRef("tags", resolved.category_of(code))
    score = resolved.score_of(code)
    if score is None:
        columns = [name for item in resolved.scores.values() for name in item.columns]
        raise Mistake(f"'{code}' is no tag and no column of a score{did_you_mean(code, [*resolved.tags, *columns])}")
    return TableRef("scores", score)


@dataclass
class _Explaining:
    """Explains tags one below the other; each only once."""

    setting: Setting
    looking: Looking
    seen: set[tuple[str, str]] = field(default_factory=set)

    def found(self, code: str, snapshot: Snapshot, deep: int) -> Explanation:
        """What ``code`` in ``snapshot`` rests on, with ``deep`` levels of tags below it."""
        ref = snapshot.table
        need = served_need(self.setting.resolved, code)
        if not self.looking.reader.may(need):
            return self._masked(code, snapshot, need)
        value = self._served(code, snapshot)
        if (code, snapshot.id) in self.seen:
            return self._bare(code, snapshot, value, Proof(None, why="explained above"))
        self.seen.add((code, snapshot.id))
        if why := self._changed(code, snapshot):
            return self._bare(code, snapshot, value, Proof(None, why=why))
        if ref.stage == "scores":
            return self._score(code, snapshot, value, deep)
        tag = self.setting.resolved.tags[code]
        return (
            self._rows(tag, snapshot, value, deep) if tag.kind == "value" else self._tags(tag, snapshot, value, deep)
        )

    def _masked(self, code: str, snapshot: Snapshot, need: Need) -> Explanation:
        reader = self.looking.reader
        left: Any = MASK
        if reader.mask(code, need) != "stars":
            value = self._served(code, snapshot)
            left = reader.masked(code, need, value)
            if code in vaulted_tags(reader.resolved):
                left = opened_value(self.setting, reader, code, need, value)
        bare = self._bare(code, snapshot, left, Proof(None, why="this role may not read it"))
        return replace(bare, masked=True)

    # One record

    def _bare(self, code: str, snapshot: Snapshot, value: Any, proof: Proof) -> Explanation:
        resolved = self.setting.resolved
        assert snapshot.as_of is not None
        score = resolved.scores[snapshot.table.name] if snapshot.table.stage == "scores" else None
        tag = None if score is not None else resolved.tags[code]
        entry: Entry[Any] = score.entry if score is not None else resolved.tags[code].entry
        place = entry.problem("", "score" if score is not None else "code")
        title, named = column_title(resolved, code), value_titles(resolved, code)
        kind = score.columns[code] if score is not None else resolved.tags[code].type
        held = code in snapshot.held
        blocked = self.setting.warehouse.blocked(snapshot.table, snapshot.as_of)
        notes = [f"a later try of {snapshot.table} was {blocked.outcome}: {blocked.reason}"] if blocked else []
        return Explanation(
            code=code,
            title={"zh": title.zh, "en": title.en},
            kind="score" if tag is None else tag.kind,
            type=str(kind),
            unit=tag.spec.unit if tag is not None else None,
            definition=definition_of(tag, score),
            defined_at=f"{place.file.relative_to(resolved.catalog.root).as_posix()}:{place.line}",
            value=value,
            value_title=str(named[str(value)]) if str(value) in named else None,
            table=snapshot.table.key,
            as_of=snapshot.as_of,
            snapshot=snapshot.id,
            known_at=snapshot.known_at,
            run=snapshot.run_id,
            held=held,
            proof=proof,
            checks=_checks(snapshot, code),
            notes=notes,
        )

    def _changed(self, code: str, snapshot: Snapshot) -> str | None:
        """Why the snapshot's value can't be explained by the catalog of today."""
        resolved, metrics = self.setting.resolved, snapshot.metrics
        if snapshot.table.stage == "scores":
            then, now = metrics.get("score"), code_version(resolved.scores[snapshot.table.name].meaning)
        else:
            then, now = metrics.get("tags", {}).get(code), code_version(resolved.tags[code].meaning)
        if then is None or then == now:
            return None
        return f"the definition of {code} has changed since this was published; valtag run computes it anew"

    # Snapshots

    def _input(self, snapshot: Snapshot, key: str) -> Snapshot:
        """The snapshot of ``key`` that ``snapshot`` was made of."""
        if key not in snapshot.inputs:
            raise Mistake(f"{snapshot.table} {snapshot.id} was not made of {key}: the catalog has changed since")
        return self._sound(
            TableRef.parse(key), snapshot.inputs[key], f"{snapshot.table} {snapshot.as_of} was made of"
        )

    def _sound(self, ref: TableRef, name: str, what: str) -> Snapshot:
        found = self.setting.warehouse.find(ref, name)
        if found is None:
            raise Mistake(f"{ref} {name}, which {what}, has been removed: nothing can be shown of it")
        if fault := damage(found):
            raise Mistake(f"{ref} {name}, which {what}, is damaged: {fault}")
        return found

    def _beside(self, clean: Snapshot, stage: str) -> Snapshot | None:
        key = f"{stage}/{clean.table.name}"
        if key not in clean.inputs:
            return None
        return self._sound(TableRef.parse(key), clean.inputs[key], f"lies beside {clean.table} {clean.id}")

    def _served(self, code: str, snapshot: Snapshot) -> Any:
        """The person's cell. Mistake for a person the table does not have; None for a person without a score."""
        resolved, looking = self.setting.resolved, self.looking
        if fault := damage(snapshot):
            raise Mistake(f"{snapshot.table} {snapshot.id} is damaged: {fault}")
        if code not in dict(snapshot.columns):
            raise Mistake(f"{code} is not in {snapshot.table} of {snapshot.as_of}: it came later; valtag run adds it")
        score = snapshot.table.stage == "scores"
        name = snapshot.table.name
        table = score_table(resolved.scores[name]) if score else category_table(resolved, name)
        rows = rests.row_of(table.select(PERSON, code), looking.person)
        cells = looking.engine.fetch(rows, {snapshot.table.key: snapshot.files})[code].to_pylist()
        if cells:
            return cells[0]
        self._require_person(snapshot)
        return None

    def _require_person(self, snapshot: Snapshot) -> None:
        """Mistake unless the person belongs to the population the snapshot was made for."""
        looking, person = self.looking, self.looking.person
        while PERSONS not in snapshot.inputs:
            snapshot = self._input(snapshot, next(key for key in sorted(snapshot.inputs) if key.startswith("tags/")))
        files = {PERSONS: self._input(snapshot, PERSONS).files}
        if looking.engine.fetch(rests.row_of(persons_table(), person), files).num_rows:
            return
        alike = looking.engine.fetch(rests.like_person(person), files)[PERSON].to_pylist()
        hint = f"; did you mean '{alike[0]}'?" if alike else ""
        raise Mistake(f"'{person}' is no person of {snapshot.table} at {snapshot.as_of}{hint}")

    def _one(self, snapshot: Snapshot) -> Path:
        """The population of the one person in a file."""
        file = self.looking.work / "person.parquet"
        if not file.exists():
            persons = {PERSONS: self._input(snapshot, PERSONS).files}
            self.looking.engine.write(rests.row_of(persons_table(), self.looking.person), persons, file)
        return file

    # Value tags

    def _rows(self, tag: ResolvedTag, snapshot: Snapshot, value: Any, deep: int) -> Explanation:
        source = tag.master if tag.aggregate is None else tag.aggregate.fact
        assert source is not None and snapshot.as_of is not None
        keyed = self.setting.resolved.sources[source].keyed
        clean = self._input(snapshot, keyed_name(self.setting.resolved.sources[source]))
        cleaned = self._input(clean, clean_name(source)) if keyed else clean
        beside = [self._beside(cleaned, stage) for stage in (rests.MERGED, rests.QUARANTINE)]
        tables = Tables(clean, beside[0], beside[1], self._one(snapshot))
        before = self._kept_from(tag, snapshot)
        kept = kept_inputs(self.setting, snapshot, before)
        make = row_of_master if tag.aggregate is None else rows_of_fact
        found = make(self.looking, tag, snapshot.as_of, tables, kept)
        how, below = list(found.how), []
        if not found.clean.counted and before is not None:
            how.append(f"so the value of {before.as_of} is kept (null_policy: keep_last)")
            below = [self._below().found(tag.code, before, deep - 1)] if deep > 0 else []
        elif not found.clean.counted and tag.spec.empty_value is not None:
            how.append(f"so it has the value of nothing, {tag.spec.empty_value} (empty)")
        proof = Proof(found.again == value, found.again)
        if brand_field(self.looking.reader, source) is not None:
            proof = Proof(None, why="rows of brands that are not yours count, too, and are not shown")
        record = self._bare(tag.code, snapshot, value, proof)
        return replace(record, how=how, clean=found.clean, tags=below)

    def _kept_from(self, tag: ResolvedTag, snapshot: Snapshot) -> Snapshot | None:
        name = snapshot.metrics.get("kept_from")
        if tag.spec.null_policy != "keep_last" or name is None:
            return None
        before = self._sound(snapshot.table, name, f"{snapshot.table} {snapshot.as_of} has kept values from")
        return before if tag.code in dict(before.columns) else None

    # Tags over tags

    def _tags(self, tag: ResolvedTag, snapshot: Snapshot, value: Any, deep: int) -> Explanation:
        resolved, looking = self.setting.resolved, self.looking
        assert tag.node is not None and snapshot.as_of is not None
        reads = [resolved.tags[code] for code in sorted(tag.tags)]
        served = {code: self._category(snapshot, code) for code in sorted({item.category for item in reads})}
        read, before = looking.work / f"{tag.code}.read.parquet", self._kept_from(tag, snapshot)
        inputs: Inputs = {name.table.key: name.files for name in served.values()} | {PERSONS: [self._one(snapshot)]}
        row = rests.tags_read(resolved, tag, looking.person, kept=before is not None)
        looking.engine.write(row, {**inputs, **kept_inputs(self.setting, snapshot, before)}, read)
        again = rests.from_tags(tag, reads, snapshot.as_of, kept=before is not None)
        found = looking.engine.fetch(again, {rests.READ: [read]})["again"][0].as_py()
        below = self._below()
        tags = [below.found(item.code, served[item.category], deep - 1) for item in reads] if deep > 0 else []
        words = [] if tag.kind == "computed" else band_words(tag)
        return replace(self._bare(tag.code, snapshot, value, Proof(found == value, found)), how=words, tags=tags)

    def _category(self, snapshot: Snapshot, category: str) -> Snapshot:
        own = snapshot.table == TableRef("tags", category)
        return snapshot if own else self._input(snapshot, tags_name(category))

    def _below(self) -> "_Explaining":
        """The same one level down, with fewer rows."""
        return replace(self, looking=replace(self.looking, limit=min(self.looking.limit, CHILD_ROWS)))

    # Scores

    def _score(self, code: str, snapshot: Snapshot, value: Any, deep: int) -> Explanation:
        resolved, engine = self.setting.resolved, self.looking.engine
        assert snapshot.as_of is not None
        score = resolved.scores[snapshot.table.name]
        if isinstance(score, ResolvedLtv):
            return self._ltv(score, code, snapshot, value, deep)
        assert isinstance(score, ResolvedRfm)
        reads = sorted(score.tags)
        served = {name: self._category(snapshot, name) for name in sorted({resolved.category_of(t) for t in reads})}
        inputs: Inputs = {found.table.key: found.files for found in served.values()}
        again = rests.row_of(rfm_expression(resolved, score, snapshot.as_of), self.looking.person)
        cells = engine.fetch(again, inputs)[code].to_pylist()
        cut = rests.row_of(cut_expression(resolved, score, snapshot.as_of), self.looking.person)
        limits = engine.fetch(cut, inputs).to_pylist()
        found = cells[0] if cells else None
        how = score_words(score, limits[0]) if limits else ["not scored: where is not met, or a measure has no value"]
        below = self._below()
        tags = [below.found(t, served[resolved.category_of(t)], deep - 1) for t in reads] if deep > 0 else []
        return replace(self._bare(code, snapshot, value, Proof(found == value, found)), how=how, tags=tags)

    def _ltv(self, score: ResolvedLtv, code: str, snapshot: Snapshot, value: Any, deep: int) -> Explanation:
        resolved, as_of = self.setting.resolved, snapshot.as_of
        assert as_of is not None
        read = keyed_names(resolved, score.facts)
        inputs: Inputs = {name: self._input(snapshot, name).files for name in read}
        inputs = {**inputs, PERSONS: [self._one(snapshot)]}
        how, again = ltv_words(self.looking, score, as_of, snapshot.metrics, inputs)
        if value is None:
            proof = Proof(not again, None)
        else:
            proof = ltv_proof(value, code.removeprefix(f"{score.code}_"), again)
        below, tags = self._below(), []
        for name in sorted(score.tags) if deep > 0 else []:
            table = TableRef("tags", resolved.category_of(name))
            served = self.setting.warehouse.latest(table, on_or_before=as_of)
            if served is not None and all(served.inputs.get(key, id) == id for key, id in snapshot.inputs.items()):
                tags.append(below.found(name, served, deep - 1))
        return replace(self._bare(code, snapshot, value, proof), how=how, tags=tags)


def _checks(snapshot: Snapshot, code: str) -> list[Check]:
    return [
        Check(
            verdict.check,
            verdict.column is None,
            verdict.severity,
            verdict.passed,
            verdict.holds,
            None if verdict.passed else in_words(verdict),
        )
        for verdict in snapshot.verdicts
        if verdict.column in (None, code)
    ]
