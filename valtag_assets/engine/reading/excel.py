"""Excel sheets, row by row: every cell as text.

Whole numbers have no ``.0``, others the 15 digits Excel shows; dates and times are ISO text, a date cell
without a time of day just the date; true and false are these words; a formula gives the value Excel saved; an
empty cell is null. The first row that is not blank holds the names. ``_row`` counts sheet rows behind it, and
blank rows, which are no records, count too: so ``_row`` plus the header's row is the row that Excel shows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from valtag_assets.engine.reading.origin import Origin, SourceError, did_you_mean, match_columns
from valtag_assets.engine.reading.tables import Output, write_texts

Cells = Sequence[Any]


def excel_columns(origin: Origin, path: Path) -> list[str]:
    with _rows(origin, path) as rows:
        return _names(origin, path, rows)[0]


def read_excel(origin: Origin, path: Path, columns: Sequence[str], output: Output) -> None:
    """Read one workbook's sheet into ``output``."""
    label = origin.label(path)
    with _rows(origin, path) as rows:
        names, records = _names(origin, path, rows)
        at = match_columns(columns, names, label)
        texts = (
            (number, [_text(cells[i]) if i < len(cells) else None for i in at])
            for number, cells in enumerate(records, 1)
            if not _blank(cells)
        )
        output.accepted += write_texts(output.part(), label, columns, texts)


def excel_sheets(path: Path) -> list[str]:
    """The sheets of a workbook, in order."""
    with _book(path, path.name) as book:
        return list(book.sheetnames)


@contextmanager
def _book(path: Path, label: str) -> Iterator[openpyxl.Workbook]:
    if path.stat().st_size == 0:
        raise SourceError(f"{label}: empty file; export it again, or take it out of the folder")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError) as error:
        raise SourceError(f"{label}: no .xlsx workbook ({error}); open it and save it as .xlsx") from error
    try:
        yield book
    finally:
        book.close()


@contextmanager
def _rows(origin: Origin, path: Path) -> Iterator[Iterator[Cells]]:
    label = origin.label(path)
    with _book(path, label) as book:
        if origin.sheet is not None and origin.sheet not in book.sheetnames:
            near = did_you_mean(origin.sheet, book.sheetnames)
            raise SourceError(
                f"{label}: no sheet '{origin.sheet}'{near}; the sheets are {', '.join(book.sheetnames)}"
            )
        sheet = book[origin.sheet] if origin.sheet is not None else book.worksheets[0]
        sheet.reset_dimensions()  # some programs write a wrong size, and rows would be missed
        yield iter(sheet.iter_rows())


def _names(origin: Origin, path: Path, rows: Iterator[Cells]) -> tuple[list[str], Iterator[Cells]]:
    """The column names, and the rows of the records."""
    for cells in rows:
        if _blank(cells):
            continue
        if origin.header:
            return [_text(cell) or "" for cell in cells], rows
        return [f"column_{number}" for number in range(1, len(cells) + 1)], chain([cells], rows)
    raise SourceError(f"{origin.label(path)}: the sheet is empty; name another one with read.sheet")


def _blank(cells: Cells) -> bool:
    return all(cell.value is None for cell in cells)


def _text(cell: Any) -> str | None:
    value = cell.value
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = format(Decimal(format(value, ".15g")), "f")
        return text.removesuffix(".0")
    if isinstance(value, datetime):
        day_only = value.time() == time() and "h" not in str(cell.number_format).lower()
        return value.date().isoformat() if day_only else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)
