"""From which published snapshot each thing that is served comes.

Wrong data are never served: of a tag that is held, the value of the newest snapshot in which it was good; of a
table whose newest snapshot is damaged or was refused since it was published, the one before.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from valtag_assets.engine.duckdb import data_type
from valtag_assets.engine.identity.tables import KEYS, SUCCESSORS
from valtag_assets.engine.lookup import HOLDOUT, Layout, Part, column_types
from valtag_assets.engine.persons import PERSONS
from valtag_assets.engine.rules import segments_name
from valtag_assets.engine.scores import scores_name
from valtag_assets.engine.tags import tags_name
from valtag_assets.engine.vault import VAULT, vault_files, vaulted_tags
from valtag_assets.expression.lineage import meaning
from valtag_assets.expression.resolved import Resolved
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import ManifestError
from valtag_assets.warehouse.manifest import Manifest, snapshot_of
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse

ID_TABLES = (SUCCESSORS, KEYS)
# A change of what a record looks like needs stores of their own.
_FORMAT = "1"


@dataclass(frozen=True)
class Origin:
    """Where values come from: all that an answer says of a snapshot, as JSON has it (dates and instants ISO 8601)."""

    table: str
    snapshot: str
    as_of: str | None
    known_at: str
    data_until: str | None

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Origin":
        until = snapshot.data_until
        return cls(
            snapshot.table.key,
            snapshot.id,
            snapshot.as_of.isoformat() if snapshot.as_of else None,
            snapshot.known_at.isoformat(),
            until.isoformat() if until else None,
        )


@dataclass(frozen=True)
class Taken:
    """What is taken from one snapshot, and its files."""

    part: Part
    snapshot: Snapshot


@dataclass(frozen=True)
class Published:
    """Everything that is served for one as-of.

    ``origins``: table → where it comes from now. ``held``: tags, score columns and tables of audiences whose newest
    values failed a check → where the good ones that are served come from, None when there are none. ``missing``:
    those of which nothing good was ever published as the catalog has them now. ``ids``: with identity.yaml, the
    tables that say by what else persons are named. ``vault``: what the tokens among all that stand for; None where
    there are none.
    """

    as_of: date
    persons: Snapshot
    taken: tuple[Taken, ...]
    origins: Mapping[str, Origin]
    held: Mapping[str, Origin | None]
    missing: tuple[str, ...] = ()
    layout: Layout = field(default_factory=lambda: Layout((), (), ()))
    key: str = ""
    ids: tuple[Snapshot, ...] = ()
    vault: tuple[Path, ...] | None = None

    @property
    def parts(self) -> list[Part]:
        return [item.part for item in self.taken]

    @property
    def inputs(self) -> Mapping[str, Sequence[Path]]:
        """The files of every unbound table that the lookup expression reads."""
        named = {snapshot.table.key: snapshot.files for snapshot in (self.persons, *self.ids)}
        named |= {VAULT: self.vault} if self.vault else {}
        return named | {item.part.name: item.snapshot.files for item in self.taken}

    def about(self) -> dict[str, Any]:
        """All that answers need beside the records, as JSON."""
        return {
            "as_of": self.as_of.isoformat(),
            "columns": list(self.layout.columns),
            "segments": list(self.layout.segments),
            "placements": list(self.layout.placements),
            "origins": {name: vars(origin) for name, origin in self.origins.items()},
            "held": {name: origin and vars(origin) for name, origin in self.held.items()},
            "missing": list(self.missing),
        }


class NothingPublished(Mistake):
    """There is nothing to serve; the message says what to do."""


def published(warehouse: Warehouse, resolved: Resolved, as_of: date | None = None) -> Published:
    """What is served at ``as_of`` (None: the newest as-of that is published).

    Every table is taken at its newest as-of up to that date. Raises NothingPublished when no tag table has the
    as-of, and WarehouseError when a manifest can't be read.
    """
    persons = next(_sound(warehouse, TableRef.parse(PERSONS), None), None)
    tables = [TableRef.parse(tags_name(code)) for code in resolved.categories]
    tables += [TableRef.parse(scores_name(code)) for code in resolved.scores]
    newest = [found for table in tables if (found := next(_sound(warehouse, table, as_of), None)) is not None]
    dates = sorted({found.as_of for found in newest if found.as_of is not None})
    if persons is None or not dates:
        raise NothingPublished(
            f"no tags are published{f' up to {as_of}' if as_of else ''} yet: valtag run makes them"
        )
    if as_of is not None and dates[-1] != as_of:
        raise NothingPublished(f"no tags are published for {as_of}; the newest before it is {dates[-1]}")
    gathered = _Gathered(warehouse, resolved, dates[-1])
    for table in tables:
        gathered.columns_of(table)
    for code in resolved.segments:
        gathered.audience(code)
    return gathered.whole(persons)


class _Gathered:
    """What was found so far."""

    def __init__(self, warehouse: Warehouse, resolved: Resolved, as_of: date) -> None:
        self.warehouse, self.resolved, self.as_of = warehouse, resolved, as_of
        self.types = column_types(resolved)
        self.layout = Layout.of(resolved)
        self.taken: list[Taken] = []
        self.origins: dict[str, Origin] = {}
        self.held: dict[str, Origin | None] = {}
        self.missing: list[str] = []

    def columns_of(self, table: TableRef) -> None:
        """The columns of a category or score: the good ones of its newest snapshot, the held ones of older ones."""
        wanted = self._columns_in(table)
        history = _sound(self.warehouse, table, self.as_of)
        newest = next(history, None)
        fitting = self._fitting(newest, wanted) if newest is not None else []
        self.missing += [name for name in wanted if name not in fitting]
        if newest is None:
            return
        self.origins[table.key] = Origin.of(newest)
        self._take(newest, [name for name in fitting if name not in newest.held])
        waiting = [name for name in fitting if name in newest.held]
        self.held |= dict.fromkeys(waiting)
        for older in history:
            if not waiting:
                return
            good = [name for name in self._fitting(older, waiting) if name not in older.held]
            self._take(older, good)
            self.held |= dict.fromkeys(good, Origin.of(older))
            waiting = [name for name in waiting if name not in good]

    def audience(self, code: str) -> None:
        """Who is in an audience: its newest good snapshot. One that could not be made since stays as it was."""
        table = TableRef.parse(segments_name(code))
        held = False
        for snapshot in _sound(self.warehouse, table, self.as_of):
            if not snapshot.held:
                self.origins[table.key] = Origin.of(snapshot)
                if held:
                    self.held[table.key] = Origin.of(snapshot)
                holdout = HOLDOUT in dict(snapshot.columns)
                self.taken.append(Taken(Part(table.key, segment=code, holdout=holdout), snapshot))
                return
            held = True
        self.missing.append(table.key)

    def whole(self, persons: Snapshot) -> Published:
        """All of it, with the key under which its store is kept."""
        rules = [[meaning(node) for _, node in item.rules] for item in self.resolved.placements.values()]
        types = [(name, str(self.types[name])) for name in self.layout.columns]
        # An erasure leaves a snapshot its id, and changes its content.
        taken = [(item.part, item.snapshot.id, item.snapshot.content_hash) for item in self.taken]
        ids = tuple(self._ids())
        vault = tuple(vault_files(self.warehouse)) if self._has_tokens() else None
        told = (_FORMAT, self.as_of, persons.id, persons.content_hash, taken, self.layout, types, rules)
        text = repr((*told, [(item.id, item.content_hash) for item in ids]) if ids else told)
        key = hashlib.sha256(text.encode()).hexdigest()[:32]
        return Published(
            self.as_of,
            persons,
            tuple(self.taken),
            self.origins,
            self.held,
            tuple(self.missing),
            self.layout,
            key,
            ids,
            vault,
        )

    def _ids(self) -> Iterator[Snapshot]:
        """The newest sound tables that say by what else persons are named."""
        for name in ID_TABLES if self.resolved.identity is not None else ():
            found = next(_sound(self.warehouse, TableRef.parse(name), None), None)
            if found is not None:
                yield found

    def _has_tokens(self) -> bool:
        identity = self.resolved.identity
        return bool(vaulted_tags(self.resolved)) or (identity is not None and bool(identity.sealed))

    def _columns_in(self, table: TableRef) -> list[str]:
        if table.stage == "tags":
            return [tag.code for tag in self.resolved.categories[table.name].tags]
        return list(self.resolved.scores[table.name].columns)

    def _fitting(self, snapshot: Snapshot, wanted: Sequence[str]) -> list[str]:
        """Those of the columns that the snapshot has, of the type the catalog gives them now."""
        stored = dict(snapshot.columns)
        return [name for name in wanted if name in stored and data_type(stored[name]) == self.types[name]]

    def _take(self, snapshot: Snapshot, columns: Sequence[str]) -> None:
        if columns:
            name = f"{snapshot.table.key}#{len(self.taken)}"
            self.taken.append(Taken(Part(name, tuple(columns)), snapshot))


def _sound(warehouse: Warehouse, table: TableRef, as_of: date | None) -> Iterator[Snapshot]:
    """The snapshots of ``table`` up to ``as_of`` that may be read, the newest as-of first; of one, the last known."""
    manifest = warehouse.manifest(table)
    entries = [item for item in manifest.entries if as_of is None or item.as_of is None or item.as_of <= as_of]
    for entry in sorted(entries, key=lambda item: (item.as_of or date.min, item.known_at), reverse=True):
        try:
            snapshot = snapshot_of(table, entry, warehouse.root)
        except ManifestError:
            continue  # its record is lost: `valtag status` names it
        if damage(snapshot) is None and not _refused_since(manifest, snapshot):
            yield snapshot


def _refused_since(manifest: Manifest, snapshot: Snapshot) -> bool:
    """Whether this very table was found wrong after it was published, as the nightly recheck may find it.

    A later attempt from other inputs that was refused says nothing against what is served.
    """
    attempt = manifest.last_attempt(snapshot.as_of)
    if attempt is None or attempt.outcome != "refused" or attempt.at < snapshot.known_at:
        return False
    return attempt.input_hash == snapshot.input_hash
