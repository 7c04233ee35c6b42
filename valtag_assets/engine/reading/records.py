"""The records of delimited text, found without trusting anybody: which bytes are one, which are broken.

A record is what RFC 4180 calls one, with the freedoms real exports take: any delimiter, LF, CR LF or CR CR LF
ends in any mix, spaces around quoted values, quotes inside unquoted values (``5" screen``) as plain text.
DuckDB reads the values, in parallel, but only of files whose every record was found sound here: on damaged
text its parser may swallow rows, shift them, or stop (measured on 1.5.5).
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from valtag_assets.engine.reading.origin import SourceError
from valtag_assets.engine.reading.plain import BLOCK, readable

LONGEST = 2_000_000  # bytes; a longer record is broken, most likely by a quote that never ends
MOST_WITHOUT_LINE_END = 1 << 26  # bytes; such a file is no table
_RUN = 1 << 15  # bytes looked at in one go
_LF, _CR = 10, 13


@dataclass(frozen=True)
class Shape:
    """How the text is laid out: ``fields`` per record; delimiter and quote as UTF-8 ("" for no quoting)."""

    delimiter: bytes
    quote: bytes
    fields: int
    header: bool


@dataclass(frozen=True)
class Broken:
    """One unreadable record: its number in the file and its first line, both from 1."""

    row: int
    line: int
    text: str
    reason: str
    undecodable: bool = False


@dataclass(frozen=True)
class Sound:
    """Records that can be read, from number ``row`` on, each ended by one LF."""

    row: int
    records: int
    text: bytes


class Irregular(Exception):
    """The text needs the careful reader: something in it is outside the plain form of RFC 4180."""


@dataclass(frozen=True)
class Block:
    """The whole records at the start of some bytes: how many, where they end, and how their lines do."""

    records: int
    end: int
    returns: np.ndarray  # positions of the carriage returns of CR LF line ends; empty for LF
    inner_lines: bool  # CR or LF inside quotes


def count_regular(path: Path, shape: Shape) -> tuple[int, bool]:
    """(records with the header, lines end in CR LF) of a file that DuckDB reads rightly; else Irregular.

    That is: regular records (see ``regular_block``), one kind of line end throughout, and none inside the
    quotes of a CR LF file (DuckDB 1.5.5 then takes the wrong one for the line end and may return nothing at
    all). About 0.4 GB/s on one core.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    records = 0
    crlf: bool | None = None
    with path.open("rb") as stream:
        rest = unchecked = stream.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
        ended = False
        while not ended:
            piece = stream.read(BLOCK)
            ended = not piece
            try:
                decoder.decode(unchecked + piece, final=ended)
            except UnicodeDecodeError as error:
                raise Irregular from error
            unchecked = b""
            rest += piece
            if ended and rest:
                rest += b"\r\n" if crlf else b"\n"
            block = regular_block(rest, shape)
            if block.records:
                returns = bool(len(block.returns))
                if crlf not in (None, returns) or (returns and block.inner_lines):
                    raise Irregular
                crlf = returns
            records += block.records
            rest = rest[block.end :]
            if len(rest) > LONGEST:
                raise Irregular
    if rest:
        raise Irregular
    return records, bool(crlf)


def regular_block(block: bytes, shape: Shape) -> Block:
    """The whole records in a block that starts with one, if all are plain RFC 4180; else Irregular.

    Plain: no blank line, every quote opens, doubles or closes where RFC 4180 allows, every record has all its
    fields, all line ends are alike. Vectorised: looks at each byte but runs no loop in Python. The bytes are
    not checked to be UTF-8.
    """
    if len(shape.delimiter) != 1:
        raise Irregular
    data = np.frombuffer(block, np.uint8)
    every = lines = np.flatnonzero(data == _LF)
    delimiters = np.flatnonzero(data == shape.delimiter[0])
    all_returns = returns = np.flatnonzero(data == _CR) if b"\r" in block else np.empty(0, np.int64)
    if shape.quote and shape.quote in block:
        quotes = np.flatnonzero(data == shape.quote[0])
        lines = _outside(lines, quotes)
        end = int(lines[-1]) + 1 if len(lines) else 0
        _check_quotes(data, quotes[: np.searchsorted(quotes, end)], shape)
        delimiters, returns = _outside(delimiters, quotes), _outside(returns, quotes)
    if not len(lines):
        return Block(0, 0, returns[:0], False)
    end = int(lines[-1]) + 1
    returns = returns[: np.searchsorted(returns, end)]
    # Each carriage return stands before its own line end, and each line end has one, or none has.
    if len(returns) and not np.array_equal(returns + 1, lines):
        raise Irregular
    lengths = np.diff(lines, prepend=-1) - 1 - bool(len(returns))
    if not lengths.all() or lengths.max() > LONGEST:
        raise Irregular
    upto = np.searchsorted(delimiters, lines)
    if (np.diff(upto, prepend=0) != shape.fields - 1).any():
        raise Irregular
    inner = np.searchsorted(every, end) > len(lines) or np.searchsorted(all_returns, end) > len(returns)
    return Block(len(lines), end, returns, bool(inner))


