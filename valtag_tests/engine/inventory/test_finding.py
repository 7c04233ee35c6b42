"""Which tables sources name: formats, encodings and delimiters by content."""

import sqlite3
from pathlib import Path

import duckdb
import openpyxl
import pytest

from valtag_assets.engine.inventory.finding import Found, find_places
from valtag_assets.engine.reading.origin import SourceError

TEXT = "编号,姓名,金额\n1,王伟,3.5\n2,李娜,4.5\n"


def find(folder: Path, *sources: str) -> Found:
    return find_places(sources or [str(folder)], folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "big5"])
def test_an_encoding_is_told_by_the_bytes(tmp_path: Path, encoding: str) -> None:
    text = "編號,姓名,金額\n1,王偉,3.5\n" if encoding == "big5" else TEXT
    (tmp_path / "a.csv").write_bytes((text * 20).encode(encoding))
    place = find(tmp_path).places[0]
    assert place.columns == tuple(text.splitlines()[0].split(","))


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_a_delimiter_is_told_by_the_records(tmp_path: Path, delimiter: str) -> None:
    rows = [("name", "amount"), ('"a,b;c|d\te"', "1"), ("x", "2")]
    (tmp_path / "a.csv").write_text("\n".join(map(delimiter.join, rows)))
    assert find(tmp_path).places[0].columns == ("name", "amount")


def test_a_table_without_names_gets_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2024-01-01,x\n2,2024-01-02,y\n")
    assert find(tmp_path).places[0].columns == ("column_1", "column_2", "column_3")


def test_files_of_several_years_are_one_table_and_others_are_not(tmp_path: Path) -> None:
    for name in ("sales_2022.csv", "sales_2023.csv", "channels.csv"):
        (tmp_path / name).write_text("code,name\na,b\n")
    (tmp_path / "sales_2024.csv").write_text("code,title\na,b\n")
    found = find(tmp_path)
    assert sorted((place.name, len(place.origin.paths)) for place in found.places) == [
        ("channels", 1),
        ("sales", 1),
        ("sales", 1),
        ("sales", 1),
    ]
    (tmp_path / "sales_2024.csv").unlink()
    assert sorted((place.label, len(place.origin.paths)) for place in find(tmp_path).places) == [
        ("channels.csv", 1),
        ("sales_*.csv", 2),
    ]


def test_databases_and_workbooks_hold_several_tables(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.sqlite") as database:
        database.execute("create table people (id integer, name text)")
        database.execute('create table "odd ""name""" (a text)')
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as database:
        database.execute("create table orders (id integer)")
        database.execute("create schema old")
        database.execute("create table old.orders (id integer)")
    book = openpyxl.Workbook()
    book.active.title = "一月"
    book.active.append(["a", "b"])
    book.create_sheet("二月").append(["c"])
    book.save(tmp_path / "book.xlsx")
    labels = {place.label for place in find(tmp_path).places}
    assert labels == {
        "crm.sqlite · people",
        'crm.sqlite · odd "name"',
        "shop.duckdb · orders",
        "shop.duckdb · old.orders",
        "book.xlsx · 一月",
        "book.xlsx · 二月",
    }
    assert [place.columns for place in find(tmp_path, "book.xlsx:二月").places] == [("c",)]
    assert [place.label for place in find(tmp_path, "shop.duckdb:orders").places] == ["shop.duckdb · orders"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "empty file"),
        ("a.csv", b"\n\n", "empty file"),
        ("a.parquet", b"id,name\n1,2\n", "called a parquet file"),
        ("a.csv.gz", b"\x1f\x8b\x08broken", "damaged"),
        ("a.xlsx", b"PK\x03\x04nothing", "no .xlsx workbook"),
        ("a.csv", b"\x00\x01\x02" * 900, "no text"),
    ],
)
def test_what_is_no_table_is_said_and_the_others_go_on(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.csv").write_text("id,name\n1,a\n")
    found = find(tmp_path)
    assert [place.name for place in found.places] == ["good"]
    assert said in found.unread[0][1]


def test_a_source_that_names_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        find(tmp_path, "nothing.csv")
    with pytest.raises(SourceError, match="holds no table"):
        find(tmp_path)
    with pytest.raises(SourceError, match="VALTAG_NO_URL"):
        raise SourceError(find(tmp_path, "postgres:VALTAG_NO_URL").unread[0][1])


def test_parts_of_one_table_are_one_and_it_is_said(tmp_path: Path) -> None:
    for name in ("train.csv", "valid.csv"):
        (tmp_path / name).write_text("id,treatment\na,1\n")
    (place,) = find(tmp_path).places
    assert (place.name, place.label, len(place.origin.paths)) == (tmp_path.name, "*.csv", 2)
    assert place.notes[0].en.startswith("train.csv, valid.csv have the same columns")
    (tmp_path / "views.csv").write_text("id,treatment\na,1\n")
    assert {place.label for place in find(tmp_path).places} == {"train.csv", "valid.csv", "views.csv"}


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("id,2024,name", "column 2 of the first line is a number or date"),
        ("??,??,??,??", "the first line has 1 different names for 4 columns (garbled?)"),
        ("id,year,name", None),
    ],
)
def test_a_head_that_is_not_read_as_names_is_said(tmp_path: Path, head: str, said: str | None) -> None:
    (tmp_path / "a.csv").write_text(f"{head}\n{','.join('a' * (head.count(',') + 1))}\n")
    notes = find(tmp_path).places[0].notes
    assert [note.en.partition(":")[0] for note in notes] == ([said] if said else [])
    assert "2024" not in "".join(note.en for note in notes), "a value may be somebody's"
