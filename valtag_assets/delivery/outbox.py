"""The outbox: the one ledger of every effect outside valtag, written before sending and updated after.

SQLite in WAL mode with ``synchronous = FULL``: what is committed outlives a kill and a power cut. A message is
planned once (its key is what makes it that message), claimed with a lease, and settled. ``acknowledged`` is what the
receivers of audiences are known to hold, brought up to date in the transaction that settles a message; an empty hash
says that nobody knows what the receiver holds of that person.

Every instant is given by the caller; nothing here reads a clock.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from valtag_assets.delivery import statements as sql
from valtag_assets.delivery.message import Kind, Message, Result, State
from valtag_assets.delivery.schema import COLUMNS, DEFAULTS, IDS, INSTANTS, PLANNED, SCHEMA, VERSION, connect
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.errors import WarehouseError
from valtag_assets.warehouse.store import Warehouse

FOLDER, FILE = "outbox", "outbox.sqlite"
_BATCH = 50_000


def ledger_file(warehouse: Warehouse) -> Path:
    """Where the outbox of a warehouse lies."""
    return warehouse.root / FOLDER / FILE


class Outbox:
    """The ledger in one SQLite file. Any number of processes may use it at once; writers queue."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, file: Path) -> "Outbox":
        """The ledger ``file``, made with its folder if it is not there."""
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(file)
        connection.row_factory = sqlite3.Row
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in SCHEMA:
                connection.execute(statement)
        elif version != VERSION:
            raise WarehouseError(f"{file} is of format {version}; this valtag reads {VERSION}")
        for statement in IDS:
            connection.execute(statement)
        return cls(connection)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Outbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Planning

    def follow(self, snapshot: str, successors: pa.Table, parts: pa.Table) -> None:
        """Know what became of ids by that snapshot, instead of what was known: ``successors`` (was, now) of ids that
        are no more, ``parts`` (whole, person_id) of persons who were thought to be one with others.

        What was written stays as it was written. Caps, receipts and messages that wait are of the present person.
        """
        known = self._connection.execute(sql.FOLLOWED).fetchone()
        if known is not None and known[0] == snapshot:
            return
        with self._writing():
            for statement in ("DELETE FROM successor", "DELETE FROM part", "DELETE FROM followed"):
                self._connection.execute(statement)
            for statement, table in ((sql.SUCCESSOR, successors), (sql.PART, parts)):
                for batch in table.to_batches(_BATCH):
                    columns = [column.to_pylist() for column in batch.columns]
                    self._connection.executemany(statement, zip(*columns, strict=True))
            self._connection.execute("INSERT INTO followed VALUES (?)", (snapshot,))

    def plan(self, table: pa.Table) -> int:
        """Write messages down, one per row of ``table``; how many were new. A key that is known changes nothing.

        Columns: those of ``schema.PLANNED``; ``schema.DEFAULTS`` stand for what is left out. Instants are
        timestamps with a zone, ``as_of`` a date, ``values`` JSON text, ``state`` pending or held_back.
        """
        with self._writing():
            return self._insert(table, sql.INSERT + " ON CONFLICT DO NOTHING")

    def _insert(self, table: pa.Table, statement: str) -> int:
        lacking = [name for name in PLANNED if name not in table.column_names and name not in DEFAULTS]
        unknown = [name for name in table.column_names if name not in PLANNED]
        if lacking or unknown:
            raise ValueError(f"a plan needs the columns {lacking}, and has no {unknown}")
        before = self._connection.total_changes
        for batch in table.to_batches(_BATCH):
            columns = [_planned(batch, name) for name in PLANNED]
            self._connection.executemany(statement, zip(*columns, strict=True))
        return self._connection.total_changes - before

    def replace(self, origin: str, table: pa.Table, kept: Sequence[str], run: str, now: datetime) -> int:
        """Plan the newest state of an audience: what is pending of it is taken back, but for the ``kept`` keys, and
        ``table`` (see ``plan``) is written down, all in one transaction; how many were withdrawn.

        A message that came to nothing and is planned again is tried again, with its key.
        """
        with self._writing():
            self._connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY)")
            self._connection.execute("DELETE FROM kept")
            self._connection.executemany("INSERT INTO kept VALUES (?)", ((key,) for key in kept))
            values = {"origin": origin, "now": _number(now), "run": run}
            withdrawn = self._connection.execute(sql.WITHDRAW, values).rowcount
            self._connection.execute("UPDATE message SET run = :run WHERE key IN (SELECT key FROM kept)", values)
            self._insert(table, sql.INSERT_AGAIN)
        return withdrawn

    def under_way(self, destination: str, origin: str) -> pa.Table:
        """(person_id, key, state, operation, values_hash) of every message of a delivery that is open."""
        rows = self._connection.execute(sql.UNDER_WAY, (destination, origin))
        names = ("person_id", "key", "state", "operation", "values_hash")
        return _arrow(rows, pa.schema([(name, pa.string()) for name in names]))

    def acknowledged(self, destination: str, origin: str) -> pa.Table:
        """(person_id, values_hash) of everybody whom a destination holds by a delivery, sorted by person."""
        names = ("person_id", "values_hash")
        rows = self._connection.execute(sql.ACKNOWLEDGED, (destination, origin))
        return _arrow(rows, pa.schema([(name, pa.string()) for name in names]))

    def forget(self, destination: str, origin: str) -> None:
        """Know nothing any more of what a destination holds by a delivery: it has lost it."""
        self._connection.execute(
            "DELETE FROM acknowledged WHERE destination = ? AND origin = ?", (destination, origin)
        )

    # Sending

    def recover(self, destination: str, now: datetime, *, idempotent: bool, origin: str | None = None) -> int:
        """Deal with leases that ran out, as their sender has died, and with messages whose time is over.

        ``origin``: the caller knows that nobody else is sending for it, so none of its leases counts any more.
        What was claimed is sent again by an ``idempotent`` destination; of another nobody knows whether it was sent.
        How many leases had run out.
        """
        state, reason = ("pending", "") if idempotent else ("unknown", "the sender ended before the answer came")
        values = {"destination": destination, "now": _number(now), "origin": origin}
        with self._writing():
            self._connection.execute(sql.DOUBT_OF_LOST, values)
            lost = self._connection.execute(sql.LOST, {**values, "state": state, "reason": reason}).rowcount
            self._connection.execute(sql.EXPIRE, values)
        return lost

    def claim(
        self,
        destination: str,
        most: int,
        now: datetime,
        until: datetime,
        *,
        origin: str | None = None,
        kind: Kind | None = None,
    ) -> list[Message]:
        """At most so many due messages (of an origin, of a kind), the most urgent first, for this caller alone
        ``until`` its lease ends."""
        values: dict[str, Any] = {"destination": destination, "most": most, "origin": origin, "kind": kind}
        values |= {"now": _number(now), "until": _number(until)}
        with self._writing():
            rows = self._connection.execute(sql.CLAIM, values).fetchall()
        found = [_message(row) for row in rows]
        return sorted(found, key=lambda item: (-item.priority, item.not_before, item.key))

    def settle(self, results: Iterable[Result]) -> None:
        """Write down what came of attempts, all in one transaction.

        That a message was taken is a fact, whoever tells it and however late; anything else counts only for the
        attempt it is about.
        """
        taken: list[dict[str, Any]] = []
        held: list[dict[str, Any]] = []
        gone: list[dict[str, Any]] = []
        with self._writing():
            for result in results:
                message, at = result.message, _number(result.at)
                values = {"key": message.key, "state": result.state, "reason": result.reason, "at": at}
                values["reference"] = result.reference or message.reference
                if result.state not in ("sent", "acknowledged"):
                    self._not_done(result, values)
                    continue
                taken.append(values)
                if message.kind == "sync":
                    (gone if message.operation == "remove" else held).append({"key": message.key, "at": at})
            self._connection.executemany(sql.DONE, taken)
            self._connection.executemany(sql.HELD, held)
            self._connection.executemany(sql.GONE, gone)

    def _not_done(self, result: Result, values: dict[str, Any]) -> None:
        values |= {"until": result.until and _number(result.until), "uncounted": int(not result.counted)}
        values |= {"doubt": result.doubt, "attempts": result.message.attempts}
        changed = self._connection.execute(sql.NOT_DONE, values).rowcount
        if changed and result.doubt:
            self._connection.execute(sql.DOUBT, values)

    # Looking

    def next_at(self, destination: str, *, origin: str | None = None, kind: Kind | None = None) -> datetime | None:
        """When something of a destination is to be done next: a message is due, or a lease runs out."""
        values = {"destination": destination, "origin": origin, "kind": kind}
        found = self._connection.execute(sql.NEXT, values).fetchone()[0]
        return None if found is None else _instant(found)

    def destinations(self) -> list[str]:
        """The destinations with messages that are to be sent or being sent."""
        rows = self._connection.execute(
            "SELECT destination FROM message WHERE state = 'pending'"
            " UNION SELECT destination FROM message WHERE state = 'claimed'"
        )
        return sorted(row[0] for row in rows)

    def due(self, now: datetime) -> dict[str, int]:
        """How many messages wait to be sent now, by destination."""
        return dict(map(tuple, self._connection.execute(sql.DUE, {"now": _number(now)})))

    def unknown(self, destination: str | None = None) -> pa.Table:
        """The messages of which nobody knows whether they were sent: somebody has to decide."""
        return self.read(destination=destination, state="unknown")

    def resolve(self, key: str, decision: Literal["requeue", "close"], now: datetime) -> None:
        """Decide about an unknown message: send it (again), or leave it. Mistake for any other message."""
        state, reason = ("pending", "") if decision == "requeue" else ("dead", "closed by decision")
        values = {"key": key, "state": state, "reason": reason, "now": _number(now)}
        if not self._connection.execute(sql.RESOLVE, values).rowcount:
            raise Mistake(f"'{key}' is no message that waits for a decision; valtag outbox lists those")

    def counts(
        self, *, origin: str | None = None, destination: str | None = None, run: str | None = None
    ) -> list[dict[str, Any]]:
        """How many messages there are by destination, origin, kind, operation, state and reason."""
        values = {"origin": origin, "destination": destination, "run": run}
        return [dict(row) for row in self._connection.execute(sql.counts(values), _bound(values))]

    def read(
        self,
        *,
        key: str | None = None,
        origin: str | None = None,
        destination: str | None = None,
        kind: str | None = None,
        state: State | None = None,
        person: str | None = None,
    ) -> pa.Table:
        """The messages that match all that is given, oldest first, with the columns of ``schema.COLUMNS``."""
        values = {"key": key, "origin": origin, "destination": destination, "kind": kind, "state": state}
        values["person"] = person
        rows = self._connection.execute(sql.read(values), _bound(values))
        stored = [(name, pa.int64() if name in INSTANTS else kind) for name, kind in COLUMNS.items()]
        stored = [(name, pa.string() if name == "as_of" else kind) for name, kind in stored]
        return _arrow(rows, pa.schema(stored)).cast(pa.schema(list(COLUMNS.items())))

    def find(self, beginning: str) -> list[dict[str, Any]]:
        """At most two messages whose key begins so, with the columns of ``schema.COLUMNS``."""
        last = beginning + "g"  # keys are hexadecimal digits
        keys = self._connection.execute(
            "SELECT key FROM message WHERE key >= ? AND key < ? LIMIT 2", (beginning, last)
        )
        return [row for key in [row[0] for row in keys] for row in self.read(key=key).to_pylist()]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _planned(batch: pa.RecordBatch, name: str) -> Sequence[Any]:
    if name not in batch.schema.names:
        if name == "not_before":
            return _planned(batch, "created_at")
        return [DEFAULTS[name]] * batch.num_rows
    column = batch.column(name)
    if name in INSTANTS:
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    elif name == "as_of":
        column = column.cast(pa.string())
    found: list[Any] = column.to_pylist()
    return found


def _arrow(rows: sqlite3.Cursor, schema: pa.Schema) -> pa.Table:
    rows.row_factory = None  # plain tuples: a million of them in half the time
    batches = []
    while many := rows.fetchmany(_BATCH):
        columns = list(zip(*many, strict=True))
        arrays = [pa.array(columns[number], kind) for number, kind in enumerate(schema.types)]
        batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _bound(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _message(row: sqlite3.Row) -> Message:
    values: dict[str, Any] = dict(row)
    for name in INSTANTS:
        values[name] = None if values[name] is None else _instant(values[name])
    if (person := values.pop("person_now")) is not None:
        values |= {"person_id": person, "entered_as": values["person_id"]}
    values["as_of"] = None if values["as_of"] is None else date.fromisoformat(values["as_of"])
    values["values"] = json.loads(values["values"])
    return Message(**values)


def _number(instant: datetime) -> int:
    """Microseconds since 1970; ValueError for an instant that names no zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no zone")
    difference = instant - _EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds


def _instant(number: int) -> datetime:
    seconds, micros = divmod(number, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
