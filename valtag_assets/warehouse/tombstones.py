"""Who was erased, as keyed hashes: enough to know them again when their rows are imported again, and no more.

The hash is SHA-256 over a key and a SHA-256 over the key and the text (the nesting of HMAC, with one key), which
every engine can compute of a column. The key lies apart, in a file for its owner only.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.own_key import KEY_FILE, own_key

FOLDER, FILE = "erased", "tombstones.json"
COLUMNS = {"digest": "string", "key": "string"}
"""Of the table that cleaning reads; ``key`` is the same in every row."""


class Tombstones:
    """The tombstones of the warehouse ``root``."""

    def __init__(self, root: Path) -> None:
        self._root, self._file = root, root / FOLDER / FILE

    def digest(self, identifier: str) -> str:
        """The keyed hash of an identifier, in hexadecimal."""
        key = own_key(self._root / KEY_FILE)
        return _sha256(key + _sha256(key + identifier))

    def add(self, identifiers: Iterable[str]) -> None:
        """Remember them; on disk when this returns. One erasure at a time."""
        known = sorted({*self.digests(), *map(self.digest, identifiers)})
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_name(f".{FILE}.new")
        durable.write(aside, json.dumps(known, indent=1) + "\n")
        os.replace(aside, self._file)
        durable.flush_folders(self._file.parent, self._root)

    def digests(self) -> list[str]:
        """All of them, sorted."""
        if not self._file.exists():
            return []
        found: list[str] = json.loads(self._file.read_text(encoding="ascii"))
        return found

    @property
    def state(self) -> str:
        """Stands for all tombstones; empty while there is none."""
        known = self.digests()
        return _sha256("\n".join(known)) if known else ""

    def table(self, folder: Path) -> Path | None:
        """A Parquet file with ``COLUMNS`` in ``folder``, where nobody else reads; None while there is none."""
        known = self.digests()
        if not known:
            return None
        file = folder / "tombstones.parquet"
        keys = [own_key(self._root / KEY_FILE)] * len(known)
        pq.write_table(pa.table({"digest": known, "key": keys}), file)
        return file


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
