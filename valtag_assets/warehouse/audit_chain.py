"""The chain of the audit log: one JSON line per entry, each with the hash of the one before it.

After J. Kelsey and B. Schneier, "Secure Audit Logs to Support Computer Forensics" (1999): whoever changes, removes,
inserts or moves an entry breaks the chain there. The log's head (how many entries there are, and the last hash) is
kept in a file of its own, so that the tail can't go unseen. Whoever may write both files could make the whole chain
anew: against them entries and head are signed (HMAC-SHA256) where a key is given.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

BEGINNING = "0" * 64
"""What the first entry has for the hash of the one before."""
RECOVERED, HEAD_LOST, SIGNING_BEGINS = "recovered", "head_lost", "signing_begins"
"""What the log itself records; each says something that a verifier must be told."""


@dataclass(frozen=True)
class Entry:
    """One thing done with the data of persons, or refused (``refused``: why).

    ``at`` is aware, UTC. ``what`` names a table, segment, delivery, …; ``rows`` and ``tags`` say how much of it.
    ``person`` is a keyed hash, never an identifier. ``previous`` and ``hash`` are SHA-256 in hexadecimal;
    ``signature`` is the HMAC-SHA256 of ``hash``, None without a key.
    """

    seq: int
    at: datetime
    action: str
    actor: str
    role: str | None
    purpose: str | None
    what: str
    rows: int | None
    tags: tuple[str, ...]
    person: str | None
    refused: str | None
    details: Mapping[str, Any]
    previous: str
    hash: str = ""
    signature: str | None = None

    def digest(self) -> str:
        """The hash of everything but the hash itself and its signature."""
        said = self.to_json()
        del said["hash"], said["signature"]
        return hashlib.sha256(_text(said).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The entry for programs."""
        return dict(vars(self))

    def line(self) -> str:
        """The entry as it stands in the log, without the line's end."""
        return _text(self.to_json())

    @classmethod
    def read(cls, line: str) -> "Entry":
        """The inverse of ``line``. ValueError for what is no entry."""
        try:
            data = json.loads(line)
            entry = cls(**{**data, "at": datetime.fromisoformat(data["at"]), "tags": tuple(data["tags"])})
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if not (type(entry.seq) is int and isinstance(entry.hash, str) and isinstance(entry.details, dict)):
            raise ValueError("its number, hash or details are of another type")
        if entry.line() != line:
            raise ValueError("it is written otherwise than the log writes it")
        return entry


@dataclass(frozen=True)
class Head:
    """The end of the log: ``count`` entries in ``size`` bytes, the last with this ``hash``."""

    count: int = 0
    size: int = 0
    hash: str = BEGINNING
    signature: str | None = None

    def text(self) -> str:
        return _text(vars(self))

    @classmethod
    def read(cls, text: str) -> "Head":
        """The inverse of ``text``. ValueError for what is no head."""
        try:
            head = cls(**json.loads(text))
        except (TypeError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if not (type(head.count) is type(head.size) is int and isinstance(head.hash, str)):
            raise ValueError("its numbers or its hash are of another type")
        return head

    def signed(self, key: bytes | None) -> "Head":
        return Head(self.count, self.size, self.hash, sign(f"{self.count} {self.size} {self.hash}", key))


@dataclass(frozen=True)
class Fault:
    """Something wrong with the log; ``line`` counts from 1, None where it is no one line."""

    line: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.line is None else f"line {self.line}: {self.what}"


@dataclass(frozen=True)
class Verified:
    """What verifying found. ``notes`` are no faults, but what the log says of itself.

    ``hash`` is the last entry's: noted elsewhere, it proves later that nothing was cut off and written anew.
    """

    entries: int
    hash: str
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        return not self.faults


def sign(text: str, key: bytes | None) -> str | None:
    """HMAC-SHA256 in hexadecimal; None without a key."""
    return None if key is None else hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def verify(lines: Iterable[str], head: Head | None, key: bytes | None, known: str | None = None) -> Verified:
    """Walk the whole chain. ``known``: a hash noted earlier, which must still be in it.

    One change is told once, at its line: what follows is judged by what stands there now.
    """
    faults: list[Fault] = []
    notes: list[Fault] = []
    count, last, seen, number, unread, signed = 0, BEGINNING, known is None, 0, 0, False
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.read(line)
        except ValueError as error:
            faults.append(Fault(number, f"is no entry any more ({str(error)[:80]})"))
            unread += 1  # a changed entry, or a line that never was one: the next entry's number tells
            continue
        if entry.seq > count + 1:
            count, last = min(count + unread, entry.seq - 1), "" if unread else last
        faults += (Fault(number, what) for what in _wrong(entry, count, last, key))
        if signed and entry.signature is None:
            faults.append(Fault(number, f"entry {entry.seq} is not signed, though one before it is"))
        signed = signed or entry.signature is not None
        notes += (Fault(number, what) for what in _told(entry))
        count, last, seen, unread = entry.seq, entry.hash, seen or entry.hash == known, 0
    if not seen:
        faults.append(Fault(None, "the hash you noted is not in the log: it was cut off there, or made anew"))
    faults += _wrong_end(Head(count + unread, 0, "" if unread else last), head, number, key)
    if key is None and head is not None and head.signature is not None:
        notes.append(Fault(None, "it is signed; without the key in VALTAG_AUDIT_KEY the signatures were not checked"))
    return Verified(number, last, tuple(faults), tuple(notes))


def _wrong(entry: Entry, before: int, last: str, key: bytes | None) -> Iterator[str]:
    """What is wrong with an entry that follows the one numbered ``before`` with the hash ``last`` ("": unknown)."""
    if entry.seq > before + 1:
        yield f"entries {before + 1} to {entry.seq - 1} are missing before it"
    elif entry.seq <= before:
        yield f"entry {entry.seq} stands after entry {before}: inserted, repeated or moved"
    elif last not in ("", entry.previous):
        yield "does not follow the entry before it: that one, or this one, was exchanged"
    if entry.digest() != entry.hash:
        yield f"entry {entry.seq} was changed after it was written"
    elif key is not None and entry.signature is not None and entry.signature != sign(entry.hash, key):
        yield f"entry {entry.seq} is not signed with this key"


def _told(entry: Entry) -> Iterator[str]:
    if entry.action == RECOVERED:
        yield f"a write was cut off before it ({entry.details.get('bytes')} bytes, never acknowledged)"
    if entry.action == HEAD_LOST:
        yield "the log's head was missing when this was written: what stood at its end then may be gone"
    if entry.action == SIGNING_BEGINS:
        yield "signing begins here; what stands before was not signed when it was written"


def _wrong_end(found: Head, head: Head | None, lines: int, key: bytes | None) -> Iterator[Fault]:
    """Whether the chain ends where the head says."""
    if head is None:
        if lines:
            yield Fault(None, "the log's head is missing: whether its end was cut off can't be said")
        return
    if head.count > found.count:
        yield Fault(lines + 1, f"entries {found.count + 1} to {head.count} are missing at the end")
    elif head.count == found.count and head.hash != found.hash and found.hash:
        yield Fault(lines, "is not the last entry that the head knows: it was exchanged")
    if key is not None and head.signature != head.signed(key).signature:
        yield Fault(None, "the head is not signed with this key")


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_instant)


def _instant(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't stand in the audit log")
