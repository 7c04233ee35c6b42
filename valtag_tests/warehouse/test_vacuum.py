"""Retention and vacuum: what goes, what stays, and what is still there for those who read it."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from valtag_assets.spec.project import Retention
from valtag_assets.warehouse.errors import LockTimeout, ManifestError, Removed
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_assets.warehouse.vacuum import vacuum
from valtag_tests.warehouse.publishing import TABLE, publish, rows

SHORT = Retention(days=3, month_ends=True, replaced_days=1)
ORDERS = TableRef("clean", "orders")
NOW = datetime(2026, 9, 10, tzinfo=UTC)
FAR_FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


def day(number: int, month: int = 9) -> date:
    return date(2026, month, number)


def on(number: int, hour: int = 6, month: int = 9) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


def version(warehouse, value, *, as_of, known_at, table=TABLE, inputs=None):
    query = f"SELECT 1 AS person_id, {value} AS spend"
    return publish(warehouse, query, table, as_of=as_of, known_at=known_at, inputs=inputs or {}, run_id=f"{value}")


def ids(warehouse, table=TABLE):
    return {snapshot.id for snapshot in warehouse.snapshots(table)}


def test_the_newest_days_and_the_last_as_of_of_each_month_stay(warehouse):
    as_ofs = [day(30, 7), day(31, 7), day(3, 8), day(29, 8), *(day(n) for n in range(1, 6))]
    for number, as_of in enumerate(as_ofs):
        version(warehouse, number, as_of=as_of, known_at=on(6, number))
    done = vacuum(warehouse, SHORT, NOW)
    assert [s.as_of for s in warehouse.snapshots(TABLE)] == [day(31, 7), day(29, 8), day(3), day(4), day(5)]
    assert [item.entry.as_of for item in done.expired] == [day(30, 7), day(3, 8), day(1), day(2)]
    assert vacuum(warehouse, SHORT, NOW).expired == ()
    assert warehouse.manifest(TABLE).thinned_before == day(3)


def test_without_month_ends_only_the_newest_days_stay(warehouse):
    for number, as_of in enumerate([day(31, 7), day(4), day(5)]):
        version(warehouse, number, as_of=as_of, known_at=on(6, number))
    vacuum(warehouse, Retention(days=2, month_ends=False, replaced_days=1), NOW)
    assert [s.as_of for s in warehouse.snapshots(TABLE)] == [day(4), day(5)]


def test_days_count_from_the_newest_as_of_so_an_archive_keeps_its_own(warehouse):
    version(warehouse, 1, as_of=date(2017, 1, 1), known_at=on(1))
    vacuum(warehouse, Retention(days=1, month_ends=False, replaced_days=1), FAR_FUTURE)
    assert [s.as_of for s in warehouse.snapshots(TABLE)] == [date(2017, 1, 1)]


def test_what_was_replaced_or_published_lately_stays(warehouse):
    old = version(warehouse, 1, as_of=day(5), known_at=on(1))
    late = version(warehouse, 2, as_of=day(5), known_at=on(9, 1))
    backfilled = version(warehouse, 3, as_of=day(1), known_at=on(9, 2))
    newest = version(warehouse, 4, as_of=day(9), known_at=on(9, 3))
    vacuum(warehouse, SHORT, on(10, 0))
    assert ids(warehouse) == {old.id, late.id, backfilled.id, newest.id}
    vacuum(warehouse, SHORT, on(10, 23))
    assert ids(warehouse) == {newest.id}


def test_a_table_without_time_keeps_what_is_served_and_what_is_named(warehouse):
    first, second, third = (version(warehouse, n, as_of=None, known_at=on(n), table=ORDERS) for n in (1, 2, 3))
    user = version(warehouse, 9, as_of=day(5), known_at=on(5), inputs={ORDERS.key: first.id})
    done = vacuum(warehouse, SHORT, NOW)
    assert [item.entry.id for item in done.expired] == [second.id]
    assert "replaced 2026-09-03" in done.expired[0].why
    assert ids(warehouse, ORDERS) == {first.id, third.id}
    assert warehouse.current(ORDERS) == third and warehouse.current(TABLE, day(5)) == user


def test_references_hold_through_as_many_steps_as_it_takes(warehouse):
    raw, scores = TableRef("clean", "raw"), TableRef("scores", "rfm")
    source = version(warehouse, 1, as_of=None, known_at=on(1), table=raw)
    version(warehouse, 2, as_of=None, known_at=on(2), table=raw)
    tags = version(warehouse, 3, as_of=day(1), known_at=on(1), inputs={raw.key: source.id})
    version(warehouse, 4, as_of=day(8), known_at=on(8))
    score = version(warehouse, 5, as_of=day(1), known_at=on(1), table=scores, inputs={TABLE.key: tags.id})
    assert vacuum(warehouse, SHORT, NOW).expired == ()
    version(warehouse, 6, as_of=day(1), known_at=on(2), table=scores)
    gone = {item.entry.id for item in vacuum(warehouse, SHORT, NOW).expired}
    assert gone == {source.id, tags.id, score.id}


def test_what_was_removed_is_never_answered_with_something_else(warehouse):
    for number in (1, 2, 3, 4):
        version(warehouse, number, as_of=None, known_at=on(number), table=ORDERS)
    kept = warehouse.snapshots(ORDERS)[0]
    version(warehouse, 9, as_of=day(5), known_at=on(5), inputs={ORDERS.key: kept.id})
    vacuum(warehouse, SHORT, NOW)
    assert warehouse.at(ORDERS, None, on(1)) == kept
    for moment in (on(2), on(3), on(4) - timedelta(microseconds=1)):
        with pytest.raises(Removed, match=r"was removed: project\.yaml: retention"):
            warehouse.at(ORDERS, None, moment)
    assert warehouse.at(ORDERS, None, on(4)) == warehouse.current(ORDERS)
    assert len(json.loads((warehouse.root / "clean/orders/manifest.json").read_text())["forgotten"]) == 1


def test_files_stay_for_a_day_after_leaving_history_and_are_counted_once(warehouse):
    old = version(warehouse, 1, as_of=day(5), known_at=on(1))
    version(warehouse, 2, as_of=day(5), known_at=on(2))
    size = sum(path.stat().st_size for path in old.files[0].parent.iterdir())
    foreseen = vacuum(warehouse, SHORT, NOW, dry_run=True)
    assert [item.entry.id for item in foreseen.expired] == [old.id]
    assert foreseen.expired_bytes == size and ids(warehouse) > {old.id}
    assert vacuum(warehouse, SHORT, NOW).removed == ()
    assert rows(old) == [(1, 1)]
    left = datetime.fromtimestamp((old.files[0].parent / "_dropped").stat().st_mtime, UTC)
    assert vacuum(warehouse, SHORT, left + timedelta(hours=23)).removed == ()
    done = vacuum(warehouse, SHORT, left + timedelta(hours=25))
    assert done.removed == (old.files[0].parent,)
    assert done.removed_bytes == size
    assert not old.files[0].exists()


def test_a_file_shared_with_a_staying_snapshot_frees_nothing(warehouse):
    first = version(warehouse, 1, as_of=None, known_at=on(1), table=ORDERS)
    with warehouse.staging(ORDERS) as staged:
        warehouse.share(staged, first, first.parts[0].name)
        arguments = {"as_of": None, "known_at": on(2), "input_hash": "2", "catalog_hash": "", "run_id": ""}
        more = {"data_until": None, "inputs": {}, "verdicts": [], "metrics": {}, "key": ["person_id"]}
        second = warehouse.publish(staged, **arguments, **more)
    freed = vacuum(warehouse, SHORT, NOW).expired_bytes
    assert freed == (first.files[0].parent / "_snapshot.json").stat().st_size
    vacuum(warehouse, SHORT, FAR_FUTURE)
    assert not first.files[0].exists()
    assert rows(second) == [(1, 1)]


def test_nothing_leaves_history_while_a_table_is_made(warehouse):
    version(warehouse, 1, as_of=day(5), known_at=on(1))
    version(warehouse, 2, as_of=day(5), known_at=on(2))
    hasty = Warehouse(warehouse.root, lock_seconds=0.1)
    with warehouse.making(ORDERS, "run 7", on(9)), pytest.raises(LockTimeout, match="a table is being made"):
        vacuum(hasty, SHORT, NOW)
    assert len(ids(warehouse)) == 2
    assert len(vacuum(hasty, SHORT, NOW).expired) == 1


def test_nothing_is_removed_where_a_manifest_can_not_be_read(warehouse):
    version(warehouse, 1, as_of=day(5), known_at=on(1))
    version(warehouse, 2, as_of=day(5), known_at=on(2))
    version(warehouse, 3, as_of=None, known_at=on(2), table=ORDERS)
    (warehouse.root / "clean/orders/manifest.json").write_text("{")
    with pytest.raises(ManifestError, match="valtag repair"):
        vacuum(warehouse, SHORT, NOW)
    assert len(ids(warehouse)) == 2
