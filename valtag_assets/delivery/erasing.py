"""Persons taken back from where they were delivered to, and out of the ledger that says so."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from valtag_assets.delivery.files import for_spreadsheets, replace_file, write_lines
from valtag_assets.delivery.keys import message_key
from valtag_assets.delivery.outbox import Outbox, ledger_file
from valtag_assets.delivery.route import Place, open_route
from valtag_assets.delivery.schema import connect
from valtag_assets.delivery.sender import send
from valtag_assets.engine.erasure.duckdb_file import forget_in_duckdb, is_duckdb
from valtag_assets.engine.erasure.sqlite import compact, is_sqlite
from valtag_assets.engine.persons import PERSON
from valtag_assets.expression.resolved_delivery import ResolvedDestination
from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.marks import Marks
from valtag_assets.warehouse.quoting import quote

_HOLDERS = """
    SELECT DISTINCT destination, origin, person_id FROM acknowledged
    WHERE person_id IN (SELECT person_id FROM temp.asked) ORDER BY 1, 2, 3"""
_TOLD = """
    SELECT destination, count(*) FROM message
    WHERE kind = 'message' AND sent_at IS NOT NULL AND person_id IN (SELECT person_id FROM temp.asked)
    GROUP BY destination"""
_OPEN = """
    DELETE FROM message WHERE state = 'pending' AND operation <> 'remove'
      AND person_id IN (SELECT person_id FROM temp.asked)"""
_RECEIPTS = """
    DELETE FROM receipt WHERE person_id IN (SELECT person_id FROM temp.asked)
      OR key IN (SELECT key FROM message WHERE person_id IN (SELECT person_id FROM temp.asked))"""
_KEYS = "SELECT key FROM message WHERE person_id IN (SELECT person_id FROM temp.asked)"
_MESSAGES = "DELETE FROM message WHERE person_id IN (SELECT person_id FROM temp.asked)"
_ACKNOWLEDGED = "DELETE FROM acknowledged WHERE person_id IN (SELECT person_id FROM temp.asked)"
# What became of their ids. Told of no more, since the messages of former ids are gone with those of the present one.
_IDS = (
    "DELETE FROM successor WHERE was IN (SELECT person_id FROM temp.asked)"
    " OR now IN (SELECT person_id FROM temp.asked)",
    "DELETE FROM part WHERE whole IN (SELECT person_id FROM temp.asked)"
    " OR person_id IN (SELECT person_id FROM temp.asked)",
)


@dataclass(frozen=True)
class Withdrawn:
    """What became of withdrawals. ``told``: how often a destination was told of the persons in a way that can't be
    taken back (a message, a row appended, an audience of a destination that the catalog has no more). ``states``:
    withdrawals by destination and state. ``waiting``: why some could not be made, by destination."""

    told: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)


def withdraw(place: Place, persons: Collection[str], erasure: str, now: Callable[[], datetime]) -> Withdrawn:
    """Take the persons out of every audience at a destination, by ordinary messages of the outbox.

    What waits to be sent about them is not sent any more. A message keeps its key: doing this again sends nothing
    twice.
    """
    ledger = ledger_file(place.warehouse)
    if not ledger.exists():
        return Withdrawn()
    with _ledger(ledger, persons) as connection:
        connection.execute(_OPEN)
        told = Counter(dict(connection.execute(_TOLD).fetchall()))
        holders = connection.execute(_HOLDERS).fetchall()
    taking = {code for code, to in place.resolved.destinations.items() if to.spec.mode != "append"}
    told.update(destination for destination, _, _ in holders if destination not in taking)
    holders = [holder for holder in holders if holder[0] in taking]
    states: dict[str, dict[str, int]] = {}
    waiting: dict[str, str] = {}
    with Outbox.open(ledger) as outbox:
        outbox.plan(_removals(holders, erasure, now()))
        for code in sorted({destination for destination, _, _ in holders}):
            halted = _send(place, place.resolved.destinations[code], outbox, now)
            found: Counter[str] = Counter()
            for row in outbox.counts(destination=code, run=erasure):
                found[row["state"]] += row["messages"]
            states[code] = dict(found)
            if halted or set(found) - {"acknowledged", "sent"}:
                waiting[code] = halted or ", ".join(f"{state} {many}" for state, many in found.items())
    return Withdrawn(dict(told), states, waiting)


def _removals(holders: Sequence[tuple[str, str, str]], erasure: str, now: datetime) -> pa.Table:
    parts = [
        {
            "key": message_key(destination, origin, "", "", person, erasure, "remove"),
            "kind": "sync",
            "origin": origin,
            "destination": destination,
            "person_id": person,
            "entry": erasure,
            "operation": "remove",
            "values": "{}",
            "run": erasure,
            "created_at": now,
        }
        for destination, origin, person in holders
    ]
    names = ("key", "kind", "origin", "destination", "person_id", "entry", "operation", "values", "run")
    columns = [(name, pa.string()) for name in names] + [("created_at", pa.timestamp("us", "UTC"))]
    return pa.Table.from_pylist(parts, pa.schema(columns))


def _send(place: Place, destination: ResolvedDestination, outbox: Outbox, now: Callable[[], datetime]) -> str:
    """Send what is due at the destination; why nothing more could be sent, or ""."""
    outbox.recover(destination.code, now(), idempotent=destination.spec.idempotent)

    async def sending() -> str:
        async with open_route(place, destination, now) as route:
            return (await send(outbox, route, now, kind="sync")).halted

    try:
        return asyncio.run(sending())
    except Mistake as error:  # a secret or a driver is missing
        return str(error)


def purge(ledger: Path, persons: Collection[str]) -> dict[str, int]:
    """Delete every row about the persons from the ledger, and leave no byte of it; how many, by kind."""
    if not ledger.exists():
        return {}
    with _ledger(ledger, persons) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        statements = {"receipts": _RECEIPTS} if "receipt" in tables else {}
        statements |= {"messages": _MESSAGES, "acknowledged": _ACKNOWLEDGED}
        connection.execute("BEGIN IMMEDIATE")
        done = {name: connection.execute(statement).rowcount for name, statement in statements.items()}
        for statement in _IDS if "successor" in tables else ():
            connection.execute(statement)
        connection.execute("COMMIT")
        compact(connection)
    return done


def message_keys(ledger: Path, persons: Collection[str]) -> set[str]:
    """The keys of all messages about the persons: receipts name them by these."""
    if not ledger.exists():
        return set()
    with _ledger(ledger, persons) as connection:
        return {row[0] for row in connection.execute(_KEYS)}


def forget_receipts(folder: Path, marks: Marks, keys: Collection[str]) -> int:
    """Take lines about the persons out of the files of receipts that landed, also lines that are no JSON and tell
    them, and mask them in lines about others; how many lines there were."""
    return sum(_without_lines(file, marks, keys) for file in sorted(folder.glob("*.jsonl")))


def _without_lines(file: Path, marks: Marks, keys: Collection[str]) -> int:
    kept, gone = list[bytes](), 0
    for line in file.read_bytes().splitlines(keepends=True):
        text = line.decode("utf-8", "surrogateescape")
        if _is_about(text, marks, keys):
            gone += 1
            continue
        masked = marks.without(text)
        gone += masked != text
        kept.append(masked.encode("utf-8", "surrogateescape"))
    if gone:
        replace_file(file, lambda into: _write(into, kept))
    return gone


def _is_about(line: str, marks: Marks, keys: Collection[str]) -> bool:
    """Whether a receipt is about one of the persons; of a line that is none, whether it tells one."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        quoted = any(json.dumps(text, ensure_ascii=False) in line for text in (*marks.persons, *keys))
        return quoted or marks.stand_in(line)
    return isinstance(said, dict) and (said.get("person_id") in marks.persons or str(said.get("key")) in keys)


