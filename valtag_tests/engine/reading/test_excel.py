"""Excel: cells as the text that Excel shows."""

import datetime

import openpyxl
import pytest

from valtag_assets.engine.reading.origin import Origin, SourceError
from valtag_assets.engine.reading.read import column_names


@pytest.fixture
def workbook(tmp_path):
    def write(rows, title="Sheet", **settings) -> Origin:
        book = openpyxl.Workbook()
        book.active.title = "Sheet"
        target = book.active if title == "Sheet" else book.create_sheet(title)
        for row in rows:
            target.append(row)
        book.save(tmp_path / "t.xlsx")
        return Origin("excel", (tmp_path / "t.xlsx",), **settings)

    return write


def test_cells_are_the_text_that_excel_shows(reading, workbook):
    day, moment = datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5)
    values = ["007", 17850.0, 1.5, 0.1 + 0.2, 1e20, True, day, moment, datetime.time(3, 4), None, "#N/A", " x "]
    names = [f"c{number}" for number in range(len(values))]
    table = reading(workbook([names, values]), names)
    shown = ["007", "17850", "1.5", "0.3", "100000000000000000000", "true", "2024-01-02", "2024-01-02 03:04:05"]
    assert reading.rows(table) == [(*shown, "03:04:00", None, "#N/A", " x ", "t.xlsx", 1)]


def test_blank_rows_are_no_records_but_rows_are_where_excel_shows_them(reading, workbook):
    table = reading(workbook([["id", "x"], [1, "a"], [None, None], [2, "b"]]), ["x", "id"])
    assert reading.rows(table) == [("a", "1", "t.xlsx", 1), ("b", "2", "t.xlsx", 3)]


def test_a_sheet_is_chosen_by_name(reading, workbook):
    rows = [["id"], [7]]
    assert reading.rows(reading(workbook(rows, "订单", sheet="订单"), ["id"]))[0][0] == "7"
    with pytest.raises(SourceError, match=r"no sheet '订购'.*the sheets are Sheet, 订单"):
        reading(workbook(rows, "订单", sheet="订购"), ["id"])
    with pytest.raises(SourceError, match=r"t\.xlsx: the sheet is empty"):
        reading(workbook(rows, "订单"), ["id"])


def test_without_header_columns_are_numbered(reading, workbook):
    origin = workbook([[1, "a"], [2, "b"]], header=False)
    assert column_names(origin) == ["column_1", "column_2"]
    assert reading.rows(reading(origin, ["column_2"])) == [("a", "t.xlsx", 1), ("b", "t.xlsx", 2)]


@pytest.mark.parametrize("content", [b"", b"id,x\n1,2\n"])
def test_a_file_that_is_no_workbook_is_an_error(reading, tmp_path, content):
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(SourceError, match=r"t\.xlsx: (empty file|no \.xlsx workbook)"):
        reading(Origin("excel", (tmp_path / "t.xlsx",)), ["id"])
