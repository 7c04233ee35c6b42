"""Where a source lies: its files found, its content fingerprinted. Nothing here reads a record."""

import difflib
import glob
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from valtag_assets.spec.source import Read

Format = Literal["csv", "tsv", "jsonl", "parquet", "excel", "duckdb", "sqlite", "postgres"]

PACKAGE = "package://"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class SourceError(Exception):
    """A source that can't be read; the message says which file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Origin:
    """A resolved ``read:`` block.

    ``paths``: the files, sorted (a database: its file; PostgreSQL: none). ``root``: the folder that file
    names are told from; None means the folder that all files share. ``encoding``: any Python codec; a byte
    order mark is always accepted. ``delimiter``: None is ``,`` for csv and a tab for tsv. ``quote``: "" reads
    quotes as plain text. Without ``header`` the columns are called column_1, column_2, …
    ``sheet``: None is the first sheet. ``table``: ``orders`` or ``schema.orders``. ``url_env``: name of the
    environment variable with the PostgreSQL URL.
    """

    format: Format
    paths: tuple[Path, ...]
    encoding: str = "utf-8"
    delimiter: str | None = None
    quote: str = '"'
    header: bool = True
    sheet: str | None = None
    table: str | None = None
    url_env: str | None = None
    root: Path | None = None

    @property
    def separator(self) -> str:
        return self.delimiter or ("\t" if self.format == "tsv" else ",")

    @property
    def names(self) -> tuple[str, ...]:
        """What ``_file`` calls each of the files; a table of PostgreSQL stands for one."""
        return tuple(map(self.label, self.paths)) or (f"PostgreSQL {self.table}",)

    def label(self, path: Path) -> str:
        """The name of ``path`` in ``_file`` and in messages: relative to the root, with forward slashes."""
        root = self.root or Path(os.path.commonpath([file.parent for file in self.paths]))
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def locate(read: Read, base: Path, environment: Mapping[str, str] | None = None) -> Origin:
    """The origin that a catalog's ``read`` block names; ``base`` is the catalog's folder.

    ``environment`` fills ``${VARIABLE}`` in the path; None is the process's own.
    """
    common = {
        "format": read.actual_format,
        "encoding": read.encoding,
        "delimiter": read.delimiter,
        "quote": read.quote,
        "header": read.header,
        "sheet": read.sheet,
        "table": read.table,
        "url_env": read.url_env,
    }
    if read.path is None:
        return Origin(paths=(), **common)  # type: ignore[arg-type]
    pattern = fill_variables(read.path, os.environ if environment is None else environment)
    paths = resolve_paths(pattern, base)
    if read.actual_format in ("duckdb", "sqlite") and len(paths) > 1:
        raise SourceError(f"{pattern}: matches {len(paths)} files; a database source is one file")
    return Origin(paths=paths, root=_root(pattern, base), **common)  # type: ignore[arg-type]


def fill_variables(pattern: str, environment: Mapping[str, str]) -> str:
    """``pattern`` with each ``${NAME}`` replaced; a name that is not set is a SourceError."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) not in environment:
            near = did_you_mean(match.group(1), environment)
            raise SourceError(f"{pattern}: the environment variable {match.group(1)} is not set{near}")
        return environment[match.group(1)]

    return _VARIABLE.sub(value, pattern)


def resolve_paths(pattern: str, base: Path) -> tuple[Path, ...]:
    """The files that ``pattern`` names, sorted by path.

    A pattern is a file or a glob (``*``, ``?``, ``[…]``, ``**`` for folders), absolute or relative to
    ``base``, or ``package://name/inner/file`` for files inside an installed Python package, which is looked
    up without running its code. A file that exists under exactly this name wins over reading its name as a
    glob. Hidden files and Excel's lock files (``~$…``) never match.

    Raises SourceError if nothing matches, with what lies near.
    """
    where = _anchored(pattern, base)
    if where.is_dir():
        raise SourceError(f"{pattern}: is a folder; name its files, as in {pattern.rstrip('/')}/*.csv")
    if where.is_file():
        return (where,)
    found = [Path(match) for match in glob.glob(str(where), recursive=True)]
    files = sorted(path for path in found if path.is_file() and not path.name.startswith("~$"))
    if not files:
        raise SourceError(f"{pattern}: no such file{_nearby(where)}")
    return tuple(files)


