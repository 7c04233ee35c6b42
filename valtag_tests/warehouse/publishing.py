"""Publishing small tables in tests, also from child processes."""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import duckdb

from valtag_assets.spec.project import Retention
from valtag_assets.warehouse import vacuum as vacuuming
from valtag_assets.warehouse.reading import relation
from valtag_assets.warehouse.repair import repair
from valtag_assets.warehouse.snapshot import Snapshot, TableRef, Verdict
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.kit import connected

TABLE = TableRef("tags", "transaction")
DAY = date(2026, 9, 1)
MORNING = datetime(2026, 9, 2, 6, 0, tzinfo=UTC)
FAR_FUTURE = datetime(2999, 1, 1, tzinfo=UTC)
PASSED = Verdict("spend_not_negative", "spend", "error", True, "tag", 0, 3, {"description": "消费不为负"})
HELD = Verdict("spend_not_negative", "spend", "error", False, "tag", 2, 3, {"sample": ["p**1"]})

# A clean server process with the imports done: children start in milliseconds and inherit no DuckDB threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["valtag_assets.warehouse.store"])


def arguments(**changes: Any) -> dict[str, Any]:
    """What ``Warehouse.publish`` is told besides the staged files, with some of it changed."""
    return {
        "as_of": DAY,
        "known_at": MORNING,
        "input_hash": "in",
        "catalog_hash": "cat",
        "run_id": "run",
        "data_until": datetime(2026, 9, 1, 23, 59),
        "inputs": {"clean/orders": "20260902T050000000000Z-00000000"},
        "verdicts": [PASSED],
        "metrics": {"rows": 1},
        "key": ["person_id"],
        **changes,
    }


def publish(
    warehouse: Warehouse,
    query: str = "SELECT 1 AS person_id, 10 AS spend",
    table: TableRef = TABLE,
    parts: Sequence[str] = (),
    **changes: Any,
) -> Snapshot:
    """Publish the rows of ``query`` (or one file for each of ``parts``) with some arguments changed."""
    with warehouse.staging(table) as staged, connected() as con:
        for position, text in enumerate(parts or [query]):
            con.sql(text).write_parquet(str(staged.path / f"data_{position}.parquet"))
        return warehouse.publish(staged, **arguments(**changes))


def rows(snapshot: Snapshot | None) -> list[tuple[Any, ...]]:
    assert snapshot is not None
    with connected() as con:
        return sorted(relation(con, snapshot).fetchall())


def start(target: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Run ``target(pipe, *arguments)`` in a child process."""
    ours, theirs = PROCESSES.Pipe()
    child = PROCESSES.Process(target=target, args=(theirs, *arguments))
    child.start()
    theirs.close()
    return child, ours


def version_query(version: int) -> str:
    """A table whose rows all say one version, and whose row count follows from it."""
    return f"SELECT i AS person_id, {version} AS version FROM range({100 + version % 7}) t(i)"


def publish_versions(pipe: Connection, root: Path, first: int, count: int) -> None:
    warehouse = Warehouse(root)
    pipe.send("started")
    for version in range(first, first + count):
        known_at = MORNING + timedelta(seconds=version)
        warehouse.describe(TABLE, {"columns": {"version": f"版本 · {version}"}})
        publish(warehouse, version_query(version), known_at=known_at, run_id=f"run {version}")
    pipe.send("done")


def publish_until_step(pipe: Connection, root: Path, step: int) -> None:
    """Publish version ``step``, but die just before the ``step``-th change in the folder ``root``."""
    die_before(root, step)
    publish(Warehouse(root), version_query(step), known_at=MORNING + timedelta(seconds=step), run_id=f"run {step}")
    pipe.send("published")


def share_until_step(pipe: Connection, root: Path, step: int) -> None:
    """Publish all parts of the current snapshot and one more, but die just before the ``step``-th change."""
    warehouse = Warehouse(root)
    old = warehouse.current(TABLE, DAY)
    assert old is not None
    die_before(root, step)
    with warehouse.staging(TABLE) as staged, connected() as con:
        for part in old.parts:
            warehouse.share(staged, old, part.name)
        con.sql("SELECT 9 AS person_id, 90 AS spend").write_parquet(str(staged.path / "added.parquet"))
        warehouse.publish(staged, **arguments(known_at=MORNING + timedelta(hours=1)))
    pipe.send("published")


def die_before(root: Path, step: int) -> Callable[[], int]:
    """Kill this process just before its ``step``-th change in the folder ``root`` from now on.

    Returns what tells how many there were so far.
    """
    steps = 0

    def die(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        removes = event in ("os.remove", "os.rmdir")
        if writes or removes or event in ("os.mkdir", "os.link", "os.rename", "shutil.rmtree"):
            # A tree is removed by names within an open folder: these are no whole paths.
            steps += removes or str(arguments[0]).startswith(str(root))
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    return lambda: steps


def vacuum_until_step(pipe: Connection, root: Path, step: int) -> None:
    """Take what was replaced from history and remove it at once, but die just before the ``step``-th change."""
    vacuuming.GRACE = timedelta(0)
    die_before(root, step)
    vacuuming.vacuum(Warehouse(root), Retention(days=1, replaced_days=1), FAR_FUTURE)
    pipe.send("done")


def repair_until_step(pipe: Connection, root: Path, step: int) -> None:
    """Make the lost manifest anew, but die just before the ``step``-th change."""
    die_before(root, step)
    repair(Warehouse(root), TABLE, MORNING + timedelta(days=1))
    pipe.send("done")


def read_versions(pipe: Connection, root: Path) -> None:
    """Read the current snapshot until told to stop; answers with the count, or what was torn."""
    warehouse = Warehouse(root)
    pipe.send("started")
    reads = 0
    with connected() as con:
        while not pipe.poll():
            snapshot = warehouse.current(TABLE, DAY)
            assert snapshot is not None
            found = relation(con, snapshot).aggregate("count(*), min(version), max(version)").fetchall()[0]
            if found[0] != snapshot.rows or found[1] != found[2] or snapshot.run_id != f"run {found[1]}":
                pipe.send(f"torn: {found} in {snapshot}")
                return
            reads += 1
    pipe.send(reads)


def read_views(pipe: Connection, root: Path) -> None:
    """Open the views file again and again until told to stop; answers with all versions seen."""
    pipe.send("started")
    seen = []
    while not pipe.poll():
        with duckdb.connect(str(root / "valtag.duckdb"), read_only=True) as con:
            seen += con.sql("SELECT DISTINCT version FROM tags.transaction").fetchall()
    pipe.send([version for (version,) in seen])


def publish_with_full_disk(pipe: Connection, root: Path, limit: int, query: str, metrics: dict[str, Any]) -> None:
    """Publish while no file may grow beyond ``limit`` bytes; answers with the error's type and text."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        publish(Warehouse(root), query, known_at=MORNING + timedelta(hours=1), metrics=metrics)
    except Exception as error:
        pipe.send((type(error).__name__, str(error)))
    else:
        pipe.send(("nothing", "published all the same"))
