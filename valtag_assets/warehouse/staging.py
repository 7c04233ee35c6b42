"""The folder a table is staged in, and the parts it is made of.

Parts written anew are read once, when they are published. Parts shared with an earlier snapshot are links to its
files, and what is known of them is taken from its record: adding a day to a long table costs that day.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.content_hash import Content, read_contents, table_content
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.manifest import DETAILS
from valtag_assets.warehouse.snapshot import Part, Snapshot, TableRef
from valtag_assets.warehouse.tokens import VAULT

_PART = re.compile(r"part-[A-Za-z0-9_.-]+\.parquet")


@dataclass(frozen=True)
class Staged:
    """A folder to write one table's ``*.parquet`` files into, on the warehouse's own file system.

    Files called ``part-<A-Z a-z 0-9 _ . ->.parquet`` keep their names when published; others become
    ``part-<n>.parquet``. ``shared`` holds the parts that ``Warehouse.share`` put there: never write over them.
    """

    table: TableRef
    path: Path
    shared: dict[str, tuple[Part, Content]] = field(default_factory=dict, compare=False)


def share(staged: Staged, snapshot: Snapshot, name: str) -> None:
    """Make part ``name`` of ``snapshot`` a part of the staged table, without reading it.

    ValueError for a snapshot of another table. WarehouseError if the snapshot has no such part, its file is not
    what was published, or the staged table has a part of that name.
    """
    if snapshot.table != staged.table:
        raise ValueError(f"a part of {snapshot.table} can't be shared with {staged.table}: share within one table")
    known = {part.name: (part, file) for part, file in zip(snapshot.parts, snapshot.files, strict=True)}
    if name not in known:
        raise WarehouseError(f"{snapshot.table} snapshot {snapshot.id} has no part {name!r}; it has {sorted(known)}")
    part, file = known[name]
    target = staged.path / name
    if target.exists():
        raise WarehouseError(f"{target} is there already: a table can't have two parts of one name")
    _require_size(file, part)
    durable.link(file, target)
    staged.shared[name] = part, Content(snapshot.columns, part.rows, part.sums)


def seal(staged: Staged) -> tuple[Content, tuple[Part, ...]]:
    """Name the staged files, force them to disk, and read the new ones: the table's content, and its parts.

    WarehouseError if there are no files or strange ones, one can't be read, a shared one was written over, or
    two differ in schema.
    """
    files = _named(_staged_files(staged.path))
    for part, _ in staged.shared.values():
        _require_size(staged.path / part.name, part)
    new = [file for file in files if file.name not in staged.shared]
    for file in new:
        if staged.table.stage == VAULT:
            file.chmod(0o600)
        durable.flush(file)
    found = staged.shared | {
        name: (Part(name, content.rows, content.hash, (staged.path / name).stat().st_size, content.sums), content)
        for name, content in read_contents(new).items()
    }
    content = table_content({file.name: found[file.name][1] for file in files})
    return content, tuple(found[file.name][0] for file in files)


def _staged_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise WarehouseError(f"the staging folder {folder} is gone: it was published already, or swept")
    # The record is there if publish() is tried again, say after LockTimeout.
    found = sorted(path for path in folder.iterdir() if path.name != DETAILS)
    strange = [path.name for path in found if path.suffix != ".parquet" or not path.is_file()]
    if strange or not found:
        problem = f"holds {strange}" if strange else "is empty"
        raise WarehouseError(f"the staging folder {folder} {problem}: write *.parquet files, and only those")
    return found


def _named(files: Sequence[Path]) -> list[Path]:
    """The files, in their order, those without the name of a part renamed to one that is free."""
    kept = {file.name for file in files if _PART.fullmatch(file.name)}
    free = (name for count in itertools.count() if (name := f"part-{count}.parquet") not in kept)
    return [file if file.name in kept else file.rename(file.with_name(next(free))) for file in files]


def _require_size(file: Path, part: Part) -> None:
    """WarehouseError if the file is missing or has not the size it was published with."""
    try:
        size = file.stat().st_size
    except OSError as error:
        raise WarehouseError(
            f"cannot share {file}: {error.strerror}; write this part anew, or restore it from a backup"
        ) from error
    if size != part.bytes:
        raise WarehouseError(
            f"cannot share {file}: it has {size} bytes and had {part.bytes} when it was published;"
            " write this part anew, or restore it from a backup"
        )