def forget_exported(folder: Path, persons: Collection[str]) -> int:
    """Take the persons out of the CSV files of receipts that a source reads; how many rows there were."""
    gone = 0
    for file in sorted(folder.glob("receipts-*.csv")):
        names = pyarrow.csv.open_csv(file).schema.names
        as_texts = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        )
        rows = pyarrow.csv.read_csv(file, convert_options=as_texts)
        kept = rows.filter(pc.invert(pc.is_in(rows[PERSON], pa.array(sorted(persons), pa.string()))))
        if kept.num_rows < rows.num_rows:
            gone += rows.num_rows - kept.num_rows
            replace_file(file, partial(_write_csv, kept))
    return gone


def _write_csv(rows: pa.Table, into: Path) -> None:
    pyarrow.csv.write_csv(rows, into)


def _write(into: Path, lines: Sequence[bytes]) -> None:
    into.write_bytes(b"".join(lines))


def forget_in_files(folder: Path, persons: Collection[str]) -> int:
    """Take the persons out of every file that was dropped under ``folder``; how many rows there were."""
    return sum(_without_rows(file, persons) for file in sorted(folder.rglob("*.parquet")))


def _without_rows(file: Path, persons: Collection[str]) -> int:
    """Of a file drop: the rows kept in Parquet, and what is written anew from them beside it."""
    rows = pq.read_table(file, partitioning=None)
    if PERSON not in rows.column_names:
        return 0
    theirs = pc.is_in(rows[PERSON].cast(pa.string()), pa.array(sorted(persons), pa.string()))
    kept = rows.filter(pc.invert(pc.fill_null(theirs, False)))
    beside = file.with_name(file.name.removeprefix("."))
    gone: int = rows.num_rows - kept.num_rows
    if gone:
        # The kept rows last: after a kill they still tell that the others are to be written.
        csv, lines = beside.with_suffix(".csv"), beside.with_suffix(".jsonl")
        if csv.exists():
            replace_file(csv, lambda into: pyarrow.csv.write_csv(for_spreadsheets(kept), into))
        if lines.exists():
            replace_file(lines, lambda into: write_lines(kept, into))
        replace_file(file, lambda into: pq.write_table(kept, into))
    return gone


def forget_in_databases(files: Iterable[Path], persons: Collection[str]) -> int:
    """Take the persons out of every table of these SQLite and DuckDB files that has them; how many rows there were.

    The files are rewritten in any case: an ordinary withdrawal deletes a row, and leaves its bytes.
    """
    return sum(_without_table_rows(file, persons) for file in files if file.is_file())


def _without_table_rows(file: Path, persons: Collection[str]) -> int:
    if is_sqlite(file):
        with _ledger(file, persons) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            gone = sum(
                connection.execute(
                    f"DELETE FROM {quote(table)} WHERE {quote(PERSON)} IN (SELECT person_id FROM temp.asked)"
                ).rowcount
                for (table,) in found
                if any(row[1] == PERSON for row in connection.execute(f"PRAGMA table_info({quote(table)})"))
            )
            compact(connection)
            return gone
    return forget_in_duckdb(file, PERSON, persons) if is_duckdb(file) else 0


@contextmanager
def _ledger(file: Path, persons: Collection[str]) -> Iterator[sqlite3.Connection]:
    with closing(connect(file)) as connection:
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("CREATE TEMP TABLE asked (person_id TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO temp.asked VALUES (?)", ((person,) for person in persons))
        yield connection
