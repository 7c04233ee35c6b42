"""Parquet: native types, one schema over all files."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valtag_assets.engine.reading.origin import Origin, SourceError
from valtag_assets.engine.reading.read import column_names


@pytest.fixture
def parquet_files(tmp_path):
    def write(*tables: pa.Table) -> Origin:
        paths = [tmp_path / f"{number}.parquet" for number in range(1, len(tables) + 1)]
        for path, table in zip(paths, tables, strict=True):
            pq.write_table(table, path)
        return Origin("parquet", tuple(paths))

    return write


def test_scalars_keep_their_types_and_nested_values_are_json(reading, parquet_files):
    values = {
        "id": pa.array([2**62], pa.int64()),
        "amount": pa.array([decimal.Decimal("1.10")], pa.decimal128(18, 2)),
        "day": pa.array([datetime.date(2024, 1, 2)]),
        "tags": pa.array([["a", "b"]]),
        "address": pa.array([{"city": "上海", "n": 1}]),
        "kind": pa.array(["x"]).dictionary_encode(),
    }
    table = reading(parquet_files(pa.table(values)), list(values))
    assert [kind for _, kind in table.columns[:3]] == ["BIGINT", "DECIMAL(18,2)", "DATE"]
    (row,) = reading.rows(table)
    assert row[:3] == (2**62, decimal.Decimal("1.10"), datetime.date(2024, 1, 2))
    assert row[3:] == ('["a","b"]', '{"city":"上海","n":1}', "x", "1.parquet", 1)


def test_files_of_different_order_and_width_get_one_schema(reading, parquet_files):
    first = pa.table({"id": pa.array([1, 2], pa.int32()), "x": ["a", "b"]})
    second = pa.table({"x": ["c"], "more": [1], "id": pa.array([2**40], pa.int64())})
    table = reading(parquet_files(first, second), ["id", "x"])
    assert table.columns == (("id", "BIGINT"), ("x", "VARCHAR"))
    rows = [(1, "a", "1.parquet", 1), (2, "b", "1.parquet", 2), (2**40, "c", "2.parquet", 1)]
    assert reading.rows(table) == rows


def test_a_column_missing_in_one_file_names_the_file(reading, parquet_files):
    origin = parquet_files(pa.table({"id": [1], "amount": [1]}), pa.table({"id": [1], "money": [1]}))
    with pytest.raises(SourceError, match=r"2\.parquet: no column 'amount'"):
        reading(origin, ["id", "amount"])


def test_names_that_differ_by_case_are_kept_apart(reading, parquet_files):
    origin = parquet_files(pa.table([pa.array([1]), pa.array([2])], names=["VIP", "vip"]))
    assert column_names(origin) == ["VIP", "vip"]
    assert reading.rows(reading(origin, ["vip"]))[0][0] == 2
    assert reading.rows(reading(origin, ["VIP"]))[0][0] == 1


def test_a_file_that_is_no_parquet_is_an_error(reading, tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"id,x\n")
    with pytest.raises(SourceError, match=r"t\.parquet: no sound Parquet file"):
        reading(Origin("parquet", (tmp_path / "t.parquet",)), ["id"])


def test_row_numbers_run_over_row_groups_and_threads(reading, tmp_path):
    pq.write_table(pa.table({"id": range(1, 300_001)}), tmp_path / "t.parquet", row_group_size=10_000)
    table = reading(Origin("parquet", (tmp_path / "t.parquet",)), ["id"])
    query = "select count(*), count(*) filter (id <> _row) from read_parquet($files)"
    assert reading.con.execute(query, {"files": table.files}).fetchone() == (300_000, 0)
