"""What the last cleaning of a source left, and which of it still holds.

A snapshot of a clean table remembers, in its metrics, what became of each file and what the file held then. So
the next cleaning reads only files that are new or hold something else. Whatever else may change the rows of an
unchanged file means cleaning everything again: the source's rules, the project's, a lookup's content, the types
of the columns as read, a damaged file of the warehouse. Why everything was read is told in the metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from valtag_assets.engine.cleaning.account import Cleaned, FileAccount, Restated
from valtag_assets.engine.cleaning.restate import Before
from valtag_assets.engine.cleaning.spread import Medians
from valtag_assets.engine.persons import clean_name
from valtag_assets.engine.reading.tables import RawTable
from valtag_assets.expression.resolved import ResolvedSource
from valtag_assets.graph.setting import Setting
from valtag_assets.quality.reexport import shrunk
from valtag_assets.warehouse.damage import damage
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.tokens import VAULT

# Of the rules of cleaning and of what is remembered; a new one when either changes.
FORM = 1
MERGED, QUARANTINE, SPREAD = "merged", "quarantine", "spread"
BESIDE = (MERGED, QUARANTINE, SPREAD, VAULT)
"""The stages of what is published with a clean table."""


@dataclass(frozen=True)
class Earlier:
    """The last good cleaning, as far as it may be built upon.

    ``contents``: what each file held, by name; ``persons``: the type its person key had. ``columns``: (name,
    DuckDB type) as they were read. ``why``: the reason for cleaning everything again, if there is one; then there
    is nothing else.
    """

    clean: Snapshot | None = None
    merged: Snapshot | None = None
    quarantine: Snapshot | None = None
    spread: Snapshot | None = None
    vault: Snapshot | None = None
    files: Mapping[str, FileAccount] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    persons: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()
    medians: Mapping[str, Decimal | None] = field(default_factory=dict)
    why: str | None = None

    @property
    def before(self) -> Before:
        clean, merged, quarantine = map(_parts, (self.clean, self.merged, self.quarantine))
        return Before(clean, merged, quarantine, _parts(self.vault), _parts(self.spread), self.files, self.medians)

    def leaving(self, contents: Mapping[str, str]) -> frozenset[str]:
        """The files that are gone, or hold something else by now."""
        return frozenset(name for name, digest in self.contents.items() if contents.get(name) != digest)

    def arriving(self, contents: Mapping[str, str]) -> frozenset[str]:
        """The files that are new, or hold something else than before."""
        return frozenset(name for name, digest in contents.items() if self.contents.get(name) != digest)

    def reads_otherwise(self, raw: RawTable | None) -> str | None:
        """Why files just read can't be put beside the others: columns of other types."""
        if raw is None or not self.columns or raw.columns == self.columns:
            return None
        before = dict(self.columns)
        changed = [f"{name} {before.get(name)} → {kind}" for name, kind in raw.columns if before.get(name) != kind]
        return f"columns are read as other types: {', '.join(changed)}"


def find_earlier(setting: Setting, source: ResolvedSource, by: str, contents: Mapping[str, str]) -> Earlier:
    """The last cleaning ``by`` the same rules. ``contents``: what the files hold now."""
    warehouse = setting.warehouse
    if setting.full:
        return Earlier(why="a full run was asked for")
    clean = warehouse.current(TableRef.parse(clean_name(source.code)))
    if clean is None:
        return Earlier(why="nothing was cleaned before")
    cleaning = clean.metrics["cleaning"]
    if cleaning["by"] != by:
        return Earlier(why="the rules, a lookup or the project changed")
    digests = {name: item["content"] for name, item in cleaning["files"].items()}
    if not any(contents.get(name) == digest for name, digest in digests.items()):
        return Earlier(why="every file is new or changed")
    try:
        beside = [_beside(warehouse, clean, stage) for stage in BESIDE]
    except WarehouseError as error:
        return Earlier(why=str(error))
    if why := next(filter(None, map(damage, filter(None, (clean, *beside)))), None):
        return Earlier(why=why)
    merged, quarantine, spread, vault = beside
    return Earlier(
        clean=clean,
        merged=merged,
        quarantine=quarantine,
        spread=spread,
        vault=vault,
        files={name: FileAccount(**item["account"]) for name, item in cleaning["files"].items()},
        contents=digests,
        persons={name: item["person"] for name, item in cleaning["files"].items() if "person" in item},
        columns=tuple((name, kind) for name, kind in cleaning["columns"]),
        medians={name: None if text is None else Decimal(text) for name, text in cleaning["medians"].items()},
    )


