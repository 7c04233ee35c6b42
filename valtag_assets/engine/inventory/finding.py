"""Which tables a company's files and databases hold: formats told by content, files of one table put together."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from valtag_assets.engine.inventory.sniffing import Sniffed, sniff
from valtag_assets.engine.reading.database import database_tables
from valtag_assets.engine.reading.excel import excel_sheets
from valtag_assets.engine.reading.origin import Format, Origin, SourceError, resolve_paths
from valtag_assets.engine.reading.read import column_names
from valtag_assets.spec import source
from valtag_assets.spec.block import Title

SUFFIXES: Mapping[str, Format] = {**source.SUFFIXES, ".txt": "csv"}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
# What files of one table are called that was cut into parts, as for a model.
_PARTS = ["train", "training", "valid", "validation", "test", "testing", "holdout", "训练集", "验证集", "测试集"]
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Place:
    """One table where it lies: its ``origin``, the ``name`` it goes by, and its ``columns`` as they are called.

    ``pattern``: the file or glob that names exactly the origin's files; None for PostgreSQL. ``notes``: how its files
    were taken, where that could be otherwise.
    """

    name: str
    origin: Origin
    columns: tuple[str, ...]
    pattern: str | None
    notes: tuple[Title, ...] = ()

    @property
    def label(self) -> str:
        """How people know it: the file or glob, and the sheet or table in it."""
        inner = self.origin.sheet or self.origin.table
        where = Path(self.pattern).name if self.pattern else f"PostgreSQL {self.origin.url_env}"
        return f"{where} · {inner}" if inner else where


@dataclass
class Found:
    """The tables of the sources asked for, and what could not be read, with the reason."""

    places: list[Place] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def find_places(sources: Iterable[str], base: Path) -> Found:
    """The tables that ``sources`` name.

    A source is a file, a glob, a folder (with all below it), ``file.duckdb:table``, ``file.sqlite:table``,
    ``file.xlsx:sheet``, or ``postgres:VARIABLE[:table]``, where the environment variable holds the URL. Relative to
    ``base``. SourceError: a source that names nothing at all.
    """
    found = Found()
    files: list[Path] = []
    for asked in sources:
        if asked.startswith("postgres:"):
            _, variable, table = (*asked.split(":", 2), "")[:3]
            _add_tables(found, Origin("postgres", (), url_env=variable), table, None)
            continue
        path, inner = _inner(asked, base)
        if inner:
            _add_inner(found, path, inner)
        elif path.is_dir():
            files += _below(path, found)
        else:
            files += resolve_paths(asked, base)
    _add_files(found, sorted(set(files)))
    if not found.places and not found.unread:
        raise SourceError(f"{', '.join(map(str, sources))}: holds no table in a format that is read here")
    return found


def _inner(asked: str, base: Path) -> tuple[Path, str]:
    """A path and the table or sheet after its colon, if it has one."""
    whole = Path(os.path.normpath(base / asked))
    head, _, inner = asked.rpartition(":")
    path = Path(os.path.normpath(base / head))
    if inner and head and not whole.exists() and path.is_file():
        return path, inner
    return whole, ""


def _below(folder: Path, found: Found) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            if suffix_of(path) in SUFFIXES:
                yield path
            elif path.suffix not in (".yaml", ".html"):
                found.ignored.append(path.relative_to(folder).as_posix())


def suffix_of(path: Path) -> str:
    """The suffix that tells the format: of sales.csv.gz it is .csv."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _add_inner(found: Found, path: Path, inner: str) -> None:
    kind = sniff(path, SUFFIXES.get(suffix_of(path))).format
    if kind == "excel":
        _add(found, Origin("excel", (path,), sheet=inner), inner, str(path))
    elif kind in ("duckdb", "sqlite"):
        _add(found, Origin(kind, (path,), table=inner), inner, str(path))
    else:
        found.unread.append((f"{path.name}:{inner}", "only databases and workbooks have tables inside"))


def _add_tables(found: Found, origin: Origin, table: str, pattern: str | None) -> None:
    try:
        names = [table] if table else database_tables(origin)
    except SourceError as error:
        found.unread.append((origin.names[0], str(error)))
        return
    for name in names:
        _add(found, replace(origin, table=name), name, pattern)


def _add(found: Found, origin: Origin, name: str, pattern: str | None) -> None:
    try:
        found.places.append(Place(name, origin, tuple(column_names(origin)), pattern))
    except SourceError as error:
        found.unread.append((name, str(error)))


