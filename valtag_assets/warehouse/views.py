"""``valtag.duckdb``: one view per table over its newest data, for the DuckDB CLI, notebooks and BI tools.

The file holds views only, by absolute path: after moving a warehouse, rebuild it. Open it read-only. What a table
and its columns mean stands as comments on them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.warehouse.quoting import literal, quote
from valtag_assets.warehouse.reading import relation
from valtag_assets.warehouse.snapshot import Snapshot


def write_views(path: Path, served: Iterable[tuple[Snapshot, Mapping[str, Any]]]) -> None:
    """Create the DuckDB file ``path`` with a view ``<stage>.<table>`` for each snapshot, and its comments
    ({"table": text, "columns": {name: text}})."""
    with duckdb.connect(str(path)) as con:
        # One transaction: hundreds of comments would each wait for the disk.
        con.begin()
        for snapshot, said in served:
            stage, name = quote(snapshot.table.stage), quote(snapshot.table.name)
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {stage}")
            # DuckDB itself writes the paths into the text (a view takes no parameters); create_view() of the
            # relation would leave the view without SQL to show.
            con.execute(f"CREATE VIEW {stage}.{name} AS {relation(con, snapshot).sql_query()}")
            _comment(con, snapshot, said)
        con.commit()


def _comment(con: duckdb.DuckDBPyConnection, snapshot: Snapshot, said: Mapping[str, Any]) -> None:
    """Put the comments on the snapshot's view; the statement takes no parameters."""
    stage, name = quote(snapshot.table.stage), quote(snapshot.table.name)
    if said.get("table"):
        table = said["table"]
        con.execute(f"COMMENT ON VIEW {stage}.{name} IS {literal(table)}")
    known = said.get("columns", {})
    for column, _ in snapshot.columns:
        if known.get(column):
            text = known[column]
            con.execute(f"COMMENT ON COLUMN {stage}.{name}.{quote(column)} IS {literal(text)}")
