"""Publishing and reading snapshots."""

import shutil
from datetime import date, datetime, timedelta

import filelock
import pytest

from valtag_assets.warehouse.errors import LockTimeout, WarehouseError
from valtag_assets.warehouse.snapshot import Attempt, TableRef, Verdict
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.kit import connected
from valtag_tests.warehouse.publishing import DAY, HELD, MORNING, PASSED, TABLE, publish, rows

LATER = MORNING + timedelta(hours=1)


def refusal(at: datetime, as_of: date = DAY, outcome: str = "refused") -> Attempt:
    failed = Verdict("rows_collapsed", None, "error", False, "table", None, None, {"rows": 3})
    return Attempt(as_of, at, "run 2", "in 2", outcome, None, (failed,), "行数骤降")  # type: ignore[arg-type]


def test_a_published_snapshot_reads_back_whole(warehouse):
    published = publish(warehouse, parts=["SELECT 1 AS person_id, 10 AS spend", "SELECT 2 AS person_id, 20 AS spend"])
    assert warehouse.current(TABLE, DAY) == published
    assert rows(published) == [(1, 10), (2, 20)]
    assert published.rows == 2
    assert published.columns == (("person_id", "INTEGER"), ("spend", "INTEGER"))
    assert published.verdicts == (PASSED,)
    assert published.key == ("person_id",)
    assert published.data_until == datetime(2026, 9, 1, 23, 59)
    assert published.id.startswith("20260902T060000000000Z-")
    assert [file.name for file in published.files] == ["part-0.parquet", "part-1.parquet"]
    folder = warehouse.root / "tags" / "transaction" / "as_of=2026-09-01" / published.id
    assert published.files[0] == folder / "part-0.parquet"


def test_chinese_values_and_quoted_column_names_survive(warehouse):
    query = """SELECT 1 AS person_id, '上海 ''浦东''' AS "城""市", 2 AS "a'b", 3 AS "as_of" """
    snapshot = publish(warehouse, query)
    assert [name for name, _ in snapshot.columns] == ["person_id", '城"市', "a'b", "as_of"]
    assert rows(snapshot) == [(1, "上海 '浦东'", 2, 3)]


def test_an_empty_table_is_a_table(warehouse):
    snapshot = publish(warehouse, "SELECT 1 AS person_id WHERE false")
    assert (snapshot.rows, rows(snapshot)) == (0, [])


def test_nothing_published_reads_as_none_and_leaves_no_trace(warehouse):
    assert warehouse.current(TABLE, DAY) is None
    assert warehouse.latest(TABLE) is None
    assert warehouse.blocked(TABLE, DAY) is None
    assert warehouse.tables() == []
    assert not warehouse.root.exists()


def test_staging_is_gone_whether_published_or_not(warehouse):
    publish(warehouse)
    with warehouse.staging(TABLE) as staged:
        (staged.path / "a.parquet").write_text("half")
    assert list((warehouse.root / ".staging").iterdir()) == []


@pytest.mark.parametrize("name", ["", "Tags", "订单", "a-b", "a/b", "..", 'a"b', "tags\n"])
def test_a_table_name_outside_ascii_words_is_refused(name):
    with pytest.raises(ValueError, match="no name for a stage or table"):
        TableRef("tags", name)


def test_a_stage_duckdb_keeps_for_itself_is_refused():
    with pytest.raises(ValueError, match="reserved"):
        TableRef("information_schema", "orders")


def test_table_keys_read_back():
    assert TableRef.parse(TABLE.key) == TABLE


def test_a_table_without_time_lies_under_all(warehouse):
    clean = TableRef("clean", "orders")
    snapshot = publish(warehouse, table=clean, as_of=None)
    assert snapshot.files[0].parent.parent.name == "as_of=all"
    assert warehouse.current(clean) == warehouse.latest(clean, DAY) == snapshot


def test_latest_is_the_newest_as_of_up_to_the_day_asked(warehouse):
    old = publish(warehouse, as_of=date(2026, 8, 30), known_at=LATER)
    new = publish(warehouse, as_of=DAY)
    assert warehouse.latest(TABLE) == new
    assert warehouse.latest(TABLE, date(2026, 8, 31)) == old
    assert warehouse.latest(TABLE, date(2026, 8, 29)) is None
    assert warehouse.current(TABLE, date(2026, 8, 31)) is None


