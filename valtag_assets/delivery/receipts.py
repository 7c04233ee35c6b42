"""Receipts: what came back about messages. Deduplicated, whatever their order and however late.

A receipt is (key of a message, state, instant). It lies in the ledger's file beside the messages, so that an
unsubscribe is seen by the very next send. Of one state of one message the earliest instant stays, so the ledger is
the same whatever order receipts came in, and however often. An unsubscribe may name a person and a channel instead
of a message.
"""

import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from valtag_assets.delivery.schema import connect
from valtag_assets.warehouse import durable

STATES = ("delivered", "opened", "clicked", "converted", "unsubscribed", "subscribed", "bounced")
EVERY_CHANNEL = "*"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = pa.timestamp("us", "UTC")

_TABLES = (
    """CREATE TABLE IF NOT EXISTS receipt (
        key TEXT NOT NULL,
        person_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        state TEXT NOT NULL,
        at INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        PRIMARY KEY (key, person_id, channel, state)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS receipt_file (
        name TEXT NOT NULL PRIMARY KEY,
        size INTEGER NOT NULL,
        changed_at INTEGER NOT NULL,
        lines INTEGER NOT NULL,
        refused INTEGER NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS receipt_told ON receipt (state, person_id)",
)
# A clock may be so far ahead. Whatever is dated later is dated so: it must not outrank an unsubscribe of next year.
AHEAD = timedelta(days=1)
# Of what may alternate (subscribed and not), the latest counts; of what happens once, the first.
_KEEP = """
    INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        at = CASE WHEN state IN ('subscribed', 'unsubscribed') THEN max(at, excluded.at)
            ELSE min(at, excluded.at) END"""
_JOINED = """
    SELECT receipt.key, coalesce(message.person_id, receipt.person_id) AS person_id, message.origin, message.version,
        message.step, message.destination, message.entry, message.arm, receipt.channel, receipt.state, receipt.at,
        receipt.received_at, message.sent_at
    FROM receipt LEFT JOIN message USING (key)
    WHERE (:key IS NULL OR receipt.key = :key)
    ORDER BY receipt.at, receipt.key, receipt.state"""
COLUMNS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("key", "person_id", "origin", "version", "step", "destination", "entry", "arm"), pa.string()),
    **dict.fromkeys(("channel", "state"), pa.string()),
    **dict.fromkeys(("at", "received_at", "sent_at"), _INSTANT),
}


class BadReceipt(ValueError):
    """A receipt that can't be read; the message says why, without the person's data."""


@dataclass(frozen=True)
class Receipt:
    """What came back about the message ``key``; or, without a key, about a person and a channel."""

    key: str
    state: str
    at: datetime
    person_id: str = ""
    channel: str = ""


def read_receipt(written: Any) -> Receipt:
    """A receipt as JSON has it: key (or person_id and channel), state, at (ISO 8601 with its zone). BadReceipt."""
    if not isinstance(written, Mapping):
        raise BadReceipt("a receipt is an object")
    unknown = sorted(written.keys() - {"key", "state", "at", "person_id", "channel"})
    if unknown:
        raise BadReceipt(f"a receipt has no {unknown[0]!r:.40}")
    texts = {name: written.get(name, "") for name in ("key", "person_id", "channel", "state")}
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts.values()):
        raise BadReceipt("key, state, person_id and channel are texts of at most 200 characters")
    if not all(_is_storable(text) for text in texts.values()):
        raise BadReceipt("key, state, person_id and channel are made of whole characters")
    if texts["state"] not in STATES:
        raise BadReceipt(f"state {texts['state']!r:.40} is none of {', '.join(STATES)}")
    if not texts["key"]:
        if texts["state"] not in ("unsubscribed", "subscribed") or not (texts["person_id"] and texts["channel"]):
            raise BadReceipt(
                "key is missing; without one, only (un)subscribed with person_id and channel is a receipt"
            )
    elif texts["person_id"] or texts["channel"]:
        raise BadReceipt("key says which person and channel it is about: leave person_id and channel out")
    try:
        at = datetime.fromisoformat(written.get("at", ""))
    except (TypeError, ValueError) as error:
        raise BadReceipt("at is no instant: write as 2024-01-31T08:00:00+08:00") from error
    if at.tzinfo is None:
        raise BadReceipt("at names no zone: write as 2024-01-31T08:00:00+08:00")
    return Receipt(texts["key"], texts["state"], at, texts["person_id"], texts["channel"])


def _is_storable(text: str) -> bool:
    """Whether it has no half of a surrogate pair, which JSON can write and no file or database can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Receipts:
    """The receipts in the ledger's file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, file: Path) -> "Receipts":
        """The receipts of the ledger ``file``, whose tables of messages are there already."""
        connection = connect(file)
        for statement in _TABLES:
            connection.execute(statement)
        return cls(connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Receipts":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep(self, receipts: Iterable[Receipt], now: datetime) -> int:
        """Take receipts in; how many were new."""
        with self._writing():
            return self._keep(receipts, now)

    def _keep(self, receipts: Iterable[Receipt], now: datetime) -> int:
        before, latest = self._count(), now + AHEAD
        rows = ((r.key, r.person_id, r.channel, r.state, _number(min(r.at, latest)), _number(now)) for r in receipts)
        self._connection.executemany(_KEEP, rows)
        return self._count() - before

    def take_in(self, folder: Path, now: datetime) -> "TakenIn":
        """Take in the JSON-lines files (``*.jsonl``) of ``folder`` that are new or have changed.

        A line that is no receipt is counted as refused and left where it is; a file that is taken in twice changes
        nothing. Each file is one transaction.
        """
        taken = TakenIn()
        known = {row[0]: row[1:3] for row in self._connection.execute("SELECT * FROM receipt_file")}
        for file in sorted(folder.glob("*.jsonl")):
            state = file.stat()
            if known.get(file.name) == (state.st_size, state.st_mtime_ns):
                continue
            lines = _Lines(file)
            with self._writing():
                new = self._keep(lines, now)
                values = (file.name, state.st_size, state.st_mtime_ns, lines.good, lines.refused)
                self._connection.execute("INSERT OR REPLACE INTO receipt_file VALUES (?, ?, ?, ?, ?)", values)
            taken = TakenIn(taken.files + 1, taken.receipts + new, taken.refused + lines.refused)
        return taken

    def read(self, key: str | None = None) -> pa.Table:
        """The receipts with the message each is about, oldest first, with the columns of ``COLUMNS``."""
        rows = self._connection.execute(_JOINED, {"key": key}).fetchall()
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
        arrays = {
            name: pa.array(values, pa.int64() if kind == _INSTANT else kind).cast(kind)
            for (name, kind), values in zip(COLUMNS.items(), columns, strict=True)
        }
        return pa.table(arrays)

    def _count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM receipt").fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@dataclass(frozen=True)
class TakenIn:
    """Files read, receipts that were new, lines that were none."""

    files: int = 0
    receipts: int = 0
    refused: int = 0


def land(folder: Path, receipts: Sequence[Receipt]) -> Path:
    """Leave receipts in ``folder`` as a file of JSON lines, whole or not at all, and on the disk when this returns.

    It is named after what it says: the same receipts told again are the same file.
    """
    lines = "".join(json.dumps(_written(receipt), sort_keys=True) + "\n" for receipt in receipts)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{hashlib.sha256(lines.encode()).hexdigest()[:32]}.jsonl"
    _replace(target, lines)
    return target


def _replace(target: Path, text: str) -> None:
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    durable.write(aside, text)
    os.replace(aside, target)
    durable.flush(target.parent)


def _written(receipt: Receipt) -> dict[str, str]:
    texts = {"key": receipt.key, "person_id": receipt.person_id, "channel": receipt.channel, "state": receipt.state}
    return {name: text for name, text in texts.items() if text} | {"at": receipt.at.isoformat()}


def export(receipts: pa.Table, channel_of: Callable[[str, str, str], str | None], folder: Path) -> int:
    """Write ``receipts`` (of ``Receipts.read``) to ``folder`` as CSV, a file for each month (UTC) they came in, so
    that a source of kind fact reads them (回流). What would say the same is left as it is; how many were written.

    Of receipts about no message of the ledger, and no person, nobody could say whose they are: they are left out.
    """
    known = receipts.filter(pc.not_equal(receipts["person_id"], ""))
    rows = known.select(["origin", "step", "destination"]).to_pylist()
    told = known["channel"].to_pylist()
    via = [said or channel_of(*(row[name] or "" for name in row)) for said, row in zip(told, rows, strict=True)]
    identity = pc.binary_join_element_wise(known["key"], known["person_id"], known["channel"], known["state"], "|")
    table = known.set_column(known.schema.get_field_index("channel"), "channel", pa.array(via, pa.string()))
    table = table.rename_columns(["message_key" if name == "key" else name for name in table.column_names])
    table = table.append_column("receipt_id", identity)
    months = pc.strftime(table["received_at"], format="%Y-%m")
    written = 0
    for month in pc.unique(months).to_pylist():
        part = table.filter(pc.equal(months, month)).sort_by("receipt_id")
        written += _write_changed(folder / f"receipts-{month}.csv", part)
    return written


def _write_changed(target: Path, table: pa.Table) -> int:
    """Write it as CSV unless it is there just so: a file that is touched is cleaned again."""
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    content = sink.getvalue().to_pybytes()
    if target.exists() and target.read_bytes() == content:
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, content.decode())
    return 1


class _Lines:
    """The receipts of a file of JSON lines, one after the other; how many were ``good``, how many ``refused``."""

    def __init__(self, file: Path) -> None:
        self._file, self.good, self.refused = file, 0, 0

    def __iter__(self) -> Iterator[Receipt]:
        with self._file.open("rb") as lines:
            for line in lines:
                if not line.strip():
                    continue
                try:
                    receipt = read_receipt(json.loads(line))
                except (ValueError, RecursionError):  # the latter: brackets within brackets without end
                    self.refused += 1
                    continue
                self.good += 1
                yield receipt


def _number(instant: datetime) -> int:
    difference = instant - _EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds
