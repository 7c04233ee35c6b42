"""A random key that a warehouse keeps for itself, and what is hashed with it.

A plain hash of a phone number says the number to everybody who tries all of them; with a key that only those who
may read the file have, it says nothing.
"""

import hashlib
import hmac
import os
import secrets
import unicodedata
import uuid
from pathlib import Path

from valtag_assets.warehouse import durable

KEY_FILE = "person.key"


def own_key(file: Path) -> str:
    """A random text kept in ``file`` (for its owner only), made with it; of two who make it at once, one wins."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
        aside.touch(mode=0o600)
        durable.write(aside, secrets.token_hex(16))
        try:
            os.link(aside, file)
            aside.unlink()
        except FileExistsError:
            aside.unlink()
        except OSError:  # a file system without links
            aside.replace(file)
    return file.read_text(encoding="ascii")


def pseudonym(root: Path, identifier: str) -> str:
    """HMAC-SHA256 of an identifier (NFKC, trimmed) under the key of the warehouse ``root``, in hexadecimal."""
    text = unicodedata.normalize("NFKC", identifier).strip()
    return hmac.new(own_key(root / KEY_FILE).encode(), text.encode(), hashlib.sha256).hexdigest()
