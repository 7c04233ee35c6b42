"""Kills, full disks and rivals: a reader sees the old state or the new one."""

import json
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from valtag_assets.warehouse.repair import repair
from valtag_assets.warehouse.snapshot import TableRef
from valtag_tests.warehouse.publishing import (
    DAY,
    FAR_FUTURE,
    MORNING,
    TABLE,
    publish,
    publish_until_step,
    publish_versions,
    publish_with_full_disk,
    read_versions,
    repair_until_step,
    rows,
    share_until_step,
    start,
    vacuum_until_step,
    version_query,
)


def folders(warehouse):
    return set(warehouse.root.glob("*/*/as_of=*/*"))


def published(warehouse):
    return {snapshot.files[0].parent for table in warehouse.tables() for snapshot in warehouse.snapshots(table)}


def number(snapshot):
    return int(snapshot.run_id.removeprefix("run "))


def test_a_publisher_killed_at_any_instant_leaves_whole_snapshots(warehouse):
    rounds, chance = 15, random.Random(20260901)
    publish(warehouse, version_query(0), run_id="run 0")
    reader, answers = start(read_versions, warehouse.root)
    assert answers.recv() == "started"
    for attempt in range(1, rounds + 1):
        child, progress = start(publish_versions, warehouse.root, attempt * 1000, 900)
        assert progress.recv() == "started"
        time.sleep(chance.uniform(0.02, 0.2))
        child.kill()
        child.join()
        version = attempt * 1000 + 999
        mine = publish(
            warehouse,
            version_query(version),
            known_at=MORNING + timedelta(seconds=version),
            run_id=f"run {version}",
        )
        assert warehouse.current(TABLE, DAY) == mine
    answers.send("stop")
    reads = answers.recv()
    reader.join()
    assert isinstance(reads, int), reads
    assert reads > rounds
    for snapshot in warehouse.snapshots(TABLE):
        assert rows(snapshot) == [(person, number(snapshot)) for person in range(100 + number(snapshot) % 7)]
    warehouse.sweep(timedelta(0), FAR_FUTURE)
    assert folders(warehouse) == published(warehouse)
    assert list((warehouse.root / ".staging").iterdir()) == []


def test_a_publisher_killed_before_any_single_step_leaves_the_old_or_the_new(warehouse):
    publish(warehouse, version_query(0), run_id="run 0")
    served = []
    for step in range(1, 100):
        child, _ = start(publish_until_step, warehouse.root, step)
        child.join()
        current = warehouse.current(TABLE, DAY)
        served.append(current.run_id)
        assert current.run_id in (f"run {step}", *served[-2:-1], "run 0")
        assert rows(current) == [(person, number(current)) for person in range(100 + number(current) % 7)]
        warehouse.sweep(timedelta(0), FAR_FUTURE)
        assert folders(warehouse) == published(warehouse)
        if child.exitcode == 0:
            break
    assert child.exitcode == 0
    # Killed early the old one is served, killed late (before the views) the new one.
    assert served[:5] == ["run 0"] * 5
    assert served[-2] == f"run {step - 1}"


def test_a_publisher_killed_while_it_shares_parts_harms_neither_snapshot(warehouse):
    old = publish(warehouse)
    served = []
    for step in range(1, 100):
        child, _ = start(share_until_step, warehouse.root, step)
        child.join()
        current = warehouse.current(TABLE, DAY)
        served.append(len(current.parts))
        assert rows(current) == [(1, 10), (9, 90)][: len(current.parts)]
        assert rows(old) == [(1, 10)]
        warehouse.sweep(timedelta(0), FAR_FUTURE)
        assert folders(warehouse) == published(warehouse)
        if len(current.parts) == 2:
            break
    assert served == [1] * (step - 1) + [2]
    assert step > 5


def test_a_vacuum_killed_before_any_single_step_is_completed_by_the_next(warehouse):
    for number in range(3):
        publish(warehouse, version_query(number), known_at=MORNING + timedelta(hours=number), run_id=f"run {number}")
    served = warehouse.current(TABLE, DAY)
    left = []
    for step in range(1, 100):
        child, _ = start(vacuum_until_step, warehouse.root, step)
        child.join()
        left.append(len(warehouse.snapshots(TABLE)))
        assert warehouse.current(TABLE, DAY) == served
        assert all(len(rows(snapshot)) == snapshot.rows for snapshot in warehouse.snapshots(TABLE))
        if child.exitcode == 0:
            break
    assert left == sorted(left, reverse=True) and left[0] == 3 and left[-1] == 1
    assert folders(warehouse) == published(warehouse)
    assert step > 10


