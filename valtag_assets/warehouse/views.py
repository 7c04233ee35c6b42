"""``valtag.duckdb``: one view per table over its newest data, for the DuckDB CLI, notebooks and BI tools.

The file holds views only, by absolute path: after moving a warehouse, rebuild it. Open it read-only. What a table
and its columns mean stands as comments on them.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.warehouse.in_memory import small
from valtag_assets.warehouse.quoting import literal, quote
from valtag_assets.warehouse.reading import relation
from valtag_assets.warehouse.snapshot import Snapshot, TableRef

_HERE = "database_name = current_database()"


@dataclass(frozen=True)
class Shown:
    """A table, the snapshot its view shows (None: there is nothing to show), and its comments
    ({"table": text, "columns": {name: text}})."""

    table: TableRef
    snapshot: Snapshot | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


def copy_views(views: Path, into: Path, root: Path) -> bool:
    """Copy the DuckDB file ``views`` to ``into`` if it is what ``write_views`` made: views only, of files under
    ``root`` (not so after a move), and nobody at work in it. Otherwise there is no copy."""
    if not views.is_file() or Path(f"{views}.wal").exists():
        return False
    shutil.copyfile(views, into)
    strange = f"SELECT count(*) FROM duckdb_views() WHERE {_HERE} AND NOT internal AND NOT contains(sql, ?)"
    try:
        with small().connection(into, read_only=True) as con:
            found = con.execute(strange, [str(root).replace("'", "''")]).fetchone()
            tables = con.execute(f"SELECT count(*) FROM duckdb_tables() WHERE {_HERE}").fetchone()
            good = found == (0,) and tables == (0,)
    except duckdb.Error:
        good = False  # copied while somebody wrote into it
    if not good:
        into.unlink()
    return good


def write_views(path: Path, shown: Iterable[Shown]) -> None:
    """Put a view ``<stage>.<table>`` and its comments for each table into the DuckDB file ``path``, made if missing.

    Where there is nothing to show, there is no view.
    """
    with small().connection(path) as con:
        # One transaction: hundreds of comments would each wait for the disk.
        con.begin()
        for item in shown:
            view = f"{quote(item.table.stage)}.{quote(item.table.name)}"
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(item.table.stage)}")
            if item.snapshot is None:
                con.execute(f"DROP VIEW IF EXISTS {view}")
                continue
            # DuckDB itself writes the paths into the text (a view takes no parameters); create_view() of the
            # relation would leave the view without SQL to show.
            con.execute(f"CREATE OR REPLACE VIEW {view} AS {relation(con, item.snapshot).sql_query()}")
            _comment(con, view, item.snapshot, item.said)
        con.commit()


def _comment(con: duckdb.DuckDBPyConnection, view: str, snapshot: Snapshot, said: Mapping[str, Any]) -> None:
    """Put the comments on the snapshot's view; the statement takes no parameters."""
    if said.get("table"):
        table = said["table"]
        con.execute(f"COMMENT ON VIEW {view} IS {literal(table)}")
    known = said.get("columns", {})
    for column, _ in snapshot.columns:
        if known.get(column):
            text = known[column]
            con.execute(f"COMMENT ON COLUMN {view}.{quote(column)} IS {literal(text)}")
