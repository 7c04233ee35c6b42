"""A table's rows as Parquet files that expressions can read, every column that can be named."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.datatypes import DuckDBType

from valtag_assets.engine.duckdb import DuckDBEngine
from valtag_assets.engine.inventory.finding import Place
from valtag_assets.engine.reading.read import read_source
from valtag_assets.engine.session import Inputs, unbound
from valtag_assets.spec.block import Title

ROWS = "rows"


@dataclass(frozen=True)
class Loaded:
    """The rows of one table: (name, DuckDB type) of its ``columns``, how many records could not be read (``broken``),
    what there is to say about columns that no catalog can name, and the columns that the files have ``beside``."""

    columns: tuple[tuple[str, str], ...]
    files: tuple[Path, ...]
    rows: int
    broken: int
    notes: tuple[Title, ...]
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def table(self) -> ibis.Table:
        """The rows, as an unbound table."""
        types = {name: DuckDBType.from_string(kind) for name, kind in self.columns}
        # The files' other columns are named, too, or ``distinct`` would look at them.
        return unbound(ROWS, {**types, **dict(self.beside)}).select(*types)

    @property
    def inputs(self) -> Inputs:
        return {ROWS: self.files}


def load(engine: DuckDBEngine, place: Place, into: Path) -> Loaded:
    """Read the table; into the folder ``into``, if it isn't plain Parquet already. SourceError: it can't be read."""
    wanted, notes = _nameable(place.columns)
    if place.origin.format == "parquet" and len(wanted) == len(place.columns) and _plain(place.origin.paths):
        relation = engine.connection.read_parquet([str(path) for path in place.origin.paths])
        types = zip(relation.columns, map(str, relation.types), strict=True)
        rows = sum(pq.read_metadata(path).num_rows for path in place.origin.paths)
        return Loaded(tuple(types), place.origin.paths, rows, 0, notes)
    raw = read_source(engine.connection, place.origin, wanted, into)
    files = tuple(sorted(raw.path.glob("*.parquet")))
    return Loaded(raw.columns, files, raw.rows, raw.broken_rows, notes, (("_file", "string"), ("_row", "int64")))


def _nameable(columns: Sequence[str]) -> tuple[list[str], tuple[Title, ...]]:
    """The columns that a catalog can name, each once, and what is wrong with the others."""
    wanted: dict[str, str] = {}
    notes = []
    for number, name in enumerate(columns, 1):
        plain = name.strip().lower()
        if not plain:
            notes.append(Title(zh=f"第 {number} 列没有列名，未读取", en=f"column {number} has no name: not read"))
        elif plain in ("_file", "_row"):
            notes.append(Title(zh=f"列名 {plain} 为保留名，未读取", en=f"{plain} is a name kept by valtag: not read"))
        elif plain in wanted:
            same = wanted[plain] == name
            notes.append(
                Title(
                    zh=f"第 {number} 列与前面的列{'同名' if same else '仅大小写或空格不同'}，未读取；请在文件中改名",
                    en=f"column {number} has the name of an earlier one{'' if same else ' but for case or spaces'}: "
                    "not read; rename it in the file",
                )
            )
        else:
            wanted[plain] = name
    # Of names that stand twice, the file can't say which is meant: neither is read.
    twice = {name for name in wanted.values() if [other.strip() for other in columns].count(name.strip()) > 1}
    return [name for name in wanted.values() if name not in twice], tuple(notes)


def _plain(paths: Sequence[Path]) -> bool:
    """Whether the files can be read as they lie: one schema, no nested values, no glob sign in a name."""
    first = pq.read_schema(paths[0])
    nested = any(pa.types.is_nested(kind) or pa.types.is_dictionary(kind) for kind in first.types)
    magic = any(char in str(path) for path in paths for char in "*?[")
    return not nested and not magic and all(pq.read_schema(path).equals(first) for path in paths[1:])