def _add_files(found: Found, files: Sequence[Path]) -> None:
    alike: dict[tuple[object, ...], list[tuple[Path, Sniffed, tuple[str, ...]]]] = {}
    for path in files:
        try:
            sniffed = sniff(path, SUFFIXES.get(suffix_of(path)))
            if sniffed.format in ("duckdb", "sqlite"):
                _add_tables(found, Origin(sniffed.format, (path,)), "", str(path))
            elif sniffed.format == "excel":
                _add_sheets(found, path)
            else:
                columns = tuple(column_names(_origin(sniffed, (path,))))
                key = (path.parent, sniffed.format, sniffed.delimiter, sniffed.header, tuple(sorted(columns)))
                alike.setdefault((*key, _first_word(path)), []).append((path, sniffed, columns))
        except SourceError as error:
            found.unread.append((path.name, str(error)))
    for group in alike.values():
        found.places.extend(_together(group))


def _add_sheets(found: Found, path: Path) -> None:
    sheets = excel_sheets(path)
    for sheet in sheets:
        name = path.stem if len(sheets) == 1 else f"{path.stem} {sheet}"
        _add(found, Origin("excel", (path,), sheet=sheet), name, str(path))


def _origin(sniffed: Sniffed, paths: tuple[Path, ...], encoding: str | None = None) -> Origin:
    delimiter = sniffed.delimiter if sniffed.format in ("csv", "tsv") else None
    return Origin(
        sniffed.format,
        paths,
        encoding=encoding or sniffed.encoding,
        delimiter=delimiter,
        header=sniffed.header,
        root=paths[0].parent,
    )


def _together(group: list[tuple[Path, Sniffed, tuple[str, ...]]]) -> Iterator[Place]:
    """One table of files that look alike, if one glob names them and no other file; else a table each."""
    paths = tuple(path for path, _, _ in group)
    encodings = {sniffed.encoding for _, sniffed, _ in group if not sniffed.ascii}
    _, sniffed, columns = group[0]
    pattern = _glob(paths)
    if len(paths) > 1 and (pattern is None or len(encodings) > 1):
        for item in group:
            yield from _together([item])
        return
    encoding = next(iter(encodings), sniffed.encoding)
    origin = _origin(sniffed, paths, encoding)
    notes = (_parts(paths), sniffed.headless)
    yield Place(_name(paths), origin, columns, pattern, tuple(note for note in notes if note is not None))


def _parts(paths: Sequence[Path]) -> Title | None:
    """Why files of different names are one table: they are called parts of one, as train and valid are."""
    if len(paths) == 1 or not any(word in _PARTS for path in paths for word in _every_word(path)):
        return None
    names = ", ".join(path.name for path in paths)
    return Title(
        zh=f"{names} 列相同，名称只说明是哪一部分：作为一张表读取；若应分开，请各写一个 source",
        en=f"{names} have the same columns, and their names only say which part they are: read as one table; "
        "are they to be apart, write a source for each",
    )


def _glob(paths: Sequence[Path]) -> str | None:
    """The pattern that names exactly these files; of one file its own path."""
    if len(paths) == 1:
        return str(paths[0])
    names = [path.name for path in paths]
    head = _common(names)
    tail = "".join(reversed(_common([name[len(head) :][::-1] for name in names])))
    folder = f"{glob.escape(str(paths[0].parent))}{os.sep}"
    # Without the digits they happen to share, next year's files are found, too.
    for first in dict.fromkeys((head.rstrip("0123456789-"), head)):
        pattern = f"{folder}{glob.escape(first)}*{glob.escape(tail)}"
        if sorted(glob.glob(pattern)) == sorted(map(str, paths)):
            return pattern
    return None


def _every_word(path: Path) -> list[str]:
    stem = path.name.lower().removesuffix(".gz")
    words = _WORD.findall(stem[: len(stem) - len(Path(stem).suffix)])
    return [word for word in words if word not in _MONTHS and word not in ("utf", "gbk")]


def _first_word(path: Path) -> str:
    return next((word for word in _every_word(path) if word not in _PARTS), "")


def _name(paths: Sequence[Path]) -> str:
    """What the files' names share, without dates and numbers; if nothing is left, the folder's name."""
    every = [[word for word in re.split(r"[\W\d_]+", _stem(path)) if _telling(word)] for path in paths]
    shared = _common(every) if len(every) > 1 else every[0]
    return " ".join(shared) or paths[0].parent.name or "table"


def _stem(path: Path) -> str:
    name = re.sub(r"(?i)\.gz$", "", path.name)
    return name[: len(name) - len(Path(name).suffix)]


def _telling(word: str) -> bool:
    return bool(word) and word.lower() not in (*_MONTHS, *_PARTS, "utf", "gbk")


def _common(sequences: Sequence[Any]) -> Any:
    """The longest beginning that all texts, or lists of words, share."""
    shortest = min(sequences, key=len)
    same = takewhile(lambda at: all(other[at] == shortest[at] for other in sequences), range(len(shortest)))
    return shortest[: sum(1 for _ in same)]
