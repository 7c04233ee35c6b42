"""Writing so that a power cut or a kill leaves the old file or the new one."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valtag_assets.warehouse.errors import WarehouseError

# Another file system; one without links or that forbids them; a file that has as many as it may.
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 and force it to disk. WarehouseError names the file (disk full, no rights)."""
    with _naming(path), path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def flush(path: Path) -> None:
    """Force one file or folder to disk. WarehouseError names it."""
    with _naming(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def flush_folders(folder: Path, root: Path) -> None:
    """Force the entries of ``folder`` and of every folder above it, up to ``root``, to disk."""
    flush(folder)
    while folder != root:
        folder = folder.parent
        flush(folder)


def link(source: Path, target: Path) -> None:
    """Give the content of ``source`` a second name; a copy, forced to disk, where no link can be made.

    The new name itself is on disk once its folder is flushed. WarehouseError names ``target``.
    """
    with _naming(target):
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        shutil.copyfile(source, target)
    flush(target)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    # The system's own error for a full disk doesn't say which file.
    try:
        yield
    except OSError as error:
        raise WarehouseError(f"cannot write {path}: {error.strerror}; the last good state stays") from error


def present(folder: Path) -> int:
    """The present instant by the clock of the file system that ``folder`` lies on, in nanoseconds."""
    mark = folder / "present"
    mark.touch()
    try:
        return mark.stat().st_mtime_ns
    finally:
        mark.unlink()