def _beside(warehouse: Warehouse, clean: Snapshot, stage: str) -> Snapshot | None:
    """The snapshot of the ``stage`` that was published with ``clean``. WarehouseError if it is gone."""
    ref = TableRef(stage, clean.table.name)
    if ref.key not in clean.inputs:
        return None
    found = warehouse.find(ref, clean.inputs[ref.key])
    if found is None:
        raise WarehouseError(f"{ref} has lost its snapshot {clean.inputs[ref.key]}")
    return found


def remember(
    source: ResolvedSource,
    earlier: Earlier,
    cleaned: Cleaned,
    medians: Medians,
    contents: Mapping[str, str],
    raw: RawTable | None,
) -> dict[str, Any]:
    """The metrics of a clean snapshot that ``find_earlier`` reads, and what was done this time."""
    columns = earlier.columns if raw is None else raw.columns
    persons = {**earlier.persons, **({} if raw is None else _person_types(source, raw))}
    files = {
        name: {"content": contents[name], "account": account.to_json()}
        | ({"person": persons[name]} if name in persons else {})
        for name, account in sorted(cleaned.files.items())
    }
    return {
        "columns": [list(column) for column in columns],
        "everything": earlier.why,
        "files_read": len(raw.names) if raw is not None else 0,
        "parts_written": sorted(file.name for file in cleaned.clean.folder.iterdir()),
        "medians": {name: None if value is None else str(value) for name, value in medians.of.items()},
        "files": files,
    }


def _person_types(source: ResolvedSource, raw: RawTable) -> dict[str, str]:
    """The DuckDB type of the person's key in each file whose columns have types of their own."""
    columns = [item.source_name for item in source.spec.fields if item.name == source.spec.person]
    return {name: types[column] for name, types in raw.own.items() for column in columns}


def losses(setting: Setting, source: ResolvedSource, cleaned: Cleaned, contents: Mapping[str, str]) -> list[str]:
    """The re-exported files and the complete months that lost too many rows since the last snapshot, in words."""
    before = setting.warehouse.current(TableRef.parse(clean_name(source.code)))
    if before is None:
        return []
    most = source.spec.checks.max_rows_drop
    old = before.metrics["cleaning"]["files"]
    files = {name: FileAccount(**item["account"]).rows_in for name, item in old.items() if name in contents}
    found = shrunk(files, {name: account.rows_in for name, account in cleaned.files.items()}, most)
    if source.spec.kind == "fact":
        # More rows of the last month may come, and so may fewer.
        *complete, _ = sorted(before.parts, key=lambda part: (len(part.name), part.name))
        now = {_month(name): rows for name, rows in cleaned.rows.items()}
        found += shrunk({_month(part.name): part.rows for part in complete}, now, most)
    return [str(item) for item in found]


def _month(part: str) -> str:
    return part.removeprefix("part-").removesuffix(".parquet")


def place(restated: Restated, before: Snapshot | None, into: Path) -> dict[str, Snapshot]:
    """Move the parts made anew into the folder ``into``; the parts of ``before`` that still hold."""
    for file in restated.folder.iterdir():
        file.rename(into / file.name)
    kept = before.parts if before is not None else ()
    return {part.name: before for part in kept if before is not None and part.name not in restated.replaced}


def _parts(snapshot: Snapshot | None) -> dict[str, Path]:
    if snapshot is None:
        return {}
    return {part.name: file for part, file in zip(snapshot.parts, snapshot.files, strict=True)}
