"""The manifest of one table: which snapshots were published, and how the last attempts went.

``manifest.json`` stays small: one short entry per snapshot. What is long (schema, verdicts, metrics) lies in
``_snapshot.json`` inside the snapshot's own immutable folder; the underscore makes Spark skip it. Paths are
relative to the warehouse's root, so the whole folder may be moved.
"""

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from valtag_assets.warehouse.errors import ManifestError, NewerFormat, WarehouseError
from valtag_assets.warehouse.snapshot import Attempt, Outcome, Part, Snapshot, TableRef, Verdict

# 2: the record of a snapshot names its parts. A change of the content hash needs a new format, too: sums of
# shared parts are taken over from older snapshots.
FORMAT = 2
MANIFEST = "manifest.json"
DETAILS = "_snapshot.json"
ATTEMPTS_KEPT = 50
_ID_TIME = "%Y%m%dT%H%M%S%fZ"
_INDEX = ("run_id", "rows", "content_hash", "input_hash", "catalog_hash", "data_until")
_REMEDY = "restore it from a backup, or let `valtag repair` make it anew from the snapshots; these are untouched"
_DETAILS_REMEDY = "restore that folder from a backup, or let `valtag repair` take its snapshot out of history"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Entry:
    """One snapshot in the manifest. ``folder`` is relative to the root, ``files`` to the folder."""

    id: str
    as_of: date | None
    known_at: datetime
    run_id: str
    rows: int
    content_hash: str
    input_hash: str
    catalog_hash: str
    data_until: datetime | None
    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Details:
    """The long part of a snapshot, stored beside its data. ``erased``: what was taken out of it since, and when."""

    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    inputs: Mapping[str, str]
    verdicts: tuple[Verdict, ...]
    metrics: Mapping[str, Any]
    parts: tuple[Part, ...]
    erased: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Forgotten:
    """From ``since`` up to ``until`` a snapshot was current for ``as_of`` that was removed since."""

    as_of: date | None
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Manifest:
    """All snapshots of ``table`` in order of publication, and its attempts in order of time.

    ``forgotten`` and ``thinned_before`` say what was removed: snapshots that had been replaced, and as-ofs.
    """

    table: TableRef
    entries: tuple[Entry, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    forgotten: tuple[Forgotten, ...] = ()
    thinned_before: date | None = None

    def current(self, as_of: date | None, known_at: datetime | None = None) -> Entry | None:
        """The entry of ``as_of`` known last (up to ``known_at``); of equals, the last published."""
        fitting = [
            entry
            for entry in self.entries
            if entry.as_of == as_of and (known_at is None or entry.known_at <= known_at)
        ]
        return sorted(fitting, key=lambda entry: entry.known_at)[-1] if fitting else None

    def latest(self, on_or_before: date | None) -> Entry | None:
        """The current entry of the newest as-of (up to a date); a table without time has just its own."""
        times = [
            entry.as_of or date.min
            for entry in self.entries
            if on_or_before is None or (entry.as_of or date.min) <= on_or_before
        ]
        if not times:
            return None
        newest = max(times)
        return self.current(None if newest == date.min else newest)

    def history(self, as_of: date | None) -> list[Entry]:
        """The entries of one as-of in the order in which they were current."""
        return sorted((entry for entry in self.entries if entry.as_of == as_of), key=lambda entry: entry.known_at)

    def forgets(self, as_of: date | None, known_at: datetime) -> Forgotten | None:
        """What was removed that was current for ``as_of`` at that instant."""
        gaps = (gap for gap in self.forgotten if gap.as_of == as_of and gap.since <= known_at < gap.until)
        return next(gaps, None)

    def after_all(self, instant: datetime) -> datetime:
        """``instant``, or where a clock went back the first instant after everything recorded here."""
        known = [entry.known_at for entry in self.entries] + [attempt.at for attempt in self.attempts]
        return max([instant, *(moment + _TICK for moment in known)])

    def without(self, ids: Collection[str]) -> "Manifest":
        """Takes snapshots out of history, and remembers when they were current."""
        kept = tuple(entry for entry in self.entries if entry.id not in ids)
        remaining = {entry.as_of for entry in kept}
        gaps = [gap for gap in self.forgotten if gap.as_of in remaining]
        for as_of in remaining:
            history = self.history(as_of)
            for entry, successor in itertools.pairwise(history):
                if entry.id in ids:
                    gaps.append(Forgotten(as_of, entry.known_at, successor.known_at))
        return replace(self, entries=kept, forgotten=_joined(gaps))

    def thinned(self, ids: Collection[str]) -> "Manifest":
        """``without`` them, by the rules of retention: as-ofs that are gone altogether were thinned out."""
        left = self.without(ids)
        gone = {entry.as_of for entry in self.entries} - {entry.as_of for entry in left.entries}
        ends = [as_of + timedelta(days=1) for as_of in gone if as_of is not None]
        return replace(left, thinned_before=max([*ends, *filter(None, [self.thinned_before])], default=None))

    def last_attempt(self, as_of: date | None) -> Attempt | None:
        return next((attempt for attempt in reversed(self.attempts) if attempt.as_of == as_of), None)

    def with_entry(self, entry: Entry) -> "Manifest":
        return replace(self, entries=(*self.entries, entry))

    def with_attempt(self, attempt: Attempt) -> "Manifest":
        """Adds an attempt; of old ones keeps the last 50, and every refusal or failure that still stands."""
        attempts = sorted((*self.attempts, attempt), key=lambda known: known.at)
        last = {known.as_of: known for known in attempts}
        old, recent = attempts[:-ATTEMPTS_KEPT], attempts[-ATTEMPTS_KEPT:]
        # Without these a backfill of other days would quietly lift the block on a refused one.
        standing = [known for known in old if known.blocks and last[known.as_of] is known]
        return replace(self, attempts=(*standing, *recent))


def _joined(gaps: Sequence[Forgotten]) -> tuple[Forgotten, ...]:
    """The same gaps, those that touch made one."""
    found: list[Forgotten] = []
    for gap in sorted(gaps, key=lambda gap: (gap.as_of or date.min, gap.since)):
        if found and found[-1].as_of == gap.as_of and found[-1].until == gap.since:
            found[-1] = replace(found[-1], until=gap.until)
        else:
            found.append(gap)
    return tuple(found)


def snapshot_of(table: TableRef, entry: Entry, root: Path) -> Snapshot:
    """The whole snapshot of an entry. ManifestError if its record is missing or damaged."""
    folder = root / entry.folder
    details = read_details(folder / DETAILS)
    return Snapshot(
        table=table,
        id=entry.id,
        as_of=entry.as_of,
        known_at=entry.known_at,
        rows=entry.rows,
        columns=details.columns,
        content_hash=entry.content_hash,
        input_hash=entry.input_hash,
        catalog_hash=entry.catalog_hash,
        run_id=entry.run_id,
        data_until=entry.data_until,
        inputs=details.inputs,
        verdicts=details.verdicts,
        metrics=details.metrics,
        files=tuple(folder / file for file in entry.files),
        key=details.key,
        parts=details.parts,
    )


def read_manifest(path: Path, table: TableRef) -> Manifest:
    """The manifest in ``path``, empty if nothing was published yet. ManifestError if it is lost or damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        # The manifest is there before the first snapshot comes.
        if any(path.parent.glob(f"as_of=*/*/{DETAILS}")):
            raise ManifestError(f"{path} is missing, though snapshots lie beside it: {_REMEDY}") from None
        return Manifest(table)
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from error
    data = _document(path, text)
    if data.get("table") != table.key:
        raise ManifestError(f"{path} belongs to table {data.get('table')!r}, not {table}: put it back in its folder")
    try:
        return Manifest(
            table,
            tuple(_entry(item) for item in data["snapshots"]),
            tuple(_attempt(item) for item in data["attempts"]),
            tuple(_forgotten(item) for item in data.get("forgotten", ())),
            _date(data.get("thinned_before")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def manifest_text(manifest: Manifest) -> str:
    return _text(
        {
            "format": FORMAT,
            "table": manifest.table.key,
            "snapshots": [asdict(entry) for entry in manifest.entries],
            "attempts": [asdict(attempt) for attempt in manifest.attempts],
            "forgotten": [asdict(gap) for gap in manifest.forgotten],
            "thinned_before": manifest.thinned_before,
        },
        f"the attempt of {manifest.table}",
    )


def read_details(path: Path) -> Details:
    try:
        data = _document(path, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{path} is missing: {_DETAILS_REMEDY}") from None
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from error
    try:
        return Details(
            columns=tuple((name, dtype) for name, dtype in data["columns"]),
            key=tuple(data["key"]),
            inputs=data["inputs"],
            verdicts=tuple(Verdict(**item) for item in data["verdicts"]),
            metrics=data["metrics"],
            parts=tuple(Part(**{**item, "sums": tuple(item["sums"])}) for item in data["parts"]),
            erased=tuple(data.get("erased", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def details_text(details: Details, entry: Entry, table: TableRef) -> str:
    """The record of a snapshot. WarehouseError if verdicts or metrics hold something that is not JSON.

    It says all that a lost manifest would have to be made from, but the id and as-of: these are in its path.
    """
    index = {name: getattr(entry, name) for name in _INDEX}
    record = {"format": FORMAT, "table": table.key, **index, **asdict(details)}
    return _text(record, f"the verdicts or metrics of {table}")


def entry_from(record: Path, table: TableRef, root: Path) -> Entry:
    """The manifest's entry of a snapshot, made again from its record. ManifestError if that is damaged."""
    details, data = read_details(record), json.loads(record.read_text(encoding="utf-8"))
    folder = record.parent
    try:
        if data["table"] != table.key:
            raise ValueError(f"it belongs to table {data['table']}")
        as_of = folder.parent.name.removeprefix("as_of=")
        return _entry(
            {
                **{name: data[name] for name in _INDEX},
                "id": folder.name.partition(".")[0],  # a rewritten snapshot lies in a folder of its own
                "as_of": None if as_of == "all" else as_of,
                "known_at": known_at_of(folder.name).isoformat(),
                "folder": folder.relative_to(root).as_posix(),
                "files": [part.name for part in details.parts],
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(record, error) from error


def id_stem(known_at: datetime, content_hash: str) -> str:
    """What the id of a snapshot begins with."""
    return f"{known_at:{_ID_TIME}}-{content_hash[:8]}"


def known_at_of(snapshot_id: str) -> datetime:
    """The known-at an id tells."""
    return datetime.strptime(snapshot_id.partition("-")[0], _ID_TIME).replace(tzinfo=UTC)


def as_json(verdicts: tuple[Verdict, ...]) -> Any:
    """Verdicts as they look after being stored and read back: for comparing new ones with stored ones."""
    return json.loads(_text([asdict(verdict) for verdict in verdicts], "the verdicts"))


def _text(data: Any, what: str) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1, default=_time_text) + "\n"
    except (TypeError, ValueError) as error:
        raise WarehouseError(f"{what} can't be stored as JSON: {error}") from error


def _time_text(value: object) -> str:
    if isinstance(value, date):  # datetime is one, too
        return value.isoformat()
    raise TypeError(f"{value!r} ({type(value).__name__}) is not JSON")


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(data, dict) or not isinstance(data.get("format"), int):
        raise _damaged(path, "no 'format' in it")
    if data["format"] < FORMAT:
        raise ManifestError(
            f"{path} was written by an older valtag (format {data['format']}; this one reads {FORMAT}):"
            " move the warehouse's folder away and run again; everything in it is made anew from the sources"
        )
    if data["format"] > FORMAT:
        raise NewerFormat(
            f"{path} was written by a newer valtag (format {data['format']}; this one reads {FORMAT}): upgrade valtag"
        )
    return data


def _damaged(path: Path, why: object) -> ManifestError:
    return ManifestError(f"{path} is damaged ({why}): {_DETAILS_REMEDY if path.name == DETAILS else _REMEDY}")


def _entry(data: Mapping[str, Any]) -> Entry:
    times = {
        "as_of": _date(data["as_of"]),
        "known_at": utc(datetime.fromisoformat(data["known_at"])),
        "data_until": None if data["data_until"] is None else datetime.fromisoformat(data["data_until"]),
    }
    return Entry(**{**data, **times, "files": tuple(data["files"])})


def _attempt(data: Mapping[str, Any]) -> Attempt:
    read = {
        "as_of": _date(data["as_of"]),
        "at": utc(datetime.fromisoformat(data["at"])),
        "verdicts": tuple(Verdict(**item) for item in data["verdicts"]),
    }
    return Attempt(**{**data, **read})


def _forgotten(data: Mapping[str, Any]) -> Forgotten:
    since, until = (utc(datetime.fromisoformat(data[name])) for name in ("since", "until"))
    return Forgotten(_date(data["as_of"]), since, until)


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def utc(instant: datetime) -> datetime:
    """An aware instant in UTC. ValueError if it has no zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone: pass an aware instant")
    return instant.astimezone(UTC)


def publication(entry: Entry, outcome: Outcome, snapshot_id: str, reason: str | None = None) -> Attempt:
    """The attempt a publication leaves; its verdicts are the snapshot's and not stored twice."""
    return Attempt(
        as_of=entry.as_of,
        at=entry.known_at,
        run_id=entry.run_id,
        input_hash=entry.input_hash,
        outcome=outcome,
        snapshot_id=snapshot_id,
        reason=reason,
    )


def refuse_confused_times(as_of: date | None, data_until: datetime | None) -> None:
    if isinstance(as_of, datetime):
        raise ValueError(f"as_of is a local date, not an instant: {as_of.isoformat()}")
    if data_until is not None and data_until.tzinfo is not None:
        raise ValueError(f"data_until is naive local time, not {data_until.isoformat()}")
