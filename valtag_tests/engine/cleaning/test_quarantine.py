import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_tests.engine.cleaning.cleaned import clean, clean_raw, raw_table, source

FIELDS = [{"name": "n", "type": "integer"}, {"name": "amount", "type": "decimal(18,2)", "from": "金额"}]


def test_a_refused_row_is_kept_as_it_came_with_rule_reason_and_value():
    outcome = clean(source(FIELDS), {"n": ["1", "2"], "金额": ["5", " 五元 "]})
    (refused,) = outcome.quarantine
    assert refused == {
        "row": 2,
        "file": "a.csv",
        "rule": "amount.invalid",
        "reason": "amount can't be read as decimal(18,2) · amount 无法解析为 decimal(18,2)",
        "field": "amount",
        "value": " 五元 ",
        "record": '{"n":"2","金额":" 五元 "}',
    }


def test_a_row_rule_gives_its_own_reason_and_no_field():
    reason = {"zh": "测试订单", "en": "A test order"}
    spec = source(FIELDS, refuse=[{"name": "test", "where": "amount = 0.01", "reason": reason}])
    (refused,) = clean(spec, {"n": ["1"], "金额": ["0.01"]}).quarantine
    assert (refused["rule"], refused["reason"]) == ("refuse.test", "A test order · 测试订单")
    assert (refused["field"], refused["value"]) == (None, None)


def test_unreadable_records_are_quarantined_and_counted(tmp_path):
    raw = raw_table(
        tmp_path / "raw", {"n": pa.array(["1"]), "金额": pa.array(["x"])}, {"n": "VARCHAR", "金额": "VARCHAR"}
    )
    broken = tmp_path / "broken.parquet"
    pq.write_table(
        pa.table(
            {
                "file": ["a.csv"],
                "row": pa.array([2], pa.int64()),
                "line": pa.array([3], pa.int64()),
                "text": ['2,"cut'],
                "reason": ["the last line ends within a quote"],
            }
        ),
        broken,
    )
    outcome = clean_raw(source(FIELDS), replace(raw, broken=broken, broken_rows=1), tmp_path)
    account = outcome.account
    assert account.balanced
    assert (account.rows_in, account.quarantined) == (2, 2)
    assert account.by_rule == {"amount.invalid": 1, "unreadable": 1}
    unreadable = outcome.quarantine[1]
    assert (unreadable["row"], unreadable["value"], unreadable["field"]) == (2, '2,"cut', None)
    assert unreadable["reason"] == "the last line ends within a quote"
    assert json.loads(unreadable["record"]) == {"text": '2,"cut'}


def test_column_names_and_values_are_only_text_whatever_they_say():
    names = ['a"b', "it's", "😀", "x; drop table raw", "select", "a.b", "{}", "列 名", "\\", "?", "%s"]
    fields = [{"name": f"f{n}", "type": "integer", "from": name} for n, name in enumerate(names)]
    nasty = '\'"; drop table "raw"; -- 😀\n\t\\'
    spec = source(fields, key="f0")
    outcome = clean(spec, {name: ["1", nasty if name == "列 名" else "2"] for name in names})
    assert outcome.rows == [{f"f{n}": 1 for n in range(len(names))} | {"_file": "a.csv", "_row": 1}]
    (refused,) = outcome.quarantine
    assert refused["value"] == nasty
    assert json.loads(refused["record"]) == {name: nasty if name == "列 名" else "2" for name in names}


def test_an_empty_table_gives_empty_files_of_the_right_types():
    outcome = clean(source(FIELDS), {"n": [], "金额": []})
    assert (outcome.rows, outcome.quarantine) == ([], [])
    assert outcome.account.balanced
    assert outcome.account.rows_in == 0
    assert [str(outcome.schema.field(name).type) for name in ("n", "amount", "_file", "_row")] == [
        "int64",
        "decimal128(18, 2)",
        "string",
        "int64",
    ]


def test_an_all_null_column_stays_null_whatever_its_raw_type():
    kinds = {"VARCHAR": pa.string(), "INTEGER": pa.int32(), "DOUBLE": pa.float64(), "DATE": pa.date32()}
    for written, kind in kinds.items():
        for target in ("text", "integer", "decimal(4,1)", "float", "boolean", "date", "timestamp"):
            spec = source([{"name": "n", "type": "integer"}, {"name": "x", "type": target}])
            columns = {"n": ["1"], "x": pa.array([None], kind)}
            assert clean(spec, columns, {"x": written}).column("x") == [None]


def test_only_the_parts_of_the_tables_are_left_in_the_folder(tmp_path):
    raw = raw_table(
        tmp_path / "raw", {"n": pa.array(["1"]), "金额": pa.array(["5"])}, {"n": "VARCHAR", "金额": "VARCHAR"}
    )
    into = tmp_path / "out"
    into.mkdir()
    clean_raw(source(FIELDS), raw, into)
    left = {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}
    assert left == {"clean/part-all.parquet", "merged/part-none.parquet", "quarantine/part-none.parquet"}


def test_one_source_column_may_feed_two_fields():
    fields = [{"name": "n", "type": "integer"}, {"name": "at", "type": "timestamp", "from": "t"}]
    fields.append({"name": "day", "type": "date", "from": "t"})
    outcome = clean(source(fields), {"n": ["1"], "t": ["2024-01-01 10:00"]})
    assert [str(outcome.rows[0][name]) for name in ("at", "day")] == ["2024-01-01 10:00:00", "2024-01-01"]