def _outside(positions: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """The positions with an even number of quotes before them."""
    return positions[np.searchsorted(quotes, positions) % 2 == 0]


def _check_quotes(data: np.ndarray, quotes: np.ndarray, shape: Shape) -> None:
    """Quotes alternate: the even ones must open a value (or double one), the odd ones close it."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = data[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | (before == shape.delimiter[0]) | (before == _LF)
    doubles = np.zeros(len(opening), bool)
    doubles[1:] = opening[1:] == closing[: len(opening) - 1] + 1
    after = data[np.minimum(closing + 1, len(data) - 1)]
    closes = (after == shape.delimiter[0]) | (after == _LF) | (after == _CR) | (after == shape.quote[0])
    if not ((opens | doubles).all() and closes.all()):
        raise Irregular


class RecordReader:
    """Reads any text record by record: sound ones as bytes, others as ``Broken``.

    A record with an ill-placed quote is broken as that *one line*, and reading goes on with the next line, so
    a quote that never ends can't swallow what follows. A well-formed record of several lines with a wrong
    number of fields is one broken record. Blank lines are no records.
    """

    def __init__(self, shape: Shape, encoding: str, label: str):
        delimiter, quote = re.escape(shape.delimiter), re.escape(shape.quote)
        value = b"(?:(?!%s)[^\\r\\n])*+" % delimiter if len(shape.delimiter) > 1 else b"[^%s\\r\\n]*+" % delimiter
        if shape.quote:
            space = b"" if shape.delimiter == b" " else b" *+"
            inside = b"(?:[^%s]|%s%s)*+" % (quote, quote, quote)
            value = b"(?:%s%s%s%s%s|(?!%s%s)%s)" % (space, quote, inside, quote, space, space, quote, value)
        self._record = re.compile(b"%s(?:%s%s)*+(?=\\r*+(?:\\n|\\Z))" % (value, delimiter, value))
        self._value = re.compile(b"(%s)(%s|\\Z)" % (value, delimiter))
        self._shape = shape
        self._encoding = encoding
        self._label = label

    def read(self, path: Path) -> Iterator[Sound | Broken]:
        """The records behind the header, in order."""
        row, line, headed = 1, 1, not self._shape.header
        with path.open("rb") as stream:
            buffer, at, ended = stream.read(BLOCK).removeprefix(codecs.BOM_UTF8), 0, False
            while at < len(buffer) or not ended:
                # A record ends well before the buffer does, unless the file itself ends.
                if not ended and (len(buffer) - at <= 2 * LONGEST or buffer.find(b"\n", at) < 0):
                    if len(buffer) - at > MOST_WITHOUT_LINE_END:
                        raise SourceError(f"{self._label}: 64 MB without a line end; this is no text table")
                    piece = stream.read(BLOCK)
                    buffer, at, ended = buffer[at:] + piece, 0, not piece
                    continue
                if headed and (run := self._run(buffer[at : at + _RUN], row)):
                    found, length = run
                    yield found
                    row += found.records
                    line += buffer.count(b"\n", at, at + length)
                    at += length
                    continue
                # Something in this stretch is out of order: look at each record.
                stop = min(at + _RUN, len(buffer)) if headed else at + 1
                while at < stop and (ended or buffer.find(b"\n", at) >= 0):
                    end, reason = self._one(buffer, at)
                    raw = buffer[at:end]
                    if raw.strip(b"\r\n"):
                        if headed:
                            yield self._judge(row, line, raw, reason)
                        row, headed = row + headed, True
                    line += raw.count(b"\n")
                    at = end

    def _run(self, stretch: bytes, row: int) -> tuple[Sound, int] | None:
        """The regular records at the start of ``stretch`` and their length; None if one of them is not."""
        try:
            block = regular_block(stretch, self._shape)
            whole = stretch[: block.end]
            whole.decode()
        except (Irregular, UnicodeDecodeError):
            return None
        if not block.records:
            return None
        if len(block.returns):
            whole = np.delete(np.frombuffer(whole, np.uint8), block.returns).tobytes()
        return Sound(row, block.records, whole), block.end

    def first(self, head: bytes, whole: bool) -> list[str] | None:
        """The values of the first record; None if ``head``, the start of a file, holds no whole record.

        ``whole``: the file ends with ``head``. SourceError if the record is malformed.
        """
        at = len(head) - len(head.lstrip(b"\r\n"))
        found = self._record.match(head, at)
        ended = found is not None and (whole or found.end() < head.rfind(b"\n"))
        if at == len(head) or (not ended and not whole and len(head) <= LONGEST):
            return None
        if found is None:
            raise SourceError(f"{self._label}: the first record has a quoted value that does not end properly")
        return self.split(head[at : found.end()])

    def _one(self, buffer: bytes, at: int) -> tuple[int, str | None]:
        """Where the record at ``at`` ends (behind its line end), and why it is broken, if its form is."""
        newline = buffer.find(b"\n", at)
        stop = len(buffer) if newline < 0 else newline + 1
        line = buffer[at:stop]
        if not (self._shape.quote and self._shape.quote in line):
            if b"\r" in line.rstrip(b"\r\n"):
                return stop, "a carriage return stands outside quotes"
            return (stop, None) if len(line) <= LONGEST else (stop, _too_long(line))
        found = self._record.match(buffer, at, min(at + LONGEST, len(buffer)))
        if found and (found.end() < at + LONGEST or found.end() == len(buffer)):
            newline = buffer.find(b"\n", found.end())
            return len(buffer) if newline < 0 else newline + 1, None
        if b"\r" in line.rstrip(b"\r\n") and self._record.match(line.rstrip(b"\r\n").replace(b"\r", b" ")):
            return stop, "a carriage return stands outside quotes"
        return stop, "a quoted value does not end, or text follows its closing quote"

    def _judge(self, row: int, line: int, raw: bytes, reason: str | None) -> Sound | Broken:
        body = raw.rstrip(b"\r\n") if reason is None else raw.removesuffix(b"\n").removesuffix(b"\r")
        undecodable = False
        try:
            body.decode()
        except UnicodeDecodeError as error:
            undecodable = True
            reason = f"holds bytes that are no {self._encoding}, first at byte {error.start} of the record"
        if reason is None:
            fields = self.count(body)
            if fields == self._shape.fields:
                return Sound(row, 1, body + b"\n")
            reason = f"has {fields} fields instead of {self._shape.fields}"
        return Broken(row, line, readable(body), reason, undecodable)

    def count(self, body: bytes) -> int:
        """The number of fields of a well-formed record."""
        if not (self._shape.quote and self._shape.quote in body):
            return body.count(self._shape.delimiter) + 1
        return len(self.split(body))

    def split(self, body: bytes) -> list[str]:
        """The values of a well-formed record."""
        values, at = [], 0
        while found := self._value.match(body, at):
            values.append(self._plain(found.group(1)))
            if not found.group(2):
                return values
            at = found.end()
        raise ValueError("not a well-formed record")

    def _plain(self, raw: bytes) -> str:
        quote = self._shape.quote
        bare = raw.strip(b" ")
        if quote and bare.startswith(quote):
            raw = bare[len(quote) : -len(quote)].replace(quote + quote, quote)
        return raw.decode()


def _too_long(line: bytes) -> str:
    return f"is {len(line):,} bytes long; the longest record read is {LONGEST:,}"
