"""``valtag.duckdb``: one view per table over its newest data, for the DuckDB CLI, notebooks and BI tools.

The file holds views only, by absolute path: after moving a warehouse, rebuild it. Open it read-only.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from valtag_assets.warehouse.quoting import quote
from valtag_assets.warehouse.reading import relation
from valtag_assets.warehouse.snapshot import Snapshot


def write_views(path: Path, snapshots: Iterable[Snapshot]) -> None:
    """Create the DuckDB file ``path`` with a view ``<stage>.<table>`` for each snapshot."""
    with duckdb.connect(str(path)) as con:
        for snapshot in snapshots:
            stage, name = quote(snapshot.table.stage), quote(snapshot.table.name)
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {stage}")
            # DuckDB itself writes the paths into the text (a view takes no parameters); create_view() of the
            # relation would leave the view without SQL to show.
            con.execute(f"CREATE VIEW {stage}.{name} AS {relation(con, snapshot).sql_query()}")
