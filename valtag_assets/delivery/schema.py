"""The tables of the outbox.

Instants are whole microseconds since 1970 (UTC), dates ISO 8601 text, ``values`` a JSON object as text. Indexes are
partial, so that they stay as small as what is under way, however long the ledger grows.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

_WAIT_SECONDS = 60
_INSTANT = pa.timestamp("us", "UTC")
COLUMNS: Mapping[str, pa.DataType] = {
    "key": pa.string(),
    "kind": pa.string(),
    "origin": pa.string(),
    "version": pa.string(),
    "step": pa.string(),
    "destination": pa.string(),
    "person_id": pa.string(),
    "entry": pa.string(),
    "arm": pa.string(),
    "operation": pa.string(),
    "values": pa.string(),
    "values_hash": pa.string(),
    "snapshot": pa.string(),
    "run": pa.string(),
    "as_of": pa.date32(),
    "created_at": _INSTANT,
    "not_before": _INSTANT,
    "expires_at": _INSTANT,
    "priority": pa.int64(),
    "state": pa.string(),
    "reason": pa.string(),
    "attempts": pa.int64(),
    "lease_until": _INSTANT,
    "sent_at": _INSTANT,
    "answered_at": _INSTANT,
    "reference": pa.string(),
}
"""The columns of ``message`` as reports read them."""

INSTANTS = tuple(name for name, kind in COLUMNS.items() if kind == _INSTANT)
PLANNED = tuple(COLUMNS)[: tuple(COLUMNS).index("reason") + 1]
"""What whoever plans a message may say, in the order of the table."""

DEFAULTS: Mapping[str, Any] = {
    "version": "",
    "step": "",
    "entry": "",
    "arm": "treated",
    "values_hash": "",
    "snapshot": "",
    "run": "",
    "as_of": None,
    "not_before": None,  # created_at
    "expires_at": None,
    "priority": 0,
    "state": "pending",
    "reason": "",
}

_MESSAGE = """
    CREATE TABLE IF NOT EXISTS message (
        key TEXT NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('sync', 'message')),
        origin TEXT NOT NULL,
        version TEXT NOT NULL,
        step TEXT NOT NULL,
        destination TEXT NOT NULL,
        person_id TEXT NOT NULL,
        entry TEXT NOT NULL,
        arm TEXT NOT NULL,
        operation TEXT NOT NULL CHECK (operation IN ('add', 'change', 'remove', 'message')),
        "values" TEXT NOT NULL CHECK (json_valid("values")),
        values_hash TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        run TEXT NOT NULL,
        as_of TEXT,
        created_at INTEGER NOT NULL,
        not_before INTEGER NOT NULL,
        expires_at INTEGER,
        priority INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        lease_until INTEGER,
        sent_at INTEGER,
        answered_at INTEGER,
        reference TEXT NOT NULL DEFAULT ''
    )"""
_ACKNOWLEDGED = """
    CREATE TABLE IF NOT EXISTS acknowledged (
        destination TEXT NOT NULL,
        origin TEXT NOT NULL,
        person_id TEXT NOT NULL,
        values_hash TEXT NOT NULL,
        acked_at INTEGER NOT NULL,
        PRIMARY KEY (destination, origin, person_id)
    ) WITHOUT ROWID"""
IDS = (
    "CREATE TABLE IF NOT EXISTS successor (was TEXT NOT NULL PRIMARY KEY, now TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS successor_now ON successor (now)",
    "CREATE TABLE IF NOT EXISTS part (whole TEXT NOT NULL, person_id TEXT NOT NULL, PRIMARY KEY (person_id, whole))"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS followed (snapshot TEXT NOT NULL)",
)
"""What became of ids, since the ledger keeps those of when it was written. ``successor``: ids that are no person's
any more, and whose they are now. ``part``: persons who are a part of what was thought to be one, the ``whole``.
``followed``: the snapshot that says so."""
VERSION = 1
SCHEMA = (
    _MESSAGE,
    _ACKNOWLEDGED,
    "CREATE INDEX IF NOT EXISTS due ON message (destination, priority DESC, not_before, key) WHERE state = 'pending'",
    "CREATE INDEX IF NOT EXISTS open ON message (origin)"
    " WHERE state = 'pending' OR state = 'claimed' OR state = 'unknown'",
    "CREATE INDEX IF NOT EXISTS claimed ON message (destination, lease_until) WHERE state = 'claimed'",
    "CREATE INDEX IF NOT EXISTS unknown ON message (destination) WHERE state = 'unknown'",
    "CREATE INDEX IF NOT EXISTS ran ON message (run)",
    "CREATE INDEX IF NOT EXISTS planned ON message (origin, as_of)",
    "CREATE INDEX IF NOT EXISTS told ON message (person_id, sent_at) WHERE kind = 'message'",
    "PRAGMA user_version = 1",
)
"""Makes the tables; the version comes last, so that a making that was cut off is done again."""


def connect(file: Path) -> sqlite3.Connection:
    """The ledger's file. What is written is on the disk before anything rests on it; writers queue."""
    # A claim is made in the sender's thread, a plan in whichever thread the graph runs.
    connection = sqlite3.connect(file, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
