"""What makes a message that message: its idempotency key, set-based and for a single one."""

import hashlib
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

_SEPARATOR = "\x1f"  # in no code, and no hash; the one free text among the parts is the person's id


def message_key(
    destination: str, origin: str, version: str, step: str, person: str, entry: str, operation: str = "message"
) -> str:
    """The key of one message: SHA-256 of its parts, as hexadecimal text."""
    parts = (destination, origin, version, step, person, entry, operation)
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()


def key_column(parts: Sequence[str | ir.StringValue]) -> ir.StringValue:
    """``message_key`` of every row: ``parts`` in its order, texts or columns of text that are never null."""
    joined: ir.StringValue = ibis.literal("")
    for number, part in enumerate(parts):
        value = ibis.literal(part) if isinstance(part, str) else part
        joined = joined.concat(_SEPARATOR, value) if number else joined.concat(value)
    return joined.hexdigest("sha256")
