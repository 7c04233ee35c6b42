"""Records made of what is published: by the engine, set-based; Python only hands rows over."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.naming import present_keys
from valtag_assets.engine.identity.person import is_given
from valtag_assets.engine.lookup import ASKED, lookup_expression, opened_part
from valtag_assets.engine.persons import PERSON
from valtag_assets.engine.session import Engine
from valtag_assets.engine.successors import successors
from valtag_assets.expression.resolved import Resolved
from valtag_assets.serving.published import ID_TABLES, Published
from valtag_assets.serving.store import FILE, Names, write_store
from valtag_assets.warehouse.derived import Derived, DerivedFiles
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.tokens import PRIVATE, VAULT

PLACE = ("serving", "lookup")
PRIVATE_PLACE = (VAULT, "serving")
"""For stores with personal texts in them, opened: among the files of the vault."""
_ROWS = 20_000


def place_of(wanted: Published) -> tuple[str, str]:
    """Where the stores of what is published so lie."""
    return PLACE if wanted.vault is None else PRIVATE_PLACE


def find_store(files: DerivedFiles, wanted: Published) -> Derived | None:
    """The store of exactly what is published, if it has been made."""
    return files.find(*place_of(wanted), wanted.key)


def build_store(files: DerivedFiles, resolved: Resolved, wanted: Published, spill: Path) -> Derived:
    """The store of ``wanted``, made if it is not there; then those before it are removed.

    A store somebody still has open stays readable for him. Until the new one is whole, the one before stays as it
    is. Raises what the engine and the disk raise.
    """

    def fill(folder: Path) -> dict[str, Any]:
        with open_duckdb(spill) as engine, tempfile.TemporaryDirectory(dir=spill) as space:
            rows = Path(space) / "records.parquet"
            inputs = _opened(engine, resolved, wanted, Path(space))
            engine.write(lookup_expression(resolved, wanted.parts, wanted.as_of), inputs, rows)
            names = None
            if set(ID_TABLES) <= wanted.inputs.keys():
                known = successors()
                known = known.filter(is_given(known["was"]))
                asked = (known, present_keys(opened=bool(wanted.vault)))
                former, keys = (engine.fetch(table, wanted.inputs) for table in asked)
                names = Names(former, keys)
            persons = write_store(folder / FILE, pq.ParquetFile(rows).iter_batches(_ROWS), names)
        if persons != wanted.persons.rows:
            raise WarehouseError(f"the store has {persons:,} persons, and {wanted.persons.rows:,} are published")
        return {**wanted.about(), "persons": persons}

    place = place_of(wanted)
    if wanted.vault is not None:
        (files.root / VAULT).mkdir(PRIVATE, parents=True, exist_ok=True)
    made = files.make(*place, wanted.key, fill=fill)
    for other in (PLACE, PRIVATE_PLACE):
        for name in files.names(*other):
            if (*other, name) != (*place, wanted.key):
                files.remove(*other, name)
    return made


def records_of(resolved: Resolved, wanted: Published, persons: Sequence[str], spill: Path) -> dict[str, str]:
    """The records of a few persons straight from the snapshots: for as-ofs that have no store.

    They are what the store would hold. Raises what the engine and the disk raise.
    """
    expression = lookup_expression(resolved, wanted.parts, wanted.as_of, only_asked=True)
    with open_duckdb(spill) as engine, tempfile.TemporaryDirectory(dir=spill) as space:
        asked = Path(space) / "asked.parquet"
        pq.write_table(pa.table({PERSON: pa.array(persons, pa.string())}), asked)
        inputs = _opened(engine, resolved, wanted, Path(space), asked)
        found = engine.fetch(expression, {**inputs, ASKED: [asked]})
    return dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))


def _opened(
    engine: Engine, resolved: Resolved, wanted: Published, space: Path, asked: Path | None = None
) -> dict[str, Sequence[Path]]:
    """The inputs of ``wanted``, the parts with tokens among them anew in ``space`` with what these stand for; of the
    persons in ``asked`` alone, if it is given."""
    inputs = dict(wanted.inputs)
    for number, part in enumerate(wanted.parts if wanted.vault else ()):
        opened = opened_part(resolved, part, only_asked=asked is not None)
        if opened is not None:
            file = space / f"opened-{number}.parquet"
            engine.write(opened, {**inputs, **({} if asked is None else {ASKED: [asked]})}, file)
            inputs[part.name] = [file]
    return inputs
