"""JSON lines: one object a line, gzip or not; every wanted key as text.

Numbers are taken as written (no digit is lost, 1.10 stays 1.10), true and false as these words, nested values
as JSON text, null and a missing key as null. Of a key that stands twice in an object the last one counts. A
line that is no JSON object goes to ``broken``. A key that is in no record of any file is an error, since a
mistyped name would look the same. Blank lines are no records.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from valtag_assets.engine.reading.origin import Origin, SourceError, match_columns
from valtag_assets.engine.reading.plain import (
    BadBytes,
    decoded,
    first_invalid,
    plain_file,
    readable,
    wrong_encoding,
)
from valtag_assets.engine.reading.tables import Output, write_texts

TOLERATED = 1000  # one undecodable record in so many is damage; more is a wrong encoding
_LOOKED_AT = 1000  # records read to learn the keys


class _Number(str):
    """A number as written, inside a nested value."""


def _constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


_PLAIN = {str, type(None)}
_flat = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_constant)
_nested = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_constant)


def json_columns(origin: Origin, path: Path) -> list[str]:
    """The keys of the first 1,000 readable records of a file, in order of appearance."""
    keys: dict[str, None] = {}
    for line in islice(_lines(decoded(origin, path, BadBytes(), 1 << 16)), _LOOKED_AT):
        try:
            found = _flat.decode(line.decode())
        except ValueError:
            continue  # reading reports it with its line; here only names are asked for
        if isinstance(found, dict):
            keys.update(dict.fromkeys(found))
    return list(keys)


def read_json_lines(origin: Origin, path: Path, columns: Sequence[str], output: Output) -> set[str]:
    """Read one file into ``output``; the wanted keys that some record of it has."""
    plain = plain_file(origin, path, output.into)
    reader = _Reader(origin, path, columns, output)
    output.accepted += write_texts(output.part(), origin.label(path), columns, reader.rows(plain))
    if reader.undecodable * TOLERATED > reader.row:
        first = first_invalid(origin, path)
        count = f"{reader.undecodable} of {reader.row} records can't be decoded"
        raise wrong_encoding(origin, path, first, count)
    if plain != path:
        plain.unlink()
    return reader.seen


def check_keys(origin: Origin, columns: Sequence[str], seen: set[str], rows: int) -> None:
    """SourceError if records were read and none has a wanted key."""
    if rows and not set(columns) <= seen:
        present = list(dict.fromkeys(key for path in origin.paths[:10] for key in json_columns(origin, path)))
        # A name that differs by spaces only is a mistake here: JSON keys are exact.
        exact = [key for key in present if key in columns or key.strip() not in columns]
        match_columns(columns, exact, ", ".join(origin.label(path) for path in origin.paths[:3]))
        raise SourceError(f"{origin.label(origin.paths[0])}: no readable record has {set(columns) - seen}")


class _Reader:
    def __init__(self, origin: Origin, path: Path, columns: Sequence[str], output: Output):
        self.row = 0
        self.undecodable = 0
        self.seen: set[str] = set()
        self._label = origin.label(path)
        self._encoding = origin.encoding
        self._columns = columns
        self._output = output

    def rows(self, plain: Path) -> Iterator[tuple[int, list[str | None]]]:
        decode, columns = _flat.decode, self._columns
        missing = set(columns)
        with plain.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if not (body := raw.strip()):
                    continue
                self.row += 1
                try:
                    text = body.decode()
                    found = decode(text)
                    if found.__class__ is not dict:
                        raise ValueError("the line is no JSON object")
                    values = [found.get(name) for name in columns]
                    if not _PLAIN.issuperset(map(type, values)):
                        values = _as_texts(text, columns)
                    if "\\u" in text:
                        "".join(filter(None, values)).encode()
                except (ValueError, RecursionError) as error:
                    self._break(number, body, error)
                    continue
                if missing:
                    self.seen.update(missing.intersection(found))
                    missing -= self.seen
                yield self.row, values

    def _break(self, line: int, body: bytes, error: Exception) -> None:
        reason = str(error)
        if isinstance(error, UnicodeDecodeError):
            self.undecodable += 1
            reason = f"holds bytes that are no {self._encoding}, first at byte {error.start} of the record"
        elif isinstance(error, UnicodeEncodeError):
            reason = "holds half of a surrogate pair, which is no character"
        elif isinstance(error, RecursionError):
            reason = "is nested too deeply"
        self._output.broken(self._label, self.row, line, readable(body), reason)


def _as_texts(text: str, columns: Sequence[str]) -> list[str | None]:
    found = _nested.decode(text)
    return [_text(found.get(name)) for name in columns]


def _text(value: Any) -> str | None:
    if value is None or value.__class__ is str:
        return value
    return str(value) if isinstance(value, _Number) else _write(value)


def _write(value: Any) -> str:
    """JSON text of a nested value, numbers as they were written."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        inner = (f"{json.dumps(key, ensure_ascii=False)}: {_write(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_write(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest
