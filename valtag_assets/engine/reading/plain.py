"""Text files as plain UTF-8: unzipped, decoded, bad bytes marked. Streamed; nothing is held whole.

A byte that the declared encoding can't decode becomes a lone surrogate (U+DC00 + byte), written in the form
strict UTF-8 forbids. So a bad byte is visible to every later reader as invalid UTF-8, in exactly the record
it stands in, and the original byte can still be told.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from valtag_assets.engine.reading.origin import Origin, SourceError

BLOCK = 1 << 22
_BOM = codecs.BOM_UTF8
_GZIP = b"\x1f\x8b"
_CANDIDATES = ("utf-8", "utf-16", "gb18030", "big5")
_MARKED = re.compile("[\udc00-\udcff]")


@dataclass
class BadBytes:
    """Where the first byte stands that can't be decoded; None as long as all can."""

    first: int | None = None


def is_zipped(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def blocks(path: Path, label: str, size: int = BLOCK) -> Iterator[bytes]:
    """The bytes of a file, unzipped if it is gzip (told by its content, not by its name)."""
    zipped = is_zipped(path)
    with cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb") as stream:
        try:
            while block := stream.read(size):
                yield block
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{label}: the gzip file is damaged or cut ({error}); fetch it again") from error


def decoded(origin: Origin, path: Path, bad: BadBytes, size: int = BLOCK) -> Iterator[bytes]:
    """The file as UTF-8 with LF or CR LF line ends, without byte order mark, bad bytes marked.

    ``bad`` learns of the first bad byte, except in a file declared as UTF-8, whose bytes pass as they are.
    """
    parts = _as_utf8(origin, path, bad, size)
    first = next(parts, b"").removeprefix(_BOM)
    only_returns = b"\r" in first and b"\n" not in first  # line ends of the old Mac
    for part in chain([first], parts):
        yield part.replace(b"\r", b"\n") if only_returns else part


def _as_utf8(origin: Origin, path: Path, bad: BadBytes, size: int) -> Iterator[bytes]:
    parts = blocks(path, origin.label(path), size)
    if _is_utf8(origin.encoding):
        yield from parts
        return
    codecs.register_error("valtag.mark", _mark)
    make = codecs.getincrementaldecoder(origin.encoding)
    decoder = make("valtag.mark")
    fed = 0
    for block in chain(parts, [b""]):  # the empty block says that the file ends
        state = decoder.getstate()
        text = decoder.decode(block, final=not block)
        if bad.first is None and _MARKED.search(text):
            bad.first = fed - len(state[0]) + _first_error(make(), state, block)
        fed += len(block)
        if text:
            yield text.encode("utf-8", "surrogatepass")


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _first_error(strict: codecs.IncrementalDecoder, state: tuple, block: bytes) -> int:
    strict.setstate(state)
    try:
        strict.decode(block, final=not block)
    except UnicodeDecodeError as error:
        return error.start
    return 0


def first_invalid(origin: Origin, path: Path) -> int | None:
    """Where the first byte stands (from 0, unzipped) that the declared encoding can't decode."""
    bad = BadBytes()
    if not _is_utf8(origin.encoding):
        for _ in decoded(origin, path, bad):
            if bad.first is not None:
                return bad.first
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    fed = 0
    for block in chain(blocks(path, origin.label(path)), [b""]):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return fed - pending + error.start
        fed += len(block)
    return None


def plain_file(origin: Origin, path: Path, into: Path) -> Path:
    """A plain UTF-8 form of ``path``: the file itself where it is one already, else a file in ``into``.

    The file itself may start with a byte order mark and may hold bad bytes. Raises SourceError for an empty
    file.
    """
    with path.open("rb") as stream:
        head = stream.read(BLOCK)
    if not head.removeprefix(_BOM):
        raise empty_file(origin, path)
    only_returns = b"\r" in head and b"\n" not in head
    if _is_utf8(origin.encoding) and not only_returns and not head.startswith(_GZIP):
        return path
    target = into / "plain.txt"
    with target.open("wb") as out:
        for block in decoded(origin, path, BadBytes()):
            out.write(block)
    if target.stat().st_size == 0:
        raise empty_file(origin, path)
    return target


def empty_file(origin: Origin, path: Path) -> SourceError:
    return SourceError(f"{origin.label(path)}: empty file; export it again, or take it out of the folder")


def readable(raw: bytes) -> str:
    """Raw bytes of a broken record as text; each byte that is no text is written ``\\xNN``."""
    try:
        text = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace")
    text = _MARKED.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def wrong_encoding(origin: Origin, path: Path, first: int | None, records: str) -> SourceError:
    """The error for a file that is not in its declared encoding; names an encoding that fits, if one does."""
    head = next(blocks(path, origin.label(path), 1 << 20))
    fits = [name for name in _CANDIDATES if name != codecs.lookup(origin.encoding).name and _decodes(head, name)]
    advice = (
        f"its first 1 MB decodes as {' or '.join(fits)}: set read.encoding"
        if fits
        else ("no usual encoding (utf-8, utf-16, gb18030, big5) decodes it: export the file again as UTF-8")
    )
    where = f", first at byte {first}" if first is not None else ""
    return SourceError(f"{origin.label(path)}: not {origin.encoding} ({records}{where}); {advice}")


def _decodes(head: bytes, encoding: str) -> bool:
    # Without its mark nearly everything is valid UTF-16, so the mark is asked for.
    if encoding == "utf-16" and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
