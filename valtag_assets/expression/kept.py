"""What was read of a big catalog's tags, kept between commands: a file that did not change is not read again.

A kept file of tags is its model and its resolved columns. It stands for exactly the bytes it
was made from, together with the project, the sources and the program that read them: its key is a digest of them all,
never a time. What can't be read back, for whatever reason, was never kept. Columns over other tags hold only as long
as those tags are what they were (``symbols``).
"""

import hashlib
import os
import pickle
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from valtag_assets.expression.resolve_tag import tag_symbol
from valtag_assets.expression.resolved import ResolvedTag
from valtag_assets.expression.scope import Scope, Symbol
from valtag_assets.spec.catalog import Catalog, catalog_files, content_of
from valtag_assets.spec.loading import CatalogFile

# Bytes of tags/*.yaml, some 2,500 tags, from which on reading takes longer than a person notices.
MANY = 1_000_000
# The packages whose records are kept, and whose code says what they mean.
_PACKAGES = ("spec", "expression")
_OWN = tuple(f"valtag_assets.{package}." for package in _PACKAGES)
_PLAIN = {(kind.__module__, kind.__qualname__) for kind in (Decimal, date, datetime, type(Path()))}


@dataclass(frozen=True)
class KeptFile:
    """A sound file of tags: its ``columns`` by the code of their block, and the tags that those over tags read."""

    file: CatalogFile[Any]
    columns: Mapping[str, tuple[ResolvedTag, ...]]
    symbols: Mapping[str, Symbol]

    def holds(self, scope: Scope) -> bool:
        """Whether every tag that is read is still what it was."""
        return all(scope.get(code) == symbol for code, symbol in self.symbols.items())


class Kept:
    """The kept files of the catalog ``root``, below ``folder``; without a folder, or of a small catalog, none."""

    def __init__(self, folder: Path | None, root: Path) -> None:
        self.files: dict[Path, KeptFile] = {}
        self._keys: dict[Path, str] = {}
        self._tags = root / "tags"
        sizes = (file.stat().st_size for file in self._tags.glob("*.yaml") if file.is_file())
        many = folder is not None and sum(sizes) >= MANY
        self._folder = folder / _digest([str(root).encode()])[:16] if folder is not None and many else None
        self._basis = _basis(root) if self._folder is not None else ""

    def read(self, path: Path) -> CatalogFile[Any] | None:
        """The file of tags ``path`` as it was kept, if what it says is what it said then."""
        if self._folder is None or path.parent != self._tags:
            return None
        # Whatever is wrong with what was kept: the file itself is there to be read.
        with suppress(Exception):
            self._keys[path] = self._key(path)
            key, digest, content = self._place(path).read_bytes().split(b"\n", 2)
            if key.decode() == self._keys[path] and digest.decode() == _digest([content]):
                self.files[path] = _Reader(BytesIO(content)).load()
                return self.files[path].file
        return None

    def keep(self, catalog: Catalog, tags: Mapping[str, ResolvedTag]) -> None:
        """Keep every file of a sound catalog that is not kept yet. A folder that can't be written keeps nothing."""
        if self._folder is None or self.files.keys() >= self._keys.keys():
            return
        columns: dict[Path, dict[str, list[ResolvedTag]]] = defaultdict(lambda: defaultdict(list))
        for tag in tags.values():
            bare = replace(tag, entry=replace(tag.entry, raw=None))
            columns[tag.entry.file][tag.spec.code].append(bare)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for code, entry in catalog.categories.items():
                if entry.file not in self.files:
                    read = {name for own in columns[entry.file].values() for tag in own for name in tag.tags}
                    blocks = {tag: tuple(own) for tag, own in columns[entry.file].items()}
                    file = CatalogFile(entry.file, None, catalog.categories[code].spec)
                    self._write(KeptFile(file, blocks, {name: tag_symbol(tags[name]) for name in sorted(read)}))
            self._sweep()

    def _write(self, kept: KeptFile) -> None:
        path = kept.file.path
        if self._key(path) != self._keys.get(path):  # written to since it was read
            return
        content = pickle.dumps(kept, protocol=5)
        descriptor, aside = tempfile.mkstemp(dir=self._folder)
        with open(descriptor, "wb") as file:
            file.write(b"\n".join((self._keys[path].encode(), _digest([content]).encode(), content)))
        os.replace(aside, self._place(path))

    def _sweep(self) -> None:
        """Remove what no file of the catalog stands behind any more."""
        assert self._folder is not None
        known = {self._place(path) for path in self._keys}
        for path in self._folder.iterdir():
            if path not in known:
                path.unlink(missing_ok=True)

    def _place(self, path: Path) -> Path:
        assert self._folder is not None
        return self._folder / f"{path.stem}.kept"

    def _key(self, path: Path) -> str:
        return _digest([self._basis.encode(), str(path).encode(), path.read_bytes()])


class _Reader(pickle.Unpickler):
    """Reads records of this program and plain values: no other class, and no function, is ever called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN or module.startswith(_OWN):
            found = super().find_class(module, name)
            if isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a catalog")


def _basis(root: Path) -> str:
    """A digest of everything beside a file of tags that its columns follow from."""
    said = [content_of(path) for path in catalog_files(root) if path.parent in (root, root / "sources")]
    package = Path(__file__).parent.parent
    code = [path.read_bytes() for part in _PACKAGES for path in sorted((package / part).glob("*.py"))]
    return _digest([f"{sys.version} {version('pydantic')} {version('sqlglot')}".encode(), *said, *code])


def _digest(parts: Iterable[bytes]) -> str:
    """One digest of several texts; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()
