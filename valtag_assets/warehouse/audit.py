"""The audit log: who did what with the data of persons, when, for which purpose. Append-only and hash-chained.

An entry is on disk when ``record`` returns; where it can't be written, what was to be recorded must not happen.
One writer at a time, of all processes; threads that wait for each other share one write.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse import durable, locks
from valtag_assets.warehouse.audit_chain import (
    HEAD_LOST,
    RECOVERED,
    SIGNING_BEGINS,
    Entry,
    Head,
    Verified,
    sign,
    verify,
)
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.manifest import utc
from valtag_assets.warehouse.own_key import pseudonym

FOLDER, LOG, HEAD, LOCK = "audit", "log.jsonl", "head.json", "log.lock"
KEY_VARIABLE = "VALTAG_AUDIT_KEY"
SHORTEST_KEY = 16
ITSELF = "valtag"
"""The actor of what the log records of itself."""
# A phone, card or identity number, or an e-mail address: somebody may have typed one as a purpose.
_PERSONAL = re.compile(r"(?<![0-9A-Za-z-])(?!\d{4}-\d\d-\d\d\b)\+?\d[\d -]{5,}[\dXx](?![0-9A-Za-z])|[^\s@]+@[^\s@]+")
Detail = str | int | float | bool | None


class AuditError(WarehouseError):
    """The audit log can't be written, so what was to be recorded may not be done."""


@dataclass
class _Wanted:
    """An entry that waits to be written: all of it but its place in the chain."""

    said: dict[str, Any]
    entry: Entry | None = None
    error: WarehouseError | None = None


