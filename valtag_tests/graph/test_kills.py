"""Runs and vacuums killed at any step, two runs at once: nothing half done is ever seen, nothing is lost.

``VALTAG_KILLS`` is how many processes are killed; more than in the suite before a release.
"""

import multiprocessing
import os
import random
import signal
from collections.abc import Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from valtag_assets.graph.setting import wall_clock
from valtag_assets.spec.project import Retention
from valtag_assets.warehouse import vacuum as vacuuming
from valtag_assets.warehouse.snapshot import Snapshot
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.graph.shop import AS_OF, Shop, orders
from valtag_tests.warehouse.publishing import die_before

KILLS = int(os.environ.get("VALTAG_KILLS", "2"))
NOTHING_OLD = Retention(days=1, month_ends=False, replaced_days=1)
IN_DAYS = timedelta(days=3)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["valtag_tests.graph.shop"])


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Shop]:
    """A second shop in a warehouse of its own, whose runs nobody disturbs."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Shop(tmp_path / "other", instance)


def start(target: Any, *arguments: Any) -> tuple[BaseProcess, Connection]:
    ours, theirs = PROCESSES.Pipe()
    # A daemon: it ends with the test, should that fail.
    child = PROCESSES.Process(target=target, args=(theirs, *arguments), daemon=True)
    child.start()
    theirs.close()
    return child, ours


def priced(version: int) -> pd.DataFrame:
    """The orders with each amount a little higher per version: every table of money changes."""
    rows = orders()
    rows["amount"] = [f"{float(amount) + version / 100:.2f}" for amount in rows["amount"]]
    return rows


def run_and_vacuum(pipe: Connection, root: Path, last_step: int) -> None:
    """Run the shop, then take from history what was replaced; die before the ``last_step``-th change of a file.

    Answers with the outcomes, and how many steps there were.
    """
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(root, instance)
        steps = die_before(root, last_step)
        outcomes = shop.run()
        # As if days had gone by since the publications, and none since anything left history.
        vacuuming.GRACE += IN_DAYS
        vacuuming.vacuum(shop.setting.warehouse, NOTHING_OLD, wall_clock() + IN_DAYS)
        pipe.send((outcomes, steps()))


def run_alone(pipe: Connection, root: Path) -> None:
    """Run the shop; answers with the outcomes."""
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(root, instance)
        pipe.send("ready")
        assert pipe.recv() == "go"
        pipe.send(shop.run())


def read_on(pipe: Connection, root: Path) -> None:
    """Read everything served, by the warehouse and by the views, until told to stop; answers with the rounds."""
    warehouse, rounds = Warehouse(root), 0
    pipe.send("ready")
    try:
        while not pipe.poll():
            for table in warehouse.tables():
                snapshot = warehouse.latest(table)
                assert snapshot is None or rows_of(snapshot) == snapshot.rows, snapshot
            count_views(root / "valtag.duckdb")
            rounds += 1
        pipe.send(rounds)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def rows_of(snapshot: Snapshot) -> int:
    with duckdb.connect() as connection:
        return len(connection.read_parquet([str(file) for file in snapshot.files]).fetchall())


def count_views(file: Path) -> None:
    with duckdb.connect(str(file), read_only=True) as connection:
        names = connection.execute("SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for schema, name in names:
            connection.execute(f'SELECT count(*) FROM "{schema}"."{name}"')


def let_a_day_pass(root: Path) -> None:
    """What left history or was left behind, also in its place but not yet named, was touched two days ago."""
    strays = set(root.glob("*/*/as_of=*/*")) - named(Warehouse(root))
    for folder in (*strays, *(root / ".staging").iterdir(), *(root / ".work").iterdir()):
        for path in (*folder.rglob("*"), folder):
            past = path.stat().st_mtime - timedelta(days=2).total_seconds()
            os.utime(path, (past, past))


def named(warehouse: Warehouse) -> set[Path]:
    """The folders of all snapshots in history."""
    return {snapshot.files[0].parent for table in warehouse.tables() for snapshot in warehouse.snapshots(table)}


def served(shop: Shop) -> dict[str, str]:
    """The content served for every table."""
    warehouse = shop.setting.warehouse
    found = {table.key: warehouse.latest(table) for table in warehouse.tables()}
    return {key: snapshot.content_hash for key, snapshot in found.items() if snapshot is not None}


def test_runs_and_vacuums_killed_at_any_step_end_in_the_state_of_undisturbed_ones(shop: Shop, other: Shop) -> None:
    root, chance = shop.setting.warehouse.root, random.Random(7)
    child, answers = start(run_and_vacuum, shop.root, 0)
    _, steps = answers.recv()
    child.join()
    reader, reads = start(read_on, root)
    assert reads.recv() == "ready"
    killed = 0
    for version in range(1, KILLS + 1):
        shop.write(order_rows=priced(version))
        child, _ = start(run_and_vacuum, shop.root, chance.randint(1, steps))
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        let_a_day_pass(root)
    assert killed >= KILLS / 2, "most runs had fewer steps than the first"
    child, answers = start(run_and_vacuum, shop.root, 0)
    outcomes, _ = answers.recv()
    child.join()
    reads.send("stop")
    rounds = reads.recv()
    reader.join()
    assert isinstance(rounds, int) and rounds > KILLS, rounds

    other.write(order_rows=priced(KILLS))
    other.run()
    assert set(outcomes.values()) <= {"published", "reused"}
    assert served(shop) == served(other)
    assert shop.run() == dict.fromkeys(outcomes, "reused")
    let_a_day_pass(root)
    vacuuming.vacuum(shop.setting.warehouse, NOTHING_OLD, wall_clock())
    assert [*(root / ".staging").iterdir(), *(root / ".work").iterdir()] == []
    assert set(root.glob("*/*/as_of=*/*")) == named(shop.setting.warehouse)


def test_two_runs_at_once_make_every_table_once(shop: Shop) -> None:
    children = [start(run_alone, shop.root) for _ in range(2)]
    assert [pipe.recv() for _, pipe in children] == ["ready", "ready"]
    for _, pipe in children:
        pipe.send("go")
    first, second = (pipe.recv() for _, pipe in children)
    for child, _ in children:
        child.join()
    assert first.keys() == second.keys()
    assert {tuple(sorted((first[table], second[table]))) for table in first} == {("published", "reused")}
    warehouse = shop.setting.warehouse
    assert {table.key for table in warehouse.tables()} > first.keys()
    assert all(len(warehouse.snapshots(table)) == 1 for table in warehouse.tables())
    assert [table.key for table in warehouse.tables() if warehouse.blocked(table, AS_OF)] == []
