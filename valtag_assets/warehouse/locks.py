"""Locks between processes. The system releases them when a process ends, however it ends.

Publishers of a table queue for its manifest; makers of a table queue for the making of it; all who make anything
share one lock, which removing history needs alone.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock

from valtag_assets.warehouse.errors import LockTimeout

_POLL_SECONDS = 0.05


@contextmanager
def alone(path: Path, what: str, seconds: float) -> Iterator[None]:
    """Hold the lock file ``path``. LockTimeout after ``seconds``, naming ``what`` and the file."""
    lock = filelock.FileLock(path, timeout=seconds, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise LockTimeout(
            f"{what}: another process has held {path} for {seconds:g} s."
            f" Wait for it and run again; `lsof {path}` shows which one it is"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def making(folder: Path, what: str, run_id: str, since: datetime, seconds: float) -> Iterator[None]:
    """Be the only one that makes the table in ``folder``. LockTimeout names the run that does, and since when."""
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "making.json"
    lock = filelock.FileLock(folder / "making.lock", timeout=seconds, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise LockTimeout(
            f"{what} is being made by {_holder(holder)}; this run waited {seconds:g} s for it."
            " Let that run end, or end it, and run again"
        ) from error
    try:
        holder.write_text(json.dumps({"run": run_id, "since": since.isoformat()}), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def together(path: Path, *, exclusive: bool, what: str, seconds: float) -> Iterator[None]:
    """Hold ``path`` with all others who don't want it for themselves. LockTimeout names ``what`` and the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, path, what, seconds)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, mode: int, path: Path, what: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise LockTimeout(
                    f"{what}: another process has held {path} for {seconds:g} s; `lsof {path}` shows which one it is"
                ) from None
            time.sleep(_POLL_SECONDS)


def _holder(path: Path) -> str:
    """Who holds the lock, in words. Between taking the lock and saying so there is an instant without a name."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return f"run {held['run']} since {datetime.fromisoformat(held['since']):%Y-%m-%d %H:%M:%S %Z}"
    except (OSError, ValueError, KeyError):
        return "another run"
