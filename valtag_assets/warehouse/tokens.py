"""Tokens: what stands for a personal identifier everywhere outside the vault.

A token is a keyed hash: SHA-256 over a key and a SHA-256 over the key and the text (the nesting of HMAC, with one
key), which every engine can compute of a column, cut to 128 bits. Equal texts have equal tokens, so what is counted,
joined and compared by them is what it was; what a text was, only the vault tells.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from valtag_assets.spec.mistake import Mistake
from valtag_assets.warehouse.own_key import keyed_hash, own_key
from valtag_assets.warehouse.snapshot import TableRef

VAULT = "vault"
"""The stage of the tables that say what tokens stand for: files for their owner only, and no view shows them."""
PRIVATE = 0o700
PREFIX, DIGITS = "vault-", 32
KEY_FILE, KEY_VARIABLE = "vault.key", "VALTAG_VAULT_KEY"
KEY_COLUMNS = {"key": "string"}
_SHORTEST_KEY = 16


class Tokens:
    """The tokens of the warehouse ``root``. Its key is that of the environment, where it has one: then every
    warehouse with that key has the same tokens. Otherwise the warehouse keeps a random key of its own.

    Mistake: the environment's key is too short to keep anything secret.
    """

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._file, self._given = root / KEY_FILE, environment.get(KEY_VARIABLE, "")
        if 0 < len(self._given) < _SHORTEST_KEY:
            raise Mistake(f"the key in {KEY_VARIABLE} is shorter than {_SHORTEST_KEY} characters")

    def of(self, text: str) -> str:
        """The token of a text."""
        return PREFIX + keyed_hash(self._key, text)[:DIGITS]

    @property
    def state(self) -> str:
        """Stands for the key, and tells nothing of it: with another one every token is another."""
        return keyed_hash(self._key, KEY_FILE)

    def table(self, folder: Path) -> Path:
        """A Parquet file with ``KEY_COLUMNS`` in ``folder``, where nobody else reads: for engines."""
        file = folder / "vault-key.parquet"
        pq.write_table(pa.table({"key": [self._key]}), file)
        return file

    @property
    def _key(self) -> str:
        return self._given or own_key(self._file)


def looks_like(text: str) -> bool:
    """Whether the text has the form of a token."""
    return re.fullmatch(rf"{PREFIX}[0-9a-f]{{{DIGITS}}}", text) is not None


def mode_of(table: TableRef) -> int:
    """Who may enter the folders of a table's stage, of what the umask leaves: those of the vault, its owner."""
    return PRIVATE if table.stage == VAULT else 0o777
