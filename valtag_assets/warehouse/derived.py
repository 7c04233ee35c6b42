"""Files that are pure functions of others: tiles and checkpoints. They may be deleted at any time.

Each entry is a folder named after what it was made from, with ``about.json`` saying what is in it. It is made
aside and renamed into place, so it is whole or not there; two processes that make the same entry make equal
ones, and the second gives way. An entry that was damaged since (a file missing or of another length) counts as
not there: it is named, removed and made again.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.errors import WarehouseError

ABOUT = "about.json"
ASIDE = ".making-"


@dataclass(frozen=True)
class Derived:
    """An entry: its folder, its name there, and what its maker said about it (JSON)."""

    path: Path
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    def file(self, name: str) -> Path:
        """A file of the entry; WarehouseError if it has none of that name."""
        if name not in self.about["files"]:
            raise WarehouseError(f"{self.path} holds no {name}")
        return self.path / name


@dataclass
class DerivedFiles:
    """The entries under ``root``; a name is one or more folder names. ``healed`` tells what was found damaged."""

    root: Path
    healed: list[str] = field(default_factory=list)

    def find(self, *name: str) -> Derived | None:
        """The entry, if it is there and whole."""
        path = self.root.joinpath(*name)
        try:
            about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
            fault = _fault(path, about["files"])
        except FileNotFoundError as error:
            fault = f"{ABOUT} is missing" if path.is_dir() else None
            if fault is None:
                return None
            del error
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            fault = f"{ABOUT} can't be read ({error})"
        if fault is None:
            return Derived(path, about)
        self.drop(f"{fault}; made again", *name)
        return None

    def entries(self, *name: str) -> Iterator[Derived]:
        """The whole entries directly below a name, sorted."""
        folder = self.root.joinpath(*name)
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.is_dir() and not path.name.startswith("."):
                    found = self.find(*name, path.name)
                    if found is not None:
                        yield found

    def names(self, *name: str) -> list[str]:
        """The names directly below a name, sorted."""
        folder = self.root.joinpath(*name)
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def make(self, *name: str, fill: Callable[[Path], Mapping[str, Any]]) -> Derived:
        """The entry, made by ``fill`` if it is not there: it writes files into a folder and says what they are."""
        found = self.find(*name)
        if found is not None:
            return found
        path = self.root.joinpath(*name)
        aside = path.parent / f"{ASIDE}{uuid.uuid4().hex}"
        aside.mkdir(parents=True)
        try:
            about = dict(fill(aside))
            files = sorted(item for item in aside.iterdir() if item.is_file())
            about["files"] = {item.name: item.stat().st_size for item in files}
            for item in files:
                durable.flush(item)
            durable.write(aside / ABOUT, json.dumps(about, ensure_ascii=False, sort_keys=True, indent=1))
            try:
                os.rename(aside, path)
            except OSError:
                # Somebody else has made the same entry meanwhile; if not, the error is a real one.
                found = self.find(*name)
                if found is None:
                    raise
                return found
            durable.flush(path.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return Derived(path, about)

    def remove(self, *name: str) -> None:
        """Remove an entry nobody needs any more."""
        shutil.rmtree(self.root.joinpath(*name), ignore_errors=True)

    def drop(self, why: str, *name: str) -> None:
        """Remove an entry that is not to be trusted, and remember why."""
        self.healed.append(f"{'/'.join(name)}: {why}")
        self.remove(*name)


def _fault(path: Path, files: Mapping[str, int]) -> str | None:
    """What is wrong with the files of an entry, or None."""
    for name, size in files.items():
        try:
            found = (path / name).stat().st_size
        except FileNotFoundError:
            return f"{name} is missing"
        if found != size:
            return f"{name} has {found} bytes instead of {size}"
    return None