def test_a_repair_killed_before_any_single_step_is_completed_by_the_next(warehouse):
    for number in range(3):
        publish(warehouse, version_query(number), known_at=MORNING + timedelta(hours=number), run_id=f"run {number}")
    before = warehouse.snapshots(TABLE)
    (warehouse.root / "tags/transaction/manifest.json").write_text("{")
    for step in range(1, 100):
        child, _ = start(repair_until_step, warehouse.root, step)
        child.join()
        if child.exitcode == 0:
            break
    assert warehouse.snapshots(TABLE) == before
    assert repair(warehouse, TABLE, FAR_FUTURE) == []
    assert step > 3


def test_two_publishers_of_one_table_lose_nothing(warehouse):
    children = [start(publish_versions, warehouse.root, first, 6) for first in (1, 101)]
    for child, progress in children:
        assert [progress.recv(), progress.recv()] == ["started", "done"]
        child.join()
    snapshots = warehouse.snapshots(TABLE)
    assert {snapshot.run_id for snapshot in snapshots} == {f"run {n}" for n in (*range(1, 7), *range(101, 107))}
    # In the order of publication, whoever's clock was ahead.
    assert len({snapshot.known_at for snapshot in snapshots}) == 12
    assert warehouse.current(TABLE, DAY) == snapshots[-1]
    assert folders(warehouse) == published(warehouse)


@pytest.mark.parametrize(
    ("limit", "query", "metrics", "kind", "message"),
    [
        (
            50_000,
            "SELECT i AS person_id, md5(i::VARCHAR) AS t FROM range(100000) t(i)",
            {},
            "IOException",
            "parquet",
        ),
        (20_000, "SELECT 1 AS person_id", {"note": "长" * 20_000}, "WarehouseError", "_snapshot.json"),
    ],
    ids=["data", "record"],
)
def test_a_full_disk_is_named_and_the_old_snapshot_stays(warehouse, limit, query, metrics, kind, message):
    good = publish(warehouse)
    child, answers = start(publish_with_full_disk, warehouse.root, limit, query, metrics)
    error, text = answers.recv()
    child.join()
    assert error == kind
    assert message in text
    assert "File too large" in text
    assert warehouse.current(TABLE, DAY) == good
    assert folders(warehouse) == published(warehouse)
    assert list((warehouse.root / ".staging").iterdir()) == []
    assert publish(warehouse, "SELECT 2 AS person_id", known_at=MORNING + timedelta(hours=2)).rows == 1


def test_a_disk_too_full_for_the_views_says_that_the_table_is_published(warehouse):
    publish(warehouse)
    child, answers = start(publish_with_full_disk, warehouse.root, 6_000, "SELECT 2 AS person_id, 5 AS spend", {})
    error, text = answers.recv()
    child.join()
    assert error == "ViewsError"
    assert "is published as" in text
    assert rows(warehouse.current(TABLE, DAY)) == [(2, 5)]
    assert list((warehouse.root / ".staging").iterdir()) == []


def test_the_sweep_takes_leftovers_only(warehouse):
    snapshot = publish(warehouse)
    stray = snapshot.files[0].parent.parent / "20200101T000000000000Z-deadbeef"
    never = warehouse.root / "tags" / "behavior" / "as_of=2020-01-01" / "20200101T000000000000Z-deadbeef"
    staged = warehouse.root / ".staging" / "dead"
    for folder in (stray, never, staged):
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").write_text("half")
    assert warehouse.sweep(timedelta(days=1), datetime.fromtimestamp(stray.stat().st_mtime, UTC)) == ()
    assert set(warehouse.sweep(timedelta(days=1), FAR_FUTURE)) == {stray, never, staged}
    assert folders(warehouse) == {snapshot.files[0].parent}
    assert rows(warehouse.current(TABLE, DAY)) == [(1, 10)]
    assert publish(warehouse, table=TableRef("tags", "behavior")).rows == 1


def test_an_id_taken_by_a_crashed_publication_is_not_used_again(warehouse):
    snapshot = publish(warehouse)
    path = warehouse.root / "tags" / "transaction" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "snapshots": [], "attempts": []}))
    again = publish(warehouse)
    assert again.id == f"{snapshot.id}-2"
    assert rows(again) == [(1, 10)]
