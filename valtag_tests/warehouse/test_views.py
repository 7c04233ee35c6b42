"""valtag.duckdb: everything published, by name, for other programs."""

import os
from datetime import timedelta

import duckdb
import filelock
import pytest

from valtag_assets.warehouse.errors import LockTimeout
from valtag_assets.warehouse.snapshot import TableRef
from valtag_assets.warehouse.store import Warehouse
from valtag_tests.warehouse.publishing import (
    DAY,
    MORNING,
    TABLE,
    publish,
    publish_versions,
    read_views,
    rows,
    start,
    version_query,
)


def ask(warehouse, query):
    with duckdb.connect(str(warehouse.root / "valtag.duckdb"), read_only=True) as con:
        return con.sql(query).fetchall()


def test_each_table_is_a_view_over_its_newest_data(warehouse):
    publish(warehouse, as_of=DAY - timedelta(days=1), known_at=MORNING + timedelta(days=3))
    publish(warehouse, "SELECT 2 AS person_id, 5 AS spend")
    publish(warehouse, 'SELECT \'上海\' AS "城""市"', table=TableRef("clean", "orders"), as_of=None, key=[])
    assert ask(warehouse, "SELECT * FROM tags.transaction") == [(2, 5)]
    assert ask(warehouse, 'SELECT "城""市" FROM clean.orders') == [("上海",)]


def test_the_views_hold_no_data_and_show_their_sql(warehouse):
    publish(warehouse)
    views = ask(warehouse, "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal")
    assert [view[:2] for view in views] == [("tags", "transaction")]
    assert "part-0.parquet" in views[0][2]
    assert ask(warehouse, "SELECT count(*) FROM duckdb_tables()") == [(0,)]


@pytest.mark.parametrize("name", ["group", "order", "select", "1st"])
def test_a_table_named_like_a_keyword_has_a_view(warehouse, name):
    publish(warehouse, table=TableRef("main", name))
    assert ask(warehouse, f'SELECT spend FROM main."{name}"') == [(10,)]


def test_strange_characters_in_the_path_do_no_harm(tmp_path):
    warehouse = Warehouse(tmp_path / 'o\'clock [1] * "数据"')
    publish(warehouse)
    assert ask(warehouse, "SELECT spend FROM tags.transaction") == [(10,)]


def test_after_a_move_the_views_are_rebuilt_on_demand(warehouse, tmp_path):
    publish(warehouse)
    moved = Warehouse(warehouse.root.rename(tmp_path / "moved"))
    moved.rebuild_views()
    assert ask(moved, "SELECT spend FROM tags.transaction") == [(10,)]


def test_another_table_that_cannot_be_read_does_not_keep_the_views_from_this_one(warehouse):
    publish(warehouse, table=TableRef("clean", "orders"))
    (warehouse.root / "clean" / "orders" / "manifest.json").write_text("{")
    assert publish(warehouse) == warehouse.current(TABLE, DAY)
    assert ask(warehouse, "SELECT spend FROM tags.transaction") == [(10,)]


def test_a_reader_who_wrote_into_the_old_file_does_not_spoil_the_new_one(warehouse):
    publish(warehouse)
    con = duckdb.connect(str(warehouse.root / "valtag.duckdb"))
    con.execute("SET checkpoint_threshold = '1GB'; CREATE TABLE mine AS SELECT 1 AS a")
    assert (warehouse.root / "valtag.duckdb.wal").exists()
    publish(warehouse, "SELECT 2 AS person_id, 5 AS spend", known_at=MORNING + timedelta(hours=1))
    assert not (warehouse.root / "valtag.duckdb.wal").exists()
    con.close()
    assert ask(warehouse, "SELECT spend FROM tags.transaction") == [(5,)]