def test_late_data_makes_a_new_snapshot_and_the_old_one_stays_readable(warehouse):
    first = publish(warehouse)
    second = publish(warehouse, "SELECT 1 AS person_id, 99 AS spend", known_at=LATER)
    assert warehouse.current(TABLE, DAY) == second
    assert warehouse.at(TABLE, DAY, MORNING - timedelta(seconds=1)) is None
    assert warehouse.at(TABLE, DAY, LATER - timedelta(microseconds=1)) == first
    assert warehouse.at(TABLE, DAY, LATER) == second
    assert rows(first) == [(1, 10)]
    assert warehouse.snapshots(TABLE) == [first, second]
    assert warehouse.find(TABLE, first.id) == first


def test_known_at_may_be_written_in_any_zone(warehouse):
    shanghai = datetime.fromisoformat("2026-09-02T14:00:00+08:00")
    snapshot = publish(warehouse, known_at=shanghai)
    assert snapshot.known_at == MORNING
    assert snapshot.known_at.utcoffset() == timedelta(0)
    assert warehouse.at(TABLE, DAY, shanghai) == snapshot


def test_a_clock_that_went_back_does_not_hide_what_is_published(warehouse):
    newer = publish(warehouse, known_at=LATER)
    after = publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=MORNING)
    assert warehouse.current(TABLE, DAY) == after
    assert after.known_at == LATER + timedelta(microseconds=1)
    assert warehouse.at(TABLE, DAY, LATER) == newer
    assert "the clock went back" in warehouse.last_attempt(TABLE, DAY).reason


def test_a_publisher_who_waited_a_moment_is_dated_in_order_without_a_word(warehouse):
    publish(warehouse, known_at=MORNING + timedelta(seconds=5))
    after = publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=MORNING)
    assert warehouse.current(TABLE, DAY) == after
    assert warehouse.last_attempt(TABLE, DAY).reason is None


def test_two_snapshots_of_one_instant_get_two_ids(warehouse):
    first = publish(warehouse)
    second = publish(warehouse, input_hash="other")
    third = publish(warehouse, as_of=DAY + timedelta(days=1))
    assert len({first.id, second.id, third.id}) == 3
    assert warehouse.current(TABLE, DAY) == second


def test_the_same_content_from_the_same_inputs_is_reused(warehouse):
    parts = ["SELECT 1 AS person_id, 10 AS spend", "SELECT 2 AS person_id, 20 AS spend"]
    first = publish(warehouse, parts=parts)
    again = publish(warehouse, parts=["SELECT 2 AS person_id, 20 AS spend", parts[0]], known_at=LATER, run_id="b")
    assert again == first
    assert len(warehouse.snapshots(TABLE)) == 1
    attempt = warehouse.last_attempt(TABLE, DAY)
    assert (attempt.outcome, attempt.snapshot_id, attempt.at) == ("reused", first.id, LATER)
    assert attempt.verdicts == (PASSED,)


