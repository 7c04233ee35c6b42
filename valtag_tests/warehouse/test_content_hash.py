"""The content hash sees every cell and nothing else."""

import tempfile
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.warehouse.content_hash import Content, read_contents, table_content
from valtag_assets.warehouse.errors import WarehouseError
from valtag_tests.chance import MORE
from valtag_tests.kit import connected

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ('名"称', pa.string()),
        ("score", pa.float64()),
        ("at", pa.timestamp("us")),
        ("brands", pa.list_(pa.string())),
    ]
)
TEXTS = st.one_of(st.none(), st.sampled_from(["", "null", "-", "|", "1:a", "上海"]), st.text(max_size=5))
ROWS = st.tuples(
    st.integers(0, 5),
    TEXTS,
    st.one_of(st.none(), st.floats(width=64)),
    st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))),
    st.one_of(st.none(), st.lists(TEXTS, max_size=3)),
)


def content_of(*parts: list[tuple]) -> Content:
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for position, part in enumerate(parts):
            table = pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in part], SCHEMA)
            files.append(Path(folder) / f"{position}.parquet")
            pq.write_table(table, files[-1])
        return table_content(read_contents(files))


def hash_of(query: str) -> str:
    with tempfile.TemporaryDirectory() as folder, connected() as con:
        file = Path(folder) / "part.parquet"
        con.sql(query).write_parquet(str(file))
        return table_content(read_contents([file])).hash


@settings(max_examples=40 * MORE)
@given(st.lists(ROWS, min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(0, 12))
def test_order_and_file_split_leave_the_hash_alone(rows, random, split):
    shuffled = random.sample(rows, len(rows))
    assert content_of(shuffled[:split], shuffled[split:]) == content_of(rows)


@settings(max_examples=60 * MORE)
@given(st.lists(ROWS, min_size=1, max_size=6), st.data())
def test_another_text_in_one_cell_changes_the_hash(rows, data):
    position = data.draw(st.integers(0, len(rows) - 1))
    old = rows[position]
    text = data.draw(TEXTS.filter(lambda new: new != old[1]))
    changed = [*rows[:position], (old[0], text, *old[2:]), *rows[position + 1 :]]
    assert content_of(changed).hash != content_of(rows).hash


@settings(max_examples=30 * MORE)
@given(ROWS)
def test_a_row_more_of_the_same_changes_the_hash(row):
    assert len({content_of([row] * count).hash for count in range(4)}) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NULL::VARCHAR AS a", "'' AS a"),
        ("NULL::VARCHAR AS a", "'null' AS a"),
        ("NULL::VARCHAR AS a", "'-' AS a"),
        ("'' AS a", "'null' AS a"),
        ("1::INTEGER AS a", "1::BIGINT AS a"),
        ("1::INTEGER AS a", "1::DOUBLE AS a"),
        ("1::INTEGER AS a", "'1' AS a"),
        ("1.5::DECIMAL(5,1) AS a", "1.5::DECIMAL(5,2) AS a"),
        ("DATE '2026-09-01' AS a", "TIMESTAMP '2026-09-01' AS a"),
        ("1 AS a", "1 AS b"),
        ("1 AS a, 2 AS b", "2 AS a, 1 AS b"),
        ("'x' AS a, '' AS b", "'' AS a, 'x' AS b"),
        ("'x|1:y' AS a, 'z' AS b", "'x' AS a, '1:y|1:z' AS b"),
        ("1 AS a, 2 AS b", "2 AS b, 1 AS a"),
        ("['a', 'b'] AS a", "['a, b'] AS a"),
        ("['a', 'b'] AS a", "['b', 'a'] AS a"),
        ("[NULL]::VARCHAR[] AS a", "['null'] AS a"),
        ("[]::VARCHAR[] AS a", "NULL::VARCHAR[] AS a"),
        ("[]::VARCHAR[] AS a", "[NULL]::VARCHAR[] AS a"),
        ("{'x': 1, 'y': NULL::INTEGER} AS a", "{'x': NULL::INTEGER, 'y': 1} AS a"),
        ("0.1::DOUBLE AS a", "0.1::DOUBLE + 1e-17 * 2 AS a"),
        ("TIMESTAMP '2026-09-01 00:00:00' AS a", "TIMESTAMP '2026-09-01 00:00:00.000001' AS a"),
        ("1 AS a", "1 AS a WHERE false"),
    ],
)
def test_what_only_looks_alike_has_another_hash(one, other):
    assert hash_of(f"SELECT {one}") != hash_of(f"SELECT {other}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.0::DOUBLE AS a", "-0.0::DOUBLE AS a"),
        ("[0.0::DOUBLE] AS a", "[-0.0::DOUBLE] AS a"),
        ("'nan'::DOUBLE AS a", "'-nan'::DOUBLE AS a"),
        ("MAP {'x': 1, 'y': 2} AS a", "MAP {'y': 2, 'x': 1} AS a"),
    ],
)
def test_equal_values_written_differently_have_one_hash(one, other):
    assert hash_of(f"SELECT {one}") == hash_of(f"SELECT {other}")


