"""What became of a trigger's messages, from the ledger: sent or not, and what receipts said of each."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_BATCH = 50_000
_RECEIPTS = ("delivered", "opened", "clicked", "converted", "unsubscribed", "bounced")
_NAMES = ("person_id", "entry", "step", "destination", "planned", "sent", *_RECEIPTS)
_SCHEMA = pa.schema(
    [
        ("person_id", pa.string()),
        ("entry", pa.int64()),
        ("step", pa.string()),
        ("destination", pa.string()),
        *((name, pa.bool_()) for name in _NAMES[4:]),
    ]
)
_TOLD = """
    SELECT message.person_id, CAST(entry AS INTEGER), step, destination,
        arm = 'treated' AND NOT (message.state = 'held_back' AND reason = 'test'),
        message.state IN ('sent', 'acknowledged'),
        coalesce(max(receipt.state = 'delivered'), 0), coalesce(max(receipt.state = 'opened'), 0),
        coalesce(max(receipt.state = 'clicked'), 0), coalesce(max(receipt.state = 'converted'), 0),
        coalesce(max(receipt.state = 'unsubscribed'), 0), coalesce(max(receipt.state = 'bounced'), 0)
    FROM message LEFT JOIN receipt USING (key)
    WHERE kind = 'message' AND origin = ? AND as_of <= ?
    GROUP BY key ORDER BY key"""
_MARK = """
    SELECT message.state, reason, count(DISTINCT key), count(receipt.state), max(receipt.received_at)
    FROM message LEFT JOIN receipt USING (key)
    WHERE kind = 'message' AND origin = ? AND as_of <= ?
    GROUP BY message.state, reason ORDER BY message.state, reason"""
_SENT = """
    SELECT count(*) FROM message
    WHERE kind = ? AND origin = ? AND as_of > ? AND as_of <= ?
      AND state IN ('sent', 'acknowledged') AND operation <> 'remove'"""
_KINDS = {"trigger": "message", "delivery": "sync"}
_NO_RECEIPTS = "CREATE TEMP TABLE receipt (key TEXT, person_id TEXT, state TEXT, received_at INTEGER)"


def write_outcomes(ledger: Path, trigger: str, as_of: date, into: Path) -> None:
    """One row per message of the trigger planned up to ``as_of``, as it stands now, to the Parquet file ``into``."""
    with pq.ParquetWriter(into, _SCHEMA) as writer, _reading(ledger) as connection:
        if connection is None:
            return
        rows = connection.execute(_TOLD, (trigger, as_of.isoformat()))
        while many := rows.fetchmany(_BATCH):
            columns = zip(*many, strict=True)
            arrays = [
                pa.array(map(bool, values) if kind == pa.bool_() else values, kind)
                for kind, values in zip(_SCHEMA.types, columns, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))


def outcomes_mark(ledger: Path, trigger: str, as_of: date) -> str:
    """A text that is another one as soon as a message or receipt of these says something else."""
    with _reading(ledger) as connection:
        return "" if connection is None else repr(connection.execute(_MARK, (trigger, as_of.isoformat())).fetchall())


def sent_between(
    ledger: Path, automations: Iterable[tuple[str, str]], after: date, upto: date
) -> dict[tuple[str, str], int]:
    """How many messages of as-ofs after the one date, up to the other, each (trigger or delivery, code) has sent."""
    with _reading(ledger) as connection:
        if connection is None:
            return {}
        days = (after.isoformat(), upto.isoformat())
        counted = {
            (kind, code): connection.execute(_SENT, (_KINDS[kind], code, *days)).fetchone()[0]
            for kind, code in automations
        }
    return {thing: count for thing, count in counted.items() if count}


@contextmanager
def _reading(ledger: Path) -> Iterator[sqlite3.Connection | None]:
    """The ledger, to be read; None where nothing was ever planned."""
    if not ledger.exists():
        yield None
        return
    connection: Any = sqlite3.connect(ledger, timeout=60)
    try:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'receipt'").fetchone() is None:
            connection.execute(_NO_RECEIPTS)
        yield connection
    finally:
        connection.close()
