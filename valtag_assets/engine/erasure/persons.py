"""Who is to be erased, and everything that tells them: ids, and personal values that are nobody else's."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.access import QUARANTINE
from valtag_assets.engine.erasure.scan import refused_rows
from valtag_assets.engine.erasure.whose import personal_fields
from valtag_assets.engine.persons import OWNER, PERSON, clean_name
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse

KEYS, SUCCESSORS = TableRef("identity", "keys"), TableRef("identity", "successors")
_ASKED, _VALUE, _ROWS = "asked", "value", "rows"


@dataclass(frozen=True)
class Found:
    """Persons and what tells them.

    ``persons``: their ids and every key their rows have. ``identifiers``: personal values of theirs that nobody else
    has; ``shared``: how many somebody else has too, so that they are left. ``landing``: the rows of the company's
    files that hold them, by file. ``unknown``: which of those asked for (by their place, from 1) are nobody;
    ``several``: which are personal values of more than one.
    """

    persons: tuple[str, ...]
    identifiers: tuple[str, ...]
    shared: int
    landing: Mapping[str, Sequence[int]]
    unknown: tuple[int, ...]
    several: tuple[int, ...]


@dataclass
class Search:
    """A search in what is published. ``space``: a folder for working files, which hold identifiers."""

    engine: Engine
    resolved: Resolved
    warehouse: Warehouse
    space: Path
    _files: dict[tuple[str, ...], Path] = field(default_factory=dict, init=False)

    def find(self, asked: Sequence[str]) -> Found:
        """The persons with these ids or personal values. Every snapshot is asked: an old phone is theirs, too."""
        owned = self._owners(asked, by_id=True)
        # Only what is nobody's id is looked for among personal values: a friend's row names a person, too.
        owned |= self._owners([text for text in asked if text not in {known for known, _ in owned}], by_id=False)
        counted = Counter(text for text, _ in owned)
        unknown = tuple(number for number, text in enumerate(asked, 1) if counted[text] == 0)
        several = tuple(number for number, text in enumerate(asked, 1) if counted[text] > 1)
        persons = self._keys({person for _, person in owned})
        values = self._values(persons)
        shared = self._shared(persons, values) if values else set()
        landing: dict[str, list[int]] = {}
        for file, row in sorted({*self._landing(persons), *self._refused(Marks.of(persons, values - shared))}):
            landing.setdefault(file, []).append(row)
        return Found(tuple(sorted(persons)), tuple(sorted(values - shared)), len(shared), landing, unknown, several)

    def _owners(self, asked: Sequence[str], *, by_id: bool) -> set[tuple[str, str]]:
        """(text asked for, person who has it as an id or key, or else as a personal value)."""
        found: set[tuple[str, str]] = set()
        if not asked:
            return found
        for snapshot in self.warehouse.snapshots(KEYS) if by_id else ():
            keys = unbound(KEYS.key, {"key": "string", PERSON: "string"})
            for name in ("key", PERSON):
                found |= self._pairs(keys, name, PERSON, asked, {KEYS.key: snapshot.files})
        for source, snapshot, fields in self._sources():
            rows = _rows(source, fields)
            for name in [OWNER] if by_id else fields:
                found |= self._pairs(rows, name, OWNER, asked, {_ROWS: snapshot.files})
        return found

    def _pairs(
        self, rows: ibis.Table, name: str, owner: str, asked: Sequence[str], inputs: Mapping[str, Sequence[Path]]
    ) -> set[tuple[str, str]]:
        hit = rows.filter(self._is(rows[name], asked), rows[owner].notnull())
        pairs = hit.select(text=hit[name].cast("string"), person=hit[owner]).distinct()
        return {(row["text"], row["person"]) for row in self._fetch(pairs, inputs).to_pylist()}

    def _keys(self, persons: set[str]) -> set[str]:
        """The persons, those they were merged from, and every key that stands for them."""
        found = set(persons)
        for snapshot in self.warehouse.snapshots(SUCCESSORS):
            merged = unbound(SUCCESSORS.key, {"was": "string", "now": "string"})
            same = merged.filter(self._is(merged["was"], found) | self._is(merged["now"], found))
            for side in ("was", "now"):
                found |= self._texts(same.select(value=side), {SUCCESSORS.key: snapshot.files})
        for snapshot in self.warehouse.snapshots(KEYS):
            keys = unbound(KEYS.key, {"key": "string", PERSON: "string"})
            mine = self._texts(
                keys.filter(self._is(keys[PERSON], found)).select(value="key"), {KEYS.key: snapshot.files}
            )
            others = keys.filter(self._is(keys["key"], mine) & ~self._is(keys[PERSON], found))
            found |= mine - self._texts(others.select(value="key"), {KEYS.key: snapshot.files})
        return found

    def _values(self, persons: Collection[str]) -> set[str]:
        found: set[str] = set()
        for source, snapshot, fields in self._sources():
            rows = _rows(source, fields)
            mine = rows.filter(self._is(rows[OWNER], persons))
            for name in fields:
                found |= self._texts(mine.select(value=name), {_ROWS: snapshot.files})
        return found - set(persons)

    def _shared(self, persons: Collection[str], values: Collection[str]) -> set[str]:
        found: set[str] = set()
        for source, snapshot, fields in self._sources():
            rows = _rows(source, fields)
            others = rows.filter(~self._is(rows[OWNER], persons))
            for name in (OWNER, *fields):
                same = others.filter(self._is(others[name], values))
                found |= self._texts(same.select(value=name), {_ROWS: snapshot.files})
        return found

    def _landing(self, persons: Collection[str]) -> Iterator[tuple[str, int]]:
        """File and row of everything the newest clean and merged tables have of the persons."""
        for source in self._with_persons():
            for stage in ("clean", "merged"):
                snapshot = self.warehouse.current(TableRef(stage, source.code))
                if snapshot is not None:
                    rows = _rows(source, (), ORIGIN_COLUMNS)
                    mine = rows.filter(self._is(rows[OWNER], persons)).select(*ORIGIN_COLUMNS)
                    for row in self._fetch(mine, {_ROWS: snapshot.files}).to_pylist():
                        yield row[ORIGIN_COLUMNS[0]], row[ORIGIN_COLUMNS[1]]

    def _refused(self, marks: Marks) -> Iterator[tuple[str, int]]:
        """File and row of the newest quarantined rows that name the persons."""
        for code in self.resolved.sources:
            snapshot = self.warehouse.current(TableRef(QUARANTINE, code))
            if snapshot is not None:
                yield from refused_rows(snapshot.files, marks)

    def _sources(self) -> Iterator[tuple[ResolvedSource, Snapshot, list[str]]]:
        """Every clean snapshot of a source with persons, and which of the personal fields it has."""
        for source in self._with_persons():
            for snapshot in self.warehouse.snapshots(TableRef.parse(clean_name(source.code))):
                columns = dict(snapshot.columns)
                if source.spec.person in columns:
                    yield source, snapshot, [n for n in personal_fields(self.resolved, source) if n in columns]

    def _with_persons(self) -> list[ResolvedSource]:
        return [source for source in self.resolved.sources.values() if source.spec.person is not None]

    def _is(self, value: ibis.Value, asked: Iterable[str]) -> ibis.expr.types.BooleanValue:
        """Whether the value, as text, is one of these; never null. They are bound as rows of a file."""
        texts = tuple(sorted(set(asked)))
        known = self._files.setdefault(texts, self.space / f"{_ASKED}-{len(self._files)}.parquet")
        if not known.exists():
            pq.write_table(pa.table({_VALUE: pa.array(texts, pa.string())}), known)
        table = unbound(known.stem, {_VALUE: "string"})
        found: ibis.expr.types.BooleanValue = value.cast("string").isin(table[_VALUE]).fill_null(False)
        return found

    def _texts(self, rows: ibis.Table, inputs: Mapping[str, Sequence[Path]]) -> set[str]:
        """The distinct texts of the column ``value``; few."""
        texts = rows.select(value=rows[_VALUE].cast("string")).distinct()
        return set(filter(None, self._fetch(texts, inputs)[_VALUE].to_pylist()))

    def _fetch(self, rows: ibis.Table, inputs: Mapping[str, Sequence[Path]]) -> pa.Table:
        return self.engine.fetch(rows, {**inputs, **{file.stem: [file] for file in self._files.values()}})


def _rows(source: ResolvedSource, fields: Sequence[str], more: Sequence[str] = ()) -> ibis.Table:
    """Clean rows as an unbound table: whose each is, as text, and these fields."""
    assert source.spec.person is not None
    types = {name: to_ibis_type(source.columns[name]) for name in (source.spec.person, *fields)}
    types |= {name: ibis.dtype("string" if name == ORIGIN_COLUMNS[0] else "int64") for name in more}
    table = unbound(_ROWS, types)
    owner = table[source.spec.person].cast("string")
    return table.select(**{OWNER: owner}, **{name: table[name] for name in (*fields, *more)})
