"""What a file is, told by its bytes: format, encoding, delimiter, and whether it has a header."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from valtag_assets.engine.reading.origin import Format, Origin, SourceError
from valtag_assets.engine.reading.plain import blocks, first_invalid
from valtag_assets.spec.block import Title

_HEAD = 1 << 20  # bytes looked at
_RECORDS = 200
_DELIMITERS = (",", "\t", ";", "|", "^", "\x01")
_MAGIC: tuple[tuple[bytes, int, Format], ...] = (
    (b"PAR1", 0, "parquet"),
    (b"PK\x03\x04", 0, "excel"),
    (b"SQLite format 3\0", 0, "sqlite"),
    (b"DUCK", 8, "duckdb"),
)
_PLAIN_VALUE = re.compile(r"[-+]?[\d.,:/ -]*\d[\d.,:/ -]*")


@dataclass(frozen=True)
class Sniffed:
    """``ascii``: the head holds nothing else, so any encoding of the same table will do. ``headless``: why the first
    record is taken for values and not for names."""

    format: Format
    encoding: str = "utf-8"
    delimiter: str | None = None
    headless: Title | None = None
    ascii: bool = False

    @property
    def header(self) -> bool:
        return self.headless is None


def sniff(path: Path, named: Format | None) -> Sniffed:
    """What the file is; ``named`` is what its suffix says, which counts for text only.

    SourceError: an empty or damaged file, or one that is no table.
    """
    head = next(blocks(path, path.name, _HEAD), b"")
    if not head.strip():
        raise SourceError(f"{path.name}: empty file; export it again, or take it out of the folder")
    for magic, at, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return Sniffed(kind)
    if named not in ("csv", "tsv", "jsonl", None):
        raise SourceError(f"{path.name}: is called a {named} file, but its content is none; export it again")
    encoding = _encoding(path, head)
    ascii_only = encoding == "utf-8" and head.isascii()
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")
    if named == "jsonl" or (named is None and text.lstrip().startswith("{")):
        return Sniffed("jsonl", encoding, ascii=ascii_only)
    if "\0" in text[:10_000]:
        raise SourceError(f"{path.name}: is no text and no format that is read here")
    delimiter = _delimiter(text)
    default = "\t" if named == "tsv" else ","
    kind = "tsv" if named == "tsv" else "csv"
    shown = None if delimiter == default else delimiter
    return Sniffed(kind, encoding, shown, _headless(text, delimiter), ascii_only)


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    for name, zero in (("utf-16-le", 1), ("utf-16-be", 0)):
        if head[zero:2000:2].count(0) > 0.4 * len(head[zero:2000:2]):
            return name
    wrong = first_invalid(Origin("csv", (path,)), path)
    if wrong is None:
        return "utf-8"
    # A few bad bytes in UTF-8 are damage; text in another encoding is wrong all over.
    bad = len(head) - len(head.decode("utf-8", "ignore").encode())
    if head.isascii() or bad * 1000 > len(head) or not _reads(head, "utf-8"):
        fitting = [(_plausible(head, name), name) for name in ("gb18030", "big5") if _reads(head, name)]
        if fitting and (bad * 200 > len(head) or head.isascii() or bad > 20):
            return max(fitting, key=lambda item: (item[0] > 0.9, item[0]))[1]
        if not fitting and bad * 200 > len(head):
            return "cp1252"
    return "utf-8"


def _reads(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _plausible(head: bytes, encoding: str) -> float:
    """The share of the characters beyond ASCII that people use: those of GB 2312, or the first plane of Big5."""
    text = codecs.getincrementaldecoder(encoding)("ignore").decode(head)
    beyond = [char for char in text[:20_000] if ord(char) > 127]
    if encoding == "big5":
        used = sum(0xA1 <= char.encode("big5", "replace")[0] <= 0xC6 for char in beyond)
    else:
        used = sum(char.encode("gb2312", "ignore") != b"" for char in beyond)
    return used / len(beyond) if beyond else 1.0


def _delimiter(text: str) -> str:
    """The delimiter by which most records have as many fields as the first, and more than one."""
    best, most = ",", (0.0, 1)
    for delimiter in _DELIMITERS:
        widths = [len(record) for record in _records(text, delimiter)]
        if not widths or widths[0] < 2:
            continue
        agreeing = sum(width == widths[0] for width in widths) / len(widths)
        if (round(agreeing, 1), widths[0]) > most:
            best, most = delimiter, (round(agreeing, 1), widths[0])
    return best


def _records(text: str, delimiter: str) -> list[list[str]]:
    lines = text.splitlines(keepends=True)
    whole = lines[:-1] if len(text) >= _HEAD // 4 and len(lines) > 1 else lines
    csv.field_size_limit(1 << 27)
    try:
        reader = csv.reader(io.StringIO("".join(whole[: 5 * _RECORDS])), delimiter=delimiter)
        return [record for record in islice(reader, _RECORDS) if record]
    except csv.Error:
        return []


def _headless(text: str, delimiter: str) -> Title | None:
    """Why a file has no header, None where it has one: names are no numbers or dates, and hardly any stands twice."""
    records = _records(text, delimiter)
    first = [cell.strip() for cell in records[0]] if records else []
    values = [cell for cell in first if _PLAIN_VALUE.fullmatch(cell)]
    if values:
        # The value itself may be somebody's.
        zh = f"首行第 {first.index(values[0]) + 1} 列是数字或日期"
        en = f"column {first.index(values[0]) + 1} of the first line is a number or date"
    elif first and len(set(first)) <= len(first) // 2:
        zh = f"首行 {len(first)} 列只有 {len(set(first))} 个不同的名字（乱码？）"
        en = f"the first line has {len(set(first))} different names for {len(first)} columns (garbled?)"
    else:
        return None
    return Title(
        zh=f"{zh}：按无表头读取，列以编号命名；若首行是表头，请改正后重新导出",
        en=f"{en}: read as a file without names, columns are numbered; if it does hold names, put them right and "
        "export again",
    )
