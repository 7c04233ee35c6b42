"""Tables of what single files brought, kept in up to sixteen parts by a hash of the file's name.

So a file that comes, changes or goes rewrites few rows of the others, however many files there are.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import StringValue, Table

from valtag_assets.engine.cleaning.account import Restated
from valtag_assets.engine.cleaning.restate import EMPTY, PART, Parts, union
from valtag_assets.engine.session import Engine, part_name, unbound

_BEFORE, _LEAVING = "rows_before", "leaving_files"


@dataclass(frozen=True)
class Rows:
    """New rows as an expression over ``inputs``, with a text column ``file``; ``files`` are those that have any."""

    table: Table
    inputs: Mapping[str, Sequence[Path]]
    files: Collection[str]


def restate_by_file(
    engine: Engine,
    new: Rows | None,
    columns: ibis.Schema,
    order: Sequence[str],
    before: Parts,
    leaving: Collection[str],
    into: Path,
    work: Path,
) -> Restated:
    """Write the parts that ``new`` rows came to or rows of the ``leaving`` files were in, each sorted by ``order``.

    A table without rows has one empty part. ``into`` is made; ``work`` is a folder for passing files.
    """
    into.mkdir()
    touched = {part_name(part_of_file(name)) for name in (*leaving, *(() if new is None else new.files))}
    inputs: dict[str, Sequence[Path]] = {} if new is None else dict(new.inputs)
    found = [] if new is None else [new.table.select(*columns)]
    kept = sorted(touched & before.keys())
    if kept:
        inputs |= {_BEFORE: [before[name] for name in kept], _LEAVING: [work / f"{_LEAVING}.parquet"]}
        pq.write_table(pa.table({"file": pa.array(sorted(leaving), pa.string())}), *inputs[_LEAVING])
        found.append(unbound(_BEFORE, columns).anti_join(unbound(_LEAVING, {"file": "string"}), "file"))
    replaced: frozenset[str] = frozenset()
    if touched and found:
        rows = union(found)
        rows = rows.mutate(**{PART: part_of_file(rows["file"])}).order_by([PART, *order])
        engine.write_parts(rows, inputs, into, PART)
        replaced = frozenset({EMPTY, *touched} & before.keys())
    if not any(into.iterdir()) and not before.keys() - replaced:
        engine.write(union(found).limit(0), inputs, into / EMPTY)
    return Restated(into, replaced)


@overload
def part_of_file(file: str) -> str: ...
@overload
def part_of_file(file: StringValue) -> StringValue: ...
def part_of_file(file: str | StringValue) -> str | StringValue:
    """The part for the rows of a file: of its name, the same as of a column of names in the engine."""
    if isinstance(file, str):
        return hashlib.md5(file.encode(), usedforsecurity=False).hexdigest()[0]
    return file.hexdigest("md5").left(1)
