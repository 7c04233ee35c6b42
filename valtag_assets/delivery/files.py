"""File drops: CSV, Parquet or JSON lines in a folder, each replaced as a whole or not at all.

mirror and upsert: ``<origin>.<format>`` holds everybody the file's reader should know of. append: one file
``<origin>-<as_of>.<format>`` per as-of. CSV and JSON lines can't be read back exactly, so the rows are also kept in a
hidden Parquet file beside them, which is written first.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from valtag_assets.delivery.message import Outcome, Parcel
from valtag_assets.delivery.tabular import Change, Fields, changes_of, flat
from valtag_assets.spec.destination import Destination
from valtag_assets.warehouse import durable, locks
from valtag_assets.warehouse.errors import WarehouseError

_WAIT_SECONDS = 60.0
_FORMULA = r"^[=+\-@\t\r]"
"""What spreadsheets take for a formula, at the beginning of a text."""


class FileReceiver:
    """A folder of files."""

    def __init__(self, spec: Destination, fields: Fields, folder: Path) -> None:
        self._spec, self._fields, self._folder = spec, fields, folder

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Outcome]:
        """Write the files that the parcels change."""
        return [await asyncio.to_thread(self._deliver, parcels)] * len(parcels)

    def _deliver(self, parcels: Sequence[Parcel]) -> Outcome:
        dated: dict[str, list[Parcel]] = {}
        for parcel in parcels:
            day = str(parcel.message.as_of) if self._spec.mode == "append" else ""
            dated.setdefault(day, []).append(parcel)
        try:
            for day, own in dated.items():
                for origin, change in changes_of(own, self._fields, self._spec.mode).items():
                    self._write(f"{origin}-{day}" if day else origin, change)
        except pa.ArrowException:
            return Outcome("split", "a value is not of its column's type")
        except (OSError, WarehouseError) as error:
            return Outcome("unreachable", f"the file can't be written: {error}")
        return Outcome("ok")

    def _write(self, name: str, change: Change) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with locks.alone(self._folder / f".{name}.lock", name, _WAIT_SECONDS):
            self._rewrite(name, change)

    def _rewrite(self, name: str, change: Change) -> None:
        ending = self._spec.format
        kept = self._folder / (f"{name}.parquet" if ending == "parquet" else f".{name}.parquet")
        rows = merged(pq.read_table(kept, partitioning=None) if kept.exists() else None, change)
        replace_file(kept, lambda into: pq.write_table(rows, into))
        if ending == "csv":
            replace_file(
                self._folder / f"{name}.csv", lambda into: pyarrow.csv.write_csv(for_spreadsheets(rows), into)
            )
        elif ending == "jsonl":
            replace_file(self._folder / f"{name}.jsonl", lambda into: write_lines(rows, into))


def merged(before: pa.Table | None, change: Change) -> pa.Table:
    """The rows of ``before`` with ``change`` put in by its key, sorted by the key."""
    key = list(change.shape.key)
    put = change.put
    if before is not None:
        # A file is one origin's, so the last column of the key tells its rows apart.
        touched = pa.chunked_array([*put[key[-1]].chunks, *change.gone[key[-1]].chunks], pa.string())
        stayed = before.filter(pc.invert(pc.is_in(before[key[-1]], touched)))
        # A field that no longer travels leaves the file; a new one is empty until its row changes.
        stayed = stayed.select([name for name in put.column_names if name in stayed.column_names])
        put = pa.concat_tables([put, stayed], promote_options="permissive")
    return put.sort_by([(name, "ascending") for name in key])


def for_spreadsheets(table: pa.Table) -> pa.Table:
    """``table`` for CSV: no text of it is taken for a formula."""
    table = flat(table)
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            escaped = pc.replace_substring_regex(table[number], _FORMULA, r"'\0")
            table = table.set_column(number, field.name, escaped)
    return table


def write_lines(table: pa.Table, into: Path) -> None:
    """The rows as JSON lines."""
    with into.open("w", encoding="utf-8") as file:
        for row in table.to_pylist():
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Put a whole new file in the place of ``path``."""
    aside = path.with_name(f".{path.name}.new")
    write(aside)
    durable.flush(aside)
    aside.replace(path)
    durable.flush(path.parent)


@asynccontextmanager
async def open_files(spec: Destination, fields: Fields, folder: Path) -> AsyncIterator[FileReceiver]:
    """A file drop; a relative path lies in ``folder``."""
    yield FileReceiver(spec, fields, folder / str(spec.path))
