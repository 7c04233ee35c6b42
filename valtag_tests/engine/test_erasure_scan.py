"""The proof looks into what is packed, and says what it could not look into."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from valtag_assets.engine.erasure import packed
from valtag_assets.engine.erasure.scan import Scanned, scan
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.rewriting import Whose

PHONE = "13877770070"
TEXT = f"call {PHONE} again".encode()


def scanned(folder: Path) -> Scanned:
    return scan([folder], Marks.of([], [PHONE]), lambda *_: Whose(()))


def zipped(content: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nothing.txt", b"nothing")
        archive.writestr("a/b.txt", content)
    return into.getvalue()


def test_what_is_packed_is_looked_into_also_one_in_the_other(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["phone", PHONE])  # type: ignore[union-attr]
    book.save(tmp_path / "list.xlsx")
    for name, content in (
        ("a.gz", gzip.compress(TEXT)),
        ("b.bz2", bz2.compress(TEXT)),
        ("c.xz", lzma.compress(bytes(5000) + TEXT * 20)),
        ("d.zip", zipped(TEXT)),
        ("e.log", gzip.compress(zipped(gzip.compress(TEXT)))),
        ("f.zip", zipped(b"13877770071")),
    ):
        (tmp_path / name).write_bytes(content)
    found = scanned(tmp_path)
    told = {hit.file.name: hit.how for hit in found.hits}
    assert told == dict.fromkeys(["a.gz", "b.bz2", "c.xz", "d.zip", "e.log", "list.xlsx"], "packed in it")
    assert (found.files, found.closed) == (7, ())


def test_what_can_not_be_looked_into_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = TEXT
    for _ in range(5):
        deep = gzip.compress(deep)
    locked = bytearray(zipped(TEXT))
    for start in (b"PK\x03\x04", b"PK\x01\x02"):  # the flag of a password, in the file's head and in the list
        place = locked.find(start, 0)
        while place >= 0:
            locked[place + (6 if start == b"PK\x03\x04" else 8)] |= 1
            place = locked.find(start, place + 4)
    for name, content in (
        ("deep.gz", deep),
        ("cut.gz", gzip.compress(TEXT * 1000)[:60]),
        ("cut.zip", zipped(TEXT)[:-30]),
        ("locked.zip", bytes(locked)),
        ("strange.7z", b"7z\xbc\xaf\x27\x1c" + bytes(30)),
        ("bomb.gz", gzip.compress(bytes(5_000_000))),
    ):
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(packed, "MOST_BYTES", 2_000_000)
    found = scanned(tmp_path)
    names = ["bomb.gz", "cut.gz", "cut.zip", "deep.gz", "locked.zip", "strange.7z"]
    assert [file.name for file in found.closed] == names and found.hits == ()
