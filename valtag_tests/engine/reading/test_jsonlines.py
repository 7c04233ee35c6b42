"""JSON lines: values as written, broken lines kept aside."""

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valtag_assets.engine.reading.origin import Origin, SourceError
from valtag_assets.engine.reading.read import column_names, read_source
from valtag_tests.chance import MORE
from valtag_tests.kit import connected


@pytest.fixture
def json_file(tmp_path):
    def write(content: bytes, name: str = "t.jsonl", **settings) -> Origin:
        (tmp_path / name).write_bytes(content)
        return Origin("jsonl", (tmp_path / name,), **settings)

    return write


def test_values_are_text_as_written(reading, json_file):
    nested = '{"k": [1.50, "1.50", null, {"é": 12345678901234567890123}]}'
    content = (
        '{"i": 123456789012345678901234567890, "f": 1.10, "e": -1E5, "t": "张\\n1.0", "b": true, "n": null}\n'
        f'{{"i": 0, "f": -0.0, "o": {nested}}}\n'
    ).encode()
    table = reading(json_file(content), ["i", "f", "e", "t", "b", "n", "o"])
    assert reading.rows(table) == [
        ("123456789012345678901234567890", "1.10", "-1E5", "张\n1.0", "true", None, None, "t.jsonl", 1),
        ("0", "-0.0", None, None, None, None, nested, "t.jsonl", 2),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "Expecting"),
        (b"[1]", "the line is no JSON object"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": "\\ud83d"}', "half of a surrogate pair"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_object_is_broken(reading, json_file, line, reason):
    table = reading(json_file(b'{"a": 1}\n\n' + line + b'\n{"a": 2}\n'), ["a"])
    assert reading.rows(table) == [("1", "t.jsonl", 1), ("2", "t.jsonl", 3)]
    ((row, at, text, why),) = reading.broken(table)
    assert (row, at, text) == (2, 3, line.decode())
    assert reason in why


def test_gzip_other_encodings_marks_and_line_ends_are_read(reading, json_file):
    text = '{"城": "沪"}\r\n{"城": "京"}'
    for content, settings_ in (
        (gzip.compress(text.encode()), {}),
        (text.encode("utf-8-sig"), {}),
        (text.encode("gb18030"), {"encoding": "gb18030"}),
        (text.encode("utf-16"), {"encoding": "utf-16"}),
    ):
        origin = json_file(content, **settings_)
        assert column_names(origin) == ["城"]
        assert [row[0] for row in reading.rows(reading(origin, ["城"]))] == ["沪", "京"]


def test_a_wrong_encoding_is_an_error_and_one_bad_line_in_a_thousand_is_not(reading, json_file):
    with pytest.raises(SourceError, match=r"t\.jsonl: not utf-8.*gb18030"):
        reading(json_file('{"c": "上海"}\n'.encode("gb18030")), ["c"])
    table = reading(json_file(b'{"c": 1}\n' * 1000 + b'{"c": "\xff"}\n'), ["c"])
    assert (table.rows, reading.broken(table)[0][:3]) == (1000, (1001, 1001, '{"c": "\\xff"}'))


def test_a_key_that_no_record_has_is_an_error(reading, json_file):
    with pytest.raises(SourceError, match=r"no column 'amuont'; did you mean amount\?"):
        reading(json_file(b'{"amount": 1}\n'), ["amuont"])


def test_an_empty_file_is_an_error(reading, json_file):
    with pytest.raises(SourceError, match=r"t\.jsonl: empty file"):
        reading(json_file(b""), ["a"])


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40 * MORE)
@given(records=st.lists(st.fixed_dictionaries({"a": _values, "é\"'": _values}), min_size=1, max_size=5))
def test_whatever_python_writes_comes_back(records):
    with tempfile.TemporaryDirectory() as folder, connected() as con:
        path = Path(folder) / "t.jsonl"
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
        table = read_source(con, Origin("jsonl", (path,)), ["a", "é\"'"], Path(folder) / "into")
        found = con.execute("select * from read_parquet($f) order by _row", {"f": table.files}).fetchall()

    def text(value):
        return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    expected = [(text(record["a"]), text(record["é\"'"]), "t.jsonl", row) for row, record in enumerate(records, 1)]
    assert (found, table.broken_rows) == (expected, 0)
