"""Folders that belong to no snapshot: what a crash left behind, or what left history."""

import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path


def leftovers(parents: Iterable[Path], named: set[Path], before: float) -> Iterator[Path]:
    """The folders in ``parents`` that are not ``named`` and were last touched before ``before``.

    ``before`` is in seconds since 1970.
    """
    for parent in parents:
        for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
            if folder.is_dir() and folder not in named and touched(folder) < before:
                yield folder


def remove(folder: Path) -> None:
    """Remove a folder, and the one above it if that is an as-of without snapshots now."""
    shutil.rmtree(folder)
    if folder.parent.name.startswith("as_of=") and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def freed_bytes(folders: Iterable[Path]) -> int:
    """What removing the folders frees: the size of every file that has no name elsewhere."""
    names: dict[tuple[int, int], int] = {}
    freed = 0
    for file in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        status = file.stat()
        inode = (status.st_dev, status.st_ino)
        names[inode] = names.get(inode, 0) + 1
        freed += status.st_size if names[inode] == status.st_nlink else 0
    return freed


def touched(folder: Path) -> float:
    """When anything in the folder last changed: a long-running writer touches files, not the folder."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return math.inf  # it changes while we look: someone is at work in it
