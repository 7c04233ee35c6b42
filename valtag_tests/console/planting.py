"""A published value that is not what the rows give."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.graph.setting import Setting
from valtag_assets.warehouse.snapshot import TableRef


def plant(setting: Setting, table: str, person: str, tag: str, value: Any) -> None:
    """Publish the newest snapshot of a table of tags again, with one cell changed."""
    warehouse, ref = setting.warehouse, TableRef.parse(table)
    snapshot = warehouse.latest(ref)
    assert snapshot is not None
    rows = pq.read_table(snapshot.files[0])
    owners = rows["person_id"].to_pylist()
    cells = [value if owner == person else cell for owner, cell in zip(owners, rows[tag].to_pylist(), strict=True)]
    rows = rows.set_column(rows.column_names.index(tag), tag, pa.array(cells, rows.schema.field(tag).type))
    with warehouse.staging(ref) as staged:
        pq.write_table(rows, staged.path / "part-0.parquet")
        warehouse.publish(
            staged,
            as_of=snapshot.as_of,
            known_at=setting.clock(),
            input_hash=snapshot.input_hash,
            catalog_hash=snapshot.catalog_hash,
            run_id="planted",
            data_until=snapshot.data_until,
            inputs=snapshot.inputs,
            verdicts=snapshot.verdicts,
            metrics=snapshot.metrics,
            key=snapshot.key,
        )
