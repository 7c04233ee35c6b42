"""Who was erased, as keyed hashes: enough to know them again when their rows are imported again, and no more.

The hash is SHA-256 over a key and a SHA-256 over the key and the text (the nesting of HMAC, with one key), which
every engine can compute of a column. The key lies apart, in a file for its owner only. An identifier that may go to
somebody else (identity.yaml: valid_for) has the day from which on it is no longer the erased person's.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.own_key import KEY_FILE, keyed_hash, own_key

FOLDER, FILE = "erased", "tombstones.json"
COLUMNS = {"digest": "string", "key": "string", "until": "date"}
"""Of the table that cleaning reads; ``key`` is the same in every row; ``until``: null for ever."""


class Tombstones:
    """The tombstones of the warehouse ``root``."""

    def __init__(self, root: Path) -> None:
        self._root, self._file = root, root / FOLDER / FILE

    def digest(self, identifier: str) -> str:
        """The keyed hash of an identifier, in hexadecimal."""
        return keyed_hash(own_key(self._root / KEY_FILE), identifier)

    def add(self, identifiers: Iterable[str], until: Mapping[str, str] = {}) -> None:
        """Remember them, those in ``until`` for the days before that one (ISO 8601) alone; on disk when this returns.

        One erasure at a time.
        """
        known = self.digests()
        for identifier in identifiers:
            digest, day = self.digest(identifier), until.get(identifier)
            before = known.get(digest, "")
            # Who was erased for ever, or until later, stays so.
            known[digest] = None if day is None or before is None else max(day, before)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_name(f".{FILE}.new")
        durable.write(aside, json.dumps(known, indent=1, sort_keys=True) + "\n")
        os.replace(aside, self._file)
        durable.flush_folders(self._file.parent, self._root)

    def digests(self) -> dict[str, str | None]:
        """All of them, and until when each is an erased person's (None: for ever)."""
        if not self._file.exists():
            return {}
        found: dict[str, str | None] | list[str] = json.loads(self._file.read_text(encoding="ascii"))
        # Before there were days it was a list.
        return dict.fromkeys(found) if isinstance(found, list) else found

    @property
    def state(self) -> str:
        """Stands for all tombstones; empty while there is none."""
        known = self.digests()
        return _sha256(json.dumps(known, sort_keys=True)) if known else ""

    def table(self, folder: Path) -> Path | None:
        """A Parquet file with ``COLUMNS`` in ``folder``, where nobody else reads; None while there is none."""
        known = self.digests()
        if not known:
            return None
        file = folder / "tombstones.parquet"
        keys = [own_key(self._root / KEY_FILE)] * len(known)
        days = pa.array([None if day is None else date.fromisoformat(day) for day in known.values()], pa.date32())
        pq.write_table(pa.table({"digest": list(known), "key": keys, "until": days}), file)
        return file


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
