"""Removing folders that a crash left behind."""

import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path


def remove_leftovers(root: Path, parents: Iterable[Path], named: set[Path], before: float) -> Iterator[Path]:
    """Remove the folders in ``parents`` that are not ``named`` and were last touched before ``before``.

    ``before`` is in seconds since 1970. Yields what was removed. A parent left empty goes too, except those
    directly in ``root``.
    """
    for parent in parents:
        if not parent.is_dir():
            continue
        for folder in sorted(parent.iterdir()):
            if folder.is_dir() and folder not in named and _touched(folder) < before:
                shutil.rmtree(folder)
                yield folder
        if parent.parent != root and not any(parent.iterdir()):
            parent.rmdir()


def _touched(folder: Path) -> float:
    """When anything in the folder last changed: a long-running writer touches files, not the folder."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return math.inf  # it changes while we look: someone is at work in it
