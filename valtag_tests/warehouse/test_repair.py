"""Damage is found, named and healed; what is sound stays as it was."""

import json
import shutil
from datetime import timedelta

import pytest

from valtag_assets.warehouse.errors import LockTimeout, ManifestError, NewerFormat
from valtag_assets.warehouse.repair import fault, repair
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.warehouse.publishing import DAY, HELD, MORNING, TABLE, publish, rows

LATER = MORNING + timedelta(hours=1)
NOW = MORNING + timedelta(days=1)


def manifest_path(warehouse):
    return warehouse.root / "tags" / "transaction" / "manifest.json"


def two_days(warehouse):
    """Two as-ofs, the first of them published twice; a table without time beside it."""
    publish(warehouse, verdicts=[HELD])
    publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=LATER, data_until=None)
    publish(warehouse, as_of=DAY + timedelta(days=1), known_at=LATER)
    publish(warehouse, table=TableRef("clean", "orders"), as_of=None)
    return warehouse.snapshots(TABLE)


@pytest.mark.parametrize("damage", [None, "", "{", '{"format": 2, "table": "tags/transaction"}'])
def test_a_lost_or_damaged_manifest_is_made_anew_from_the_snapshots(warehouse, damage):
    before = two_days(warehouse)
    path = manifest_path(warehouse)
    path.unlink() if damage is None else path.write_text(damage)
    assert "valtag repair" in fault(warehouse, TABLE)
    with pytest.raises(ManifestError):
        publish(warehouse)
    (line,) = repair(warehouse, TABLE, NOW)
    assert "made anew with 3 snapshots" in line and str(path) in line
    assert warehouse.snapshots(TABLE) == before
    # Refusals can't be made anew: the newest as-of waits for the next run.
    assert "run again" in warehouse.blocked(TABLE, DAY + timedelta(days=1)).reason
    assert warehouse.blocked(TABLE, DAY) is None
    publish(warehouse, as_of=DAY + timedelta(days=1), known_at=NOW)
    assert warehouse.blocked(TABLE, DAY + timedelta(days=1)) is None
    assert repair(warehouse, TABLE, NOW) == []
    if damage is not None:
        assert (path.parent / "manifest.json.damaged-1").read_text() == damage


def test_a_table_without_time_is_made_anew_too(warehouse):
    two_days(warehouse)
    orders = TableRef("clean", "orders")
    good = warehouse.current(orders)
    (warehouse.root / "clean/orders/manifest.json").unlink()
    assert len(repair(warehouse, orders, NOW)) == 1
    assert warehouse.current(orders) == good


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda s: s.files[0].unlink(), "part-0.parquet can't be read"),
        (lambda s: cut(s.files[0]), "when it was published"),
        (lambda s: shutil.rmtree(s.files[0].parent), "_snapshot.json is missing"),
        (lambda s: cut(s.files[0].parent / "_snapshot.json"), "_snapshot.json is damaged"),
    ],
    ids=["part missing", "part cut", "folder missing", "record cut"],
)
def test_a_damaged_snapshot_leaves_history_and_its_readers_wait_for_a_run(warehouse, harm, named):
    before = two_days(warehouse)
    served = before[1]
    harm(served)
    (line,) = repair(warehouse, TABLE, NOW)
    assert named in line and served.id in line
    assert warehouse.snapshots(TABLE) == [before[0], before[2]]
    assert warehouse.blocked(TABLE, DAY).reason == "a snapshot was damaged: run again"
    again = publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=NOW, data_until=None)
    assert warehouse.current(TABLE, DAY) == again and rows(again) == [(2, 5)]
    assert warehouse.blocked(TABLE, DAY) is None


def test_publishing_the_same_over_a_damaged_snapshot_makes_a_new_one(warehouse):
    first = publish(warehouse)
    cut(first.files[0])
    assert "when it was published" in fault(warehouse, TABLE)
    second = publish(warehouse, known_at=LATER)
    assert second.id != first.id and rows(second) == [(1, 10)]
    assert fault(warehouse, TABLE) is None


def test_what_left_history_does_not_come_back_by_repair(warehouse):
    first = publish(warehouse)
    second = publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=LATER)
    warehouse.drop(TABLE, {first.id})
    manifest_path(warehouse).unlink()
    repair(warehouse, TABLE, NOW)
    assert warehouse.snapshots(TABLE) == [second]


def test_what_a_newer_valtag_wrote_is_left_alone(warehouse):
    publish(warehouse)
    path = manifest_path(warehouse)
    text = json.dumps({**json.loads(path.read_text()), "format": 99})
    path.write_text(text)
    assert "upgrade valtag" in fault(warehouse, TABLE)
    with pytest.raises(NewerFormat):
        repair(warehouse, TABLE, NOW)
    assert path.read_text() == text


def test_a_table_is_made_by_one_at_a_time_who_is_named(warehouse):
    hasty = Warehouse(warehouse.root, making_seconds=0.1)
    with warehouse.making(TABLE, "run 7", MORNING):
        says = r"tags/transaction is being made by run run 7 since 2026-09-02 06:00:00 UTC; this run waited 0\.1 s"
        with pytest.raises(LockTimeout, match=says), hasty.making(TABLE, "run 8", LATER):
            pass
        with hasty.making(TableRef("tags", "behavior"), "run 8", LATER):
            pass
    with hasty.making(TABLE, "run 8", LATER):
        pass