def _anchored(pattern: str, base: Path) -> Path:
    if not pattern.startswith(PACKAGE):
        return Path(os.path.normpath(base / pattern))
    package, _, inner = pattern.removeprefix(PACKAGE).partition("/")
    # A dotted name would run the parent's code, so only top-level packages are looked up.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise SourceError(f"{pattern}: the Python package '{package}' is not installed; pip install it")
    folder = Path(folders[0])
    where = Path(os.path.normpath(folder / inner))
    if not where.is_relative_to(folder):
        raise SourceError(f"{pattern}: leaves the package; name a file inside it")
    return where


def _root(pattern: str, base: Path) -> Path:
    """The deepest folder of ``pattern`` that holds no glob character; it doesn't move when files arrive."""
    where = _anchored(pattern, base)
    root = where.parent
    if where.is_file():
        return root
    while glob.has_magic(str(root)):
        root = root.parent
    return root


def _nearby(where: Path) -> str:
    folder = where.parent
    while not folder.is_dir():
        folder = folder.parent
    wanted = where.relative_to(folder).parts[0]
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if not names:
        return f"; {folder} is empty"
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    if near:
        return f"; {folder} has {', '.join(near)}: did you mean one of these?"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"; {folder} has {', '.join(names[:8])}{more}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def match_columns(wanted: Sequence[str], present: Sequence[str], label: str) -> list[int]:
    """The position in ``present`` of each wanted column.

    Names are compared exactly, case included; a name that is not there exactly is looked for once more with
    the spaces around header names trimmed (exports like ``id, name``). Raises SourceError, naming ``label``,
    for a missing column, one that stands twice, and wanted names that differ by case only (which no SQL
    engine keeps apart).
    """
    lowered: dict[str, str] = {}
    for name in wanted:
        if name.lower() in ("_file", "_row"):
            raise SourceError(f"{label}: the column name '{name}' is taken by valtag; rename the column")
        if name.lower() in lowered:
            raise SourceError(
                f"{label}: the columns '{lowered[name.lower()]}' and '{name}' differ by case only or are the "
                "same; take one of them"
            )
        lowered[name.lower()] = name
    return [_position(name, present, label) for name in wanted]


def _position(name: str, present: Sequence[str], label: str) -> int:
    at = [i for i, other in enumerate(present) if other == name]
    at = at or [i for i, other in enumerate(present) if other.strip() == name.strip()]
    if len(at) > 1:
        raise SourceError(f"{label}: {len(at)} columns are called '{name}'; rename one of them in the file")
    if at:
        return at[0]
    by_case = [other for other in present if other.lower() == name.lower()]
    near = f"; did you mean {by_case[0]}? (case matters)" if by_case else did_you_mean(name, present)
    listed = ", ".join(repr(other) for other in present[:30]) + (", …" if len(present) > 30 else "")
    raise SourceError(f"{label}: no column '{name}'{near}; the columns are {listed}")


def fingerprint_files(origin: Origin, cache: Path) -> dict[str, str]:
    """A digest of the content of each of the origin's files, by name; see ``read.fingerprints``."""
    known = _load_cache(cache)
    before = dict(known)
    found = {
        origin.label(path): _combined([_digest(file, known) for file in _with_log(origin, path)])
        for path in origin.paths
    }
    if known != before:
        cache.parent.mkdir(parents=True, exist_ok=True)
        staged = cache.with_name(f"{cache.name}.{os.getpid()}")
        staged.write_text(json.dumps(known, indent=0))
        os.replace(staged, cache)
    return found


def _digest(path: Path, known: dict[str, list]) -> str:
    """SHA-256 of the file's content; ``known`` learns it, with the file's size and times."""
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    if known.get(str(path), [])[:3] != stamp:
        with path.open("rb") as stream:
            known[str(path)] = [*stamp, hashlib.file_digest(stream, "sha256").hexdigest()]
    return str(known[str(path)][3])


def _combined(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _with_log(origin: Origin, path: Path) -> list[Path]:
    """The file, and of a database its write-ahead log, which holds the newest rows."""
    if origin.format not in ("duckdb", "sqlite"):
        return [path]
    log = path.with_name(path.name + (".wal" if origin.format == "duckdb" else "-wal"))
    return [path, log] if log.is_file() else [path]


def _load_cache(cache: Path) -> dict[str, list]:
    try:
        known = json.loads(cache.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        # No cache, or one cut by a crash: every digest is simply computed again.
        return {}
    return known if isinstance(known, dict) else {}
