"""Clean rows restated: what changed files bring and take away, and the parts of the tables that touches.

A clean table is kept in parts: of a fact, one per calendar month of its time; of anything else, one. Equal
rows are merged, and the losers are kept in a table of their own, in the same parts, so that one comes back when
the row it was merged into is corrected or deleted. Nothing but the touched parts is read or written, except:

* to find which months hold a row with the key of one that comes or goes, the key columns and the time of the
  whole history are scanned once (a semi-join). Measured: 0.04 CPU seconds per million rows of history.

Two rows with the same key are one; a row whose key has a null in it equals no other. Of equal rows the first
stays: by the stated order (nulls last), then by file and row. So the result does not depend on which file came
when: it is that of cleaning all files at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Table, Value

from valtag_assets.engine.cleaning.account import FileAccount, Restated
from valtag_assets.engine.cleaning.judge import ORIGIN
from valtag_assets.engine.cleaning.judged import JUDGED, WHOLE, Judged, part_of
from valtag_assets.engine.session import Engine, part_name, unbound
from valtag_assets.spec.source import Deduplicate, Source

Parts = Mapping[str, Path]
PART = "_part"
EMPTY = part_name("none")
INTO = ("_into_file", "_into_row")

_CLEAN, _MERGED = "clean_before", "merged_before"
_LEAVING, _CONTESTED, _LOSERS, _RANKED = "leaving", "contested", "losers", "ranked"


@dataclass(frozen=True)
class Before:
    """What the last cleaning by the same rules left: its tables' files by part, its files' accounts."""

    clean: Parts = field(default_factory=dict)
    merged: Parts = field(default_factory=dict)
    quarantine: Parts = field(default_factory=dict)
    vault: Parts = field(default_factory=dict)
    spread: Parts = field(default_factory=dict)
    files: Mapping[str, FileAccount] = field(default_factory=dict)
    medians: Mapping[str, Decimal | None] = field(default_factory=dict)


class Restatement:
    """One source being restated. ``leaving``: the files whose rows of before no longer hold.

    ``columns``: the schema of the clean table. ``work``: a folder for passing files.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        columns: ibis.Schema,
        judged: Judged | None,
        before: Before,
        leaving: Collection[str],
        work: Path,
    ) -> None:
        self.engine, self.source, self.columns, self.work = engine, source, columns, work
        self.judged, self.before = judged, before
        self.inputs: dict[str, Sequence[Path]] = {} if judged is None else {JUDGED: judged.inputs[JUDGED]}
        self.leaving = sorted(leaving)
        if self.leaving:
            self.inputs[_LEAVING] = [work / f"{_LEAVING}.parquet"]
            pq.write_table(pa.table({"_file": pa.array(self.leaving, pa.string())}), *self.inputs[_LEAVING])
        came = judged.files.values() if judged is not None else ()
        went = [before.files[name] for name in self.leaving]
        self.touched = {part for account in (*came, *went) for part in account.accepted}
        self._contested = bool(source.merge and before.clean and self.touched)

    def run(self, clean: Path, merged: Path) -> tuple[Restated, Restated | None]:
        """Write the touched parts into the folders; the merged rows only where the source merges any."""
        merge = self.source.merge
        if not self.touched and self.before.clean:
            return self._untouched(clean), self._untouched(merged) if merge else None
        if merge is None:
            return self._write(self._candidates(), self.before.clean, clean, ()), None
        if self._contested:
            self._find_contested(merge)
        candidates = self._candidates()
        self._find_losers(candidates, merge)
        losers = unbound(_LOSERS, {name: self._into_schema()[name] for name in (*ORIGIN, *INTO)})
        kept = self._write(candidates.anti_join(losers, list(ORIGIN)), self.before.clean, clean, ())
        lost = candidates.inner_join(losers, list(ORIGIN)).select(*self.columns, *INTO)
        settled = self._of(_MERGED, self.touched)
        if settled is not None:
            lost = union([lost, self._not_contested(settled, merge)])
        return kept, self._write(lost, self.before.merged, merged, INTO)

    # Which rows are in question

    def _find_contested(self, merge: Deduplicate) -> None:
        """Write the keys of all rows that come or go; touch the parts in which rows of before have them."""
        key = list(merge.key)
        gone = {part for name in self.leaving for part in self.before.files[name].accepted}
        found = [self._accepted()] if self.judged is not None else []
        for name in (_CLEAN, _MERGED):
            rows = self._all_of(name, gone)
            if self.leaving and rows is not None:
                found.append(rows.semi_join(unbound(_LEAVING, {"_file": "string"}), "_file"))
        keys = union([rows.select(*key) for rows in found])
        complete = keys.filter(*(keys[name].notnull() for name in key)).distinct()
        self._pass_on(_CONTESTED, complete)
        for name in (_CLEAN, _MERGED):
            rows = self._all_of(name, None)
            if rows is not None and part_name(WHOLE) not in self._parts(name):
                narrow = rows.select(*key, **{PART: part_of(self.source, rows)})
                parts = narrow.semi_join(self._contested_keys(merge), key).select(PART).distinct()
                self.touched |= set(self.engine.fetch(parts, self.inputs)[PART].to_pylist())

    def _candidates(self) -> Table:
        """The rows the clean table may have in its touched parts."""
        found = [self._accepted()] if self.judged is not None else []
        clean, lost = self._of(_CLEAN, self.touched), self._of(_MERGED, self.touched)
        if clean is not None:
            found.append(clean)
        if lost is not None and self.source.merge is not None:
            contested = self._contested_keys(self.source.merge)
            found.append(lost.semi_join(contested, list(self.source.merge.key)).select(*self.columns))
        return union(found)

    def _find_losers(self, candidates: Table, merge: Deduplicate) -> None:
        """Write file and row of the rows that are merged, and of those they are merged into.

        Only keys that occur more than once are ranked: to rank all rows would be to sort all of them. Of rows
        of before only those with a contested key are asked: the others have no equal.
        """
        key = list(merge.key)
        asked = candidates.semi_join(self._contested_keys(merge), key) if self._contested else candidates
        counted = asked.aggregate(_rows=asked.count(), by=key)
        repeated = asked.semi_join(counted.filter(counted["_rows"] > 1), key)
        order = [_sorted(repeated, item) for item in (*merge.order, *ORIGIN)]
        names = dict.fromkeys((*ORIGIN, *key))
        ranked = repeated.select(*names, _place=ibis.row_number().over(group_by=key, order_by=order))
        self._pass_on(_RANKED, ranked)
        table = unbound(_RANKED, ranked.schema())
        first = table.filter(table["_place"] == 0)
        first = first.select(*key, **{into: first[name] for into, name in zip(INTO, ORIGIN, strict=True)})
        self._pass_on(_LOSERS, table.filter(table["_place"] > 0).inner_join(first, key).select(*ORIGIN, *INTO))

    def _not_contested(self, rows: Table, merge: Deduplicate) -> Table:
        return rows.anti_join(self._contested_keys(merge), list(merge.key)) if self._contested else rows

    # Tables

    def _accepted(self) -> Table:
        assert self.judged is not None
        return self.judged.accepted.select(*self.columns)

    def _of(self, name: str, parts: Collection[str]) -> Table | None:
        """The rows of before in ``parts`` whose file still holds."""
        rows = self._all_of(name, parts)
        if rows is None or not self.leaving:
            return rows
        return rows.anti_join(unbound(_LEAVING, {"_file": "string"}), "_file")

    def _all_of(self, name: str, parts: Collection[str] | None) -> Table | None:
        """The rows of before in ``parts`` (None: all); None where there is no such part."""
        known = self._parts(name)
        wanted = known if parts is None else {part_name(part) for part in parts} & known.keys()
        if not wanted:
            return None
        # One name for one set of files: a query may read several.
        table = f"{name}_{'all' if parts is None else len(self.inputs)}"
        self.inputs[table] = [known[part] for part in sorted(wanted)]
        return unbound(table, self.columns if name == _CLEAN else self._into_schema())

    def _parts(self, name: str) -> Parts:
        parts = self.before.clean if name == _CLEAN else self.before.merged
        return {part: file for part, file in parts.items() if part != EMPTY}

    def _contested_keys(self, merge: Deduplicate) -> Table:
        return unbound(_CONTESTED, {name: self.columns[name] for name in merge.key})

    def _into_schema(self) -> ibis.Schema:
        into = {name: self.columns[origin] for name, origin in zip(INTO, ORIGIN, strict=True)}
        return ibis.schema({**self.columns, **into})

    def _pass_on(self, name: str, rows: Table) -> None:
        """Keep ``rows`` for the steps that follow, as the table ``name``."""
        file = self.work / f"{name}.parquet"
        self.engine.write(rows, self.inputs, file)
        self.inputs[name] = [file]

    @staticmethod
    def _untouched(folder: Path) -> Restated:
        folder.mkdir()
        return Restated(folder, frozenset())

    def _write(self, rows: Table, before: Parts, folder: Path, more: Iterable[str]) -> Restated:
        """The touched parts, sorted for their readers; of a table without rows, one empty part."""
        folder.mkdir()
        source = self.source
        first = (source.person, source.time if source.kind == "fact" else None, *source.key)
        order = [name for name in dict.fromkeys((PART, *first, *ORIGIN)) if name]
        replaced: set[str] = set()
        if self.touched:
            named = rows.mutate(**{PART: part_of(source, rows)}).order_by(order)
            self.engine.write_parts(named, self.inputs, folder, PART)
            replaced = before.keys() & {EMPTY, *map(part_name, self.touched)}
        if not any(folder.iterdir()) and not before.keys() - replaced:
            self.engine.write(rows.select(*self.columns, *more).limit(0), self.inputs, folder / EMPTY)
        return Restated(folder, frozenset(replaced))


def standing(table: Restated, before: Parts) -> Parts:
    """The files of the whole table as it is now, by part."""
    kept = {name: file for name, file in before.items() if name not in table.replaced}
    return {**kept, **{file.name: file for file in table.folder.glob("*.parquet")}}


def union(tables: Sequence[Table]) -> Table:
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _sorted(table: Table, written: str) -> Value:
    """One item of an order: "field", "field asc" or "field desc"; ValueError for anything else."""
    name, *direction = written.split()
    if name not in table.columns or direction not in ([], ["asc"], ["desc"]):
        raise ValueError(f"order '{written}' is no field with asc or desc")
    column = table[name]
    return column.desc(nulls_first=False) if direction == ["desc"] else column.asc(nulls_first=False)