@dataclass
class AuditLog:
    """The audit log of the warehouse ``root``. ``clock`` gives the present instant (aware); ``key`` signs."""

    root: Path
    clock: Callable[[], datetime]
    key: bytes | None = None
    lock_seconds: float = 60.0
    _waiting: list[_Wanted] = field(default_factory=list, repr=False)
    _queue: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _writer: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def file(self) -> Path:
        return self.root / FOLDER / LOG

    def record(
        self,
        action: str,
        *,
        actor: str,
        what: str,
        role: str | None = None,
        purpose: str | None = None,
        rows: int | None = None,
        tags: Sequence[str] = (),
        person: str | None = None,
        refused: str | None = None,
        details: Mapping[str, Detail] | None = None,
    ) -> Entry:
        """Write one entry, and return when it is on disk. AuditError if it can't be: then don't do it.

        ``person`` is an identifier and kept as a keyed hash. Texts are kept without numbers and addresses that
        may be personal, but names can't be told from words: say tables and codes, not conditions.
        """
        wanted = _Wanted(
            {
                "at": utc(self.clock()),
                "action": action,
                "actor": actor,
                "role": role,
                "purpose": _impersonal(purpose),
                "what": _impersonal(what),
                "rows": rows,
                "tags": tuple(tags),
                "person": None if person is None else pseudonym(self.root, person),
                "refused": _impersonal(refused),
                "details": {name: _impersonal(value) for name, value in (details or {}).items()},
            }
        )
        with self._queue:
            self._waiting.append(wanted)
        with self._writer:
            if wanted.entry is None and wanted.error is None:
                with self._queue:
                    batch, self._waiting = self._waiting, []
                self._write(batch)
        if wanted.error is not None:
            raise AuditError(str(wanted.error)) from wanted.error
        assert wanted.entry is not None
        return wanted.entry

    def entries(self) -> Iterator[Entry]:
        """What was recorded, in order. AuditError names a line that is no entry."""
        for number, line in enumerate(self._lines(), start=1):
            try:
                yield Entry.read(line)
            except ValueError as error:
                raise AuditError(
                    f"{self.file}:{number}: no entry; `valtag audit verify` says what happened"
                ) from error

    def verify(self, known: str | None = None) -> Verified:
        """Look for every change, removal, insertion and exchange. ``known``: a hash noted at an earlier time."""
        if not self.file.parent.exists():
            return verify([], None, self.key, known)
        with locks.alone(self.file.with_name(LOCK), "the audit log", self.lock_seconds):
            return verify(self._lines(), self._head(), self.key, known)

    # Inside

    def _lines(self) -> Iterator[str]:
        if self.file.exists():
            # Not text mode: a line ends at "\n" only, and bytes that are no UTF-8 are no entry.
            with self.file.open("rb") as file:
                for line in file:
                    yield line.removesuffix(b"\n").decode("utf-8", "replace")

    def _write(self, batch: Sequence[_Wanted]) -> None:
        """Write a batch of entries with one flush; each is told its entry, or the error that kept it off the disk."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with locks.alone(self.file.with_name(LOCK), "the audit log", self.lock_seconds):
                head, own = self._end()
                at, first = batch[0].said["at"], len(own)
                said = [*(_own(at, action, details) for action, details in own), *(item.said for item in batch)]
                entries = self._append(head, said)
        except (WarehouseError, OSError, UnicodeEncodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "what is to be recorded is no text"
            wrong = error if isinstance(error, WarehouseError) else AuditError(f"{self.file}: {why}")
            for item in batch:
                item.error = wrong
            return
        for item, entry in zip(batch, entries[first:], strict=True):
            item.entry = entry

    def _append(self, head: Head, said: Sequence[Mapping[str, Any]]) -> list[Entry]:
        entries: list[Entry] = []
        count, last = head.count, head.hash
        for content in said:
            count += 1
            entry = Entry(seq=count, previous=last, **content)
            entry = replace(entry, hash=(last := entry.digest()))
            entries.append(replace(entry, signature=sign(last, self.key)))
        data = "".join(entry.line() + "\n" for entry in entries).encode()
        new = not self.file.exists()
        with self.file.open("ab+") as file:
            file.seek(max(file.tell() - 1, 0))
            if file.read() not in (b"", b"\n"):
                data = b"\n" + data  # the end was cut off: the new entry must not run into what is left
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if new:
            durable.flush_folders(self.file.parent, self.root)
        aside = self.file.with_name(f".{HEAD}.new")
        durable.write(aside, Head(count, size, last).signed(self.key).text())
        os.replace(aside, self.file.with_name(HEAD))
        return entries

    def _end(self) -> tuple[Head, list[tuple[str, dict[str, Any]]]]:
        """Where the next entry goes, and what the log has to say of itself before it.

        What a crash left after the head (whole entries that belong to the chain) is taken in; a torn line is cut
        off, and that is recorded. What is missing stays missing: the numbers go on, so that the gap stays seen.
        """
        head, own = self._head(), list[tuple[str, dict[str, Any]]]()
        size = self.file.stat().st_size if self.file.exists() else 0
        if head is None:
            head = Head()
            if size:
                head, own = self._last_known(), [(HEAD_LOST, {})]
        else:
            self._refuse_other_key(head)
            if self.key is not None and head.signature is None:
                own = [(SIGNING_BEGINS, {})]
        if size > head.size:
            head, torn = self._take_in(head)
            own += [(RECOVERED, {"bytes": torn})] if torn else []
        return head, own

    def _refuse_other_key(self, head: Head) -> None:
        if head.signature is None:
            return
        if self.key is None:
            raise AuditError(f"{self.file} is signed, and {KEY_VARIABLE} is not set: set it to the key of before")
        if head.signed(self.key).signature != head.signature:
            raise AuditError(
                f"{self.file}: its head is not signed with the key in {KEY_VARIABLE}: set it to the key of before;"
                " `valtag audit verify` says whether the log was changed"
            )

    def _take_in(self, head: Head) -> tuple[Head, int]:
        """The head after the whole entries that follow it; how many torn bytes were cut off behind them."""
        with self.file.open("rb+") as file:
            file.seek(head.size)
            size = head.size
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(size)
                    os.fsync(file.fileno())
                    return head, len(line)
                size += len(line)
                try:
                    entry = Entry.read(line[:-1].decode())
                except (ValueError, UnicodeDecodeError):
                    continue  # somebody put it there: it stays to be seen
                ours = head.signature is None or entry.signature == sign(entry.hash, self.key)
                if ours and (entry.previous, entry.digest()) == (head.hash, entry.hash):
                    head = Head(entry.seq, size, entry.hash, head.signature)
        return head, 0

    def _last_known(self) -> Head:
        """The end of a log whose head is lost."""
        found, size = Head(), 0
        for line in self.file.read_bytes().splitlines(keepends=True):
            try:
                entry = Entry.read(line.removesuffix(b"\n").decode())
            except (ValueError, UnicodeDecodeError):
                continue
            finally:
                size += len(line)
            found = Head(entry.seq, size, entry.hash)
        return found

    def _head(self) -> Head | None:
        """The head as it was written; None if it is missing or no head any more."""
        try:
            return Head.read(self.file.with_name(HEAD).read_text(encoding="utf-8"))
        except (FileNotFoundError, IsADirectoryError, ValueError):
            return None


def audit_key(environment: Mapping[str, str]) -> bytes | None:
    """The key that signs, from ``VALTAG_AUDIT_KEY``; None if it is not set. Mistake if it is too short for a key."""
    text = environment.get(KEY_VARIABLE, "")
    if 0 < len(text) < SHORTEST_KEY:
        raise Mistake(f"the environment variable {KEY_VARIABLE} is shorter than {SHORTEST_KEY} characters")
    return text.encode("utf-8", "surrogatepass") or None


def _own(at: datetime, action: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """What the log records of itself."""
    nothing = dict.fromkeys(("role", "purpose", "rows", "person", "refused"))
    return {**nothing, "at": at, "action": action, "actor": ITSELF, "what": FOLDER, "tags": (), "details": details}


def _impersonal(value: Any) -> Any:
    """A text without numbers and addresses that may be a person's; anything else as it is."""
    return _PERSONAL.sub("***", value) if isinstance(value, str) else value