def test_what_a_table_and_its_columns_mean_stands_as_comments(warehouse):
    said = {
        "table": "交易类 · Transaction",
        "columns": {"spend": "累计消费 · Spend; it's in 元", "gone": "no column"},
    }
    assert warehouse.describe(TABLE, said)
    publish(warehouse)
    assert not warehouse.describe(TABLE, said)
    assert ask(warehouse, "SELECT comment FROM duckdb_views() WHERE NOT internal") == [("交易类 · Transaction",)]
    columns = ask(warehouse, "SELECT column_name, comment FROM duckdb_columns() WHERE NOT internal ORDER BY 1")
    assert dict(columns) == {"person_id": None, "spend": "累计消费 · Spend; it's in 元"}


def test_damaged_comments_hold_nothing_up(warehouse):
    warehouse.describe(TABLE, {"table": "交易类"})
    (warehouse.root / "tags" / "transaction" / "comments.json").write_text("[")
    publish(warehouse)
    assert ask(warehouse, "SELECT comment FROM duckdb_views() WHERE NOT internal") == [(None,)]
    assert warehouse.describe(TABLE, {"table": "交易类"})


def test_while_tables_are_published_a_reader_sees_the_comment_of_the_rows_it_reads(warehouse):
    warehouse.describe(TABLE, {"columns": {"version": "版本 · 0"}})
    publish(warehouse, version_query(0), run_id="run 0")
    publisher, progress = start(publish_versions, warehouse.root, 1, 12)
    assert progress.recv() == "started"
    seen = []
    while not progress.poll():
        comment = "SELECT comment FROM duckdb_columns() WHERE NOT internal AND column_name = 'version'"
        seen += ask(warehouse, f"SELECT DISTINCT '版本 · ' || version, ({comment}) FROM tags.transaction")
    assert progress.recv() == "done"
    publisher.join()
    assert seen
    assert [pair for pair in seen if pair[0] != pair[1]] == []


def test_only_one_process_at_a_time_rebuilds_the_views(warehouse):
    publish(warehouse)
    with filelock.FileLock(warehouse.root / ".valtag.duckdb.lock"):
        with pytest.raises(LockTimeout, match="the views"):
            Warehouse(warehouse.root, lock_seconds=0).rebuild_views()
        assert ask(warehouse, "SELECT spend FROM tags.transaction") == [(10,)]


def test_another_process_reads_the_views_while_tables_are_published(warehouse):
    publish(warehouse, version_query(0), run_id="run 0")
    reader, answers = start(read_views, warehouse.root)
    assert answers.recv() == "started"
    publisher, progress = start(publish_versions, warehouse.root, 1, 12)
    assert [progress.recv(), progress.recv()] == ["started", "done"]
    answers.send("stop")
    seen = answers.recv()
    reader.join()
    publisher.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert ask(warehouse, "SELECT DISTINCT version FROM tags.transaction") == [(12,)]
    assert len(rows(warehouse.current(TABLE, DAY))) == 100 + 12 % 7


def test_a_publication_renews_what_changed_and_what_a_crash_left_behind(warehouse):
    other = TableRef("tags", "other")
    publish(warehouse)
    publish(warehouse, table=other)
    views = warehouse.root / "valtag.duckdb"
    before = views.read_bytes()
    # As if a crash had come between the manifest of the other table and the views.
    publish(warehouse, "SELECT 3 AS person_id, 30 AS spend", table=other)
    views.write_bytes(before)
    manifest = warehouse.folder(other) / "manifest.json"
    os.utime(views, ns=(manifest.stat().st_mtime_ns - 1,) * 2)
    publish(warehouse, "SELECT 2 AS person_id, 20 AS spend")
    assert ask(warehouse, "SELECT spend FROM tags.transaction") == [(20,)]
    assert ask(warehouse, "SELECT spend FROM tags.other") == [(30,)]


def test_a_publication_after_a_move_renews_every_view(warehouse, tmp_path):
    publish(warehouse)
    moved = Warehouse(warehouse.root.rename(tmp_path / "it's moved"))
    publish(moved, table=TableRef("tags", "other"))
    assert ask(moved, "SELECT spend FROM tags.transaction") == [(10,)]