def test_the_hash_is_the_same_on_every_machine_and_day():
    rows = [(1, "上海", 0.1, datetime(2026, 9, 1, 8), ["a", None]), (2, None, None, None, None)]
    assert content_of(rows).hash == "9d8857d2e168b938039750a96a3f3c888e0caeebb59e9af734be0dbabff73825"


def test_a_zoned_time_hashes_alike_in_any_session_zone():
    with tempfile.TemporaryDirectory() as folder:
        hashes = set()
        for zone in ("Asia/Shanghai", "UTC"):
            file = Path(folder) / "zoned.parquet"
            at = datetime.fromisoformat("2026-09-01T08:00:00+00:00")
            pq.write_table(pa.table({"at": pa.array([at], pa.timestamp("us", tz=zone))}), file)
            hashes.add(table_content(read_contents([file])).hash)
        assert len(hashes) == 1


def test_files_of_different_schemas_are_refused(tmp_path):
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pq.write_table(pa.table({"spend": [1]}), files[0])
    pq.write_table(pa.table({"spend": ["1"]}), files[1])
    with pytest.raises(WarehouseError, match=r"b\.parquet and a\.parquet .* differ"):
        read_contents(files)


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    file = tmp_path / "a.parquet"
    file.write_text("not parquet")
    with pytest.raises(WarehouseError, match=r"a\.parquet"):
        read_contents([file])


def test_schema_and_rows_come_with_the_hash():
    content = content_of([(1, None, None, None, None)] * 3)
    assert content.rows == 3
    assert content.columns == (
        ("id", "BIGINT"),
        ('名"称', "VARCHAR"),
        ("score", "DOUBLE"),
        ("at", "TIMESTAMP"),
        ("brands", "VARCHAR[]"),
    )


def test_the_partition_folder_is_not_a_column(tmp_path):
    folder = tmp_path / "as_of=2026-09-01"
    folder.mkdir()
    pq.write_table(pa.table({"day": [date(2026, 9, 1)]}), folder / "a.parquet")
    assert table_content(read_contents([folder / "a.parquet"])).columns == (("day", "DATE"),)


def test_a_column_named_like_the_path_of_its_file_is_a_column_like_any_other(tmp_path):
    for name, value in (("a.parquet", "x"), ("b.parquet", "y")):
        pq.write_table(pa.table({"PATH0": [value], "filename": [value]}), tmp_path / name)
    contents = read_contents([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert [content.rows for content in contents.values()] == [1, 1]
    assert len({content.hash for content in contents.values()}) == 2
    assert contents["a.parquet"].columns == (("PATH0", "VARCHAR"), ("filename", "VARCHAR"))
