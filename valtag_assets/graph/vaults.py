"""The vault at work: the files with what the tokens of a snapshot stand for, and its tables published."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.snapshot import Snapshot, TableRef
from valtag_assets.warehouse.tokens import VAULT


def vault_of(setting: Setting, *snapshots: Snapshot) -> list[Path]:
    """The vault as it was when these snapshots were made, each of them or the clean rows it was made of."""
    found = {file.stat().st_ino: file for snapshot in snapshots for file in _beside(setting, snapshot)}
    return [*found.values()]


def every_vault(setting: Setting) -> list[Path]:
    """The vault as it is and was, as far as it is kept."""
    tables = [table for table in setting.warehouse.tables() if table.stage == VAULT]
    every = [snapshot for table in tables for snapshot in setting.warehouse.snapshots(table)]
    return [*{file.stat().st_ino: file for snapshot in every for file in snapshot.files}.values()]


def _beside(setting: Setting, snapshot: Snapshot) -> Iterator[Path]:
    for name, snapshot_id in snapshot.inputs.items():
        ref = TableRef.parse(name)
        if ref.stage in (VAULT, "clean"):
            found = setting.warehouse.find(ref, snapshot_id)
            if found is not None:
                yield from found.files if ref.stage == VAULT else _beside(setting, found)


def publish_vault(setting: Setting, name: str, files: Sequence[Path], *, input_hash: str, run_id: str) -> Snapshot:
    """Publish ``files``, moved, as the table of the vault of that name."""
    warehouse, table = setting.warehouse, TableRef(VAULT, name)
    with warehouse.staging(table) as staged:
        for file in files:
            file.rename(staged.path / file.name)
        return warehouse.publish(
            staged,
            as_of=None,
            known_at=setting.clock(),
            input_hash=input_hash,
            catalog_hash=setting.resolved.catalog.digest,
            run_id=run_id,
            data_until=None,
            inputs={},
            verdicts=(),
            metrics={},
            key=("token", "file"),
        )
