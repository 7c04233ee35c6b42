"""What tells the persons outside of published tables: working files, leftovers of crashes, texts, SQLite files.

Whatever is made of tables (tiles, checkpoints, stores, staged files) goes as a whole: it is made again without them.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from valtag_assets.engine.erasure.scan import Hit
from valtag_assets.engine.erasure.sqlite import is_sqlite, mask
from valtag_assets.warehouse import durable
from valtag_assets.warehouse.derived import ABOUT
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.store import STAGING, WORK

_TEXTS = frozenset({".json", ".jsonl", ".log", ".txt", ".html", ".csv", ".yaml", ".out", ".err", ".md", ".svg"})


@dataclass
class Cleared:
    """How many made things were ``removed``, texts ``masked`` in files, and what nobody knew how to clear."""

    removed: int = 0
    masked: int = 0
    left: list[Hit] = field(default_factory=list)


def clear(hits: Sequence[Hit], root: Path, published: Collection[Path], marks: Marks) -> Cleared:
    """Clear what a scan of the warehouse ``root`` and other folders hit; ``published``: the folders of snapshots."""
    done = Cleared()
    for hit in hits:
        if not hit.file.exists():
            continue  # gone with what it was a part of
        made = _made(hit.file, root, published)
        if made is not None:
            shutil.rmtree(made)
            done.removed += 1
        elif is_sqlite(hit.file):
            done.masked += mask(hit.file, marks)
        elif hit.file.suffix in _TEXTS or ".json.damaged" in hit.file.name:
            _mask_text(hit.file, marks)
            done.masked += 1
        else:
            done.left.append(hit)
    return done


def _made(file: Path, root: Path, published: Collection[Path]) -> Path | None:
    """The folder of the made thing that the file is a part of, if it is one; never a published snapshot."""
    if not file.is_relative_to(root):
        return None
    for folder in file.parents:
        if folder == root or folder in published:
            return None
        above = folder.parent
        if (folder / ABOUT).is_file() or above in (root / STAGING, root / WORK) or folder.name.startswith("."):
            return folder
        if above.name.startswith("as_of="):
            return folder
    return None


def _mask_text(file: Path, marks: Marks) -> None:
    text = marks.without(file.read_text(encoding="utf-8", errors="replace"))
    aside = file.with_name(f".{file.name}.new")
    durable.write(aside, text)
    shutil.copymode(file, aside)
    os.replace(aside, file)
