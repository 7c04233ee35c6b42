"""A random key that a warehouse keeps for itself, and what is hashed with it.

A plain hash of a phone number says the number to everybody who tries all of them; with a key that only those who
may read the file have, it says nothing.
"""

import hashlib
import hmac
import os
import secrets
import unicodedata
from pathlib import Path

from valtag_assets.warehouse import durable
from valtag_assets.warehouse.locks import alone

KEY_FILE = "person.key"
_WAIT_SECONDS = 30.0


def own_key(file: Path) -> str:
    """A random text kept in ``file`` (for its owner only), made with it; of two who make it at once, one wins."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with alone(file.with_name(f".{file.name}.lock"), f"the key {file.name}", _WAIT_SECONDS):
            if not file.exists():
                aside = file.with_name(f".{file.name}.new")
                aside.unlink(missing_ok=True)  # of somebody who was killed
                aside.touch(mode=0o600)
                durable.write(aside, secrets.token_hex(16))
                os.replace(aside, file)
    return file.read_text(encoding="ascii")


def pseudonym(root: Path, identifier: str) -> str:
    """HMAC-SHA256 of an identifier (NFKC, trimmed) under the key of the warehouse ``root``, in hexadecimal."""
    text = unicodedata.normalize("NFKC", identifier).strip()
    return hmac.new(own_key(root / KEY_FILE).encode(), text.encode(), hashlib.sha256).hexdigest()


def keyed_hash(key: str, text: str) -> str:
    """SHA-256 over the key and a SHA-256 over the key and the text, in hexadecimal: the nesting of HMAC, with one
    key, which every engine can compute of a column."""
    return _sha256(key + _sha256(key + text))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
