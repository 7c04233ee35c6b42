"""Who is to be erased, and everything that tells them: ids, and personal values that are nobody else's."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.access import QUARANTINE
from valtag_assets.engine.erasure.scan import naming_tokens, refused_rows
from valtag_assets.engine.erasure.whose import owner_fields, personal_fields, telling_fields
from valtag_assets.engine.identity.keys import usable
from valtag_assets.engine.persons import OWNER, PERSON, keyed_name, owner_column
from valtag_assets.engine.session import Engine, unbound
from valtag_assets.engine.vault import COLUMNS, values_of
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import Resolved, ResolvedSource
from valtag_assets.spec.types import TEXT
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.tokens import VAULT, Tokens

KEYS, SUCCESSORS = TableRef("identity", "keys"), TableRef("identity", "successors")
Fields = Callable[[Resolved, ResolvedSource], list[str]]
"""Which fields of a source are meant."""
_ASKED, _VALUE, _ROWS = "asked", "value", "rows"
_KEYS = unbound(KEYS.key, {"key": "string", PERSON: "string"})
_MOVES = unbound(SUCCESSORS.key, {"was": "string", "now": "string"})


@dataclass(frozen=True)
class Found:
    """Persons and what tells them.

    ``persons``: their ids and every key their rows have. ``identifiers``: personal values of theirs that nobody else
    has; ``shared``: how many somebody else has too, so that they are left. ``landing``: the rows of the company's
    files that hold them, by file. ``unknown``: which of those asked for (by their place, from 1) are nobody;
    ``several``: which are personal values of more than one. ``until``: of identifiers that may go to somebody else,
    the day (ISO 8601) from which on they are not the persons' any more.
    """

    persons: tuple[str, ...]
    identifiers: tuple[str, ...]
    shared: int
    landing: Mapping[str, Sequence[int]]
    unknown: tuple[int, ...]
    several: tuple[int, ...]
    until: Mapping[str, str]


@dataclass
class Search:
    """A search in what is published. ``space``: a folder for working files, which hold identifiers; ``tokens``: what
    stands for them in tables."""

    engine: Engine
    resolved: Resolved
    warehouse: Warehouse
    space: Path
    tokens: Tokens
    _files: dict[tuple[str, ...], Path] = field(default_factory=dict, init=False)

    def find(self, asked: Sequence[str]) -> Found:
        """The persons with these ids or personal values. Every snapshot is asked: an old phone is theirs, too."""
        owned = set[tuple[str, str]]()
        # Whose a key is now counts before whose it once was; and only what is nobody's id is looked for among
        # personal values: a friend's row names a person, too.
        for search in (self._present, self._former, self._named):
            known = {text for text, _ in owned}
            owned |= search([text for text in asked if text not in known])
        now = self._now()
        owned = {(text, now.get(person, person)) for text, person in owned}
        counted = Counter(text for text, _ in owned)
        unknown = tuple(number for number, text in enumerate(asked, 1) if counted[text] == 0)
        several = tuple(number for number, text in enumerate(asked, 1) if counted[text] > 1)
        persons = self._keys({person for _, person in owned})
        # With identity.yaml a person's rows carry identifiers as they came, beside the keys they are known by.
        own = self._values(persons, owner_fields) - persons
        persons |= own - self._shared(persons, own)
        values = self._values(persons, personal_fields) - persons
        shared = self._shared(persons, values)
        telling = (values - shared) | self._unsealed(persons, values - shared)
        landing: dict[str, list[int]] = {}
        for file, row in sorted({*self._landing(persons), *self._refused(Marks.of(persons, telling))}):
            landing.setdefault(file, []).append(row)
        return Found(
            persons=tuple(sorted(persons)),
            identifiers=tuple(sorted(telling)),
            shared=len(shared),
            landing=landing,
            unknown=unknown,
            several=several,
            until=self._until(persons),
        )

    def _unsealed(self, persons: Collection[str], values: Collection[str]) -> set[str]:
        """What the tokens among these stand for, and the tokens of every text that names any of it."""
        files = self._vault
        if not files:
            return set()
        vault = unbound(_ROWS, COLUMNS)
        mine = vault.filter(self._is(vault["token"], {*persons, *values})).select(value="value")
        opened = self._texts(mine, {_ROWS: files})
        return opened | naming_tokens(files, Marks.of(persons, {*values, *opened}))

    @cached_property
    def _vault(self) -> list[Path]:
        """The vault as it is and was."""
        tables = [table for table in self.warehouse.tables() if table.stage == VAULT]
        every = [snapshot for table in tables for snapshot in self.warehouse.snapshots(table)]
        return [*{file.stat().st_ino: file for snapshot in every for file in snapshot.files}.values()]

    def _present(self, asked: Sequence[str]) -> set[tuple[str, str]]:
        """(text asked for, person who has it as an id or key now)."""
        current = self.warehouse.current(KEYS)
        return set() if current is None else self._with_keys(asked, current)

    def _former(self, asked: Sequence[str]) -> set[tuple[str, str]]:
        """(text asked for, person who has or had it as an id or key)."""
        found: set[tuple[str, str]] = set()
        if not asked:
            return found
        for snapshot in self.warehouse.snapshots(KEYS):
            found |= self._with_keys(asked, snapshot)
        for source, snapshot, _ in self._sources(telling_fields):
            found |= self._pairs(_rows(source, ()), OWNER, OWNER, asked, {_ROWS: snapshot.files})
        return found

    def _named(self, asked: Sequence[str]) -> set[tuple[str, str]]:
        """(text asked for, person who has it as a personal value)."""
        found: set[tuple[str, str]] = set()
        for source, snapshot, fields in self._sources(telling_fields) if asked else ():
            rows = _rows(source, fields)
            for name in fields:
                found |= self._pairs(rows, name, OWNER, asked, {_ROWS: snapshot.files})
        return found

    def _with_keys(self, asked: Sequence[str], snapshot: Snapshot) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for name in ("key", PERSON) if asked else ():
            found |= self._pairs(_KEYS, name, PERSON, asked, {KEYS.key: snapshot.files})
        return found

    def _now(self) -> dict[str, str]:
        """Of every id that is no more and led to somebody: who it is now."""
        current = self.warehouse.current(SUCCESSORS)
        if current is None:
            return {}
        merged = _MOVES.filter(_MOVES["now"].notnull())
        rows = self._fetch(merged, {SUCCESSORS.key: current.files}).to_pylist()
        return {row["was"]: row["now"] for row in rows}

    def _pairs(
        self, rows: ibis.Table, name: str, owner: str, asked: Sequence[str], inputs: Mapping[str, Sequence[Path]]
    ) -> set[tuple[str, str]]:
        spelt = {self.tokens.of(text): text for text in asked}
        hit = rows.filter(self._is(rows[name], {*asked, *spelt}), rows[owner].notnull())
        pairs = hit.select(text=hit[name].cast("string"), person=hit[owner]).distinct()
        found = self._fetch(pairs, inputs).to_pylist()
        return {(spelt.get(row["text"], row["text"]), row["person"]) for row in found}

    def _keys(self, persons: set[str]) -> set[str]:
        """The persons, those they were merged from, and every key that stands for them: whoever had a key last has
        it. Of persons who were one for a while and are two again, the other one and its keys are left alone."""
        found = persons | {was for was, now in self._now().items() if now in persons}
        snapshots = sorted(self.warehouse.snapshots(KEYS), key=lambda snapshot: snapshot.known_at, reverse=True)
        theirs = set[str]()
        for snapshot in snapshots:
            theirs |= self._texts(
                _KEYS.filter(self._is(_KEYS[PERSON], found)).select(value="key"), {KEYS.key: snapshot.files}
            )
        undecided = set(theirs)
        for snapshot in snapshots:
            had = _KEYS.filter(self._is(_KEYS["key"], undecided))
            others = had.filter(~self._is(had[PERSON], found))
            theirs -= self._texts(others.select(value="key"), {KEYS.key: snapshot.files})
            undecided -= self._texts(had.select(value="key"), {KEYS.key: snapshot.files})
        return found | theirs

    def _values(self, persons: Collection[str], fields: Fields) -> set[str]:
        """What the persons' rows have in such fields."""
        found: set[str] = set()
        for source, snapshot, names in self._sources(fields):
            rows = _rows(source, names)
            mine = rows.filter(self._is(rows[OWNER], persons))
            for name in names:
                found |= self._texts(mine.select(value=name), {_ROWS: snapshot.files})
        return found

    def _until(self, persons: Collection[str]) -> dict[str, str]:
        """Of the persons' identifiers, in every spelling, that are somebody else's when nobody has used them for a
        while (identity.yaml: valid_for): from which day on."""
        last, spelt = dict[tuple[int, str], date](), set[tuple[str, int, str]]()
        for text, key, rank, day in self._uses(persons):
            spelt.add((text, rank, key))
            if day is not None:
                last[rank, key] = max(day, last.get((rank, key), day))
        found: dict[str, str] = {}
        for text, rank, key in sorted(spelt):
            if (rank, key) in last:
                free = last[rank, key] + timedelta(days=self._valid_for[rank] + 1)
                found |= {text: free.isoformat(), key: free.isoformat()}
        return found

    @cached_property
    def _valid_for(self) -> dict[int, int]:
        """For how many days a key stays somebody's, by the rank of its kind; of kinds where that is said."""
        kinds = self.resolved.identity.kinds if self.resolved.identity is not None else ()
        return {rank: kind.days for rank, kind in enumerate(kinds) if kind.days is not None}

    def _uses(self, persons: Collection[str]) -> Iterator[tuple[str, str, int, date | None]]:
        """(as written, key, rank of its kind, last day) of the persons' keys that may go to somebody else."""
        identity = self.resolved.identity
        if identity is None or not self._valid_for:
            return
        for source, snapshot, names in self._sources(owner_fields):
            time = source.spec.time
            rows = _rows(source, [*names, *filter(None, [time])])
            mine = rows.filter(self._is(rows[OWNER], persons))
            if sealed := [name for name in names if name in source.vaulted and self._vault]:
                mine = values_of(mine, sealed)
            day = ibis.null("date") if time is None else mine[time].cast("timestamp(6)").date()
            for name, slot in identity.fields[source.code]:
                if name in names and slot.rank in self._valid_for:
                    key = usable(mine[name], identity.kinds[slot.rank])
                    used = mine.select(text=mine[name].cast("string"), key=key, day=day)
                    used = used.filter(used["key"].notnull())
                    used = used.group_by(["text", "key"]).aggregate(last=lambda t: t["day"].max())
                    inputs = {_ROWS: snapshot.files} | ({VAULT: self._vault} if sealed else {})
                    for row in self._fetch(used, inputs).to_pylist():
                        yield row["text"], row["key"], slot.rank, row["last"]

    def _shared(self, persons: Collection[str], values: Collection[str]) -> set[str]:
        """Those of the values that somebody else's rows have, too."""
        found: set[str] = set()
        for fields in (owner_fields, personal_fields) if values else ():
            for source, snapshot, names in self._sources(fields):
                rows = _rows(source, names)
                others = rows.filter(~self._is(rows[OWNER], persons))
                for name in (OWNER, *names):
                    same = others.filter(self._is(others[name], values))
                    found |= self._texts(same.select(value=name), {_ROWS: snapshot.files})
        return found

    def _landing(self, persons: Collection[str]) -> Iterator[tuple[str, int]]:
        """File and row of everything the newest clean and merged tables have of the persons."""
        for source in self._with_persons():
            for table in {keyed_name(source), f"merged/{source.code}"}:
                snapshot = self.warehouse.current(TableRef.parse(table))
                if snapshot is not None and owner_column(source) in dict(snapshot.columns):
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

    def _sources(self, fields: Fields) -> Iterator[tuple[ResolvedSource, Snapshot, list[str]]]:
        """Every snapshot of rows with persons, and which of such fields it has."""
        for source in self._with_persons():
            for snapshot in self.warehouse.snapshots(TableRef.parse(keyed_name(source))):
                columns = dict(snapshot.columns)
                if owner_column(source) in columns:
                    yield source, snapshot, [n for n in fields(self.resolved, source) if n in columns]

    def _with_persons(self) -> list[ResolvedSource]:
        return [source for source in self.resolved.sources.values() if source.keyed or source.spec.person is not None]

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
    known = {**source.columns, OWNER: TEXT}
    types = {name: to_ibis_type(known[name]) for name in (owner_column(source), *fields)}
    types |= {name: ibis.dtype("string" if name == ORIGIN_COLUMNS[0] else "int64") for name in more}
    table = unbound(_ROWS, types)
    owner = table[owner_column(source)].cast("string")
    return table.select(**{OWNER: owner}, **{name: table[name] for name in (*fields, *more)})
