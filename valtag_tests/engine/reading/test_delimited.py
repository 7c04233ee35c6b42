"""CSV and TSV: every cell as written, every record accounted for."""

import csv
import gzip
import io
import tempfile
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from valtag_assets.engine.reading.origin import Origin, SourceError
from valtag_assets.engine.reading.read import column_names, read_source
from valtag_tests.chance import MORE
from valtag_tests.kit import connected


def test_cells_come_back_as_written_with_file_and_row(reading, csv_file):
    table = reading(csv_file('id,"name",x\n007, 张 ,1\n8,"a ""b""\nc",\n'.encode()), ["name", "id"])
    assert reading.rows(table) == [(" 张 ", "007", "t.csv", 1), ('a "b"\nc', "8", "t.csv", 2)]
    assert table.columns == (("name", "VARCHAR"), ("id", "VARCHAR"))
    assert (table.rows, table.broken, table.broken_rows) == (2, None, 0)


def test_an_empty_field_is_empty_text_quoted_or_not(reading, csv_file):
    table = reading(csv_file(b'a,b\n,""\n'), ["a", "b"])
    assert reading.rows(table) == [("", "", "t.csv", 1)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_any_line_end_is_a_line_end(reading, csv_file, end):
    table = reading(csv_file(f"a,b{end}1,2{end}3,4{end}".encode()), ["b"])
    assert reading.rows(table) == [("2", "t.csv", 1), ("4", "t.csv", 2)]


def test_line_ends_may_be_mixed(reading, csv_file):
    table = reading(csv_file(b'a,b\r\n1,"x\ny"\n3,4\r\n5,6'), ["b"])
    assert [row[0] for row in reading.rows(table)] == ["x\ny", "4", "6"]
    assert table.broken_rows == 0


def test_line_ends_inside_quotes_never_hide_rows(reading, csv_file):
    for content in (b'a,"b\nc"\r\n1,2\r\n3,4\r\n', b'a,"b\r\nc"\n1,2\n3,4\n', b'a,"b\rc"\r\n1,2\r\n3,4\r\n'):
        assert reading(csv_file(content), ["a"]).rows == 2


def test_blank_lines_are_no_records(reading, csv_file):
    table = reading(csv_file(b"\na,b\n\n1,2\n\n\n3,4\n\n"), ["a"])
    assert reading.rows(table) == [("1", "t.csv", 1), ("3", "t.csv", 2)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(reading, csv_file):
    for header in (True, False):
        origin = csv_file(b'\xef\xbb\xbf"a",b\n1,2\n', header=header)
        assert column_names(origin) == (["a", "b"] if header else ["column_1", "column_2"])
        assert reading(origin, column_names(origin)).rows == 2 - header


def test_a_gzip_file_is_read_whatever_its_name(reading, csv_file):
    table = reading(csv_file(gzip.compress(b"a,b\n1,2\n")), ["b"])
    assert reading.rows(table) == [("2", "t.csv", 1)]


def test_a_cut_gzip_file_is_an_error(reading, csv_file):
    with pytest.raises(SourceError, match=r"t\.csv: the gzip file is damaged or cut"):
        reading(csv_file(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-9]), ["a"])


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_an_error(reading, csv_file, content):
    with pytest.raises(SourceError, match=r"t\.csv: empty file"):
        reading(csv_file(content), ["a"])


def test_a_header_alone_is_a_table_without_rows(reading, csv_file):
    for content in (b"a,b\n", b"a,b"):
        table = reading(csv_file(content), ["a"])
        assert (table.rows, reading.rows(table), table.columns) == (0, [], (("a", "VARCHAR"),))


@pytest.mark.parametrize("delimiter", ["|", "\x01", "|@|", "，", "\t", " "])
def test_any_delimiter_of_up_to_four_bytes(reading, csv_file, delimiter):
    text = f'a{delimiter}b\n1{delimiter}"x{delimiter}y"\n'
    table = reading(csv_file(text.encode(), delimiter=delimiter), ["b"])
    assert reading.rows(table) == [(f"x{delimiter}y", "t.csv", 1)]


def test_without_quoting_a_quote_is_text(reading, csv_file):
    table = reading(csv_file(b'a,b\n1,"x\n"2,y"\n', quote=""), ["a", "b"])
    assert [row[:2] for row in reading.rows(table)] == [("1", '"x'), ('"2', 'y"')]


def test_tsv_is_split_at_tabs(reading, tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n1,5\t2\n")
    assert reading.rows(reading(Origin("tsv", (path,)), ["a"])) == [("1,5", "t.tsv", 1)]


class TestBrokenRecords:
    def test_wrong_field_counts_are_kept_aside_and_numbers_stay_exact(self, reading, csv_file):
        table = reading(csv_file(b'a,b,c\n1,2,"x\ny"\n4,5\n7,8,9\n1,2,3,4\n6,6,6\n'), ["a", "c"])
        rows = [("1", "x\ny", "t.csv", 1), ("7", "9", "t.csv", 3), ("6", "6", "t.csv", 5)]
        assert reading.rows(table) == rows
        assert reading.broken(table) == [
            (2, 4, "4,5", "has 2 fields instead of 3"),
            (4, 6, "1,2,3,4", "has 4 fields instead of 3"),
        ]

    def test_a_cut_last_line_is_broken(self, reading, csv_file):
        table = reading(csv_file(b"a,b,c\n1,2,3\n4,5"), ["a"])
        assert (table.rows, reading.broken(table)[0][:3]) == (1, (2, 3, "4,5"))

    @pytest.mark.parametrize("behind", [b"", b'9,"fine",9\n', b'9,"",9\n', b'9,"a\nb",9\n'])
    def test_a_quote_that_never_ends_costs_one_line_only(self, reading, csv_file, behind):
        table = reading(csv_file(b'a,b,c\n1,2,3\n4,"5,6\n7,8,9\n6,6,6\n' + behind), ["a"])
        assert [row[0] for row in reading.rows(table)][:3] == ["1", "7", "6"]
        assert reading.broken(table)[0][:3] == (2, 3, '4,"5,6')
        assert table.rows + table.broken_rows == 4 + bool(behind)

    def test_text_behind_a_closing_quote_is_broken(self, reading, csv_file):
        table = reading(csv_file(b'a,b\n1,"x"y\n2,z\n'), ["a"])
        assert [row[:3] for row in reading.broken(table)] == [(1, 2, '1,"x"y')]
        assert reading.rows(table) == [("2", "t.csv", 2)]

    def test_a_quote_inside_an_unquoted_value_is_text(self, reading, csv_file):
        table = reading(csv_file(b'a,b\n1,5" screen\n2,"ok"\n'), ["b"])
        assert [row[0] for row in reading.rows(table)] == ['5" screen', "ok"]

    def test_a_carriage_return_outside_quotes_is_broken(self, reading, csv_file):
        table = reading(csv_file(b"a,b\n1,x\ry\n2,z\n"), ["b"])
        assert reading.broken(table) == [(1, 2, "1,x\ry", "a carriage return stands outside quotes")]
        assert reading.rows(table) == [("z", "t.csv", 2)]

    @pytest.mark.parametrize("length", [2_100_000, 9_000_000])
    def test_a_record_over_two_megabytes_is_one_broken_record(self, reading, csv_file, length):
        table = reading(csv_file(b"a,b\n1,y\n\n2,%s\n3,z\n" % (b"x" * length)), ["a"])
        assert reading.rows(table) == [("1", "t.csv", 1), ("3", "t.csv", 3)]
        ((row, line, text, reason),) = reading.broken(table)
        assert (row, line, len(text)) == (2, 4, length + 2)
        assert "bytes long" in reason

    def test_numbers_stay_exact_far_into_a_damaged_file(self, reading, csv_file):
        lines = [b"%d,%s" % (i, b'"a\nb"' if i % 7 == 0 else b"x" * 20) for i in range(1, 60_001)]
        damaged = {100, 101, 30_000, 59_999, 60_000}
        for row in damaged:
            lines[row - 1] = b"%d" % row
        table = reading(csv_file(b"id,t\r\n" + b"\r\n".join(lines) + b"\r\n"), ["id"])
        rows = reading.rows(table)
        assert [row for id_, _, row in rows if int(id_) != row] == []
        assert {row[0] for row in reading.broken(table)} == damaged
        assert len(rows) == 60_000 - len(damaged)


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16", "utf-16-le", "utf-8-sig", "shift_jis"])
    def test_any_codec_is_decoded(self, reading, csv_file, encoding):
        text = "会員,b\n東京,1\n" if encoding == "shift_jis" else "名字,b\n中文,1\n"
        names = text.split("\n")[0].split(",")
        table = reading(csv_file(text.encode(encoding), encoding=encoding), names)
        assert reading.rows(table) == [(text.split("\n")[1].split(",")[0], "1", "t.csv", 1)]

    @pytest.mark.parametrize(("actual", "declared"), [("gb18030", "utf-8"), ("utf-16", "utf-8")])
    def test_a_wrong_encoding_is_an_error_that_names_the_right_one(self, reading, csv_file, actual, declared):
        content = "id,城市\n1,上海\n2,北京\n".encode(actual)
        with pytest.raises(SourceError, match=rf"t\.csv: not {declared}.*byte \d+.*{actual}"):
            reading(csv_file(content, encoding=declared), ["id"])

    def test_a_wrong_encoding_below_an_ascii_header_is_an_error(self, reading, csv_file):
        content = b"id,city\n1,x\n" + "2,上海\n".encode("gb18030") * 50
        with pytest.raises(SourceError, match=r"50 of 51 records.*first at byte 14.*gb18030"):
            reading(csv_file(content), ["id"])

    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
    def test_one_bad_record_in_a_thousand_is_broken_not_the_file(self, reading, csv_file, encoding):
        good = "1,上海\n".encode(encoding)
        content = b"id,city\n" + good * 500 + b"2,\xff\xff\n" + good * 500
        table = reading(csv_file(content, encoding=encoding), ["id", "city"])
        (row, line, text, reason) = reading.broken(table)[0]
        assert (table.rows, row, line, text) == (1000, 501, 502, "2,\\xff\\xff")
        assert reason == f"holds bytes that are no {encoding}, first at byte 2 of the record"
        assert ("1", "上海", "t.csv", 502) in reading.rows(table)


class TestColumns:
    def test_a_missing_column_names_the_file_and_the_nearest(self, reading, csv_file):
        with pytest.raises(SourceError, match=r"t\.csv: no column 'amuont'; did you mean amount\?"):
            reading(csv_file(b"id,amount\n1,2\n"), ["amuont"])

    def test_names_that_differ_by_case_are_different_columns(self, reading, csv_file):
        origin = csv_file("VIP等级,vip等级\n1,2\n".encode())
        assert reading.rows(reading(origin, ["vip等级"]))[0][0] == "2"
        assert reading.rows(reading(origin, ["VIP等级"]))[0][0] == "1"
        with pytest.raises(SourceError, match="differ by case only"):
            reading(origin, ["VIP等级", "vip等级"])
        with pytest.raises(SourceError, match=r"did you mean VIP等级\? \(case matters\)"):
            reading(origin, ["Vip等级"])

    def test_spaces_around_a_header_name_are_forgiven(self, reading, csv_file):
        assert reading.rows(reading(csv_file(b"id, name \n1,x\n"), ["name"]))[0][0] == "x"

    def test_a_wanted_name_that_stands_twice_is_an_error(self, reading, csv_file):
        origin = csv_file(b"id,x,x,,\n1,2,3,,\n")
        assert reading(origin, ["id"]).rows == 1
        with pytest.raises(SourceError, match="2 columns are called 'x'"):
            reading(origin, ["x"])

    def test_names_are_never_sql(self, reading, csv_file):
        name = 'x"; drop table t; --'
        origin = csv_file(b'id,"x""; drop table t; --"\n1,2\n', name="o'brien [1]*.csv")
        assert reading.rows(reading(origin, [name])) == [("2", "o'brien [1]*.csv", 1)]

    def test_a_renamed_column_in_one_file_names_that_file(self, reading, tmp_path):
        for name, header in (("2023.csv", "id,money"), ("2024.csv", "id,amount")):
            (tmp_path / name).write_text(f"{header}\n1,2\n")
        origin = Origin("csv", (tmp_path / "2023.csv", tmp_path / "2024.csv"))
        with pytest.raises(SourceError, match=r"2024\.csv: no column 'money'"):
            reading(origin, ["money"])

    def test_files_may_order_their_columns_differently(self, reading, tmp_path):
        (tmp_path / "a.csv").write_text("id,v\n1,x\n")
        (tmp_path / "b.csv").write_text("v,id\ny,2\n")
        table = reading(Origin("csv", (tmp_path / "a.csv", tmp_path / "b.csv")), ["id", "v"])
        assert reading.rows(table) == [("1", "x", "a.csv", 1), ("2", "y", "b.csv", 1)]


def test_a_million_rows_keep_their_numbers_on_many_threads(reading, csv_file):
    reading.con.execute("set threads = 4")
    reading.con.execute("set preserve_insertion_order = false")
    table = reading(csv_file(b"id,x\n" + b"".join(b"%d,abc\n" % i for i in range(1, 1_000_001))), ["id"])
    wrong = "select count(*), count(*) filter (id::bigint <> _row) from read_parquet($files)"
    assert reading.con.execute(wrong, {"files": table.files}).fetchone() == (1_000_000, 0)
    setting = reading.con.execute("select current_setting('preserve_insertion_order')").fetchone()
    assert setting == (False,)


_awkward = st.sampled_from(list("ab1 ,\"\n\r;\t|\\'#张😀é\x00\u2028"))
_cells = st.text(_awkward | st.characters(codec="utf-8"), max_size=6)


@settings(max_examples=100 * MORE)
@given(
    rows=st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(_cells, min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    header=st.booleans(),
)
def test_whatever_python_writes_comes_back_cell_for_cell(rows, end, quoting, encoding, header):
    # Python before 3.13 forgets to quote a lone CR where lines end in LF.
    assume(end == "\r\n" or quoting == csv.QUOTE_ALL or "\r" not in "".join(chain(*rows)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    names = [f"column_{i}" for i in range(1, len(rows[0]) + 1)]
    writer.writerows([names, *rows] if header else rows)
    with tempfile.TemporaryDirectory() as folder, connected() as con:
        path = Path(folder) / "t.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        table = read_source(con, Origin("csv", (path,), encoding, header=header), names, Path(folder) / "into")
        query = "select * from read_parquet($files) order by _row"
        found = con.execute(query, {"files": table.files}).fetchall()
    assert table.broken_rows == 0
    assert found == [(*row, "t.csv", number) for number, row in enumerate(rows, 1)]


_pieces = [b"a", b",", b'"', b"\n", b"\r\n", b"\r", b'""', b"\xff", b" ", b"1,2,3\n"]
_damage = st.lists(st.sampled_from(_pieces), max_size=12)


@settings(max_examples=100 * MORE)
@given(pieces=_damage.filter(lambda pieces: pieces.count(b"\xff") <= 2))
def test_no_damage_loses_or_invents_a_byte_of_text(pieces):
    """Every letter of any mess is in an accepted or in a broken record, and numbers run without a gap."""
    content = b"x,y,z\n" + b"".join(pieces) + b"\n" + b"7,8,9\n" * 2_000
    with tempfile.TemporaryDirectory() as folder, connected() as con:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        table = read_source(con, Origin("csv", (path,)), ["x", "y", "z"], Path(folder) / "into")
        rows = con.execute("select _row, x || y || z from read_parquet($files)", {"files": table.files}).fetchall()
        if table.broken:
            query = "select row, text from read_parquet($file)"
            rows += con.execute(query, {"file": str(table.broken)}).fetchall()
    assert sorted(number for number, _ in rows) == list(range(1, table.rows + table.broken_rows + 1))
    assert sum(text.count("a") for _, text in rows) == content.count(b"a")
    assert sum(text.count("789") + text.count("7,8,9") for _, text in rows) >= 2_000
