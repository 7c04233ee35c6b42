"""How a clean table is written: what changed is read, the rest is kept, and what lies beside is published."""

import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from valtag_assets.engine.cleaning.account import Account, Restated
from valtag_assets.engine.cleaning.clean import clean_source
from valtag_assets.engine.cleaning.rows import LookupTable, RowRules
from valtag_assets.engine.cleaning.spread import find_medians
from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.erasure.whose import owner_fields, passing_fields
from valtag_assets.engine.persons import clean_name
from valtag_assets.engine.reading.read import combined, read_source
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.engine.session import Engine
from valtag_assets.expression.resolve_source import ORIGIN_COLUMNS
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.earlier import (
    FORM,
    MERGED,
    QUARANTINE,
    SPREAD,
    Earlier,
    find_earlier,
    losses,
    place,
    remember,
)
from valtag_assets.graph.publishing import Written, meaning_of
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.sources import origin_of
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.tokens import VAULT, Tokens
from valtag_assets.warehouse.tombstones import Tombstones

_KEYS = {
    QUARANTINE: ("file", "row"),
    MERGED: ORIGIN_COLUMNS,
    SPREAD: ("file", "field", "units", "number"),
    VAULT: ("token", "file"),
}


@dataclass(frozen=True)
class Cleaning:
    """One cleaning of a source: what its rules mean, what each of its files holds, its lookups, the run.

    ``tokens``: those of the warehouse, where a column of the source or the key of a lookup is vaulted.
    """

    meaning: str
    contents: Mapping[str, str]
    lookups: Mapping[str, Snapshot]
    run_id: str
    erased: Tombstones
    tokens: Tokens | None

    @property
    def state(self) -> str:
        """Who was erased, and the key of tokens; nothing of what there is none of."""
        return self.erased.state + ("" if self.tokens is None else self.tokens.state)

    @property
    def by(self) -> str:
        """Everything but the files that the clean rows depend on."""
        lookups = sorted((name, snapshot.content_hash) for name, snapshot in self.lookups.items())
        return meaning_of(FORM, self.meaning, lookups, *([self.state] if self.state else []))


def write_clean(setting: Setting, source: ResolvedSource, cleaning: Cleaning, engine: Engine, into: Path) -> Written:
    """Read and clean what changed; the parts of the clean table that are new go into ``into``."""
    contents, project = cleaning.contents, setting.resolved.catalog.project
    earlier = find_earlier(setting, source, cleaning.by, contents)
    with tempfile.TemporaryDirectory(dir=setting.spill) as folder:
        work = Path(folder)
        raw = _read(setting, source, earlier, earlier.arriving(contents), work / "raw")
        if otherwise := earlier.reads_otherwise(raw):
            earlier = Earlier(why=otherwise)
            raw = _read(setting, source, earlier, contents.keys(), work / "all")
        before, leaving = earlier.before, earlier.leaving(contents)
        medians = find_medians(engine, source.spec, project, raw, work, before, leaving)
        if medians.turned:
            leaving |= medians.turned
            raw = _read(setting, source, earlier, earlier.arriving(contents) | medians.turned, work / "turned")
        lookups = {look.source: _lookup_table(setting, look.source, cleaning) for look in source.spec.lookups}
        own = tuple(owner_fields(setting.resolved, source))
        passing = tuple(passing_fields(setting.resolved, source))
        key = None if cleaning.tokens is None else cleaning.tokens.table(work)
        rules = RowRules(source.compute, source.refuse, source.drop, cleaning.erased.table(work), own, passing, key)
        cleaned = clean_source(engine, source.spec, project, raw, lookups, rules, medians, work, before, leaving)
        beside = {
            QUARANTINE: (cleaned.quarantine, earlier.quarantine),
            MERGED: (cleaned.merged, earlier.merged),
            SPREAD: (medians.spread, earlier.spread),
            VAULT: (cleaned.vault, earlier.vault),
        }
        published = [
            _publish_beside(setting, TableRef(stage, source.code), made, kept, cleaned.account, cleaning)
            for stage, (made, kept) in beside.items()
            if made is not None
        ]
        memory = remember(source, earlier, cleaned, medians, contents, raw)
        shared = place(cleaned.clean, earlier.clean, into)
    told = {"by": cleaning.by, "shrunk": losses(setting, source, cleaned, contents), **memory}
    metrics = {"account": cleaned.account.to_json(), "cleaning": told}
    return Written(metrics, cleaned.data_until, shared, {item.table.key: item.id for item in published})


def _read(
    setting: Setting, source: ResolvedSource, earlier: Earlier, files: Collection[str], into: Path
) -> RawTable | None:
    """The raw rows of ``files``, by name; None for none."""
    if not files:
        return None
    origin = origin_of(setting, source)
    chosen = replace(origin, paths=tuple(path for path in origin.paths if origin.label(path) in files))
    columns = [*dict.fromkeys(item.source_name for item in source.spec.fields)]
    with open_duckdb(setting.spill) as reader:
        return read_source(reader.connection, chosen, columns, into, earlier.columns)


def _lookup_table(setting: Setting, code: str, cleaning: Cleaning) -> LookupTable:
    source = setting.resolved.sources[code]
    key = source.spec.key[0]
    return LookupTable(cleaning.lookups[clean_name(code)].files, key, source.columns, key in source.vaulted)


def _publish_beside(
    setting: Setting, table: TableRef, rows: Restated, before: Snapshot | None, account: Account, cleaning: Cleaning
) -> Snapshot:
    """Publish what belongs to the clean table, whether or not that will pass: it is then that people look at it."""
    warehouse = setting.warehouse
    with warehouse.staging(table) as staged:
        for name, snapshot in place(rows, before, staged.path).items():
            warehouse.share(staged, snapshot, name)
        return warehouse.publish(
            staged,
            as_of=None,
            known_at=setting.clock(),
            input_hash=meaning_of(cleaning.meaning, combined(cleaning.contents)),
            catalog_hash=setting.resolved.catalog.digest,
            run_id=cleaning.run_id,
            data_until=None,
            inputs={},
            verdicts=(),
            metrics={"account": account.to_json()},
            key=_KEYS[table.stage],
        )
