"""The vault of a source: what the tokens in its tables stand for, in the same parts as these.

Of every file it has the values that the file's rows brought: of accepted rows in the part of the clean table they
belong to, of refused ones in their part of the quarantine. So it is restated as these are, and reads nothing but the
parts that come or go.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Table

from valtag_assets.engine.cleaning.account import Restated
from valtag_assets.engine.cleaning.by_file import part_of_file
from valtag_assets.engine.cleaning.judge import value_column
from valtag_assets.engine.cleaning.judged import Judged, part_of
from valtag_assets.engine.cleaning.quarantine import refused_texts
from valtag_assets.engine.cleaning.restate import EMPTY, PART, Before, union
from valtag_assets.engine.session import Engine, part_name, unbound
from valtag_assets.engine.vault import COLUMNS
from valtag_assets.spec.source import Source

ORDER = ("token", "file")
_BEFORE, _LEAVING, _CAME = "vault_before", "leaving_files", "vault_came"


def restate_vault(
    engine: Engine,
    source: Source,
    judged: Judged | None,
    before: Before,
    leaving: Collection[str],
    into: Path,
    work: Path,
) -> Restated:
    """Write the parts that values came to or left, each sorted by token; of a vault without values one empty part."""
    into.mkdir()
    came: dict[str, Path] = {}
    if judged is not None:
        arriving = work / "arriving"
        arriving.mkdir()
        rows = union(list(_values(source, judged))).distinct().order_by([PART, *ORDER])
        came = {file.name: file for file in engine.write_parts(rows, judged.inputs, arriving, PART)}
    left = _parts_of(before, leaving) & before.vault.keys()
    pq.write_table(pa.table({"file": pa.array(sorted(leaving), pa.string())}), work / f"{_LEAVING}.parquet")
    for name in sorted(came.keys() | left):
        inputs: dict[str, Sequence[Path]] = {}
        rows = union(list(_staying(name, came, before.vault, inputs, work))).order_by(ORDER)
        engine.write(rows, inputs, into / name)
        if not pq.read_metadata(into / name).num_rows:
            (into / name).unlink()
    replaced = frozenset(before.vault.keys() & {EMPTY, *came, *left})
    if not any(into.iterdir()) and not before.vault.keys() - replaced:
        pq.write_table(pa.table({name: pa.array([], pa.string()) for name in COLUMNS}), into / EMPTY)
    return Restated(into, replaced)


def _values(source: Source, judged: Judged) -> Iterator[Table]:
    """(part, file, token, value) of everything personal in the judged rows."""
    rows = judged.accepted
    rows = rows.mutate(**{PART: part_of(source, rows)})
    for name in source.vaulted:
        kept = rows.filter(rows[name].notnull())
        yield kept.select(PART, file="_file", token=name, value=value_column(name))
    for texts in refused_texts(source, judged):
        yield texts.select(**{PART: part_of_file(texts["file"])}, file="file", token="token", value="value")


def _staying(
    name: str, came: Mapping[str, Path], before: Mapping[str, Path], inputs: dict[str, Sequence[Path]], work: Path
) -> Iterator[Table]:
    """The rows of one part: those of before whose file still holds, and those that came."""
    if name in before:
        inputs |= {_BEFORE: [before[name]], _LEAVING: [work / f"{_LEAVING}.parquet"]}
        yield unbound(_BEFORE, COLUMNS).anti_join(unbound(_LEAVING, {"file": "string"}), "file")
    if name in came:
        inputs[_CAME] = [came[name]]
        yield unbound(_CAME, COLUMNS)


def _parts_of(before: Before, files: Collection[str]) -> set[str]:
    """The parts that may hold values of these files of before."""
    accounts = {name: before.files[name] for name in files}
    found = {part_name(part) for account in accounts.values() for part in account.accepted}
    return found | {part_name(part_of_file(name)) for name, account in accounts.items() if account.quarantined}
