"""What is left of a value that may not be read, as the engine makes it and for a single value: the same of both.

HMAC-SHA256 as in RFC 2104: sha256(outer pad, sha256(inner pad, text)), with the key padded to blocks of 64 bytes.
"""

import hashlib
import hmac
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from valtag_assets.spec.access import MaskName
from valtag_assets.spec.masking import MASK

LAST = 4
LEAST_FOR_LAST = 8
"""The last characters are shown of texts of so many: of a shorter one they would be most of it."""
_BLOCK = 64


@ibis.udf.scalar.builtin(name="hex")
def _hex(value: dt.string) -> dt.string:  # type: ignore[empty-body]
    """The engine's own: the UTF-8 bytes of a text in hexadecimal."""


@ibis.udf.scalar.builtin(name="unhex")
def _unhex(value: dt.string) -> dt.binary:  # type: ignore[empty-body]
    """The engine's own: the bytes that hexadecimal digits stand for."""


def _sha256(value: ir.Value) -> ir.StringValue:
    """SHA-256 of bytes, as hexadecimal digits; Ibis offers it as a method of texts alone."""
    return ops.HexDigest(value, "sha256").to_expr()


def mask_column(value: ir.Value, how: MaskName, key: bytes = b"") -> ir.StringValue:
    """What the mask leaves of a column; of a missing value or a list, and of whatever it can't be: ``***``."""
    if how not in ("last4", "hmac") or value.type().is_array():
        return ibis.literal(MASK)
    text = _text(value)
    if how == "last4":
        return ibis.ifelse(
            text.length() >= LEAST_FOR_LAST, ibis.literal(MASK).concat(text.right(LAST)), MASK
        ).fill_null(MASK)
    inner, outer = _pads(key)
    digest = _sha256(_unhex(ibis.literal(inner.hex()).concat(_hex(text))))
    return _sha256(_unhex(ibis.literal(outer.hex()).concat(digest))).fill_null(MASK)


def mask_value(value: Any, how: MaskName, key: bytes = b"") -> str:
    """``mask_column`` of one value as JSON has it: dates and instants in ISO 8601, decimals as text."""
    if how not in ("last4", "hmac") or value is None or isinstance(value, list):
        return MASK
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if how == "last4":
        return MASK + text[-LAST:] if len(text) >= LEAST_FOR_LAST else MASK
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _text(value: ir.Value) -> ir.StringValue:
    """A value as text, the same as in JSON."""
    text = value.cast("string")
    return text.replace(" ", "T") if value.type().is_timestamp() else text


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and the outer pad of the key."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
