"""What is packed in a file, as streams of bytes: zip (and so xlsx), gzip, bzip2 and xz, one inside the other, too."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

DEEPEST = 3
MOST_BYTES = 8 << 30
"""So much of one file is unpacked at most: a small file may be packed so that it never ends."""
_HEAD = 8
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_SINGLE: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
# 7z, RAR, Zstandard.
_STRANGE = (b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd")
_BROKEN = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Closed(Exception):
    """A packed file that can't be looked into: with a password, damaged, of another kind, or packed too often."""


def unpacked(stream: IO[bytes], depth: int = DEEPEST) -> Iterator[IO[bytes]]:
    """Everything packed in the file, each as a stream to be read before the next; nothing of a file that is none.

    Closed where it, or something in it, can't be read.
    """
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_STRANGE):
        raise Closed
    single = next((unpack for magic, unpack in _SINGLE.items() if head.startswith(magic)), None)
    if single is None and not head.startswith(_ZIP):
        return
    if depth == 0:
        raise Closed
    try:
        if single is not None:
            yield from _all_of(single(stream), depth)
            return
        with zipfile.ZipFile(stream) as packed:
            for name in packed.infolist():
                with packed.open(name) as member:
                    yield from _all_of(cast(IO[bytes], member), depth)
    except _BROKEN as error:
        raise Closed from error


def _all_of(member: IO[bytes], depth: int) -> Iterator[IO[bytes]]:
    yield cast(IO[bytes], _Bounded(member))
    member.seek(0)
    yield from unpacked(member, depth - 1)


class _Bounded:
    """A stream that is Closed where it can't be read, or when more than ``MOST_BYTES`` were read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, MOST_BYTES

    def read(self, size: int) -> bytes:
        try:
            block = self._stream.read(size)
        except _BROKEN as error:
            raise Closed from error
        self._left -= len(block)
        if self._left < 0:
            raise Closed
        return block