@pytest.mark.parametrize(
    "change",
    [
        {"input_hash": "other"},
        {"catalog_hash": "other"},
        {"verdicts": [HELD]},
        {"data_until": None},
        {"key": []},
        {"query": "SELECT 1 AS person_id, 11 AS spend"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_meaning_makes_a_new_snapshot(warehouse, change):
    first = publish(warehouse)
    second = publish(warehouse, known_at=LATER, **change)
    assert second.id != first.id
    assert warehouse.current(TABLE, DAY) == second


def test_going_back_to_old_content_is_a_new_snapshot(warehouse):
    first = publish(warehouse)
    publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=LATER)
    back = publish(warehouse, known_at=LATER + timedelta(hours=1))
    assert back.id != first.id
    assert back.content_hash == first.content_hash


def test_a_failed_tag_check_holds_its_column_only(warehouse):
    warned = Verdict("drift", "visits", "warn", False, "nothing", 1, 3, {})
    table_wide = Verdict("law", None, "error", False, "tag", 1, 3, {})
    assert publish(warehouse, verdicts=[HELD, warned, table_wide]).held == {"spend"}
    assert publish(warehouse, verdicts=[PASSED], known_at=LATER).held == frozenset()


def test_a_refusal_blocks_until_the_next_good_publication(warehouse):
    good = publish(warehouse)
    warehouse.record_attempt(TABLE, refusal(LATER))
    assert warehouse.blocked(TABLE, DAY) == warehouse.last_attempt(TABLE, DAY) == refusal(LATER)
    assert warehouse.current(TABLE, DAY) == good
    assert warehouse.blocked(TABLE, DAY + timedelta(days=1)) is None
    publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=LATER + timedelta(hours=1))
    assert warehouse.blocked(TABLE, DAY) is None
    assert warehouse.last_attempt(TABLE, DAY).outcome == "published"


def test_a_refused_first_attempt_blocks_though_nothing_was_ever_published(warehouse):
    warehouse.record_attempt(TABLE, refusal(MORNING, outcome="failed"))
    assert warehouse.blocked(TABLE, DAY) is not None
    assert warehouse.current(TABLE, DAY) is None
    assert warehouse.tables() == [TABLE]


def test_a_refusal_recorded_last_blocks_even_when_the_clock_went_back(warehouse):
    publish(warehouse, known_at=LATER)
    warehouse.record_attempt(TABLE, refusal(MORNING))
    assert warehouse.blocked(TABLE, DAY).at == LATER + timedelta(microseconds=1)
    publish(warehouse, known_at=MORNING)
    assert warehouse.blocked(TABLE, DAY) is None


def test_reuse_lifts_a_block(warehouse):
    publish(warehouse)
    warehouse.record_attempt(TABLE, refusal(LATER))
    publish(warehouse, known_at=LATER + timedelta(hours=1))
    assert warehouse.blocked(TABLE, DAY) is None


def test_only_publishing_may_say_published(warehouse):
    with pytest.raises(ValueError, match="publish"):
        warehouse.record_attempt(TABLE, refusal(MORNING, outcome="published"))


def test_a_moved_warehouse_reads_on(warehouse, tmp_path):
    published = publish(warehouse)
    moved = tmp_path / "搬家 [new] *'"
    shutil.move(warehouse.root, moved)
    snapshot = Warehouse(moved).current(TABLE, DAY)
    assert rows(snapshot) == [(1, 10)]
    assert snapshot.id == published.id
    assert publish(Warehouse(moved), known_at=LATER).id == published.id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": ["person"]}, "key columns"),
        ({"metrics": {"mean": float("nan")}}, "JSON"),
        ({"metrics": {"columns": {1, 2}}}, "JSON"),
    ],
)
def test_what_cannot_be_recorded_is_not_published(warehouse, change, message):
    good = publish(warehouse)
    with pytest.raises(WarehouseError, match=message):
        publish(warehouse, known_at=LATER, **change)
    assert warehouse.current(TABLE, DAY) == good
    assert list((warehouse.root / ".staging").iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"known_at": datetime(2026, 9, 2)}, {"data_until": MORNING}, {"as_of": datetime(2026, 9, 1)}],
    ids=lambda change: next(iter(change)),
)
def test_confused_times_are_refused(warehouse, change):
    with pytest.raises(ValueError, match=r"zone|naive|local date"):
        publish(warehouse, **change)


def test_a_staging_folder_without_files_or_with_strange_ones_is_refused(warehouse):
    with warehouse.staging(TABLE) as staged:
        with pytest.raises(WarehouseError, match="is empty"):
            publish_staged(warehouse, staged)
        (staged.path / "notes.txt").write_text("x")
        with pytest.raises(WarehouseError, match=r"notes\.txt"):
            publish_staged(warehouse, staged)


def test_publishing_may_be_tried_again_but_not_done_twice(warehouse):
    with warehouse.staging(TABLE) as staged:
        with connected() as con:
            con.sql("SELECT 1 AS person_id").write_parquet(str(staged.path / "data.parquet"))
        with filelock.FileLock(lock_path(warehouse)), pytest.raises(LockTimeout):
            publish_staged(Warehouse(warehouse.root, lock_seconds=0), staged)
        publish_staged(warehouse, staged)
        with pytest.raises(WarehouseError, match="published already"):
            publish_staged(warehouse, staged)
    assert len(warehouse.snapshots(TABLE)) == 1


def lock_path(warehouse):
    folder = warehouse.root / "tags" / "transaction"
    folder.mkdir(parents=True)
    return folder / "manifest.lock"


def test_a_root_duckdb_cannot_work_in_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'\?' in its path"):
        Warehouse(tmp_path / "what?")


def publish_staged(warehouse, staged):
    warehouse.publish(
        staged,
        as_of=DAY,
        known_at=MORNING,
        input_hash="in",
        catalog_hash="cat",
        run_id="run",
        data_until=None,
        inputs={},
        verdicts=[],
        metrics={},
        key=[],
    )


def test_folders_of_other_people_in_the_root_are_not_tables(warehouse):
    snapshot = publish(warehouse)
    foreign = warehouse.root / "My Notes" / "as of" / "as_of=x" / "old"
    foreign.mkdir(parents=True)
    (foreign.parent.parent / "manifest.json").write_text("{}")
    assert warehouse.tables() == [TABLE]
    warehouse.sweep(timedelta(0), datetime.fromisoformat("2999-01-01T00:00:00Z"))
    assert foreign.exists()
    assert rows(snapshot) == [(1, 10)]
