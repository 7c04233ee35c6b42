"""A candidate opened for its checks: those that look at a personal text see the text, and not its token.

The files are gone when the checks are through; what they say of a text is masked as ever.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from valtag_assets.engine.session import Engine, unbound
from valtag_assets.engine.vault import VAULT, values_of, vault_files
from valtag_assets.expression.ibis_types import to_ibis_type
from valtag_assets.graph.setting import Setting
from valtag_assets.graph.vaults import vault_of
from valtag_assets.quality.expectation import NON_NULL_SHARE, NOT_NULL, UNIQUE, Expectation
from valtag_assets.spec.types import DataType
from valtag_assets.warehouse.snapshot import Snapshot

_SEALED = "sealed"
_BLIND = (NOT_NULL, NON_NULL_SHARE, UNIQUE)
"""Expectations that a token satisfies exactly when its text does."""


def looks_at(expectations: Sequence[Expectation], tokens: frozenset[str]) -> list[Expectation]:
    """Those of the expectations that look at the texts of the columns ``tokens``."""
    return [item for item in expectations if item.column in tokens and item.kind not in _BLIND]


@contextmanager
def unsealed(
    engine: Engine,
    setting: Setting,
    files: Sequence[Path],
    columns: Mapping[str, DataType],
    names: frozenset[str],
    key: str,
    before: Snapshot | None,
) -> Iterator[dict[Path, Path]]:
    """Where each of ``files``, tables of ``columns``, is with the texts of ``names`` in the place of their tokens.
    Nothing where no name is given. ``before``: the snapshot from which some of the files are."""
    then = vault_of(setting, *([] if before is None else [before]))
    known = {file.stat().st_ino: file for file in [*vault_files(setting.warehouse), *then]}
    if not names or not known:
        yield {}
        return
    table = unbound(_SEALED, {name: to_ibis_type(kind) for name, kind in columns.items()})
    with tempfile.TemporaryDirectory(dir=setting.spill) as space:
        opened = {file: Path(space) / f"{number}.parquet" for number, file in enumerate(files)}
        for file, into in opened.items():
            inputs = {_SEALED: [file], VAULT: [*known.values()]}
            engine.write(values_of(table, sorted(names), key), inputs, into)
        yield opened
